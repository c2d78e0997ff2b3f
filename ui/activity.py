"""The Activity page: what the controllers did, the latest first, and when how much of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.merge import ActionState, ArtifactState
from lineage.store.ports import ActionFilter, Reader
from ui import kinds, links, params, words
from ui.asked import Asked, asked
from ui.histogram import bars, histogram

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

ROWS = 50
COUNTED = 1000
"""Actions that the bars count; the page says when there are more."""
_SHOWN = 3
_SOURCES = ("code", "image", "notebook", "config")
SINCE = (
    ("hour", words.HOUR),
    ("day", words.DAY),
    ("week", 7 * words.DAY),
    ("month", 30 * words.DAY),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One action, and what it wrote: the things made, not the copies of its sources."""

    node: ActionNode
    wrote: tuple[ArtifactNode, ...]
    more: int


@router.get("/activity")
def activity_page(
    request: Request,
    state: str = "",
    type: str = "",
    controller: str = "",
    namespace: str = "",
    q: str = "",
    since: str = "",
    until: str = "",
    after: str = Query("", description="cursor"),
    as_of: str = "",
) -> Response:
    """The latest actions, filtered; each bar narrows to its time."""
    at = asked(request, as_of)
    chosen = {
        "state": state, "type": type, "controller": controller, "namespace": namespace, "q": q,
        "since": since, "until": until,
    }  # fmt: skip
    begin, end = params.moment(since, "since"), params.moment(until, "until")
    wanted = ActionFilter(
        type or None, state or None, controller or None, namespace or None, q or None, begin, end
    )
    page = at.reader.actions(wanted, after or None, ROWS)
    picture, counted, more_counted = _picture(at, wanted, chosen)
    return at.page(
        "activity.html",
        "Activity",
        lines=_lines(at.reader, page.items),
        chosen=chosen,
        active={name: value for name, value in chosen.items() if value},
        controllers=sorted({c.name for c in at.reader.controllers(None, 200).items}),
        picture=picture,
        counted=counted,
        more_counted=more_counted,
        recent=[
            (word, links.page("/activity", **chosen | {"since": _iso(at.now - size), "until": ""}))
            for word, size in SINCE
        ],
        first=links.page("/activity", **chosen) if after else None,
        more=links.page("/activity", **chosen, after=page.cursor) if page.cursor else None,
        without=lambda name: links.page("/activity", **chosen | {name: ""}),
    )


def _picture(
    at: Asked, wanted: ActionFilter, chosen: Mapping[str, str]
) -> tuple[Markup | None, int, bool]:
    """The bars, how many actions they count, and whether there are more."""
    found = at.reader.actions(wanted, None, COUNTED)
    drawn = bars([action_node(one) for one in found.items], wanted.since, wanted.until)
    if len(found.items) < 2 or not drawn:
        return None, len(found.items), False

    def narrowed(since: int, until: int) -> str:
        return links.page("/activity", **{**chosen, "since": _iso(since), "until": _iso(until)})

    return histogram(drawn, narrowed), len(found.items), found.cursor is not None


def _lines(reader: Reader, states: Sequence[ActionState]) -> list[Line]:
    ids = {edge.artifact for state in states for edge in state.edges if edge.side == "out"}
    known = reader.artifacts_by_id(sorted(ids)) if ids else {}
    return [_line(state, [known[i] for i in _outputs(state) if i in known]) for state in states]


def _line(state: ActionState, outputs: Sequence[ArtifactState]) -> Line:
    nodes = [artifact_node(one) for one in outputs]
    nodes.sort(
        key=lambda n: (kinds.kind(n.type).slug in _SOURCES, n.type != "Model", n.type, n.uri)
    )
    return Line(action_node(state), tuple(nodes[:_SHOWN]), max(0, len(nodes) - _SHOWN))


def _outputs(state: ActionState) -> list[str]:
    return sorted({edge.artifact for edge in state.edges if edge.side == "out"})


def _iso(micros: int) -> str:
    return words.stamp(micros)
