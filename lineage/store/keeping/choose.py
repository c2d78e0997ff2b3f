"""Reads a store for what a policy lets go, and counts what would go with it.

In short reads, one after the other: a long one would keep SQLite's log from being emptied.
What started before an age is found in MLMD's own rows; when it ended stands in its record.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, text

from lineage.merge import ActionState
from lineage.store import codec
from lineage.store.keeping.policy import Policy
from lineage.store.select import INS, action_of

PAGE = 2000
Advance = Callable[[int], None]
"""Hears how many nodes were looked at."""


@dataclass(slots=True)
class Leaving:
    """Actions that leave: MLMD's numbers by their ids, and in which order."""

    numbers: dict[str, int] = field(default_factory=dict)
    _puts: list[tuple[int, str]] = field(default_factory=list)
    _others: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, state: ActionState) -> None:
        self.numbers[state.id] = number
        (self._puts if state.slots else self._others).append((state.started, state.id))

    def __contains__(self, id_: str) -> bool:
        return id_ in self.numbers

    def spare(self, ids: Collection[str]) -> None:
        """These stay."""
        for id_ in ids:
            self.numbers.pop(id_, None)

    def order(self) -> list[int]:
        """At each moment what is left tells no lie: of a slot the oldest deploy goes first,
        so nothing that was replaced seems live; of the rest whoever read goes before whoever
        wrote, so that no older version seems to be meant."""
        first = sorted(self._puts)
        rest = sorted(self._others, reverse=True)
        return [self.numbers[id_] for _, id_ in (*first, *rest) if id_ in self.numbers]


def old(engine: Engine, policy: Policy, advance: Advance) -> Leaving:
    """What the policy lets go. What other tools wrote is not among it."""
    out = Leaving()
    spared = latest(engine, policy.last) if policy.last else frozenset()
    for rows in _pages(engine, codec.sortable(policy.before)):
        for id_, record, number in rows:
            if record is None or number in spared:
                continue
            state = action_of((id_, record))
            if policy.leaves(state):
                out.add(number, state)
        advance(len(rows))
    return out


def size(engine: Engine) -> int:
    """How many actions there are to look at."""
    with engine.connect() as db:
        return _total(db, "Execution")


def latest(engine: Engine, each: int) -> set[int]:
    """MLMD's numbers of the latest actions of each controller."""
    with engine.connect() as db:
        return {row[0] for row in db.execute(text(_LATEST), {"each": each})}


def names(engine: Engine) -> list[str]:
    """Artifacts (ids) without a version that were read, and have versions: see
    `lineage.queries.keeping.spare`."""
    with engine.connect() as db:
        return [row[0] for row in db.execute(text(_NAMES))]


def _pages(engine: Engine, before: str) -> Iterator[Sequence[Any]]:
    after = 0
    while True:
        with engine.connect() as db:
            rows = db.execute(text(_OLD), {"before": before, "after": after, "limit": PAGE}).all()
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        after = rows[-1][2]


@dataclass(frozen=True, slots=True)
class Count:
    """Rows that leave, of how many."""

    leaving: int
    total: int


def count(engine: Engine, leaving: Collection[int], stay: Collection[str]) -> dict[str, Count]:
    """Rows by what they are to us; `stay` = ids of artifacts that stay though nobody touches
    them. Reads every edge once."""
    gone = set(leaving)
    with engine.connect() as db:
        edges, artifacts = _edges(db, gone, _numbers(db, stay))
        total = {table: _total(db, table) for table in ("Execution", "Artifact", "Event")}
    return {
        "actions": Count(len(gone), total["Execution"]),
        "artifacts": Count(artifacts, total["Artifact"]),
        "edges": Count(edges, total["Event"]),
    }


def _edges(db: Connection, gone: set[int], stay: set[int]) -> tuple[int, int]:
    edges = artifacts = 0
    last, whole = None, False
    sql = "SELECT artifact_id, execution_id FROM Event ORDER BY artifact_id"
    rows = db.execution_options(stream_results=True, yield_per=10_000).execute(text(sql))
    for artifact, action in rows:
        if artifact != last:
            artifacts += whole and last not in stay
            last, whole = artifact, True
        if action in gone:
            edges += 1
        else:
            whole = False
    artifacts += whole and last not in stay
    return edges, artifacts


def _numbers(db: Connection, ids: Collection[str]) -> set[int]:
    out: set[int] = set()
    wanted = list(ids)
    for start in range(0, len(wanted), PAGE):
        some = dict(enumerate(wanted[start : start + PAGE]))
        marks = ", ".join(f":i{n}" for n in some)
        sql = text(f"SELECT id FROM Artifact WHERE external_id IN ({marks})")
        out |= {row[0] for row in db.execute(sql, {f"i{n}": id_ for n, id_ in some.items()})}
    return out


def _total(db: Connection, table: str) -> int:
    return int(db.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar() or 0)


_OLD = f"""
SELECT n.external_id, CASE WHEN s.string_value < :before THEN p.proto_value END, n.id
FROM (SELECT id, external_id FROM Execution WHERE id > :after ORDER BY id LIMIT :limit) n
LEFT JOIN ExecutionProperty s ON s.execution_id = n.id
  AND s.name = '{codec.STARTED}' AND s.is_custom_property = 1
LEFT JOIN ExecutionProperty p ON p.execution_id = n.id
  AND p.name = '{codec.RECORD}' AND p.is_custom_property = 1
ORDER BY n.id
"""
_LATEST = f"""
SELECT execution_id FROM (
  SELECT s.execution_id, ROW_NUMBER() OVER (
    PARTITION BY a.context_id ORDER BY s.string_value DESC, s.execution_id DESC) AS place
  FROM Association a
  JOIN Context c ON c.id = a.context_id
  JOIN Type t ON t.id = c.type_id AND t.name = '{codec.CONTROLLER}'
  JOIN ExecutionProperty s ON s.execution_id = a.execution_id
    AND s.name = '{codec.STARTED}' AND s.is_custom_property = 1
) x WHERE place <= :each
"""
_NAMES = f"""
SELECT n.external_id FROM Artifact n
WHERE n.external_id IS NOT NULL
  AND n.uri IN (SELECT uri FROM Artifact GROUP BY uri HAVING COUNT(*) > 1)
  AND NOT EXISTS (SELECT 1 FROM ArtifactProperty v WHERE v.artifact_id = n.id
    AND v.name = '{codec.VERSION}' AND v.is_custom_property = 1)
  AND EXISTS (SELECT 1 FROM Event e WHERE e.artifact_id = n.id AND e.type IN ({INS}))
"""
