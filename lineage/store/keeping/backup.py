"""Copies a store while it is in use, and puts a copy in the place of a store.

A copy is a store: one file, and beside it the raw events where there are any. The search
index is left out, since every server builds its own. Whatever is interrupted leaves what was
there before, or the whole copy, never a part of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from lineage.errors import BadRequest, StoreInUse, StoreUnavailable
from lineage.store.database import whose
from lineage.store.keeping.writing import only_sqlite
from lineage.store.raw import SUFFIX as RAW
from lineage.store.search.index import SUFFIX as INDEX

PARTIAL = ".partial"
_LEFT_OVER = ("-wal", "-shm", "-journal")


def backup(store: str, file: str, replace: bool = False) -> list[str]:
    """Copy a store and its raw events, as of one moment each; returns the files written.

    Everything acknowledged before it began is in the copy. The events come second: each is
    written before what it says, so none that the copy of the store rests on is missing.

    Raises:
        BadRequest: there is such a file already, and `replace` is not given.
        StoreUnavailable: there is no such store, or no room.
    """
    only_sqlite(store, "use mariadb-dump or pg_dump (docs/operations.md)")
    if whose(store) == "nobody":
        raise StoreUnavailable(f"{store} is no store; check the path")
    if os.path.exists(file) and (not replace or os.path.samefile(store, file)):
        raise BadRequest(f"{file} is there already; choose another name, or add --replace")
    _copy(store, file)
    if not os.path.exists(store + RAW):
        _remove(file + RAW)
        return [file]
    _copy(store + RAW, file + RAW)
    return [file, file + RAW]


def restore(file: str, store: str, replace: bool = False) -> list[str]:
    """Put a copy in the place of a store that nobody uses; returns the files written.

    Raises:
        BadRequest: there is a store already, and `replace` is not given.
        StoreInUse: a server has it open.
        StoreUnavailable: `file` is no store.
    """
    only_sqlite(store, "use its own tools (docs/operations.md)")
    if whose(file) == "nobody":
        raise StoreUnavailable(f"{file} is no backup of a store; check the path")
    if os.path.exists(store) and (not replace or os.path.samefile(store, file)):
        raise BadRequest(f"{store} is there already; choose another place, or add --replace")
    with _alone(store):
        for path in (store, store + RAW):
            _settle(path)
        _remove(*(store + INDEX + end for end in ("", *_LEFT_OVER)))
        return backup(file, store, replace)


def _copy(source: str, target: str) -> None:
    """`VACUUM INTO`: one snapshot however long it takes, and no larger than what is in use."""
    partial = target + PARTIAL
    _remove(partial, *(partial + end for end in _LEFT_OVER))
    try:
        with closing(_connect(source)) as db:
            db.execute("VACUUM INTO ?", (partial,))
    except sqlite3.Error as error:
        _remove(partial)
        raise StoreUnavailable(f"{source} cannot be copied to {target}: {error}") from error
    shutil.copymode(source, partial)
    _sync(partial)
    os.replace(partial, target)
    _sync(os.path.dirname(os.path.abspath(target)))


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=60)


def _settle(path: str) -> None:
    """Bring the log of a database into its file: a log left beside another file would be
    played back into that."""
    if os.path.exists(path):
        with contextlib.suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode=delete")
    _remove(*(path + end for end in _LEFT_OVER))


@contextmanager
def _alone(store: str) -> Iterator[None]:
    """Hold the lock of the store process (`lineage.store.process`)."""
    os.makedirs(os.path.dirname(os.path.abspath(store)), exist_ok=True)
    descriptor = os.open(store + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreInUse(f"a server uses {store}; stop it first") from error
        yield
    finally:
        os.close(descriptor)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
