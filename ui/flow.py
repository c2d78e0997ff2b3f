"""The Flow page: controllers, who feeds whom, and what was not taken up."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from lineage.errors import RenderError
from lineage.queries.flowing.flow import flow
from lineage.store.ports import Reader
from ui import flow_svg, links, params, svg
from ui.asked import asked
from ui.flow_svg import picture
from ui.flowing import STRIP, Flowing, flowing, passed

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

ROWS = 12
WINDOW = 100
MOST_ROWS = 1000
WINDOWS = (20, 50, 100, 300, 1000)


@router.get("/flow")
def flow_page(
    request: Request,
    namespace: str = "",
    window: str = "",
    rows: str = "",
    edge: str = "",
    as_of: str = "",
) -> Response:
    """The pipeline that nobody declared; `edge` lists what passed over one link."""
    at = asked(request, as_of)
    each = params.number(window, "window", 1, 1000) or WINDOW
    most = params.number(rows, "rows", 1, MOST_ROWS) or ROWS
    found = flowing(flow(at.reader, each, namespace or None), at.now)
    ask = {"namespace": namespace, "window": each if each != WINDOW else None}
    chosen = next((wire for wire in found.wires if wire.key == edge), None)
    drawing, trouble = _drawn(found, at.now, edge, ask)
    return at.page(
        "flow.html",
        "Flow",
        flow=found,
        picture=drawing,
        trouble=trouble,
        more_wires=max(0, len(found.wires) - flow_svg.MOST),
        chosen=chosen,
        passed=passed(chosen, most) if chosen else [],
        gone=bool(edge) and chosen is None,
        namespace=namespace,
        namespaces=_namespaces(at.reader),
        window=each,
        windows=sorted({*WINDOWS, each}),
        rows=most,
        strip=STRIP,
        mark=flow_svg.mark,
        here=lambda **more: links.page("/flow", **{**ask, "rows": rows, "edge": edge, **more}),
    )


def _drawn(
    found: Flowing, now: int, edge: str, ask: Mapping[str, object]
) -> tuple[svg.Picture | None, str]:
    if not found.wires:
        return None, ""
    try:
        return picture(found, now, edge, ask), ""
    except RenderError as error:
        return None, error.detail


def _namespaces(reader: Reader) -> list[str]:
    return sorted({one.namespace for one in reader.controllers(None, 500).items if one.namespace})
