"""The questions lineage is for: `/lineage` and `/live`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from lineage.api.examples import problems
from lineage.api.requests import Moment, ReaderOf, SettingsOf, answer, moment
from lineage.errors import BadRequest
from lineage.formats.mermaid import mermaid
from lineage.graph import Direction
from lineage.model import iso
from lineage.queries.lineage import lineage
from lineage.queries.live import live

router = APIRouter(tags=["ask"])

Format = Literal["json", "dot", "svg", "png", "mermaid"]
MAX_DEPTH = 1000
_MEDIA = {"dot": "text/vnd.graphviz", "svg": "image/svg+xml", "png": "image/png"}


@router.get("/lineage", response_class=Response, responses=problems(400, 404, 500))
def get_lineage(
    request: Request,
    reader: ReaderOf,
    settings: SettingsOf,
    of: Annotated[
        str,
        Query(
            min_length=1,
            max_length=5000,
            description=("an artifact's id, a URI, URI@version, or an action's key"),
        ),
    ],
    direction: Direction = "both",
    depth: Annotated[
        int | None, Query(ge=0, le=MAX_DEPTH, description="edges from the start")
    ] = None,
    types: Annotated[
        str | None, Query(max_length=500, description="artifact types, by comma")
    ] = None,
    max_nodes: Annotated[int, Query(ge=1)] = 2000,
    format: Format = "json",
) -> Response:
    """Where something came from (upstream) and what it reached (downstream)."""
    if max_nodes > settings.max_nodes:
        raise BadRequest(f"max_nodes: at most {settings.max_nodes:,} here")
    wanted = frozenset(t.strip() for t in types.split(",") if t.strip()) if types else None
    graph = lineage(reader, of, direction, depth, max_nodes, wanted)
    if format == "json":
        return answer(graph.json())
    if format == "mermaid":
        return Response(mermaid(graph), media_type="text/plain")
    draw: Any = request.app.state.draw
    return Response(draw(graph, format), media_type=_MEDIA[format])


@router.get("/live", response_class=Response, responses=problems(400))
def get_live(
    reader: ReaderOf,
    as_of: Moment = None,
    namespace: Annotated[str | None, Query(max_length=256)] = None,
) -> Response:
    """What is in production, now or at a past moment: since when, and by which action."""
    at = moment("as_of", as_of)
    slots = live(reader, at, namespace)
    return answer({"as_of": None if at is None else iso(at), "slots": [s.json() for s in slots]})
