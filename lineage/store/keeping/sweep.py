"""Removes actions from MLMD's tables, and what only they held, a transaction at a time.

ml-metadata cannot delete, so this is SQL on its schema. Each transaction is whole: with an
action go its edges and links, the artifacts that nobody else touches, the contexts that are
left empty. So whoever reads sees a consistent store between any two, and one that is killed
is simply run again. Transactions are made as short as recorders should wait (`PATIENCE`).

What goes live while all this goes on keeps what is upstream of it: before each transaction,
alone in the store (`lineage.store.gate`), it is asked what is new.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, Engine, text

from lineage.store import codec
from lineage.store.gate import FileGate
from lineage.store.keeping import gone
from lineage.store.keeping.writing import empty_log, write_engine
from lineage.store.ports import Kind
from lineage.store.search.feed import TABLES

PATIENCE = 0.04
"""Seconds a transaction should take; the next is made larger or smaller accordingly."""
FEWEST, MOST = 10, 1000
"""Actions in a transaction."""
REST = 0.5
"""Of the time a transaction took, what the others get before the next."""
OVERLAP = 250
"""Milliseconds of what was written that are looked at again (see `lineage.store.watch`)."""


class Stays(Protocol):
    """What must not leave: `lineage.queries.keeping.Upstream`."""

    ids: set[str]

    def follow(self, changed: Sequence[str]) -> None: ...


@dataclass(slots=True)
class Removed:
    """Rows that are gone."""

    actions: int = 0
    artifacts: int = 0
    edges: int = 0
    contexts: int = 0


class Sweep:
    """One removal. `stays` grows by what goes live meanwhile."""

    def __init__(self, store: str, reading: Engine, stays: Stays) -> None:
        self._engine = write_engine(store)
        self._db = self._engine.connect()
        self._gate = FileGate(store)
        self._news = _News(reading)
        self._stays = stays
        self._fresh: set[str] = set()
        """Reported since it began: it is no longer what was found old."""
        self.removed = Removed()
        self.longest = 0.0
        """Seconds others had to wait at most."""

    def begin(self) -> None:
        """From now on it is followed what is written: before `stays` is worked out."""
        with self._gate.alone():
            with self._db.begin():
                gone.prepare(self._db)
            self._news.begin()

    def run(self, actions: Sequence[int], advance: Callable[[int], None]) -> Removed:
        """Remove these (MLMD's numbers) in this order, as far as they need not stay."""
        size, start = FEWEST, 0
        while start < len(actions):
            chunk = actions[start : start + size]
            self._catch_up()
            took = self._transaction(chunk)
            self.longest = max(self.longest, took)
            start += len(chunk)
            advance(len(chunk))
            size = min(MOST, max(FEWEST, int(size * min(2.0, PATIENCE / max(took, 1e-4)))))
            rest = time.monotonic() + took * REST
            empty_log(self._db)
            time.sleep(max(0.0, rest - time.monotonic()))
        return self.removed

    def close(self) -> None:
        self._gate.close()
        self._db.close()
        self._engine.dispose()

    def _catch_up(self) -> None:
        if found := self._news.ids():
            self._fresh.update(found)
            self._stays.follow(found)

    def _transaction(self, chunk: Sequence[int]) -> float:
        """Seconds for which others waited."""
        with self._gate.alone():
            begun = time.monotonic()
            with self._db.begin():
                self._catch_up()
                some = _remove(self._db, chunk, self._stays.ids, self._fresh)
            took = time.monotonic() - begun
        self.removed.actions += some.actions
        self.removed.artifacts += some.artifacts
        self.removed.edges += some.edges
        self.removed.contexts += some.contexts
        return took


class _News:
    """The ids of what was written since it was last asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._at: dict[Kind, int] = {}
        self._seen: dict[Kind, set[tuple[int, int]]] = {}

    def begin(self) -> None:
        """Nobody writes meanwhile."""
        with self._engine.connect() as db:
            for kind, table in TABLES.items():
                sql = f"SELECT MAX(last_update_time_since_epoch) FROM {table}"
                self._at[kind] = db.execute(text(sql)).scalar() or 0
                self._seen[kind] = set()
        time.sleep(0.002)  # so that what is written next has another time
        self.ids()

    def ids(self) -> list[str]:
        out: list[str] = []
        # Of this very millisecond there may be more to come.
        now = int(time.time() * 1000)
        with self._engine.connect() as db:
            for kind in TABLES:
                rows = self._rows(db, kind)
                out += [row[2] for row in rows if row[2] and row[:2] not in self._seen[kind]]
                self._at[kind] = max([self._at[kind], *(row[0] for row in rows)])
                self._seen[kind] = {row[:2] for row in rows if row[0] < now}
        return out

    def _rows(self, db: Connection, kind: Kind) -> Sequence[tuple[int, int, str]]:
        sql = f"""SELECT last_update_time_since_epoch, id, external_id FROM {TABLES[kind]}
        WHERE last_update_time_since_epoch >= :since"""
        rows = db.execute(text(sql), {"since": self._at[kind] - OVERLAP})
        return [(row[0], row[1], row[2]) for row in rows]


def _remove(db: Connection, chunk: Sequence[int], stays: set[str], fresh: set[str]) -> Removed:
    some = _ids(chunk)
    named = db.exec_driver_sql(f"SELECT id, external_id FROM Execution WHERE id IN {some}")
    actions = [row for row in named if row[1] not in stays and row[1] not in fresh]
    if not actions:
        return Removed()
    some = _ids(row[0] for row in actions)
    artifacts = _column(db, f"SELECT DISTINCT artifact_id FROM Event WHERE execution_id IN {some}")
    groups = set(
        _column(db, f"SELECT DISTINCT context_id FROM Association WHERE execution_id IN {some}")
    )
    events = f"SELECT id FROM Event WHERE execution_id IN {some}"
    edges = _column(db, events)
    _delete(db, "EventPath", "event_id", edges)
    _delete(db, "Event", "id", edges)
    for table, column in (
        ("Association", "execution_id"), ("ExecutionProperty", "execution_id"), ("Execution", "id")
    ):  # fmt: skip
        _delete(db, table, column, [row[0] for row in actions])
    gone.note(db, "action", ((row[0], row[1]) for row in actions))
    things = _untouched(db, artifacts, stays)
    groups |= _remove_artifacts(db, things)
    contexts = _remove_contexts(db, groups)
    return Removed(len(actions), len(things), len(edges), contexts)


def _untouched(
    db: Connection, artifacts: Sequence[int], stays: set[str]
) -> list[tuple[int, str | None]]:
    """Of ours those that no action touches any more."""
    sql = f"""SELECT n.id, n.external_id FROM Artifact n
    JOIN ArtifactProperty p ON p.artifact_id = n.id AND p.name = '{codec.RECORD}'
      AND p.is_custom_property = 1
    WHERE n.id IN {_ids(artifacts)}
      AND NOT EXISTS (SELECT 1 FROM Event e WHERE e.artifact_id = n.id)"""
    rows = db.exec_driver_sql(sql).all() if artifacts else []
    return [(row[0], row[1]) for row in rows if row[1] not in stays]


def _remove_artifacts(db: Connection, things: Sequence[tuple[int, str | None]]) -> set[int]:
    """Returns the contexts they were in."""
    ids = [number for number, _ in things]
    if not ids:
        return set()
    sql = f"SELECT DISTINCT context_id FROM Attribution WHERE artifact_id IN {_ids(ids)}"
    groups = set(_column(db, sql))
    for table, column in (
        ("Attribution", "artifact_id"), ("ArtifactProperty", "artifact_id"), ("Artifact", "id")
    ):  # fmt: skip
        _delete(db, table, column, ids)
    gone.note(db, "artifact", things)
    return groups


def _remove_contexts(db: Connection, groups: set[int]) -> int:
    """Those of ours in which nothing is left, then what held only these. The first of all
    stays: by it a store is told from another (`lineage.store.search.feed`)."""
    removed = 0
    while groups:
        empty = _column(db, _EMPTY.format(ids=_ids(groups)))
        if not empty:
            break
        above = f"SELECT parent_context_id FROM ParentContext WHERE context_id IN {_ids(empty)}"
        groups = set(_column(db, above))
        for table, column in (
            ("ParentContext", "context_id"), ("ContextProperty", "context_id"), ("Context", "id")
        ):  # fmt: skip
            _delete(db, table, column, empty)
        removed += len(empty)
    return removed


_EMPTY = f"""
SELECT c.id FROM Context c JOIN Type t ON t.id = c.type_id
WHERE c.id IN {{ids}} AND t.name IN ('lineage.Namespace', '{codec.CONTROLLER}', '{codec.RUN}')
  AND c.id > (SELECT MIN(id) FROM Context)
  AND NOT EXISTS (SELECT 1 FROM Association a WHERE a.context_id = c.id)
  AND NOT EXISTS (SELECT 1 FROM Attribution b WHERE b.context_id = c.id)
  AND NOT EXISTS (SELECT 1 FROM ParentContext p WHERE p.parent_context_id = c.id)
"""


def _delete(db: Connection, table: str, column: str, ids: Sequence[int]) -> None:
    if ids:
        db.exec_driver_sql(f"DELETE FROM {table} WHERE {column} IN {_ids(ids)}")


def _column(db: Connection, sql: str) -> list[int]:
    return [row[0] for row in db.exec_driver_sql(sql)]


def _ids(numbers: Iterable[int]) -> str:
    """As literals: they are numbers, and databases bound how many may be bound."""
    return f"({', '.join(str(int(number)) for number in numbers)})"
