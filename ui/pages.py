"""The pages' routes: read, arrange, render. Server-rendered; no script, no inline style."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from lineage.errors import NotFound
from lineage.graph import action_node, artifact_node
from lineage.identity import action_id
from lineage.queries.asof import AsOf
from lineage.queries.live import live
from lineage.store.ports import ActionFilter, ArtifactFilter, Reader
from ui import contexts, flow, graphs, links, params, words
from ui.board import board
from ui.templating import render


async def _in_time(as_of: str = "") -> None:
    """Every link of a page about the past leads to the past. Async: what is set here is seen
    by the page's own thread."""
    links.AS_OF.set(as_of.strip())


router = APIRouter(
    include_in_schema=False, default_response_class=HTMLResponse, dependencies=[Depends(_in_time)]
)
for _page in (graphs, flow):
    router.include_router(_page.router)

_MANY = 25


@router.get("/")
def live_page(request: Request, as_of: str = "", namespace: str = "") -> Response:
    """What is live, now or at a moment of the past."""
    reader, now = _reader(request), _now()
    moment = params.moment(as_of)
    past = reader if moment is None else AsOf(reader, moment)
    slots = live(past, namespace or None)
    uris = reader.slots(None, 5000)
    return render(
        "live.html",
        request,
        moment or now,
        section="Live",
        board=board(past, slots, moment or now),
        as_of=moment,
        as_of_text=as_of,
        namespace=namespace,
        namespaces=sorted({uri.split("/")[3] for uri in uris if uri.count("/") > 3}),
        base=str(request.base_url).rstrip("/"),
    )


@router.get("/artifacts/{id}")
def artifact_page(request: Request, id: str) -> Response:
    """One version of a thing."""
    reader = _reader(request)
    state = reader.artifact(id)
    if state is None:
        raise NotFound(f"No artifact has the id {words.middle(id, 80)!r}; search for its name.")
    page = contexts.artifact_page(reader, state, live(reader, None))
    return render("artifact.html", request, _now(), section="Lineage", page=page)


@router.get("/actions/{key:path}")
def action_page(request: Request, key: str) -> Response:
    """One act of a controller, by key or id."""
    reader = _reader(request)
    state = reader.action(action_id(key)) or reader.action(key)
    if state is None:
        raise NotFound(f"No action has the key {words.middle(key, 120)!r}; search for its name.")
    page = contexts.action_page(reader, state)
    return render("action.html", request, _now(), section="Activity", page=page)


@router.get("/search")
def search_page(
    request: Request, q: str = "", artifacts_after: str = "", actions_after: str = ""
) -> Response:
    """Artifacts and actions whose name, URI or key holds the text."""
    reader, text = _reader(request), q.strip()
    found: dict[str, Any] = {"artifacts": None, "actions": None}
    if text:
        things = reader.artifacts(ArtifactFilter(q=text), artifacts_after or None, _MANY)
        acts = reader.actions(ActionFilter(q=text), actions_after or None, _MANY)
        found["artifacts"] = [artifact_node(a) for a in things.items]
        found["actions"] = [action_node(a) for a in acts.items]
        found["more_artifacts"], found["more_actions"] = things.cursor, acts.cursor
        found["times"] = contexts.latest_times(reader, found["artifacts"])
    return render("search.html", request, _now(), section="Search", q=text, **found)


@router.get("/activity")
def activity_page(
    request: Request,
    state: str = "",
    type: str = "",
    controller: str = "",
    q: str = "",
    after: str = Query("", description="cursor"),
) -> Response:
    """The latest actions, filtered."""
    reader = _reader(request)
    wanted = ActionFilter(type or None, state or None, controller or None, None, q or None)
    page = reader.actions(wanted, after or None, 2 * _MANY)
    chosen = {"state": state, "type": type, "controller": controller, "q": q}
    return render(
        "activity.html",
        request,
        _now(),
        section="Activity",
        actions=[action_node(a) for a in page.items],
        chosen=chosen,
        controllers=reader.controllers(None, 200).items,
        first=links.page("/activity", **chosen) if after else None,
        more=links.page("/activity", **chosen, after=page.cursor) if page.cursor else None,
    )


def error_page(request: Request, status: int, title: str, detail: str) -> Response:
    """What a browser sees of an error: what happened and what to do."""
    return render(
        "error.html", request, _now(), section="", status=status, title=title, detail=detail
    )


def _reader(request: Request) -> Reader:
    reader: Reader = request.app.state.reader
    return reader


def _now() -> int:
    return time.time_ns() // 1000
