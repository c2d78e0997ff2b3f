"""A git repository as facts: the only module that knows pygit2. Reads objects, writes none.

Commits go in and out by their id. What they say is `git_facts`; what follows from what the
server knows already is `git_branch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import PurePosixPath
from typing import TypeGuard

import pygit2

from controllers_hooks.observers import yaml_path
from controllers_hooks.observers.git_facts import Commit
from lineage.errors import LineageError, NotFound

_GLOB = frozenset("*?[")


class Repository:
    """A repository on disk, bare or not, or a worktree of it, with the files to watch in it:
    names or patterns of them."""

    def __init__(self, path: str, files: Sequence[str]) -> None:
        """
        Raises:
            LineageError: there is no repository, it belongs to somebody else, or its history
                is cut off.
        """
        self._git = _open(path)
        self._patterns = [f.strip().removeprefix("./").strip("/").split("/") for f in files]
        if self._git.is_shallow:
            raise LineageError(
                f"{path} is a shallow clone: its history is cut off, so nobody can tell when a "
                "value came; run `git fetch --unshallow` (git-sync: --depth=0)"
            )

    def url(self) -> str | None:
        """Where `origin` is."""
        names = list(self._git.remotes.names())
        return self._git.remotes["origin"].url if "origin" in names else None

    def tip(self, branch: str) -> str:
        """The newest commit of a branch: its own, else that of `origin`, else of any revision.

        Raises:
            NotFound: there is none.
        """
        names = [f"refs/heads/{branch}", f"refs/remotes/origin/{branch}", branch]
        # Clones have an origin/HEAD too, and that is another thing.
        for name in names if branch != "HEAD" else names[2:]:
            try:
                return str(self._git.revparse_single(name).peel(pygit2.Commit).id)
            except (KeyError, ValueError, pygit2.GitError):
                continue
        there = ", ".join(sorted(self._git.branches)) or "none yet"
        raise NotFound(f"there is no branch {branch}; those there are: {there}")

    def holds(self, sha: str, tip: str) -> bool:
        """Whether a branch with this tip holds the commit."""
        return sha == tip or (sha in self._git and self._git.descendant_of(tip, sha))

    def first_parents(self, tip: str) -> Iterator[str]:
        """The branch itself, newest first, without what was merged into it."""
        commit = self._commit(tip)
        yield tip
        while commit.parent_ids:
            commit = self._commit(commit.parent_ids[0])
            yield str(commit.id)

    def facts(self, sha: str) -> Commit:
        commit = self._commit(sha)
        author = commit.author
        return Commit(
            sha,
            _text(commit.raw_message),
            _text(author.raw_name).replace("\0", ""),
            author.time,
            commit.commit_time,
            tuple(self._merged(commit)),
        )

    def folder(self) -> str:
        """The one watched file, or the folder that all of them are in."""
        fixed = ["/".join(_fixed(pattern)) for pattern in self._patterns]
        if len(set(fixed)) == 1:
            return fixed[0]
        parents = [[str(p) for p in PurePosixPath(f).parents] for f in fixed]
        shared = next(p for p in parents[0] if all(p in other for other in parents))
        return "" if shared == "." else shared

    def mark(self, sha: str) -> tuple[str, ...]:
        """Equal for two commits: nothing that is watched differs."""
        tree = self._commit(sha).tree
        return tuple(_oid(tree, "/".join(_fixed(pattern))) for pattern in self._patterns)

    def files(self, sha: str) -> dict[str, bytes]:
        """The watched files at a commit. Of what is too large, one byte more than the bound
        is enough to be refused."""
        tree = self._commit(sha).tree
        return {
            name: blob.data[: yaml_path.MAX_BYTES + 1]
            for pattern in self._patterns
            for name, blob in _matching(tree, pattern)
        }

    def renamed(self, old: str, new: str) -> dict[str, str]:
        """Files that have another name in `new`: old → new."""
        diff = self._commit(old).tree.diff_to_tree(self._commit(new).tree)
        diff.find_similar()
        status = pygit2.enums.DeltaStatus.RENAMED
        return {d.old_file.path: d.new_file.path for d in diff.deltas if d.status == status}

    def _commit(self, sha: pygit2.Oid | str) -> pygit2.Commit:
        found = self._git[sha]
        assert isinstance(found, pygit2.Commit)
        return found

    def _merged(self, commit: pygit2.Commit) -> Iterator[str]:
        """The subjects of what a merge brought."""
        if len(commit.parent_ids) < 2:
            return
        walker = self._git.walk(None)
        for parent in commit.parent_ids[1:]:
            walker.push(parent)
        walker.hide(commit.parent_ids[0])
        for merged in walker:
            yield _text(merged.raw_message).strip().partition("\n")[0]


def _open(path: str) -> pygit2.Repository:
    try:
        found = pygit2.discover_repository(path)
        if found is not None:
            return pygit2.Repository(found)
        reason = ""
    except (KeyError, pygit2.GitError) as error:
        reason = f" ({error})" if isinstance(error, pygit2.GitError) else ""
    raise LineageError(
        f"{path} is no git repository that can be read{reason}; "
        "give the path of a clone, such as `git clone --mirror URL` makes"
    )


def _fixed(pattern: Sequence[str]) -> list[str]:
    return list(takewhile(lambda part: not _GLOB & set(part), pattern))


def _oid(tree: pygit2.Tree, path: str) -> str:
    try:
        return str(tree[path].id if path else tree.id)
    except KeyError:
        return ""


def _matching(tree: pygit2.Tree, pattern: Sequence[str]) -> Iterator[tuple[str, pygit2.Blob]]:
    """The files of a tree that match; `**` stands for any folders. Links are not followed."""
    if not pattern:
        return
    head, rest = pattern[0], pattern[1:]
    if head == "**":
        yield from _matching(tree, rest)
    for entry in tree:
        name = entry.name or ""
        if isinstance(entry, pygit2.Tree):
            if head == "**" or fnmatchcase(name, head):
                inner = pattern if head == "**" else rest
                yield from ((f"{name}/{below}", blob) for below, blob in _matching(entry, inner))
        elif not rest and _is_file(entry) and fnmatchcase(name, head):
            yield name, entry


def _is_file(entry: object) -> TypeGuard[pygit2.Blob]:
    link = pygit2.enums.FileMode.LINK
    return isinstance(entry, pygit2.Blob) and entry.filemode != link


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
