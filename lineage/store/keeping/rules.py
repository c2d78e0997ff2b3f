"""What must hold among the rows of MLMD's tables, each rule with what to do where it does not.

Plain SQL, one statement a rule, so each is one moment of a store that is in use. A rule whose
`repair` is given is safe to mend: what it deletes leads nowhere already.
"""

from __future__ import annotations

from dataclasses import dataclass

from lineage.store import codec


@dataclass(frozen=True, slots=True)
class Rule:
    """`broken` = a FROM clause and its conditions; `place` = the column by which a row of
    `table` is told."""

    name: str
    table: str
    says: str
    place: str
    broken: str
    remedy: str
    repair: tuple[str, ...] = ()


_LEADS_NOWHERE = "it leads nowhere: --mend removes it"
_AGAIN = (
    "nothing of it can be read; report the actions that name it again (an outbox, a resync of "
    "its controller, lineage replay, or lineage record from an export)"
)


def _lost(name: str, table: str, column: str, target: str) -> Rule:
    where = f"NOT EXISTS (SELECT 1 FROM {target} y WHERE y.id = {table}.{column})"
    delete = [f"DELETE FROM {table} WHERE {where}"]
    if table == "Event":
        # Its path first: it is found by the edge.
        path = f"event_id IN (SELECT id FROM Event WHERE {where})"
        delete.insert(0, f"DELETE FROM EventPath WHERE {path}")
    return Rule(
        name, table, f"a row of {table} names a row of {target} that does not exist", column,
        f"{table} WHERE {where}", _LEADS_NOWHERE, tuple(delete),
    )  # fmt: skip


def _twice(table: str, columns: str, name: str) -> Rule:
    known = " AND ".join(f"{column} IS NOT NULL" for column in columns.split(", "))
    twice = (
        f"(SELECT {columns} FROM {table} WHERE {known} GROUP BY {columns} HAVING COUNT(*) > 1) x"
    )
    return Rule(
        name, table, f"rows of {table} share what must be unique ({columns})", columns.split(", ")[0],
        twice, "the file is damaged: restore a backup, or run SQLite's .recover on a copy",
    )  # fmt: skip


def _wiped(table: str) -> Rule:
    lower = table.lower()
    ours = "t.name LIKE 'lineage.%'"
    if table == "Artifact":
        ours = f"({ours} OR (LENGTH(n.external_id) = 32 AND t.name LIKE 'system.%'))"
    return Rule(
        "wiped node", table, f"a node of ours in {table} has lost its record", "n.id",
        f"""{table} n JOIN Type t ON t.id = n.type_id WHERE {ours} AND NOT EXISTS (
          SELECT 1 FROM {table}Property p WHERE p.{lower}_id = n.id
          AND p.name = '{codec.RECORD}' AND p.is_custom_property = 1)""",
        _AGAIN,
    )  # fmt: skip


def _typed(table: str, kind: int) -> Rule:
    return Rule(
        "node without a type", table, f"a row of {table} names a type that is none of its kind", "n.id",
        f"""{table} n WHERE NOT EXISTS (
          SELECT 1 FROM Type t WHERE t.id = n.type_id AND t.type_kind = {kind})""",
        "MLMD cannot read it either; restore a backup",
    )  # fmt: skip


_KNOWN = ", ".join(str(int(type_)) for type_ in (*codec.INPUTS, *codec.OUTPUTS))

RULES = (
    _lost("dangling edge", "Event", "artifact_id", "Artifact"),
    _lost("dangling edge", "Event", "execution_id", "Execution"),
    _lost("path of no edge", "EventPath", "event_id", "Event"),
    _lost("orphan link", "Association", "execution_id", "Execution"),
    _lost("orphan link", "Association", "context_id", "Context"),
    _lost("orphan link", "Attribution", "artifact_id", "Artifact"),
    _lost("orphan link", "Attribution", "context_id", "Context"),
    _lost("orphan link", "ParentContext", "context_id", "Context"),
    _lost("orphan link", "ParentContext", "parent_context_id", "Context"),
    _lost("property of no node", "ExecutionProperty", "execution_id", "Execution"),
    _lost("property of no node", "ArtifactProperty", "artifact_id", "Artifact"),
    _lost("property of no node", "ContextProperty", "context_id", "Context"),
    _twice("Execution", "external_id", "duplicate key"),
    _twice("Artifact", "external_id", "duplicate key"),
    _twice("Context", "type_id, name", "duplicate key"),
    _twice("Event", "artifact_id, execution_id, type", "duplicate edge"),
    _wiped("Execution"),
    _wiped("Artifact"),
    _typed("Execution", 0),
    _typed("Artifact", 1),
    _typed("Context", 2),
    Rule(
        "edge of an unknown kind", "Event", "a row of Event is neither an input nor an output", "id",
        f"Event WHERE type NOT IN ({_KNOWN})",
        "no question sees it; have whoever wrote it write it again with a type",
    ),
)  # fmt: skip
