"""Records, one a line: what `lineage import` and `POST /actions/batch` take. Pure.

Of a graph these are the records of its actions with all they read and wrote. A whole store
is taken apart by `lineage.queries.export` instead, which alone can see who reported an
artifact last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lineage.errors import InvalidRecord
from lineage.formats import Detail, Format

if TYPE_CHECKING:
    from lineage.graph import Graph
    from lineage.merge import ActionState, ArtifactState


def graph(graph: Graph, detail: Detail) -> bytes:
    import orjson

    from lineage.records import records

    owner: dict[str, tuple[int, str]] = {}
    states = [state for id_, state in detail.actions.items() if id_ in graph.nodes]
    for state in states:
        for edge in state.edges:
            rank = (state.clock, state.key)
            owner[edge.artifact] = max(rank, owner.get(edge.artifact, rank))
    lines = []
    for state in sorted(states, key=lambda a: a.key):
        known = {e.artifact for e in state.edges if e.artifact in detail.artifacts}
        mine = {id_ for id_ in known if owner[id_][1] == state.key}
        lines += [orjson.dumps(one) for one in records(state, detail.artifacts, mine)]
    return b"".join(line + b"\n" for line in lines)


def each(state: ActionState, artifacts: Mapping[str, ArtifactState]) -> bytes:
    import orjson

    from lineage.records import records

    known = {edge.artifact for edge in state.edges if edge.artifact in artifacts}
    return b"".join(orjson.dumps(one) + b"\n" for one in records(state, artifacts, known))


def read(text: bytes) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            found = error
        if not isinstance(found, dict):
            message = "is not a JSON object; write one record a line"
            raise InvalidRecord(f"line {number}: {message}", [{"at": f"line {number}",
                                                               "message": message}])  # fmt: skip
        yield found


FORMAT = Format(
    name="ndjson",
    media="application/x-ndjson",
    suffixes=(".ndjson", ".jsonl"),
    says="records, one a line: a whole store, or the actions of a graph",
    graph=graph,
    each=each,
    read=read,
)
