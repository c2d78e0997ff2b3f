"""The page of one artifact: where it is live, what measured it, its versions, who wrote and read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from lineage.api.now import live_at
from lineage.errors import NotFound
from lineage.graph import ArtifactNode
from lineage.queries.asof import raise_later
from lineage.queries.impact import Impact, Served, impact
from ui import contexts, kinds, links, names, words
from ui.asked import asked
from ui.chart import Point, charts
from ui.versions import Numbers, Version, family, numbers, versions

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

SLOTS, PERIODS = 20, 10
"""Slots, and the latest periods of each, that are listed."""
REACHED = 500
"""Things that are counted as reached; the page of the impact counts further."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of it, in a line."""

    models: int
    others: int
    slots: tuple[Served, ...]
    more: bool


@router.get("/artifacts/{id}")
def artifact_page(request: Request, id: str, label: str = "", as_of: str = "") -> Response:
    """One version of a thing; `label` chooses the numbers of the chart."""
    at = asked(request, as_of)
    state = at.reader.artifact(id)
    if state is None:
        raise_later(at.reader, words.middle(id, 80), lambda _: [id])
        raise NotFound(f"No artifact has the id {words.middle(id, 80)!r}; search for its name.")
    kin = family(at.reader, state)
    found = versions(at.reader, kin.items)
    known = numbers(found, label)
    reached = _reached(impact(at.reader, id, REACHED))
    slots = live_at(request, at.as_of).items
    return at.page(
        "artifact.html",
        "Lineage",
        page=contexts.artifact_page(at.reader, state, slots, kin),
        versions=found,
        family=kin,
        numbers=known,
        charts=_charts(found, known, id) if known else [],
        reached=reached,
        hidden_periods=sum(len(one.periods) for one in reached.slots) - _shown(reached.slots),
        # Of others it is what was made of them that is live.
        direct=kinds.kind(state.type).slug in ("model", "slot", "image"),
        live_ids=contexts.live_ids(slots),
    )


def _charts(found: list[Version], known: Numbers, id_: str) -> list[Markup]:
    points = [
        Point(
            names.short(v.node), links.artifact(v.node.id), v.values(known.label), v.node.id == id_
        )
        for v in reversed(found)
        if v.cells
    ]
    return charts(points, known.measures)


def _reached(found: Impact) -> Reached:
    nodes = [found.graph.nodes[id_] for id_, step in found.reached.items() if step.distance]
    things = [n for n in nodes if isinstance(n, ArtifactNode) and not n.uri.startswith("k8s://")]
    models = sum(kinds.kind(node.type).slug == "model" for node in things)
    return Reached(models, len(things) - models, found.slots, found.graph.truncated)


def _shown(slots: Sequence[Served]) -> int:
    return sum(min(len(one.periods), PERIODS) for one in slots[:SLOTS])
