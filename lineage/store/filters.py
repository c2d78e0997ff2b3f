"""What a list's filter is in SQL: conditions on the node `n` (and its start, `s`)."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase
from typing import Any

from sqlalchemy import Connection, text

from lineage.identity import action_id, node_named
from lineage.store import codec
from lineage.store.foreign import conventions as foreign
from lineage.store.foreign.rows import Types
from lineage.store.ports import ActionFilter, ArtifactFilter


def action_where(filter: ActionFilter) -> tuple[list[str], dict[str, Any]]:
    where: list[str] = []
    values: dict[str, Any] = {}
    if filter.type is not None:
        where.append(of_type("Execution"))
        values |= {"type": filter.type, "mlmd_type": codec.type_name("Execution", filter.type)}
    if filter.namespace is not None:
        where.append(has("execution", codec.NAMESPACE, "(:namespace)"))
        values["namespace"] = filter.namespace
    if filter.within is not None:
        where.append(has("execution", codec.NAMESPACE, _within(filter.within, values)))
    if filter.controller is not None:
        where.append(_BY_CONTROLLER)
        values["controller"] = filter.controller
    if filter.state is not None:
        where.append("n.last_known_state = :state")
        values["state"] = int(codec.STATES.get(filter.state, -1))
    if filter.since is not None:
        where.append("s.string_value >= :since")
        values["since"] = codec.sortable(filter.since)
    if filter.until is not None:
        where.append("s.string_value < :until")
        values["until"] = codec.sortable(filter.until)
    if filter.q:
        where.append(f"(LOWER(n.name) LIKE :q ESCAPE '!' OR {like('execution', 'display_name')})")
        values["q"] = pattern(filter.q)
    return where, values


def artifact_where(filter: ArtifactFilter, others: Types) -> tuple[list[str], dict[str, Any]]:
    where, values = ["1 = 1"], dict[str, Any]()
    if filter.type is not None:
        named = codec.type_name("Artifact", filter.type)
        theirs = [
            str(id_)
            for id_, kind in others.artifacts.items()
            if kind.name != named and foreign.artifact_type(*kind) == filter.type
        ]
        either = f" OR n.type_id IN ({', '.join(theirs)})" if theirs else ""
        where.append(f"({of_type('Artifact')}{either})")
        values |= {"type": filter.type, "mlmd_type": named}
    if filter.uri is not None:
        number = node_named("artifact", filter.uri)
        without = " OR n.id = :number AND COALESCE(n.uri, '') = ''"
        where.append(f"(n.uri = :uri{'' if number is None else without})")
        values |= {"uri": filter.uri, "number": number}
    if filter.within is not None:
        where.append(_ATTRIBUTED.format(_within(filter.within, values)))
    if filter.q:
        theirs = [like("artifact", "name", custom=0), "LOWER(n.name) LIKE :q ESCAPE '!'"]
        either = " OR ".join(
            [like("artifact", "display_name"), *(theirs if others.actions else ())]
        )
        where.append(f"(LOWER(n.uri) LIKE :q ESCAPE '!' OR {either})")
        values["q"] = pattern(filter.q)
    return where, values


# `cluster/namespace/name`, of which a filter gives the name.
_BY_CONTROLLER = f"""EXISTS (
  SELECT 1 FROM Association a
  JOIN Context c ON c.id = a.context_id
    AND c.type_id IN (SELECT id FROM Type WHERE name = '{codec.CONTROLLER}')
  JOIN ContextProperty p ON p.context_id = c.id AND p.name = 'name'
  WHERE a.execution_id = n.id AND p.string_value = :controller)"""


# An artifact is in the contexts of the controllers that name it, and of those that did once;
# these are children of their namespaces'.
_ATTRIBUTED = """EXISTS (
  SELECT 1 FROM Attribution t
  JOIN ParentContext c ON c.context_id = t.context_id
  JOIN ContextProperty p ON p.context_id = c.parent_context_id AND p.name = 'display_name'
  WHERE t.artifact_id = n.id AND p.string_value IN {})"""


# Starts have an index, newest first, and so have controllers; no index has both. A pattern may
# fit a controller too many: what is selected is filtered all the same.
_FEW = 10_000
_OWN = """(
  SELECT DISTINCT a.execution_id FROM ContextProperty c
  JOIN ContextProperty p ON p.context_id = c.context_id AND p.name = 'display_name'
    AND p.string_value LIKE :whose ESCAPE '!'
  JOIN Association a ON a.context_id = c.context_id
  WHERE c.name = 'name' AND c.string_value = :controller LIMIT {most})"""


_PARTS = f"""(
  SELECT DISTINCT a.execution_id FROM Context c JOIN Association a ON a.context_id = c.id
  WHERE c.name = :run AND c.type_id IN (SELECT id FROM Type WHERE name = '{codec.RUN}'))"""


def starts(db: Connection, filter: ActionFilter) -> tuple[str, dict[str, str]]:
    """Where the starts `s` come from: of a controller that acts seldom from its own actions,
    since among everyone's the whole store might have to be walked for the next one."""
    everyone = "ExecutionProperty s"
    if filter.parent is not None:
        parts = f"{_PARTS} o CROSS JOIN {everyone} ON s.execution_id = o.execution_id"
        return parts, {"run": action_id(filter.parent)}
    if filter.controller is None:
        return everyone, {}
    of = "%" if filter.namespace is None else escaped(codec.path_part(filter.namespace))
    who = {"whose": f"%/{of}/{escaped(filter.controller)}"}
    own = f"SELECT COUNT(*) FROM {_OWN.format(most=_FEW + 1)} o"
    if db.execute(text(own), {**who, "controller": filter.controller}).scalar_one() > _FEW:
        return everyone, {}
    # CROSS JOIN: SQLite must not turn them around.
    return (
        f"{_OWN.format(most=2**62)} o CROSS JOIN {everyone} ON s.execution_id = o.execution_id",
        who,
    )


def _within(namespaces: frozenset[str], values: dict[str, Any]) -> str:
    """The namespaces as a list of parameters, whose values are added."""
    names = {f"within{n}": namespace for n, namespace in enumerate(sorted(namespaces))}
    values |= names
    return f"({', '.join(f':{name}' for name in names)})"


def of_type(kind: str) -> str:
    """The type now: MLMD's, unless a later report moved the node to another."""
    moved = (
        f"SELECT 1 FROM {kind}Property x WHERE x.{kind.lower()}_id = n.id"
        f" AND x.name = '{codec.TYPE}' AND x.is_custom_property = 1"
    )
    return (
        f"((n.type_id IN (SELECT id FROM Type WHERE name = :mlmd_type) AND NOT EXISTS ({moved}))"
        f" OR EXISTS ({moved} AND x.string_value = :type))"
    )


def has(kind: str, name: str, parameters: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM {kind.capitalize()}Property x WHERE x.{kind}_id = n.id"
        f" AND x.name = '{name}' AND x.is_custom_property = 1 AND x.string_value IN {parameters})"
    )


def like(kind: str, name: str, custom: int = 1) -> str:
    return (
        f"EXISTS (SELECT 1 FROM {kind.capitalize()}Property x WHERE x.{kind}_id = n.id"
        f" AND x.name = '{name}' AND x.is_custom_property = {custom}"
        f" AND LOWER(x.string_value) LIKE :q ESCAPE '!')"
    )


_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


def pattern(q: str) -> str:
    # SQLite and PostgreSQL (here) fold the letters of ASCII alone, so the rest stays as asked.
    return f"%{escaped(q.translate(_SMALL))}%"


def escaped(text: str) -> str:
    """For LIKE … ESCAPE '!'; a backslash is MySQL's own sign for it, unless told otherwise."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
