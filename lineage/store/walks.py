"""Walks over recorded edges, in SQL: by a recursive query, or level by level to a depth."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from lineage.store.database import IDS
from lineage.store.dialect import is_mysql, is_sqlite
from lineage.store.foreign.rows import actions_numbered, artifacts_numbered, types
from lineage.store.ports import Closure
from lineage.store.select import INS, OUTS, RECORDS, action_of, artifact_of, fetch

WIDE = 12
"""Hops in which a wide graph has grown over any limit."""
NEAR = 1000
"""Actions whose artifacts count as equally near when a walk is cut."""
SEEDS = 400
"""Actions a recursive query starts from; SQLite bounds the terms of a compound SELECT."""

# One hop = from an action to those that wrote what it read (or read what it wrote).
_HOP = {
    "upstream": (INS, OUTS),
    "downstream": (OUTS, INS),
}


@dataclass(slots=True)
class Found:
    """MLMD ids in the order of their distance (dicts as ordered sets)."""

    actions: dict[int, None] = field(default_factory=dict)
    artifacts: dict[int, None] = field(default_factory=dict)
    truncated: bool = False
    frontier: bool = False
    """There may be more behind the last level."""

    @property
    def size(self) -> int:
        return len(self.actions) + len(self.artifacts)


def reach(db: Connection, way: str, starts: Found, depth: int | None, most: int) -> Found:
    near, far = _HOP[way]
    far = f"({far}){_unfolded(db)}"
    if depth is not None:
        return _levels(db, starts, near, far, depth, most)
    if is_mysql(db):
        # It makes the whole of a recursive query before it cuts it: what is wide is walked level
        # by level, and what is still not at its end is a long, thin chain.
        found = _levels(db, starts, near, far, WIDE, most)
        if found.truncated or not found.frontier:
            return found
        starts = Found(found.actions, found.artifacts)
    sql = f"SELECT execution_id FROM Event b WHERE artifact_id IN {IDS} AND type IN {far}"
    first = starts.actions | dict.fromkeys(r[0] for r in fetch(db, sql, starts.artifacts))
    found = _recursive(db, first, near, far, most)
    sql = f"SELECT DISTINCT artifact_id FROM Event WHERE execution_id IN {IDS} AND type IN ({near})"
    nearest = list(found.actions)
    for begin in range(0, len(nearest), NEAR):
        rows = fetch(db, sql, nearest[begin : begin + NEAR])
        found.artifacts |= dict.fromkeys(row[0] for row in rows)
    return found


def _unfolded(db: Connection) -> str:
    """No way leads through a group of steps: all it reads would seem to make all it writes."""
    folded = ", ".join(map(str, types(db).folded))
    group = f"SELECT 1 FROM Execution g WHERE g.id = b.execution_id AND g.type_id IN ({folded})"
    return f" AND NOT EXISTS ({group})" if folded else ""


def _recursive(db: Connection, starts: dict[int, None], near: str, far: str, most: int) -> Found:
    """SQLite's queue is first in, first out: what a limit leaves is what lies nearest."""
    found: dict[int, None] = {}
    ids = list(starts)
    cut = f"LIMIT {most + 1}"
    for begin in range(0, len(ids), SEEDS):
        some = ids[begin : begin + SEEDS]
        seeds = f"SELECT id FROM Execution WHERE id IN ({', '.join(map(str, some))})"
        if is_sqlite(db):
            seeds = " UNION ALL ".join(f"SELECT {int(id_)}" for id_ in some)
        sql = f"""
        WITH RECURSIVE walk(id) AS (
          {seeds}
          UNION
          SELECT b.execution_id FROM walk
          JOIN Event a ON a.execution_id = walk.id AND a.type IN ({near})
          JOIN Event b ON b.artifact_id = a.artifact_id AND b.type IN {far}
          {cut if is_sqlite(db) else ""}
        ) SELECT id FROM walk {"" if is_sqlite(db) else cut}
        """
        found |= dict.fromkeys(row[0] for row in db.execute(text(sql)))
    return Found(found, {}, len(found) > most)


def _levels(db: Connection, starts: Found, near: str, far: str, depth: int, most: int) -> Found:
    """Breadth first, one query a level: a depth in the recursive query would visit a node
    once for every depth it can be reached at."""
    found = Found(dict(starts.actions), dict(starts.artifacts))
    actions, artifacts = found.actions, found.artifacts
    to_artifacts = f"SELECT artifact_id FROM Event WHERE execution_id IN {IDS} AND type IN ({near})"
    to_actions = f"SELECT execution_id FROM Event b WHERE artifact_id IN {IDS} AND type IN {far}"
    for _ in range(depth):
        next_artifacts = dict.fromkeys(r[0] for r in fetch(db, to_artifacts, actions))
        next_actions = dict.fromkeys(r[0] for r in fetch(db, to_actions, artifacts))
        artifacts = {id_: None for id_ in next_artifacts if id_ not in found.artifacts}
        actions = {id_: None for id_ in next_actions if id_ not in found.actions}
        found.actions |= actions
        found.artifacts |= artifacts
        if found.size > most:
            found.truncated = True
            break
        if not actions and not artifacts:
            break
    else:
        found.frontier = True
    return found


def loaded(db: Connection, found: Found, most: int) -> Closure:
    """The states of what was found; of more than `most`, the nearest of each kind stay."""
    actions, artifacts = list(found.actions), list(found.artifacts)
    cut = found.size > most
    if cut:
        room = max(most - len(actions), most // 2, 1)
        artifacts = artifacts[:room]
        actions = actions[: most - len(artifacts)]
    states = [action_of(row) for row in fetch(db, RECORDS["Execution"], actions)]
    if len(states) < len(actions):  # a group is only here when it was asked for
        states = [*actions_numbered(db, actions, folded=True).values()]
    things = [artifact_of(row) for row in fetch(db, RECORDS["Artifact"], artifacts)]
    if len(things) < len(artifacts):
        things = [*artifacts_numbered(db, artifacts).values()]
    return Closure(states, things, found.truncated or cut)
