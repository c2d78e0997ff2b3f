"""The pages' routes: read, arrange, render. Server-rendered; no script, no inline style."""

from __future__ import annotations

import time

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from lineage.api.now import live_at
from lineage.api.requests import get_reader
from lineage.queries.asof import AsOf
from ui import action, activity, artifact, diff, flow, graphs, impact, links, login, params, search
from ui.board import SORTS, board
from ui.templating import render


async def _in_time(as_of: str = "") -> None:
    """Every link of a page about the past leads to the past. Async: what is set here is seen
    by the page's own thread."""
    links.AS_OF.set(as_of.strip())


router = APIRouter(
    include_in_schema=False, default_response_class=HTMLResponse, dependencies=[Depends(_in_time)]
)
for _page in (login, graphs, flow, activity, search, artifact, action, diff, impact):
    router.include_router(_page.router)


@router.get("/")
def live_page(
    request: Request,
    as_of: str = "",
    namespace: str = "",
    sort: str = "problems",
    page: str = "",
) -> Response:
    """What is live, now or at a moment of the past."""
    reader, now = get_reader(request), _now()
    moment = params.moment(as_of)
    past = reader if moment is None else AsOf(reader, moment)
    slots = live_at(request, moment, namespace or None).items
    uris = reader.slots(None, 5000)
    return render(
        "live.html",
        request,
        moment or now,
        section="Live",
        board=board(
            past,
            slots,
            moment or now,
            params.choice(sort, "sort", SORTS),
            params.number(page, "page", 1, 10_000) or 1,
        ),
        sort=sort,
        sorts=SORTS,
        as_of=moment,
        as_of_text=as_of,
        namespace=namespace,
        namespaces=sorted({uri.split("/")[3] for uri in uris if uri.count("/") > 3}),
        base=str(request.base_url).rstrip("/"),
    )


def error_page(request: Request, status: int, title: str, detail: str) -> Response:
    """What a browser sees of an error: what happened and what to do."""
    return render(
        "error.html", request, _now(), section="", status=status, title=title, detail=detail
    )


def _now() -> int:
    return time.time_ns() // 1000
