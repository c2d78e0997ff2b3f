"""Verifies a store, and says of all that is wrong where it is and how to mend it.

Reads beside whoever writes. Mends only what is safe to mend, and only when asked.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DatabaseError

from lineage.address import Address
from lineage.errors import StoreUnavailable
from lineage.store.database import INDEXES, add_indexes, read_engine, whose
from lineage.store.gate import FileGate
from lineage.store.keeping import records
from lineage.store.keeping.rules import RULES, Rule
from lineage.store.keeping.writing import write_engine
from lineage.store.raw import SUFFIX as RAW
from lineage.store.search.index import SUFFIX as INDEX

LISTED = 20
"""Places of one kind that are told; how many there are is always told."""
Stage = Callable[[str, int | None], Callable[[int], None]]

_RECOVER = "restore a backup, or run SQLite's .recover on a copy"
_REMEDIES = {
    "unreadable record": "the node is left out of answers; report its action again, or restore",
    "record of another node": "the node was damaged from outside; restore a backup",
    "edge that MLMD does not have": "walks do not find it; report the action again after "
    "removing it, or restore a backup",
}


@dataclass(slots=True)
class Finding:
    """Something that is wrong: `count` times, at `places` (the first of them)."""

    name: str
    says: str
    remedy: str
    places: list[str] = field(default_factory=list)
    count: int = 0
    safe: bool = False
    mended: bool = False

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "says": self.says, "count": self.count, "places": self.places,
                "remedy": self.remedy, "safe": self.safe, "mended": self.mended}  # fmt: skip


def check(store: str, full: bool, mend: bool, stage: Stage) -> list[Finding]:
    """All that is wrong with a store; `full` = also read every page of its files. On a server
    the rows and records are looked at, and nothing is mended.

    Raises:
        StoreUnavailable: it cannot be read at all, or it is of another schema.
    """
    if whose(store) == "nobody":
        raise StoreUnavailable(f"{store} is no store; check the path")
    engine = read_engine(store)
    found: list[Finding] = []
    try:
        files = Address.parse(store) is None
        if files:
            found += _files(store, full, stage)
            found += _indexes(engine, store, mend)
        mend &= files
        found += _rules(engine, store, mend, stage("Rows", len(RULES)))
        for kind in records.KINDS:
            advance = stage(f"Records of {kind}", records.total(engine, kind))
            found += _gathered(records.look(engine, kind, advance))
        if files:
            found += _raw(store, mend)
    except DatabaseError as error:
        # The rest cannot be read.
        found.append(_unreadable(store, [str(error.orig)]))
    finally:
        engine.dispose()
    return found


def _rules(
    engine: Engine, store: str, mend: bool, advance: Callable[[int], None]
) -> Iterator[Finding]:
    for rule in RULES:
        if (finding := _broken(engine, rule)) is not None:
            if mend and rule.repair:
                _repair(store, rule)
                finding.mended = True
            yield finding
        advance(1)


def _broken(engine: Engine, rule: Rule) -> Finding | None:
    with engine.connect() as db:
        count = db.execute(text(f"SELECT COUNT(*) FROM {rule.broken}")).scalar() or 0
        if not count:
            return None
        sql = text(f"SELECT {rule.place} FROM {rule.broken} LIMIT {LISTED}")
        column = rule.place.rpartition(".")[2]
        places = [f"{rule.table} with {column} {row[0]}" for row in db.execute(sql)]
    return Finding(rule.name, rule.says, rule.remedy, places, count, bool(rule.repair))


def _repair(store: str, rule: Rule) -> None:
    """Nobody plans or commits meanwhile; the condition is looked at again."""
    engine, gate = write_engine(store), FileGate(store)
    try:
        with gate.alone(), engine.begin() as db:
            for statement in rule.repair:
                db.execute(text(statement))
    finally:
        gate.close()
        engine.dispose()


def _gathered(problems: Iterator[tuple[str, str]]) -> list[Finding]:
    found: dict[str, Finding] = {}
    for name, place in problems:
        one = found.setdefault(name, Finding(name, f"{name}s in the store", _REMEDIES[name]))
        one.count += 1
        if len(one.places) < LISTED:
            one.places.append(place)
    return list(found.values())


def _indexes(engine: Engine, store: str, mend: bool) -> Iterator[Finding]:
    there = inspect(engine)
    missing = [
        f"{name} on {table} ({columns})"
        for name, table, columns in INDEXES
        if name not in {index["name"] for index in there.get_indexes(table)}
    ]
    if not missing:
        return
    if mend:
        add_indexes(store)
    yield Finding(
        "missing index", "an index of ours is not there, so questions are slow",
        "the next start of a server makes it; --mend does it now", missing, len(missing), True, mend,
    )  # fmt: skip


def _files(store: str, full: bool, stage: Stage) -> Iterator[Finding]:
    """Whether SQLite can read its files; `full` = every page of them."""
    pragma = f"integrity_check({LISTED})" if full else "schema_version"
    for path, remedy in (
        (store, _RECOVER),
        (store + RAW, "only replay is lost: stop the server and move the file away"),
        (store + INDEX, "lineage reindex builds it again"),
    ):
        if not os.path.exists(path):
            continue
        stage(f"Reading {os.path.basename(path)}", None)
        try:
            said = [row[0] for row in _ask(path, f"PRAGMA {pragma}")]
        except sqlite3.DatabaseError as error:
            said = [str(error)]
        if (full and said != ["ok"]) or (not full and said and not isinstance(said[0], int)):
            yield _unreadable(path, said, remedy)


def _unreadable(path: str, said: list[Any], remedy: str = _RECOVER) -> Finding:
    places = [f"{path}: {line}" for line in said]
    return Finding("damaged file", f"SQLite finds {path} damaged", remedy, places, len(said))


def _raw(store: str, mend: bool) -> Iterator[Finding]:
    """Whether the events beside the store are as many bytes as is written down."""
    path = store + RAW
    sql = "SELECT (SELECT bytes FROM totals), (SELECT TOTAL(LENGTH(body)) FROM event)"
    try:
        rows = _ask(path, sql) if Path(path).exists() else []
    except sqlite3.DatabaseError:
        return  # told by _files
    for told, there in rows:
        if told == int(there):
            continue
        if mend:
            with closing(sqlite3.connect(path, timeout=60)) as db, db:
                db.execute("UPDATE totals SET bytes = (SELECT TOTAL(LENGTH(body)) FROM event)")
        yield Finding(
            "wrong total", "the bytes of raw events are not what is written down",
            "too many or too few would be removed: --mend counts them again",
            [f"{path}: {told} written down, {int(there)} there"], 1, True, mend,
        )  # fmt: skip


def _ask(path: str, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()
