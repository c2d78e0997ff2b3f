"""The Impact page: what a thing reaches, the slots that served it first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from lineage.errors import BadRequest, LineageError, NotFound
from lineage.graph import ActionNode, ArtifactNode, Node
from lineage.queries.impact import Impact, Served, impact
from ui import kinds, names, words
from ui.asked import Asked, asked

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

NODES = 2000
LISTED = 30
"""Of one type so many are listed, the nearest; all are counted."""
PERIODS = 12


@dataclass(frozen=True, slots=True)
class Hop:
    """A node on a path, and whether only a claim leads to it."""

    node: Node
    claimed: bool
    how: str


@dataclass(frozen=True, slots=True)
class Slot:
    served: Served
    name: str
    where: str
    shape: str
    says: str
    path: tuple[Hop, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Everything reached that is of one type; `claimed` are ids of what is only claimed."""

    type: str
    action: bool
    count: int
    nodes: tuple[Node, ...]


@router.get("/impact")
def impact_page(request: Request, of: str = "", as_of: str = "") -> Response:
    """What came of a thing: slots with periods and path, models, everything else."""
    at = asked(request, as_of)
    of = of.strip()
    if not of:
        return _form(at, of)
    try:
        found = impact(at.reader, of, NODES)
    except (NotFound, BadRequest) as error:
        return _form(at, of, error)
    start = found.graph.nodes[found.graph.of[0]]
    written = _written(found)
    groups = _groups(found, written)
    slots = tuple(_slot(served, found, at.now) for served in found.slots)
    return at.page(
        "impact.html",
        "Lineage",
        of=of,
        trouble="",
        found=found,
        start=start,
        called=_called(start),
        slots=slots,
        serving=sum(slot.served.serving for slot in slots),
        models=next((g for g in groups if kinds.kind(g.type).slug == "model"), None),
        groups=[g for g in groups if kinds.kind(g.type).slug != "model" or g.action],
        periods=PERIODS,
        solid=found.solid,
        written=written,
    )


def _form(at: Asked, of: str, error: LineageError | None = None) -> Response:
    return at.page(
        "impact.html",
        "Lineage",
        status=error.status if error else 200,
        of=of,
        found=None,
        trouble=error.detail if error else "",
    )


def _called(node: Node) -> str:
    return names.act(node) if isinstance(node, ActionNode) else names.title(node)


def _slot(served: Served, found: Impact, now: int) -> Slot:
    _, *where, name = ["", *served.uri.partition("://")[2].split("/")]
    hops = tuple(
        Hop(
            found.graph.nodes[step.node],
            step.edge is not None and step.edge.claimed_only,
            "" if step.edge is None or step.edge.kind == "recorded" else step.edge.kind,
        )
        for step in served.path
    )
    shape = "warn" if served.claimed else "ok" if served.serving else "off"
    said = " · ".join(words.clean(part) for part in where[1:] if part)
    return Slot(served, words.clean(name), said, shape, _says(served, now), hops)


def _says(served: Served, now: int) -> str:
    if not served.periods:
        return "only claimed: nothing shows that it was ever live"
    total = sum((now if p.until is None else p.until) - p.since for p, _ in served.periods)
    times = words.count(len(served.periods), "period")
    claimed = ", known only from claims" if served.claimed else ""
    if served.serving:
        return f"serves it now, {words.span(total)} in {times}{claimed}"
    return f"served it for {words.span(total)} in {times}{claimed}"


def _groups(found: Impact, written: Mapping[str, int]) -> list[Group]:
    """Of equally near things the newest first."""
    types: dict[tuple[bool, str], list[Node]] = defaultdict(list)
    for id_, step in found.reached.items():
        node = found.graph.nodes[id_]
        slot = isinstance(node, ArtifactNode) and node.uri.startswith("k8s://")
        if step.distance and not slot:
            types[isinstance(node, ActionNode), node.type].append(node)

    def order(node: Node) -> tuple[int, int, str]:
        when = node.started if isinstance(node, ActionNode) else written.get(node.id, 0)
        return found.reached[node.id].distance, -when, node.id

    return [_group(*which, sorted(types[which], key=order)) for which in sorted(types)]


def _written(found: Impact) -> dict[str, int]:
    """When each thing was written first by what is shown."""
    out: dict[str, int] = {}
    for edge in found.graph.edges:
        act = found.graph.nodes[edge.source]
        if isinstance(act, ActionNode):
            out[edge.target] = min(out.get(edge.target, act.started), act.started)
    return out


def _group(action: bool, type_: str, nodes: Sequence[Node]) -> Group:
    return Group(type_, action, len(nodes), tuple(nodes[:LISTED]))
