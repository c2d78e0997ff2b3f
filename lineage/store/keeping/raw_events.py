"""Lets old raw OpenLineage events leave the file beside a store (`lineage.store.raw`)."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import orjson

from lineage.errors import BadRequest
from lineage.store.raw import SUFFIX
from lineage.times import asked

PAGE = 500


def prune_events(
    store: str, before: int, apply: bool, advance: Callable[[int], None]
) -> dict[str, int]:
    """Remove events of before a moment (µs); returns how many, and their bytes. One whose time
    cannot be told stays."""
    path = store + SUFFIX
    count = size = 0
    if not Path(path).exists():
        return {"events": 0, "event_bytes": 0}
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as db:
        for numbers, bytes_ in _old(db, before, advance):
            count, size = count + len(numbers), size + bytes_
            if apply:
                _remove(db, numbers, bytes_)
    return {"events": count, "event_bytes": size}


def _old(
    db: sqlite3.Connection, before: int, advance: Callable[[int], None]
) -> Iterator[tuple[list[int], int]]:
    last = 0
    while rows := db.execute(
        "SELECT number, body FROM event WHERE number > ? ORDER BY number LIMIT ?", (last, PAGE)
    ).fetchall():
        old = [(number, len(body)) for number, body in rows if _time(body) < before]
        last = rows[-1][0]
        advance(len(rows))
        if old:
            yield [number for number, _ in old], sum(size for _, size in old)


def _remove(db: sqlite3.Connection, numbers: list[int], size: int) -> None:
    db.execute("BEGIN IMMEDIATE")
    marks = ", ".join("?" * len(numbers))
    gone = db.execute(f"DELETE FROM event WHERE number IN ({marks})", numbers).rowcount
    db.execute("UPDATE totals SET bytes = MAX(0, bytes - ?), removed = removed + ?", (size, gone))
    db.execute("COMMIT")


def _time(packed: bytes) -> float:
    try:
        return asked("eventTime", orjson.loads(zlib.decompress(packed))["eventTime"])
    except (BadRequest, ValueError, KeyError, TypeError, AttributeError, zlib.error):
        return float("inf")
