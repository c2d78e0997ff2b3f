"""Nodes by their ids, ours and other tools', and the actions that touch them.

The id of ours is MLMD's external id; the other ids are MLMD's own numbers (decision 10).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection

from lineage.identity import node_id, node_number
from lineage.merge import ActionState, ArtifactState
from lineage.store import codec
from lineage.store.database import IDS
from lineage.store.foreign import rows as foreign_rows
from lineage.store.foreign.rows import actions_of, artifacts_of
from lineage.store.select import ACTIONS, ARTIFACTS, action_of, fetch


def actions(db: Connection, ids: Sequence[str]) -> dict[str, ActionState]:
    ours = fetch(db, ACTIONS + f"WHERE n.external_id IN {IDS}", ids)
    others = foreign_rows.actions(db, numbers("execution", ids), folded=True)
    return {state.id: state for state in others.values()} | {r[0]: action_of(r) for r in ours}


def artifacts(db: Connection, ids: Sequence[str]) -> dict[str, ArtifactState]:
    rows = fetch(db, ARTIFACTS + f"WHERE n.external_id IN {IDS}", ids)
    others = foreign_rows.artifacts(db, numbers("artifact", ids)).values()
    return {state.id: state for state in (*artifacts_of(db, rows), *others)}


def touching(db: Connection, ids: Sequence[str], types: str) -> Iterator[tuple[str, ActionState]]:
    """(artifact id, action) for the events of these types."""
    sql = f"""
    SELECT '', p.proto_value, v.execution_id, a.external_id FROM Artifact a
    JOIN Event v ON v.artifact_id = a.id AND v.type IN ({types})
    LEFT JOIN ExecutionProperty p ON p.execution_id = v.execution_id
      AND p.name = '{codec.RECORD}' AND p.is_custom_property = 1
    WHERE a."""
    rows = fetch(db, f"{sql}external_id IN {IDS}", ids)
    if called := numbers("artifact", ids):
        numbered = sql.replace("a.external_id", "a.id", 1)
        others = fetch(db, f"{numbered}id IN {IDS}", called)
        rows = [*rows, *((*row[:3], node_id("artifact", row[3])) for row in others)]
    for row, state in zip(rows, actions_of(db, rows), strict=True):
        if state is not None:
            yield row[3], state


def numbers(kind: str, ids: Iterable[str]) -> list[int]:
    """MLMD's ids of those that are called by them."""
    return [number for id_ in ids if (number := node_number(kind, id_)) is not None]
