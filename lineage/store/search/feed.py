"""What a search index is fed with, and checked against: nodes by number, over MLMD's tables.

The order of the feed is MLMD's `last_update_time_since_epoch` (ms), which changes whenever
anything of a node does, then its id. Knows no index.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from lineage.errors import MalformedIdentity
from lineage.findable import State
from lineage.identity import action_id, identify, is_digest, node_named
from lineage.store import codec
from lineage.store.dialect import is_sqlite
from lineage.store.foreign.rows import actions_numbered, artifacts_numbered
from lineage.store.keeping.gone import Gone, Removed
from lineage.store.ports import Kind, Position

TABLES: dict[Kind, str] = {"action": "Execution", "artifact": "Artifact"}
FEW = 50
"""Nodes of one name: more are found by the index, the latest first."""
COUNTED = 10_000
_BACK = 2000


class Item(NamedTuple):
    """A node of the feed; `state` None = it is not shown."""

    position: Position
    state: State | None

    @property
    def number(self) -> int:
        return self.position.number


class Feed:
    """Read-only; thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gone = Gone(engine)

    @property
    def shared(self) -> bool:
        """Whether several write, so that commits appear in no order (`lineage.store.late`)."""
        return not is_sqlite(self._engine)

    def news(self, kind: Kind, after: Position, limit: int) -> list[Item]:
        """What was written after a position, the earliest first."""
        return list(self._items(kind, _NEWS, after, limit))

    def newest(self, kind: Kind) -> Position:
        """Behind everything there is."""
        sql = f"""SELECT last_update_time_since_epoch, id FROM {TABLES[kind]}
        ORDER BY last_update_time_since_epoch DESC, id DESC LIMIT 1"""
        with self._engine.connect() as db:
            row = db.execute(text(sql)).first()
        return Position(*row) if row else Position()

    def written(self, kind: Kind, after: Position) -> list[Position]:
        """Where everything stands that was written after a position, the earliest first."""
        sql = f"""SELECT {_STAMP}, n.id FROM {TABLES[kind]} n
        WHERE {_AFTER} ORDER BY {_STAMP}, n.id"""
        with self._engine.connect() as db:
            return [Position(*row) for row in db.execute(text(sql), after._asdict())]

    def again(self, kind: Kind, at: Position) -> list[Item]:
        """What was written in the very millisecond of a position, and sorts before it: a later
        transaction may have."""
        return list(self._items(kind, _AGAIN, at, 2**31))

    def latest(self, kind: Kind, after: Position, limit: int) -> list[int]:
        """Numbers of what was written after a position, the latest first."""
        sql = f"SELECT n.id FROM {TABLES[kind]} n WHERE {_AFTER} {_LATEST}"
        with self._engine.connect() as db:
            rows = db.execute(text(sql), {**after._asdict(), "limit": limit})
            return [row[0] for row in rows]

    def behind(self, kind: Kind, after: Position, indexed: int) -> int:
        """Nodes written after a position; of very many an estimate, from how many were read."""
        sql = f"""SELECT COUNT(*), (SELECT MAX(id) FROM {TABLES[kind]}) FROM (
          SELECT 1 FROM {TABLES[kind]} n WHERE {_AFTER} LIMIT {COUNTED}) x"""
        with self._engine.connect() as db:
            count, last = db.execute(text(sql), after._asdict()).one()
        return int(count) if count < COUNTED else max(COUNTED, (last or 0) - indexed)

    def load(self, kind: Kind, numbers: Sequence[int]) -> list[tuple[int, State]]:
        with self._engine.connect() as db:
            return list(_NUMBERED[kind](db, numbers).items())

    def named(self, kind: Kind, name: str) -> list[int]:
        """By everything MLMD has an index of: external id, URI, display name, version; and by
        what other tools call a node."""
        ids, uris = {name.lower(), action_id(name)}, {name}
        for type_ in ("Artifact", "Code", "Image") if kind == "artifact" else ():
            try:
                identity = identify(name, None, type_)
            except MalformedIdentity:
                continue
            ids.add(identity.id)
            uris.add(identity.uri)
        digest = f"sha256:{name.lower()}"
        versions = [name, name.lower(), *([digest] if is_digest(digest) else ())]
        asked = [(_BY_ID, sorted(ids))]
        asked += [(_BY_URI, sorted(uris)), (_BY_VERSION, versions)] if kind == "artifact" else []
        asked += [(_BY_NAME, [name]), *((sql, [name]) for sql in _BY_OTHER_NAMES)]
        table = TABLES[kind]
        with self._engine.connect() as db:
            found = [
                row[0]
                for sql, values in asked
                for value in values
                for row in db.execute(
                    text(sql.format(t=table, n=table.lower())), {"value": value, "limit": FEW}
                )
            ]
        if (number := node_named(table.lower(), name)) is not None:
            found.append(number)
        return list(dict.fromkeys(found))

    def around(self, kind: Kind, at: int) -> int | None:
        """The last started action at a moment, or the last artifact that it touched."""
        with self._engine.connect() as db:
            action = db.execute(text(_STARTED), {"at": codec.sortable(at)}).scalar()
            if action is None:  # nothing of ours is as old
                action = db.execute(text(_CREATED), {"at": at // 1000}).scalar()
            if kind == "artifact" and action is not None:
                sql = "SELECT MAX(artifact_id) FROM Event WHERE execution_id = :action"
                action = db.execute(text(sql), {"action": action}).scalar()
        return None if action is None else int(action) + 1

    def origin(self) -> str:
        """What tells this store from another under the same name; empty while it is empty. Its
        first context is never removed."""
        sql = """SELECT name, create_time_since_epoch FROM Context
        WHERE id = (SELECT MIN(id) FROM Context)"""
        with self._engine.connect() as db:
            row = db.execute(text(sql)).first()
        return f"{row[0]}@{row[1]}" if row else ""

    def holds(self, kind: Kind, position: Position) -> bool:
        """Whether the node of a position is there as it was or later: a copy of last week's
        store does not go on from this week's index."""
        sql = f"SELECT last_update_time_since_epoch FROM {TABLES[kind]} WHERE id = :number"
        with self._engine.connect() as db:
            stamp = db.execute(text(sql), {"number": position.number}).scalar()
        if stamp is None:
            return position.number == 0 or self._gone.holds(kind, position.number)
        return bool(stamp >= position.stamp)

    def newest_removal(self) -> int:
        """The place of the last removal in their order; 0 = there was none."""
        return self._gone.newest()

    def removed(self, after: int, limit: int) -> Sequence[Removed] | None:
        """What was removed after that, in order; None = some of it is forgotten."""
        return self._gone.since(after, limit)

    def busy(self) -> bool:
        """Whether much is being recorded right now."""
        sql = """SELECT COUNT(*) FROM (SELECT 1 FROM Execution
        WHERE last_update_time_since_epoch > :since LIMIT 50) x"""
        with self._engine.connect() as db:
            since = int(time.time() * 1000) - 1000
            return db.execute(text(sql), {"since": since}).scalar() == 50

    def now(self, position: Position) -> Position:
        """A position that is not in the future: after the clock was set back, read again."""
        latest = int(time.time() * 1000) - _BACK
        return position if position.stamp < latest + _BACK else Position(latest)

    def _items(self, kind: Kind, where: str, at: Position, limit: int) -> Iterator[Item]:
        table = TABLES[kind]
        sql = f"SELECT {_STAMP}, n.id FROM {table} n WHERE {where}"
        with self._engine.connect() as db:
            rows = db.execute(text(sql), {**at._asdict(), "limit": limit}).all()
            states = _NUMBERED[kind](db, [row[1] for row in rows])
        for stamp, number in rows:
            yield Item(Position(stamp, number), states.get(number))


_NUMBERED: Mapping[Kind, Callable[[Connection, Sequence[int]], Mapping[int, State]]] = {
    "action": actions_numbered,
    "artifact": artifacts_numbered,
}
_STAMP = "n.last_update_time_since_epoch"
# Written as a range first, so that every database walks the index on the time.
_AFTER = f"{_STAMP} >= :stamp AND ({_STAMP} > :stamp OR n.id > :number)"
_NEWS = f"{_AFTER} ORDER BY {_STAMP}, n.id LIMIT :limit"
_LATEST = f"ORDER BY {_STAMP} DESC, n.id DESC LIMIT :limit"
_AGAIN = f"{_STAMP} = :stamp AND n.id <= :number ORDER BY n.id LIMIT :limit"
_BY_ID = "SELECT id FROM {t} WHERE external_id = :value LIMIT :limit"
_BY_URI = "SELECT id FROM {t} WHERE uri = :value ORDER BY id DESC LIMIT :limit"
_PROPERTY = """SELECT {{n}}_id FROM {{t}}Property
WHERE name = '{}' AND is_custom_property = 1 AND string_value = :value LIMIT :limit"""
_BY_NAME = _PROPERTY.format("display_name")
_BY_OTHER_NAMES = (
    _PROPERTY.format("task_name"),
    _PROPERTY.format("name"),
    _PROPERTY.format("name").replace("is_custom_property = 1", "is_custom_property = 0"),
)
_BY_VERSION = _PROPERTY.format(codec.VERSION)
_STARTED = f"""SELECT execution_id FROM ExecutionProperty
WHERE name = '{codec.STARTED}' AND is_custom_property = 1 AND string_value <= :at
ORDER BY string_value DESC LIMIT 1"""
_CREATED = """SELECT id FROM Execution WHERE create_time_since_epoch <= :at
ORDER BY create_time_since_epoch DESC, id DESC LIMIT 1"""
