"""The questions lineage is for: `/lineage` and `/live`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from lineage.api.examples import answered
from lineage.api.formats import GRAPHS, GraphFormat, graph_format
from lineage.api.kept import Kept
from lineage.api.now import Now, keeps
from lineage.api.requests import (
    Cursor,
    Limit,
    Moment,
    ReaderAt,
    SettingsOf,
    answer,
    moment,
)
from lineage.errors import BadRequest, NotFound
from lineage.graph import Direction
from lineage.queries.asof import raise_later
from lineage.queries.references import family_of
from lineage.queries.selection import asked
from lineage.queries.serving.live import LIMIT, page
from lineage.queries.serving.timeline import timelines
from lineage.times import iso

router = APIRouter(tags=["ask"])

MAX_DEPTH = 1000
MAX_SLOTS = 5000
_GRAPH = answered("GraphAsJson", 400, 404, 500, also=[form.media for form in GRAPHS.values()])


@router.get("/lineage", response_class=Response, responses=_GRAPH)
def get_lineage(
    request: Request,
    reader: ReaderAt,
    settings: SettingsOf,
    of: Annotated[
        str | None,
        Query(
            max_length=5000,
            description=("an artifact's id, a URI, URI@version, or an action's key"),
        ),
    ] = None,
    select: Annotated[
        str | None,
        Query(
            description="only what this selects, of that graph or by itself",
            examples=["2+models/triage+1", "+models/triage and not type:Code"],
        ),
    ] = None,
    direction: Direction = "both",
    depth: Annotated[
        int | None, Query(ge=0, le=MAX_DEPTH, description="edges from the start")
    ] = None,
    types: Annotated[
        str | None, Query(max_length=500, description="artifact types, by comma")
    ] = None,
    max_nodes: Annotated[int, Query(ge=1)] = 2000,
    format: GraphFormat = "json",
) -> Response:
    """Where something came from (upstream) and what it reached (downstream)."""
    form, written_as = graph_format(request, format)
    if max_nodes > settings.max_nodes:
        raise BadRequest(f"max_nodes: at most {settings.max_nodes:,} here")
    wanted = frozenset(t.strip() for t in types.split(",") if t.strip()) if types else None
    graph = asked(reader, of, select, direction, depth, max_nodes, wanted)
    return Response(written_as(reader, graph), media_type=form.media)


@router.get("/live", response_class=Response, responses=answered("Live", 400))
def get_live(
    request: Request,
    reader: ReaderAt,
    as_of: Moment = None,
    namespace: Annotated[str | None, Query(max_length=256)] = None,
    cursor: Annotated[str | None, Query(max_length=5000)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_SLOTS)] = LIMIT,
) -> Response:
    """What is in production, now or at a past moment: since when, and by which action."""

    if moment("as_of", as_of) is None and keeps(reader):
        now: Now = request.app.state.now
        rows = now.page(namespace, cursor, limit)
        return _slots(None, [orjson.Fragment(row.json) for row in rows.items], rows.cursor)

    def make() -> bytes:
        found = page(reader, namespace, cursor, limit)
        return bytes(_slots(as_of, [slot.json() for slot in found.items], found.cursor).body)

    kept: Kept = request.app.state.kept
    body = kept.answer(str(request.url), reader, make)
    return Response(body, media_type="application/json")


def _slots(as_of: str | None, slots: Sequence[Any], cursor: str | None) -> Response:
    return answer(
        {"as_of": _moment(as_of), "slots": slots, "truncated": cursor is not None,
         "cursor": cursor}
    )  # fmt: skip


@router.get(
    "/live/{slot:any}/history", response_class=Response, responses=answered("History", 400, 404)
)
def get_history(
    reader: ReaderAt,
    slot: Annotated[str, Path(max_length=5000, description="k8s://cluster/namespace/kind/name")],
    as_of: Moment = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """What was live in a slot, from when to when, what began last first."""
    uri = family_of("slot", slot, "Deployment")
    timeline = timelines(reader, [uri])[uri]
    if not timeline.periods:
        raise_later(reader, uri, lambda whole: [a.id for a in whole.families([uri])[uri]])
        raise NotFound(f"nothing was live in {uri}; /api/v1/live lists the slots")
    found = timeline.latest(cursor, limit)
    return answer(
        {
            "as_of": _moment(as_of),
            "slot": uri,
            "periods": [period.json() for period in found.items],
            "truncated": timeline.truncated or found.cursor is not None,
            "cursor": found.cursor,
        }
    )


def _moment(as_of: str | None) -> str | None:
    at = moment("as_of", as_of)
    return None if at is None else iso(at)
