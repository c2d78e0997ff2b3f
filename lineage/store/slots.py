"""Slots in SQL: which there are, and the latest deploys of each, straight from an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from lineage.identity import artifact_id
from lineage.merge import ActionState
from lineage.store import codec
from lineage.store.database import IDS
from lineage.store.dialect import SLOTS, is_sqlite
from lineage.store.filters import of_type
from lineage.store.select import action_of, fetch

# The newest of each slot, straight from the index on (name, is_custom_property, string_value).
_DEPLOYS = f"""
SELECT e.value, n.external_id, r.proto_value
FROM json_each(:ids) e
JOIN ExecutionProperty p ON p.rowid IN (
  SELECT q.rowid FROM ExecutionProperty q
  WHERE q.name = e.value AND q.is_custom_property = 1 AND q.string_value IS NOT NULL
    AND q.string_value <= :until
  ORDER BY q.string_value DESC LIMIT :limit)
JOIN Execution n ON n.id = p.execution_id
JOIN ExecutionProperty r ON r.execution_id = p.execution_id AND r.name = '{codec.RECORD}'
  AND r.is_custom_property = 1
"""
# Elsewhere a number of statements in one: no database else has rowids, and not all have LATERAL.
_OF_SLOT = """(
  SELECT q.name, q.execution_id FROM ExecutionProperty q
  WHERE q.name = :name{n} AND q.is_custom_property = 1 AND q.string_value IS NOT NULL
    AND q.string_value <= :until
  ORDER BY q.string_value DESC LIMIT :limit)"""
_TOGETHER = f"""
SELECT p.name, n.external_id, r.proto_value FROM ({{}}) p
JOIN Execution n ON n.id = p.execution_id
JOIN ExecutionProperty r ON r.execution_id = p.execution_id AND r.name = '{codec.RECORD}'
  AND r.is_custom_property = 1
"""
_AT_ONCE = 200
_EVER = "9999-12-31T23:59:59.999999Z"


# MySQL's index ends after 255 characters, and PostgreSQL's knows no order: all versions are read.
_DISTINCT = f"SELECT DISTINCT uri FROM Artifact WHERE {SLOTS} AND uri > :after"


def found(db: Connection, namespace: str | None, limit: int, after: str | None) -> list[str]:
    """Jumps from one URI to the next in the index, so versions cost nothing."""
    sql = (
        _DISTINCT
        if not is_sqlite(db)
        else """
    WITH RECURSIVE slot(uri, n) AS (
      SELECT (SELECT MIN(uri) FROM Artifact WHERE uri > :after), 0
      UNION ALL
      SELECT (SELECT MIN(uri) FROM Artifact WHERE uri > slot.uri AND uri < 'k8s:0'), n + 1
      FROM slot WHERE slot.uri IS NOT NULL AND n < 100000
    ) SELECT uri FROM slot WHERE uri > 'k8s://' AND uri < 'k8s:0'
    """
    )
    uris = sorted(row[0] for row in db.execute(text(sql), {"after": after or "k8s://"}))
    deployments = _deployments(db, uris)
    return [u for u in uris if u in deployments and _in_namespace(u, namespace)][:limit]


def deploys(
    db: Connection, slots: Sequence[str], evidence: str, limit: int, until: int | None
) -> Mapping[str, list[ActionState]]:
    names = {codec.live_name(artifact_id(uri, None), evidence): uri for uri in slots}
    last = _EVER if until is None else codec.sortable(until)
    out: dict[str, list[ActionState]] = {uri: [] for uri in slots}
    for name, id_, record in _newest(db, list(names), {"limit": limit, "until": last}):
        out[names[name]].append(action_of((id_, record)))
    for actions in out.values():
        actions.sort(key=lambda state: -(state.ended or 0))
    return out


def _newest(db: Connection, names: list[str], values: dict[str, Any]) -> Iterator[Any]:
    if is_sqlite(db):
        yield from fetch(db, _DEPLOYS, names, **values)
        return
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        each = " UNION ALL ".join(_OF_SLOT.format(n=n) for n in range(len(some)))
        named = {f"name{n}": name for n, name in enumerate(some)}
        yield from db.execute(text(_TOGETHER.format(each)), {**values, **named})


def _deployments(db: Connection, uris: list[str]) -> set[str]:
    """Those of which any version is called a Deployment."""
    sql = f"SELECT DISTINCT n.uri FROM Artifact n WHERE n.uri IN {IDS} AND {of_type('Artifact')}"
    if is_sqlite(db):  # the first version that is one says it
        version = f"SELECT 1 FROM Artifact n WHERE n.uri = e.value AND {of_type('Artifact')}"
        sql = f"SELECT e.value FROM json_each(:ids) e WHERE EXISTS ({version})"
    named = {"type": "Deployment", "mlmd_type": codec.type_name("Artifact", "Deployment")}
    return {row[0] for row in fetch(db, sql, uris, **named)}


def _in_namespace(uri: str, namespace: str | None) -> bool:
    parts = uri.removeprefix("k8s://").split("/")
    return namespace is None or (len(parts) > 1 and parts[1] == namespace)
