"""The graph page: what its address asks for, as a picture, in columns and in words.

The address holds the whole view, so a link, the back button and a page without script all
show the same.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from lineage.api.formats import GRAPHS
from lineage.api.now import live_at
from lineage.api.requests import get_reader
from lineage.errors import BadRequest, NotFound, RenderError
from lineage.graph import ActionNode, ArtifactNode, Direction, Graph, Node, artifact_node
from lineage.queries.asof import AsOf
from lineage.queries.selection import asked
from lineage.store.ports import ArtifactFilter, Reader
from ui import contexts, links, moments, params, svg, words
from ui.columns import columns
from ui.completing import completions
from ui.fold import MOST, Folded, fold
from ui.templating import render
from ui.versions import family

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

MOST_NODES = 6000
"""Nodes a view is chosen from; beyond, the page says that there are more."""
ROWS = 500
_VIEWS = ("graph", "columns", "table")
_RECENT = 12
_OPENED = 100


@dataclass(frozen=True, slots=True)
class View:
    """What the address says, checked."""

    of: str
    select: str
    direction: Direction
    depth: int | None
    view: str
    open: tuple[str, ...]
    fold: tuple[str, ...]
    hide: tuple[str, ...]
    as_of: int | None

    def link(self, **changed: object) -> str:
        """The address of this view with something changed; what is usual is left out."""
        usual: dict[str, object] = {"direction": "both", "view": "graph"}
        asked: dict[str, object] = {
            "of": self.of, "select": self.select, "direction": self.direction,
            "depth": self.depth, "view": self.view, "open": ",".join(self.open),
            "fold": ",".join(self.fold), "hide": ",".join(self.hide),
        }  # fmt: skip
        asked |= changed
        return links.page("/lineage", **{k: v for k, v in asked.items() if usual.get(k) != v})

    def opening(self, stack: str) -> str:
        return self.link(open=",".join((*self.open, stack)))

    def toggled(self, name: str, value: str) -> str:
        """The same view with a filter set, or taken away."""
        now: tuple[str, ...] = getattr(self, name)
        kept = tuple(v for v in now if v != value)
        return self.link(**{name: ",".join(kept if value in now else (*now, value))})


@dataclass(frozen=True, slots=True)
class Facet:
    """A filter: how many nodes it would hide, and whether it does."""

    term: str
    word: str
    count: int
    hidden: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What the template lays out."""

    whole: Graph
    folded: Folded
    facets: Mapping[str, tuple[Facet, ...]] = field(default_factory=dict)


@router.get("/lineage")
def lineage_page(
    request: Request,
    of: str = "",
    select: str = "",
    direction: str = "both",
    depth: str = "",
    view: str = "graph",
    open: str = "",
    fold: str = "",
    hide: str = "",
    as_of: str = "",
) -> Response:
    """The graph around one thing, or of what a selection selects."""
    shows = View(
        of.strip(), select.strip(), params.direction(direction),
        params.number(depth, "depth", 0, 1000), params.choice(view, "view", _VIEWS),
        _listed(open), _listed(fold), _listed(hide), params.moment(as_of),
    )  # fmt: skip
    now = _now()
    reader = get_reader(request)
    if not shows.of and not shows.select:
        return _start(request, reader, now)
    past = reader if shows.as_of is None else AsOf(reader, shows.as_of)
    mistake = None
    try:
        graph = _graph(past, shows)
    except (BadRequest, NotFound) as error:
        if not (shows.of and shows.select):
            raise
        mistake, graph = error, _graph(past, replace(shows, select=""))
    live_ids = contexts.live_ids(live_at(request, shows.as_of).items)
    shown = _shown(graph, shows, live_ids)
    picture, trouble = _picture(shown, shows, live_ids, shows.as_of or now)
    focus = [graph.nodes[id_] for id_ in graph.of if id_ in graph.nodes]
    rows = contexts.edge_rows(graph if shows.view == "table" else shown.folded.graph)
    return render(
        "lineage.html",
        request,
        shows.as_of or now,
        mistake.status if mistake else 200,
        section="Lineage",
        asked=shows,
        mistake=mistake.detail if mistake else "",
        focus=focus,
        shown=shown,
        picture=picture,
        trouble=trouble,
        columns=columns(graph, focus) if shows.view == "columns" else None,
        completions=completions(graph.nodes.values(), shown.folded.graph.nodes.values()),
        formats=GRAPHS.values(),
        rows=rows[:ROWS],
        more_rows=max(0, len(rows) - ROWS),
        clock=_clock(reader, shows, graph),
        as_of=shows.as_of,
        as_of_text=as_of,
    )


def _graph(reader: Reader, view: View) -> Graph:
    graph = asked(reader, view.of, view.select, view.direction, view.depth, MOST_NODES)
    if view.select or view.depth == 0:
        return graph
    return contexts.with_metrics(reader, graph)


def _shown(graph: Graph, shows: View, live_now: frozenset[str]) -> Shown:
    hidden = {
        id_
        for id_, node in graph.nodes.items()
        if id_ not in graph.of and any(term in shows.hide for _, term, _ in _terms(node))
    }
    kept = {id_: node for id_, node in graph.nodes.items() if id_ not in hidden}
    edges = [e for e in graph.edges if e.source in kept and e.target in kept]
    visible = Graph(graph.of, graph.direction, graph.depth, kept, edges, graph.truncated)
    folded = fold(visible, live_now, Counter(shows.open), shows.fold, MOST)
    return Shown(graph, folded, _facets(graph, shows.hide))


def _facets(graph: Graph, hide: tuple[str, ...]) -> dict[str, tuple[Facet, ...]]:
    """What can be hidden, by kind of filter, the most frequent first."""
    counts = Counter(term for node in graph.nodes.values() for term in _terms(node))
    out: dict[str, list[Facet]] = {}
    for (name, term, word), count in counts.most_common(60):
        out.setdefault(name, []).append(Facet(term, word, count, term in hide))
    return {name: tuple(found) for name, found in sorted(out.items())}


def _terms(node: Node) -> list[tuple[str, str, str]]:
    """(which filter, its term in the address, the word for it). Commas part terms."""
    if isinstance(node, ArtifactNode):
        return [("Types", f"type:{node.type.replace(',', ' ')}", node.type)]
    who = node.controller.replace(",", " ")
    return [
        ("Controllers", f"controller:{who}", node.controller),
        ("States", f"state:{node.state.replace(',', ' ')}", node.state),
    ]


def _picture(
    shown: Shown, shows: View, live_now: frozenset[str], now: int
) -> tuple[svg.Picture | None, str]:
    """The drawing, or why there is none: the table says the same, so the page still serves."""
    if shows.view != "graph":
        return None, ""
    try:
        return svg.inline(shown.folded, live_now, now, shows.opening), ""
    except RenderError as error:
        return None, error.detail


def _clock(reader: Reader, shows: View, graph: Graph) -> moments.Clock | None:
    """The slider spans all that happened around this, also what is to come after `as_of`."""
    whole = graph
    if shows.as_of is not None:
        try:
            whole = _graph(reader, shows)
        except (NotFound, BadRequest):
            whole = graph
    acts = [node for node in whole.nodes.values() if isinstance(node, ActionNode)]
    return moments.clock(acts, shows.as_of)


def _start(request: Request, reader: Reader, now: int) -> Response:
    recent = [artifact_node(a) for a in reader.artifacts(ArtifactFilter(), None, _RECENT).items]
    times = contexts.latest_times(reader, recent)
    return render("start.html", request, now, section="Lineage", recent=recent, times=times)


@router.get("/panel/artifacts/{id}")
def artifact_panel(request: Request, id: str, as_of: str = "") -> Response:
    """One artifact in short, for the side of a page."""
    reader, moment = _at(request, as_of)
    state = reader.artifact(id)
    if state is None:
        raise NotFound(f"No artifact has the id {words.middle(id, 80)!r}.")
    slots = live_at(request, moment).items
    page = contexts.artifact_page(reader, state, slots, family(reader, state))
    return render("panel_artifact.html", request, moment or _now(), page=page)


@router.get("/panel/actions/{id}")
def action_panel(request: Request, id: str, as_of: str = "") -> Response:
    """One action in short."""
    reader, moment = _at(request, as_of)
    state = reader.action(id)
    if state is None:
        raise NotFound(f"No action has the id {words.middle(id, 80)!r}.")
    page = contexts.action_page(reader, state)
    return render("panel_action.html", request, moment or _now(), page=page)


def _at(request: Request, as_of: str) -> tuple[Reader, int | None]:
    reader = get_reader(request)
    moment = params.moment(as_of)
    return (reader if moment is None else AsOf(reader, moment)), moment


def _listed(text: str) -> tuple[str, ...]:
    found = tuple(part for part in text.split(",") if part)
    if len(found) > _OPENED:
        raise BadRequest(f"at most {_OPENED} of a kind in one address; fold something again")
    return found


def _now() -> int:
    return time.time_ns() // 1000
