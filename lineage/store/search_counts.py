"""How much a store holds, from MLMD's tables: what the search index does not count."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Engine, text

from lineage.model import microseconds
from lineage.store import codec
from lineage.store.ports import Counts, Kind
from lineage.store.search_feed import TABLES

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
    return Counts(actions, artifacts, controllers, _micros(first), _micros(last), size(path))


def tally(engine: Engine, kind: Kind) -> dict[tuple[str, str], int]:
    """Nodes by (type as first recorded, state): reads every node, so only without an index."""
    state = "n.last_known_state" if kind == "action" else "NULL"
    sql = f"""SELECT t.name, {state}, COUNT(*) FROM {TABLES[kind]} n
    JOIN Type t ON t.id = n.type_id GROUP BY t.name, {state}"""
    names = {int(number): name for name, number in codec.STATES.items()}
    with engine.connect() as db:
        rows = db.execute(text(sql)).all()
    return {(t.partition(".")[2] or t, names.get(s or 0, "")): n for t, s, n in rows}


def size(path: str) -> int:
    """Bytes of a database with its write-ahead log."""
    found = 0
    for file in (path, path + "-wal"):
        with contextlib.suppress(FileNotFoundError):
            found += os.path.getsize(file)
    return found


def _micros(sortable: str | None) -> int | None:
    return None if sortable is None else microseconds(datetime.fromisoformat(sortable))
