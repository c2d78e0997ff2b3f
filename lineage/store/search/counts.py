"""How much a store holds, from MLMD's tables: what the search index does not count."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Engine, text

from lineage.store import codec
from lineage.store.dialect import is_mysql, is_sqlite
from lineage.store.foreign import conventions as foreign
from lineage.store.foreign import lists as foreign_lists
from lineage.store.foreign.rows import types
from lineage.store.ports import Counts, Kind
from lineage.store.search.feed import TABLES
from lineage.times import microseconds

_END = f"""SELECT string_value FROM ExecutionProperty
WHERE name = '{codec.STARTED}' AND is_custom_property = 1 AND string_value IS NOT NULL
ORDER BY string_value {{end}} LIMIT 1"""
_CONTROLLERS = f"""SELECT COUNT(*) FROM Context
WHERE type_id IN (SELECT id FROM Type WHERE name = '{codec.CONTROLLER}')"""


def count(
    engine: Engine, path: str, actions: Mapping[tuple[str, str], int], artifacts: Mapping[str, int]
) -> Counts:
    """All of it, without reading more than indexes."""
    with engine.connect() as db:
        first, last = (db.execute(text(_END.format(end=e))).scalar() for e in ("ASC", "DESC"))
        controllers = int(db.execute(text(_CONTROLLERS)).scalar() or 0)
        known = types(db)
        controllers += len(foreign_lists.controllers(db, known, None))
        spans = [_micros(first), _micros(last), *foreign_lists.span(db, known)]
    times = [moment for moment in spans if moment is not None]
    first, last = min(times, default=None), max(times, default=None)
    return Counts(actions, artifacts, controllers, first, last, store_size(engine, path))


def tally(engine: Engine, kind: Kind) -> dict[tuple[str, str], int]:
    """Nodes by (type as first recorded, state): reads every node, so only without an index."""
    state = "n.last_known_state" if kind == "action" else "MAX(NULL)"
    by = ", n.last_known_state" if kind == "action" else ""
    sql = f"""SELECT t.id, t.name, {state}, COUNT(*) FROM {TABLES[kind]} n
    JOIN Type t ON t.id = n.type_id GROUP BY t.id, t.name{by}"""
    found: Counter[tuple[str, str]] = Counter()
    with engine.connect() as db:
        known = types(db)
        theirs = known.actions if kind == "action" else known.artifacts
        named = foreign.action_type if kind == "action" else foreign.artifact_type
        for id_, name, number, count in db.execute(text(sql)):
            if id_ not in known.folded:
                type_ = named(*theirs[id_]) if id_ in theirs else name.removeprefix(foreign.OURS)
                found[type_, foreign.STATES.get(number or 0, "")] += count
    return dict(found)


def store_size(engine: Engine, path: str) -> int:
    """Bytes of a store; of a database on a server as that tells it, which may be a while old."""
    if is_sqlite(engine):
        return size(path)
    sql = "SELECT pg_database_size(current_database())"
    if is_mysql(engine):
        sql = """SELECT SUM(data_length + index_length) FROM information_schema.tables
        WHERE table_schema = DATABASE()"""
    with engine.connect() as db:
        return int(db.execute(text(sql)).scalar() or 0)


def size(path: str) -> int:
    """Bytes of a database with its write-ahead log."""
    found = 0
    for file in (path, path + "-wal"):
        with contextlib.suppress(FileNotFoundError):
            found += os.path.getsize(file)
    return found


def _micros(sortable: str | None) -> int | None:
    return None if sortable is None else microseconds(datetime.fromisoformat(sortable))
