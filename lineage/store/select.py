"""The statements every query of the reader is made of, and what their rows become.

Rows are (external id, record, MLMD's id). A node of ours is its record; of another tool's
there is none (`lineage.store.foreign.rows`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, text

from lineage.merge import ActionState, ArtifactState, load_action, load_artifact
from lineage.store import codec
from lineage.store.database import IDS

INS = ", ".join(str(int(t)) for t in codec.INPUTS)
OUTS = ", ".join(str(int(t)) for t in codec.OUTPUTS)
SIDES = {"in": INS, "out": OUTS}

ACTIONS = f"""
SELECT n.external_id, p.proto_value, n.id FROM Execution n
JOIN ExecutionProperty p ON p.execution_id = n.id AND p.name = '{codec.RECORD}'
  AND p.is_custom_property = 1
"""
ARTIFACTS = f"""
SELECT n.external_id, p.proto_value, n.id FROM Artifact n
LEFT JOIN ArtifactProperty p ON p.artifact_id = n.id AND p.name = '{codec.RECORD}'
  AND p.is_custom_property = 1
"""
# By MLMD's ids, in one look-up a node: the record says who it is. No row = another tool's.
RECORDS = {
    kind: f"""
    SELECT '', proto_value FROM {kind}Property
    WHERE {kind.lower()}_id IN {IDS} AND name = '{codec.RECORD}' AND is_custom_property = 1
    """
    for kind in ("Execution", "Artifact")
}


def action_of(row: Any) -> ActionState:
    return _action(row[1], row[0])


def artifact_of(row: Any) -> ArtifactState:
    return _artifact(row[1], row[0])


# What is asked for again and again (what is live) need not be decoded again: equal bytes are
# the same state. Nobody changes a state, so it can be shared.
@lru_cache(4096)
def _action(record: str | bytes, id: str) -> ActionState:
    return load_action(codec.unpack(record), id)


@lru_cache(4096)
def _artifact(record: str | bytes, id: str) -> ArtifactState:
    return load_artifact(codec.unpack(record), id)


def fetch(db: Connection, sql: str, ids: Iterable[Any], **more: Any) -> Sequence[Any]:
    ids = list(ids)
    return db.execute(text(sql), {"ids": json.dumps(ids), **more}).all() if ids else ()
