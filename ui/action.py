"""The page of one action: why it acted, what became of it, what it read and wrote, its parts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from lineage.errors import NotFound
from lineage.graph import action_node
from lineage.identity import action_id
from lineage.queries.asof import raise_later
from lineage.store.ports import ActionFilter
from ui import contexts, words
from ui.asked import asked

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/actions/{key:any}")
def action_page(request: Request, key: str, as_of: str = "") -> Response:
    """One act of a controller, by key or id."""
    at = asked(request, as_of)
    state = at.reader.action(action_id(key)) or at.reader.action(key)
    if state is None:
        raise_later(at.reader, words.middle(key, 120), lambda _: [action_id(key), key])
        raise NotFound(f"No action has the key {words.middle(key, 120)!r}; search for its name.")
    parts = at.reader.actions(ActionFilter(parent=state.key), None, contexts.LISTED)
    attempts = state.get("params.attempts")
    return at.page(
        "action.html",
        "Activity",
        page=contexts.action_page(at.reader, state),
        parts=[action_node(one) for one in reversed(parts.items)],
        more_parts=parts.cursor is not None,
        attempts=attempts if isinstance(attempts, int) and attempts > 1 else 0,
    )
