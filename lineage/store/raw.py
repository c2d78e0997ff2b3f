"""OpenLineage events as they came, beside the database (`<store>.openlineage.db`), for replay.

Kept before they are acknowledged: `keep` returns after an fsync, and those who keep at the
same time share one. An event that is here already is not kept twice. Of more than the bound
the oldest are removed, and counted. SQLite, because a torn write, a repetition and a removal
are its daily work (docs/decisions/0009). Knows nothing of what is in an event.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from lineage.errors import StoreUnavailable

SUFFIX = ".openlineage.db"
MOST_BYTES = 8 * 2**20
"""Of a page, unpacked; one event more may go over it."""
ROOM = 0.9
"""What part of the bound is left in use once it was reached."""

_TABLES = """
CREATE TABLE IF NOT EXISTS event (
  number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB UNIQUE, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS totals (one INTEGER PRIMARY KEY CHECK (one = 1), bytes, removed);
INSERT OR IGNORE INTO totals VALUES (1, 0, 0);
"""


class RawPage(NamedTuple):
    """Some events; `after` = the number to go on from (None = there are no more for now);
    `removed` = how many older ones there were once."""

    bodies: list[bytes]
    after: int | None
    removed: int


def page_of(rows: Iterable[Any], after: int, limit: int, most: int, removed: int) -> RawPage:
    """A page of rows (number, compressed body), of which there may be one too many."""
    bodies: list[bytes] = []
    size, last, more = 0, after, False
    for number, packed in rows:
        more = len(bodies) == limit or size > most
        if more:
            break
        bodies.append(zlib.decompress(packed))
        size, last = size + len(bodies[-1]), number
    return RawPage(bodies, last if more else None, removed)


@dataclass(slots=True)
class _Ticket:
    bodies: Sequence[bytes]
    kept: bool = False
    error: Exception | None = None


class RawPages:
    """The file as it is read, whoever writes it."""

    def __init__(self, store: str) -> None:
        self._path = store + SUFFIX

    def page(self, after: int, limit: int, most: int = MOST_BYTES) -> RawPage:
        """At most `limit` events, the oldest first, and no more once they are over `most` bytes."""
        if not Path(self._path).exists():
            return RawPage([], None, 0)
        file = Path(self._path).absolute().as_uri()
        with closing(sqlite3.connect(f"{file}?mode=ro", uri=True)) as db:
            (removed,) = db.execute("SELECT removed FROM totals").fetchone()
            rows = db.execute(
                "SELECT number, body FROM event WHERE number > ? ORDER BY number LIMIT ?",
                (after, limit + 1),
            )
            return page_of(rows, after, limit, most, removed)


class Keeping(ABC):
    """Those who keep at the same time share one commit. Safe to share between threads."""

    def __init__(self) -> None:
        self._waiting: list[_Ticket] = []
        self._queue = threading.Lock()
        self._turn = threading.Lock()

    def keep(self, bodies: Sequence[bytes]) -> None:
        """Keep events; returns once they are on the disk.

        Raises:
            StoreUnavailable: they could not be written.
        """
        ticket = _Ticket(bodies)
        with self._queue:
            self._waiting.append(ticket)
        with self._turn:
            if not (ticket.kept or ticket.error):
                self._write()  # whoever has the turn writes for all who wait
        if not ticket.kept:
            raise StoreUnavailable(
                f"the raw event could not be kept ({ticket.error}); nothing is acknowledged, "
                "so send it again"
            ) from ticket.error

    def _write(self) -> None:
        with self._queue:
            tickets, self._waiting = self._waiting, []
        try:
            self._commit([body for ticket in tickets for body in ticket.bodies])
        except Exception as error:
            for ticket in tickets:
                ticket.error = error
        else:
            for ticket in tickets:
                ticket.kept = True

    @abstractmethod
    def _commit(self, bodies: Sequence[bytes]) -> None:
        """Returns once these are kept, each once however often it comes."""


class RawEvents(RawPages, Keeping):
    """The file as it is written, by one process."""

    def __init__(self, store: str, most: int) -> None:
        """`most` = bytes the events may take, compressed.

        Raises:
            StoreUnavailable: the file cannot be opened.
        """
        RawPages.__init__(self, store)
        Keeping.__init__(self)
        self._most = most
        try:
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self._path} cannot be opened: {error}") from error

    def close(self) -> None:
        with self._turn:
            self._db.close()

    def _commit(self, bodies: Sequence[bytes]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for body in bodies:
                packed = zlib.compress(body, 3)
                digest = blake2b(body, digest_size=16).digest()
                new = self._db.execute(
                    "INSERT OR IGNORE INTO event (digest, body) VALUES (?, ?)", (digest, packed)
                )
                if new.rowcount:
                    self._db.execute("UPDATE totals SET bytes = bytes + ?", (len(packed),))
            self._trim()
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _trim(self) -> None:
        (kept,) = self._db.execute("SELECT bytes FROM totals").fetchone()
        if kept <= self._most:
            return
        freed = removed = last = 0
        oldest = self._db.execute("SELECT number, length(body) FROM event ORDER BY number")
        for number, size in oldest:
            if kept - freed <= self._most * ROOM:
                break
            freed, removed, last = freed + size, removed + 1, number
        oldest.close()
        self._db.execute("DELETE FROM event WHERE number <= ?", (last,))
        self._db.execute(
            "UPDATE totals SET bytes = bytes - ?, removed = removed + ?", (freed, removed)
        )
