"""`Code.detect()` finds what runs, and never gets in the way of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from controllers_hooks import Code
from lineage import model

COMMIT = "faeb65757214ac93259f417b81e9e2fedafaebda"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPO", "COMMIT", "IMAGE"):
        monkeypatch.delenv(f"LINEAGE_{name}", raising=False)


def git(where: Path, *arguments: str) -> str:
    command = ["git", "-C", str(where), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit of `src/train.py`, and a remote with credentials."""
    where = tmp_path / "repo"
    (where / "src").mkdir(parents=True)
    (where / "src" / "train.py").write_text("print(1)\n")
    git(where, "init", "-q", "-b", "main")
    git(where, "remote", "add", "upstream", "https://host/upstream/r")
    git(where, "remote", "add", "origin", "https://me:s3cret@host/o/r.git")
    git(where, "add", ".")
    git(where, "commit", "-qm", "first")
    return where


def test_a_repository_gives_commit_remote_path_and_whether_it_was_changed(
    repository: Path,
) -> None:
    """The credentials of the remote stay behind."""
    found = Code.detect(repository / "src" / "train.py")
    assert isinstance(found, model.Code)
    assert found == Code(
        repo="https://host/o/r.git", commit=git(repository, "rev-parse", "HEAD"),
        path="src/train.py", dirty=False,
    )  # fmt: skip
    (repository / "src" / "train.py").write_text("print(2)\n")
    assert Code.detect(repository / "src").dirty is True


def test_an_untracked_file_is_no_change(repository: Path) -> None:
    """Outputs of a run often lie beside the code."""
    (repository / "out.ipynb").write_text("{}")
    assert Code.detect(repository).dirty is False


@pytest.mark.parametrize("arrange", [["pack-refs", "--all"], ["checkout", "-q", "--detach"],
                                     ["checkout", "-q", "-b", "a/branch"]])  # fmt: skip
def test_wherever_git_keeps_the_commit_it_is_found(repository: Path, arrange: list[str]) -> None:
    """Loose and packed refs, and a detached head."""
    git(repository, *arrange)
    assert Code.detect(repository).commit == git(repository, "rev-parse", "HEAD")


def test_without_the_git_program_only_the_changes_are_unknown(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images of controllers seldom have it."""
    commit = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", "/nowhere")
    found = Code.detect(repository)
    assert (found.commit, found.repo, found.dirty) == (commit, "https://host/o/r.git", None)


def test_a_git_sync_worktree_is_found_behind_its_symlink(repository: Path) -> None:
    """`current` points to a worktree, whose `.git` is a file."""
    commit = git(repository, "rev-parse", "HEAD")
    tree = repository / ".worktrees" / commit
    git(repository, "worktree", "add", "-q", "--detach", str(tree), commit)
    link = repository.parent / "current"
    link.symlink_to(tree)
    found = Code.detect(link / "src" / "train.py")
    assert (found.commit, found.path, found.dirty) == (commit, "src/train.py", False)
    assert found.repo == "https://host/o/r.git"


@pytest.mark.parametrize("name", [COMMIT, f"rev-{COMMIT}"])
@pytest.mark.parametrize("file", [True, False])
def test_a_worktree_mounted_without_its_repository_still_has_its_commit(
    tmp_path: Path, name: str, file: bool
) -> None:
    """git-sync names worktrees after commits; the path it wrote is one of its own container."""
    tree = tmp_path / ".worktrees" / name
    tree.mkdir(parents=True)
    if file:
        (tree / ".git").write_text(f"gitdir: /git/.git/worktrees/{COMMIT}\n")
    assert Code.detect(tree).commit == COMMIT


def test_the_environment_tells_what_was_built(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the program itself the variables win; for another path they only add the image."""
    image = "ghcr.io/o/trainer@sha256:" + "ab" * 32
    for name, value in {"REPO": "https://host/built", "COMMIT": COMMIT, "IMAGE": image}.items():
        monkeypatch.setenv(f"LINEAGE_{name}", value)
    monkeypatch.setattr("controllers_hooks.code._program", lambda: repository)
    mine, other = Code.detect(), Code.detect(repository)
    assert (mine.repo, mine.commit, mine.image) == ("https://host/built", COMMIT, image)
    assert mine.dirty is None
    assert (other.commit, other.image) == (git(repository, "rev-parse", "HEAD"), image)


def test_a_remote_that_is_a_path_names_nothing_elsewhere(repository: Path) -> None:
    """It is left out."""
    git(repository, "remote", "set-url", "origin", "/srv/git/r.git")
    assert Code.detect(repository).repo is None


def test_where_there_is_no_code_nothing_is_found(tmp_path: Path) -> None:
    """And nothing is raised."""
    assert Code.detect(tmp_path / "missing" / "file.py") == Code()


def test_a_damaged_repository_is_no_obstacle(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it holds, the controller starts."""
    head = repository / ".git" / "HEAD"
    for content in (b"", b"\xff\xfe", b"ref: refs/heads/../../..", b"ref: HEAD"):
        head.write_bytes(content)
        assert Code.detect(repository).commit is None
    shutil.rmtree(repository / ".git")
    (repository / ".git").write_text("gitdir: nowhere")
    assert Code.detect(repository).commit is None
    monkeypatch.setenv("LINEAGE_IMAGE", "not an image \x01")
    assert Code.detect(repository) == Code()


def test_what_git_may_run_is_not_run(repository: Path, tmp_path: Path) -> None:
    """A repository can name programs; detecting its state starts none of them."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    os.chmod(trap, 0o755)
    git(repository, "config", "core.fsmonitor", str(trap))
    Code.detect(repository)
    assert not (tmp_path / "sprung").exists()
