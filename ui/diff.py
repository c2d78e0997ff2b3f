"""The Diff page: what differs between two artifacts, actions or slots, and behind them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from lineage.errors import BadRequest, LineageError, NotFound
from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.queries.comparing.diff import Diff, diff
from lineage.queries.comparing.heads import Head
from lineage.store.ports import ArtifactFilter, Reader
from ui import links, names
from ui.asked import Asked, asked
from ui.differing import alike, blocks, side

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

NODES = 2000
OTHERS = 12
"""Other versions that are offered."""


@router.get("/diff")
def diff_page(request: Request, a: str = "", b: str = "", as_of: str = "") -> Response:
    """From `a` to `b`; with `a` alone, to it from what came before."""
    at = asked(request, as_of)
    a, b = a.strip(), b.strip()
    if not a and not b:
        return _form(at, a, b)
    try:
        found = None if a == b else diff(at.reader, a or b, (a and b) or None, NODES)
    except (NotFound, BadRequest) as error:
        return _form(at, a, b, error)
    if found is None:
        return _form(at, a, b, BadRequest(f"{a!r} is compared with itself; name another one"))
    one, two = side(found.a), side(found.b)
    return at.page(
        "diff.html",
        "Lineage",
        a=a,
        b=b,
        trouble="",
        found=found,
        sides=(one, two),
        makers=[_maker(head) for head in (found.a, found.b)],
        blocks=blocks(found.sections),
        alike=alike(found.sections, found.same),
        swap=links.page("/diff", a=two.ref, b=one.ref),
        others=_others(at.reader, found),
    )


def _form(at: Asked, a: str, b: str, error: LineageError | None = None) -> Response:
    return at.page(
        "diff.html",
        "Lineage",
        status=error.status if error else 200,
        a=a,
        b=b,
        found=None,
        trouble=error.detail if error else "",
    )


def _maker(head: Head) -> ActionNode | None:
    """Who wrote it first."""
    found = [] if head.kind == "action" else head.reader.touching([head.id], "out").get(head.id, [])
    first = min(found, key=lambda a: (a.started, a.key), default=None)
    return None if first is None else action_node(first)


def _others(reader: Reader, found: Diff) -> list[tuple[str, str]]:
    """Other versions of what is compared: a name, and the page that compares it."""
    node = found.b.node
    if not isinstance(node, ArtifactNode) or found.b.period is not None:
        return []
    family = reader.artifacts(ArtifactFilter(uri=node.uri), None, OTHERS + 2).items
    compared = {found.a.id, found.b.id}
    nodes = [artifact_node(one) for one in family if one.id not in compared]
    return [(names.short(n), links.page("/diff", a=n.id, b=node.id)) for n in nodes[:OTHERS]]
