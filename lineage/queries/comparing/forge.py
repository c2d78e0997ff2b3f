"""Where a forge shows what changed between two commits. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
_LIKE_GITHUB = ("github", "gitea", "forgejo", "codeberg")


def compare(repository: str, old: str | None, new: str | None) -> str | None:
    """The page for `old..new` of a `git+https://` repository; None where the host is no forge
    we know the addresses of.
    """
    if not repository.startswith("git+https://") or not (_is_commit(old) and _is_commit(new)):
        return None
    base = repository.removeprefix("git+").partition("#")[0]
    host = urlsplit(base).hostname or ""
    if "gitlab" in host:
        return f"{base}/-/compare/{old}...{new}"
    if "bitbucket" in host:
        return f"{base}/branches/compare/{new}%0D{old}"
    if any(name in host for name in _LIKE_GITHUB):
        return f"{base}/compare/{old}...{new}"
    return None


def _is_commit(version: str | None) -> bool:
    return bool(version and _COMMIT.match(version))
