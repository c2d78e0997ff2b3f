"""Which code runs here: found from the environment, a git repository or a git-sync worktree.

`.git` is read directly, because a controller's image seldom has the `git` program and often
another user than the repository; only whether files were changed needs the program, and
stays unknown without it. Never raises; what cannot be found is left out.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lineage.identity import without_credentials

if TYPE_CHECKING:
    from lineage import model

GIT_TIMEOUT = 2.0
_COMMIT = re.compile(r"(?:rev-)?([0-9a-f]{40}|[0-9a-f]{64})")
_log = logging.getLogger("lineage.hook")


class Codes(NamedTuple):
    """Makes `lineage.model.Code`: from its fields, or by looking around."""

    def __call__(self, **fields: Any) -> model.Code:
        """What ran: `repo`, `commit`, `path`, `image`, `dirty`."""
        from lineage import model

        return model.Code(**fields)

    def detect(self, path: str | os.PathLike[str] | None = None) -> model.Code:
        """The code at `path` (by default that of the program), from

        * LINEAGE_REPO and LINEAGE_COMMIT, which speak of the program,
        * the git repository or git-sync worktree that holds the path,
        * LINEAGE_IMAGE.

        `dirty` says whether tracked files differ from the commit.
        """
        try:
            git, given = _of_git(Path(path) if path is not None else _program()), _given()
            if "commit" in given and (path is None or "commit" not in git):
                # Whether files were changed since is not known of a commit that was told.
                return self(**{n: git[n] for n in ("repo", "path") if n in git} | given)
            return self(**given | git)
        except Exception as error:  # unreadable, malformed, whatever: the work goes on
            _log.warning("the code that runs here could not be detected: %s", error)
            return self()


Code = Codes()


def _program() -> Path:
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(main) if main else Path.cwd()


def _given() -> dict[str, Any]:
    from lineage.config import Settings

    names = ("repo", "commit", "image")
    given = {f"LINEAGE_{n.upper()}": os.environ.get(f"LINEAGE_{n.upper()}", "") for n in names}
    settings = Settings.from_env(given)
    return {name: getattr(settings, name) for name in names if getattr(settings, name)}


def _of_git(where: Path) -> dict[str, Any]:
    # The worktree git-sync serves is behind a symlink: what it points to is what ran.
    where = where.resolve()
    for top in (where, *where.parents):
        if (git := _git_directory(top)) is not None:
            inside = where.relative_to(top).as_posix()
            commit = _commit(git) or _in_name(top)
            found = {
                "repo": _remote(_common(git)),
                "commit": commit,
                "path": inside if where.is_file() else None,
                "dirty": _dirty(top) if commit else None,
            }
            return {name: value for name, value in found.items() if value is not None}
        if top.parent.name in (".worktrees", "worktrees") and (commit := _in_name(top)):
            return {"commit": commit}
    return {}


def _in_name(top: Path) -> str | None:
    """git-sync names its worktrees after their commits."""
    match = _COMMIT.fullmatch(top.name)
    return match[1] if match else None


def _git_directory(top: Path) -> Path | None:
    """The git directory of a working tree; of a worktree the one its `.git` file names."""
    git = top / ".git"
    if git.is_dir():
        return git
    text = _read(git)
    if text is None or not text.startswith("gitdir:"):
        return None
    # Mounted elsewhere than where git-sync made it, an absolute path leads nowhere.
    return top / text.removeprefix("gitdir:").strip()


def _common(git: Path) -> Path:
    """Where a worktree shares its refs and configuration with the others."""
    text = _read(git / "commondir")
    return git / text.strip() if text else git


def _commit(git: Path) -> str | None:
    head = (_read(git / "HEAD") or "").strip()
    for _ in range(5):  # a ref may name a ref
        if not head.startswith("ref:"):
            break
        head = _ref(git, head.removeprefix("ref:").strip())
    return head if _COMMIT.fullmatch(head) else None


def _ref(git: Path, name: str) -> str:
    for directory in (git, _common(git)):
        if text := _read(directory / name):
            return text.strip()
    for line in (_read(_common(git) / "packed-refs") or "").splitlines():
        commit, _, ref = line.partition(" ")
        if ref == name:
            return commit
    return ""


def _remote(git: Path) -> str | None:
    """The URL of `origin`, else of the first remote."""
    remotes: dict[str, str] = {}
    section = ""
    for line in map(str.strip, (_read(git / "config") or "").splitlines()):
        if line.startswith("["):
            section = line
        name, equals, value = line.partition("=")
        if equals and name.strip() == "url" and section.startswith("[remote "):
            remotes.setdefault(section, value.strip())
    url = remotes.get('[remote "origin"]') or next(iter(remotes.values()), None)
    # A path of this machine names nothing elsewhere.
    return without_credentials(url) if url and not url.startswith(("/", ".", "file:")) else None


def _dirty(top: Path) -> bool | None:
    import subprocess

    command = ["git", "-C", str(top), "-c", "core.fsmonitor=false", "status", "--porcelain",
               "--untracked-files=no"]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=GIT_TIMEOUT, check=False,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return bool(done.stdout.strip()) if done.returncode == 0 else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
