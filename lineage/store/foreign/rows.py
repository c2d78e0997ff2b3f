"""The rows of nodes that other tools wrote, fetched by MLMD's ids in a few queries for all.

`Types` tells whether there can be any: a store that only we wrote to has no type of theirs,
and is asked nothing more. What a row means is `lineage.store.foreign.conventions`.
"""

from __future__ import annotations

from base64 import b64decode
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from google.protobuf import json_format, struct_pb2
from google.protobuf.message import DecodeError
from sqlalchemy import Connection, text

from lineage.merge import ActionState, ArtifactState
from lineage.store import codec
from lineage.store.database import IDS
from lineage.store.foreign import conventions as foreign
from lineage.store.select import RECORDS, action_of, artifact_of, fetch

_INPUTS = {int(type_) for type_ in codec.INPUTS}
_STRUCT = "mlmd-struct::"
# Type kinds of MLMD: 0 = execution, 1 = artifact, 2 = context.
_TYPES = text(f"""
SELECT t.id, t.name, t.type_kind, b.name FROM Type t
LEFT JOIN ParentType p ON p.type_id = t.id LEFT JOIN Type b ON b.id = p.parent_type_id
WHERE t.name NOT LIKE '{foreign.OURS}%'
""")


class Kind(NamedTuple):
    name: str
    base: str | None


@dataclass(slots=True)
class Types:
    """The types that are not ours, by MLMD's id."""

    actions: dict[int, Kind] = field(default_factory=dict)
    artifacts: dict[int, Kind] = field(default_factory=dict)
    contexts: dict[int, Kind] = field(default_factory=dict)

    @property
    def folded(self) -> list[int]:
        """Of the actions those that are left out."""
        return [id_ for id_, kind in self.actions.items() if kind.name == foreign.DAG]

    @property
    def shown(self) -> list[int]:
        return [id_ for id_, kind in self.actions.items() if kind.name != foreign.DAG]

    def named(self, names: Iterable[str]) -> list[int]:
        """Of the contexts those of these types."""
        names = set(names)
        return [id_ for id_, kind in self.contexts.items() if kind.name in names]


def types(db: Connection) -> Types:
    found = Types()
    for id_, name, kind, base in db.execute(_TYPES):
        if not name.startswith("mlmd."):  # MLMD's own, of which there are no nodes
            (found.actions, found.artifacts, found.contexts)[kind][id_] = Kind(name, base)
    return found


def actions_of(db: Connection, rows: Sequence[Any]) -> list[ActionState | None]:
    """States of rows (external id, record or None, MLMD's id), in their order; None = of what
    is not shown."""
    without = [row[2] for row in rows if row[1] is None]
    if not without:
        return [action_of(row) for row in rows]
    others = actions(db, without)
    return [others.get(row[2]) if row[1] is None else action_of(row) for row in rows]


def artifacts_of(db: Connection, rows: Sequence[Any]) -> list[ArtifactState]:
    without = [row[2] for row in rows if row[1] is None]
    if not without:
        return [artifact_of(row) for row in rows]
    others = artifacts(db, without)
    states = (others.get(row[2]) if row[1] is None else artifact_of(row) for row in rows)
    return [state for state in states if state is not None]


def actions_numbered(
    db: Connection, ids: Collection[int], folded: bool = False
) -> dict[int, ActionState]:
    """Actions by MLMD's ids, ours and others'."""
    sql = RECORDS["Execution"].replace("''", "execution_id", 1)
    found = {row[0]: action_of(("", row[1])) for row in fetch(db, sql, ids)}
    if len(found) < len(ids):
        found |= actions(db, [id_ for id_ in ids if id_ not in found], folded)
    return found


def artifacts_numbered(db: Connection, ids: Collection[int]) -> dict[int, ArtifactState]:
    sql = RECORDS["Artifact"].replace("''", "artifact_id", 1)
    found = {row[0]: artifact_of(("", row[1])) for row in fetch(db, sql, ids)}
    if len(found) < len(ids):
        found |= artifacts(db, [id_ for id_ in ids if id_ not in found])
    return found


def actions(db: Connection, numbers: Iterable[int], folded: bool = False) -> dict[int, ActionState]:
    """Actions of others by their numbers; those that are `folded` away only when asked for."""
    numbers = list(dict.fromkeys(numbers))
    if not numbers:
        return {}
    known = types(db)
    nodes = [node for node in _nodes(db, "Execution", "last_known_state", known.actions, numbers)
             if folded or node.type != foreign.DAG]  # fmt: skip
    ids = [node.number for node in nodes]
    values = _values(db, "Execution", ids)
    touches: dict[int, list[foreign.Touch]] = defaultdict(list)
    for id_, type_, number, external, role in fetch(db, _EVENTS, ids):
        side = "in" if type_ in _INPUTS else "out"
        touches[id_].append(foreign.Touch(side, number, external, role))
    members: dict[int, list[foreign.Member]] = defaultdict(list)
    for id_, type_id, name, namespace in fetch(db, _MEMBERS, ids):
        if (kind := known.contexts.get(type_id)) is not None:
            members[id_].append(foreign.Member(kind.name, name, namespace))
    return {
        n.number: foreign.action(n, values[n.number], members[n.number], touches[n.number])
        for n in nodes
    }


def artifacts(db: Connection, numbers: Iterable[int]) -> dict[int, ArtifactState]:
    """Artifacts of others by their numbers; one of ours is none."""
    numbers = list(dict.fromkeys(numbers))
    if not numbers:
        return {}
    nodes = _nodes(db, "Artifact", "state", types(db).artifacts, numbers)
    values = _values(db, "Artifact", [node.number for node in nodes])
    return {
        node.number: foreign.artifact(node, values[node.number])
        for node in nodes
        if codec.RECORD not in values[node.number]
    }


def _nodes(
    db: Connection, table: str, state: str, known: dict[int, Kind], numbers: Sequence[int]
) -> list[foreign.Node]:
    """What is of a type of ours and has no record was damaged: the next report heals it."""
    uri = "uri" if table == "Artifact" else "NULL"
    sql = f"""
    SELECT id, type_id, name, external_id, {state}, create_time_since_epoch,
      last_update_time_since_epoch, {uri} FROM {table} WHERE id IN {IDS}
    """
    rows = fetch(db, sql, numbers)
    return [foreign.Node(r[0], *known[r[1]], *r[2:]) for r in rows if r[1] in known]


def _values(db: Connection, table: str, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    owner = f"{table.lower()}_id"
    # A custom property of the same name says it better than the declared one.
    sql = f"""
    SELECT {owner}, name, int_value, double_value, string_value, bool_value
    FROM {table}Property WHERE {owner} IN {IDS} ORDER BY is_custom_property
    """
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for id_, name, *value in fetch(db, sql, ids):
        found[id_][name] = _value(*value)
    return found


def _value(int_: int | None, double: float | None, string: str | None, bool_: Any) -> Any:
    if string is not None:
        return _struct(string) if string.startswith(_STRUCT) else string
    if bool_ is not None:
        return bool(bool_)
    return int_ if int_ is not None else double


@lru_cache(4096)
def _struct(text: str) -> Any:
    """The steps of many runs were given the same; nobody changes what they were given."""
    try:
        message = struct_pb2.Struct.FromString(b64decode(text.removeprefix(_STRUCT)))
    except (ValueError, DecodeError):
        return text
    return _whole(json_format.MessageToDict(message))


def _whole(value: Any) -> Any:
    """A struct has no whole numbers: 30 comes back as 30.0."""
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return int(value) if whole else value


_EVENTS = f"""
SELECT v.execution_id, v.type, a.id, a.external_id,
  (SELECT s.step_key FROM EventPath s
   WHERE s.event_id = v.id AND s.is_index_step = 0 AND s.step_key IS NOT NULL LIMIT 1)
FROM Event v JOIN Artifact a ON a.id = v.artifact_id WHERE v.execution_id IN {IDS}
"""
_MEMBERS = f"""
SELECT m.execution_id, c.type_id, c.name, p.string_value FROM Association m
JOIN Context c ON c.id = m.context_id
LEFT JOIN ContextProperty p ON p.context_id = c.id AND p.name = '{codec.NAMESPACE}'
  AND p.is_custom_property = 1
WHERE m.execution_id IN {IDS}
"""
