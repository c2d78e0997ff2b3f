"""Reads every record of a store: can it be read, is it its node's, are its edges there?

A few thousand nodes at a time, each such page one moment of a store that is in use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, text

from lineage.merge import load_action, load_artifact
from lineage.store import codec
from lineage.store.lookup import Kind

PAGE = 2000
_INPUTS = {int(type_) for type_ in codec.INPUTS}
Problem = tuple[str, str]
"""(name, place)"""


def look(engine: Engine, kind: Kind, advance: Callable[[int], None]) -> Iterator[Problem]:
    after = 0
    while True:
        with engine.connect() as db:
            rows = db.execute(text(_PAGE[kind]), {"after": after, "limit": PAGE}).all()
            edges = _edges(db, after, rows[-1][0]) if rows and kind == "Execution" else {}
        for number, external, record in rows:
            if record is not None:
                yield from _problems(kind, number, external, record, edges)
        advance(len(rows))
        if len(rows) < PAGE:
            return
        after = rows[-1][0]


def _problems(kind: Kind, number: int, external: str, record: Any, edges: Any) -> Iterator[Problem]:
    place = f"{kind} {number}"
    try:
        body = codec.unpack(record)
        state: Any = load_action(body) if kind == "Execution" else load_artifact(body)
    except Exception:
        # Whatever is wrong with it, and orjson, base64 and our own reading differ in what
        # they raise.
        yield "unreadable record", place
        return
    if state.id != external:
        yield "record of another node", f"{place} (external_id {external}, record of {state.id})"
    if kind == "Execution":
        missing = {(edge.side, edge.artifact) for edge in state.edges} - edges[number]
        for side, artifact in sorted(missing):
            yield "edge that MLMD does not have", f"{place}, {side}put {artifact}"


def _edges(db: Connection, after: int, last: int) -> dict[int, set[tuple[str, str]]]:
    out: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for number, type_, artifact in db.execute(text(_EDGES), {"after": after, "last": last}):
        out[number].add(("in" if type_ in _INPUTS else "out", artifact))
    return out


def total(engine: Engine, kind: Kind) -> int:
    with engine.connect() as db:
        return int(db.execute(text(f"SELECT COUNT(*) FROM {kind}")).scalar() or 0)


def _page(kind: Kind) -> str:
    return f"""
    SELECT n.id, n.external_id, p.proto_value
    FROM (SELECT id, external_id FROM {kind} WHERE id > :after ORDER BY id LIMIT :limit) n
    LEFT JOIN {kind}Property p ON p.{kind.lower()}_id = n.id
      AND p.name = '{codec.RECORD}' AND p.is_custom_property = 1
    ORDER BY n.id
    """


KINDS: Sequence[Kind] = ("Execution", "Artifact")
_PAGE = {kind: _page(kind) for kind in KINDS}
_EDGES = """
SELECT e.execution_id, e.type, a.external_id FROM Event e JOIN Artifact a ON a.id = e.artifact_id
WHERE e.execution_id > :after AND e.execution_id <= :last
"""
