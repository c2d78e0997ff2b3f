"""The index file: terms of nodes in SQLite's FTS5, and how far the feed was read.

It lies beside the database (`<store>.search.db`) and is never a source of truth: whatever
is wrong with it, it is deleted and built again. Position and terms share a transaction.
Knows neither MLMD nor where nodes come from.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from lineage import findable
from lineage.store.ports import Kind, Position

SUFFIX = ".search.db"
FORMAT = f"1.{findable.VERSION}"
CACHE_KIB = 8192
KINDS: tuple[Kind, ...] = ("action", "artifact")
T = TypeVar("T")
_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}  # fmt: skip

# No document sizes and no places in documents: what stands where is looked up in the store.
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE position (kind TEXT PRIMARY KEY, stamp INTEGER, number INTEGER);
CREATE TABLE tally (kind TEXT, type TEXT, state TEXT, n INTEGER, PRIMARY KEY (kind, type, state));
""" + "".join(
    f"""
CREATE TABLE {kind}_body (number INTEGER PRIMARY KEY, body TEXT);
CREATE VIRTUAL TABLE {kind}_terms USING fts5(terms, content='', columnsize=0, detail=none,
  tokenize="ascii tokenchars '^$='");
"""
    for kind in KINDS
)


class IndexWriter:
    """The one who writes the file. Not thread-safe.

    Raises:
        sqlite3.DatabaseError: the file cannot be used; `may_pass` says for how long.
    """

    def __init__(self, path: str) -> None:
        """Open the file; one that is broken, or of another format, is made anew."""
        self._path = path
        try:
            self._db = _connect(path)
            current = self._meta("format") == FORMAT
            self._inode = os.stat(path).st_ino
        except sqlite3.DatabaseError as error:
            if may_pass(error):
                raise
            current = False
        if not current:
            self.clear()

    def clear(self) -> None:
        """Begin with an empty file, made aside: nobody ever reads half of one."""
        with contextlib.suppress(AttributeError):
            self._db.close()
        new = self._path + ".new"
        _unlink(new, new + "-wal", new + "-shm")
        self._db = _connect(new)
        self._db.executescript(f"BEGIN; {_TABLES} COMMIT;")
        self._set("format", FORMAT)
        self._db.close()
        # The old log first: SQLite would play it back into the new file.
        _unlink(self._path + "-wal", self._path + "-shm")
        os.replace(new, self._path)
        self._db = _connect(self._path)
        self._inode = os.stat(self._path).st_ino

    @property
    def lost(self) -> bool:
        """Whether somebody deleted or replaced the file under us."""
        try:
            return os.stat(self._path).st_ino != self._inode
        except FileNotFoundError:
            return True

    def origin(self) -> str:
        return self._meta("origin") or ""

    def set_origin(self, origin: str) -> None:
        self._set("origin", origin)

    def position(self, kind: Kind) -> Position:
        sql = "SELECT stamp, number FROM position WHERE kind = ?"
        return Position(*self._db.execute(sql, (kind,)).fetchone() or ())

    def put(self, kind: Kind, bodies: Sequence[tuple[int, str]], position: Position) -> int:
        """Bring these nodes up to date, and the position with them; returns how many changed."""
        ids = json.dumps([number for number, _ in bodies])
        known = f"""SELECT number, body FROM {kind}_body
        WHERE number IN (SELECT value FROM json_each(?))"""
        old = dict(self._db.execute(known, (ids,)))
        new = {number: body for number, body in bodies if old.get(number) != body}
        if not new and position == self.position(kind):
            return 0
        gone = [(number, _terms(body)) for number, body in old.items() if number in new]
        with _transaction(self._db) as db:
            db.executemany(
                f"INSERT INTO {kind}_terms({kind}_terms, rowid, terms) VALUES ('delete', ?, ?)",
                gone,
            )
            db.executemany(
                f"INSERT INTO {kind}_terms(rowid, terms) VALUES (?, ?)",
                [(number, _terms(body)) for number, body in new.items()],
            )
            db.executemany(f"INSERT OR REPLACE INTO {kind}_body VALUES (?, ?)", new.items())
            self._count(kind, new.values(), [old[number] for number, _ in gone])
            db.execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?)", (kind, *position))
        return len(new)

    def removed(self) -> int:
        """Up to where removals from the store are known here."""
        return int(self._meta("removed") or 0)

    def remove(self, gone: Mapping[Kind, Sequence[int]], removed: int) -> None:
        """Take these nodes out; all removals up to `removed` are known then."""
        with _transaction(self._db) as db:
            for kind, numbers in gone.items():
                known = f"SELECT number, body FROM {kind}_body WHERE number = ?"
                old = [row for n in numbers if (row := db.execute(known, (n,)).fetchone())]
                db.executemany(
                    f"INSERT INTO {kind}_terms({kind}_terms, rowid, terms) VALUES ('delete', ?, ?)",
                    [(number, _terms(body)) for number, body in old],
                )
                db.executemany(
                    f"DELETE FROM {kind}_body WHERE number = ?", [row[:1] for row in old]
                )
                self._count(kind, (), [body for _, body in old])
            self._set("removed", str(removed))

    def close(self) -> None:
        self._db.close()

    def _count(self, kind: Kind, more: Any, less: Any) -> None:
        tally: Counter[tuple[str, str]] = Counter()
        for bodies, one in ((more, 1), (less, -1)):
            for body in bodies:
                facets = findable.facets_of(body)
                tally[facets.get("type", ""), facets.get("state", "")] += one
        self._db.executemany(
            "INSERT INTO tally VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, type, state) DO UPDATE SET n = n + excluded.n",
            [(kind, *what, n) for what, n in tally.items() if n],
        )

    def _meta(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _set(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def may_pass(error: BaseException | None) -> bool:
    """Whether the file may be good and the moment is not: locked, no space, no permission."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF in _PASSING


def _unlink(*paths: str) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    # A power cut may take the last seconds, never the sense: position and terms go together.
    for pragma in ("journal_mode=wal", "synchronous=normal", f"cache_size=-{CACHE_KIB}"):
        db.execute(f"PRAGMA {pragma}")
    return db


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Any:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _terms(body: str) -> str:
    return " ".join(findable.terms(body))
