"""Reads the index file, whoever writes it (`lineage.store.search.index`)."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from lineage.errors import StoreUnavailable
from lineage.store.database import read_engine
from lineage.store.ports import Kind, Position
from lineage.store.search.index import FORMAT, may_pass

ASKED = 6
"""Terms that are looked up at once."""
SAMPLE = 30
"""Nodes with a term that tell how rare it is."""
PATIENCE = 0.03
"""Seconds after which a search for terms that are seldom together is left."""
MEMORY = 5000
"""Terms whose rarity is remembered. It only decides what is faster, so it may be old."""
T = TypeVar("T")


class IndexReader:
    """Thread-safe. What cannot be read is not there, and whoever can mend it is told."""

    def __init__(self, path: str, on_broken: Callable[[], None]) -> None:
        self._path = path
        self._on_broken = on_broken
        self._engine: tuple[int, Engine] | None = None
        self._broken: tuple[int, int] | None = None
        self._rarity: dict[tuple[Kind, str], int] = {}

    def find(
        self, kind: Kind, terms: Sequence[str], below: int | None, limit: int
    ) -> tuple[list[int], bool]:
        """Numbers of nodes with all these terms, the latest first; False = given up before
        the earliest, because words that are common and seldom together took too long.

        Of many terms only the rarest are asked for: the others say little and cost most.
        """
        rarest = sorted(terms, key=lambda term: self._back(kind, term))[:ASKED]
        nothing: tuple[list[int], bool] = [], True
        return self._read(lambda db: _find(db, kind, rarest, below, limit), nothing)

    def _back(self, kind: Kind, term: str) -> int:
        """How far one must go back to find a few nodes with a term: the rarer, the further."""
        known = self._rarity.get((kind, term))
        if known is None:
            sql = text(f"""SELECT rowid FROM {kind}_terms WHERE {kind}_terms MATCH :term
            ORDER BY rowid DESC LIMIT 1 OFFSET {SAMPLE}""")
            known = self._read(lambda db: db.execute(sql, {"term": f'"{term}"'}).scalar(), None)
            if len(self._rarity) > MEMORY:
                self._rarity.clear()
            self._rarity[kind, term] = known = known or 0
        return known

    def position(self, kind: Kind) -> Position | None:
        """None = there is no index."""
        sql = text("SELECT stamp, number FROM position WHERE kind = :kind")

        def read(db: Connection) -> Position | None:
            format = db.execute(text("SELECT value FROM meta WHERE name = 'format'")).scalar()
            row = db.execute(sql, {"kind": kind}).first()
            return Position(*row or ()) if format == FORMAT else None

        return self._read(read, None)

    def tally(self, kind: Kind) -> dict[tuple[str, str], int]:
        """Nodes by (type, state); type "" = not a node of ours."""
        sql = text("SELECT type, state, n FROM tally WHERE kind = :kind AND n > 0")
        found = self._read(lambda db: [*db.execute(sql, {"kind": kind})], list[Any]())
        return {(type_, state): n for type_, state, n in found}

    def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine[1].dispose()

    def _read(self, ask: Callable[[Connection], T], otherwise: T) -> T:
        try:
            file = os.stat(self._path)
            if (file.st_ino, file.st_mtime_ns) == self._broken:
                return otherwise
            current = self._engine
            if current is None or current[0] != file.st_ino:
                self.close()
                self._engine = current = file.st_ino, read_engine(self._path)
            with current[1].connect() as db:
                return ask(db)
        except (OSError, StoreUnavailable):
            return otherwise
        except DBAPIError as error:
            if not may_pass(error.orig):
                self._broken = file.st_ino, file.st_mtime_ns
                self._on_broken()
            return otherwise


def _find(
    db: Connection, kind: Kind, terms: Sequence[str], below: int | None, limit: int
) -> tuple[list[int], bool]:
    table, name, where = f"{kind}_body", "number", ""
    if terms:
        table, name, where = f"{kind}_terms", "rowid", f"{kind}_terms MATCH :terms AND"
    sql = text(
        f"SELECT {name} FROM {table} WHERE {where} {name} < :below ORDER BY {name} DESC LIMIT :limit"
    )
    asked = {"terms": " AND ".join(f'"{term}"' for term in terms), "limit": limit,
             "below": 2**62 if below is None else below}  # fmt: skip
    found: list[int] = []
    with _patience(db):
        try:
            for row in db.execute(sql, asked):
                found.append(row[0])
        except DBAPIError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) != sqlite3.SQLITE_INTERRUPT:
                raise
            return found, False
    return found, True


@contextmanager
def _patience(db: Connection) -> Iterator[None]:
    """What takes too long in here is interrupted; FTS5 lets it happen between two pages."""
    until = time.monotonic() + PATIENCE
    connection: Any = db.connection.driver_connection
    connection.set_progress_handler(lambda: time.monotonic() > until, 50)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
