"""`/stale`: live slots with something newer behind them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from lineage.api.examples import answered
from lineage.api.now import live_at
from lineage.api.requests import AskedAt, Cursor, Moment, ReaderAt, answer, moment
from lineage.queries.serving.live import LIMIT
from lineage.queries.staleness.reasons import Limits
from lineage.queries.staleness.stale import judged
from lineage.times import iso

router = APIRouter(tags=["ask"])


@router.get("/stale", response_class=Response, responses=answered("Stale", 400))
def get_stale(
    request: Request,
    reader: ReaderAt,
    now: AskedAt,
    as_of: Moment = None,
    namespace: Annotated[str | None, Query(max_length=256)] = None,
    max_age: Annotated[
        str | None,
        Query(
            max_length=2000,
            description="how old a model may be; of one training controller CONTROLLER=7d",
            examples=["24h", "24h,modelsync/labelbot-train=7d"],
        ),
    ] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT, description="slots")] = LIMIT,
) -> Response:
    """Which live slots have a newer model, newer data or newer code behind them, and how far."""
    limits = Limits.parse(max_age)
    live = live_at(request, moment("as_of", as_of), namespace, cursor, limit)
    slots, truncated = judged(reader, live, now, limits)
    return answer(
        {
            "as_of": iso(now),
            "truncated": truncated or slots.cursor is not None,
            "slots": [slot.json() for slot in slots.items],
            "cursor": slots.cursor,
        }
    )
