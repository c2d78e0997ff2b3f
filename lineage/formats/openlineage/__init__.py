"""OpenLineage, spec 2-0-2: its events as records, and a graph as run events (docs/openlineage.md).

`wire` and `facets` know what an event looks like, `names` what things are called, `read` and
`write` map, `redact` cleans. Nothing here needs OpenLineage's own libraries, and reading none of the server's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lineage.errors import BadRequest, InvalidRecord
from lineage.formats import Detail, Format
from lineage.formats.openlineage.read import actions
from lineage.formats.openlineage.redact import redacted
from lineage.formats.openlineage.wire import event
from lineage.model import Action

if TYPE_CHECKING:
    from lineage.graph import Graph
    from lineage.merge import ActionState, ArtifactState

__all__ = ["FORMAT", "documents", "reports"]


def reports(raw: Any) -> tuple[bytes, list[Action]]:
    """An event as it may be kept (equal events give equal bytes), and what it reports.

    Raises:
        InvalidRecord: it is none, with every place and its remedy.
    """
    import orjson

    clean = redacted(raw)
    return orjson.dumps(clean, option=orjson.OPT_SORT_KEYS), actions(event(clean))


def documents(body: bytes) -> list[Any]:
    """The events of a file: one, an array, or one a line as OpenLineage's file transport writes.

    Raises:
        BadRequest: some of it is not JSON.
    """
    try:
        whole = json.loads(body)
    except RecursionError as error:
        raise BadRequest("the file is nested too deeply; it holds no events") from error
    except ValueError:
        lines = enumerate(body.split(b"\n"), 1)
        return [_line(number, line) for number, line in lines if line.strip()]
    return whole if isinstance(whole, list) else [whole]


def _line(number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"line {number} is not JSON: {error}") from error


def _graph(graph: Graph, detail: Detail) -> bytes:
    """A JSON array, an event a line: what `POST /lineage/batch` takes."""
    from lineage.formats.openlineage.write import events
    from lineage.graph import ActionNode

    states = [detail.actions[n.id] for n in graph.nodes.values() if isinstance(n, ActionNode)]
    by_key = {state.key: state for state in detail.actions.values()}
    found = (one for state in states for one in events(state, detail.artifacts, by_key))
    return b"[\n" + b",\n".join(map(_dump, found)) + b"\n]\n"


def _each(state: ActionState, artifacts: Mapping[str, ArtifactState]) -> bytes:
    from lineage.formats.openlineage.write import events

    return b"".join(_dump(one) + b"\n" for one in events(state, artifacts))


def _dump(event: dict[str, Any]) -> bytes:
    import orjson

    return orjson.dumps(event)


def _read(body: bytes) -> Iterator[dict[str, Any]]:
    for number, raw in enumerate(documents(body), 1):
        try:
            found = actions(event(redacted(raw)))
        except InvalidRecord as error:
            raise InvalidRecord(f"event {number}: {error.detail}", error.errors) from error
        for action in found:
            yield action.model_dump(mode="json", exclude_defaults=True)


FORMAT = Format(
    name="openlineage",
    media="application/json",
    lines="application/x-ndjson",
    suffixes=(".openlineage.json", ".openlineage.ndjson"),
    says="OpenLineage run events, for Marquez and its kin; also sent to POST /api/v1/lineage.",
    graph=_graph,
    each=_each,
    read=_read,
)
