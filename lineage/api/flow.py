"""The question which pipeline emerges: `/flow`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from lineage.api.examples import answered
from lineage.api.requests import Moment, ReaderAt, Text, answer, moment
from lineage.queries.flowing.flow import flow
from lineage.times import iso

router = APIRouter(tags=["ask"])

MAX_WINDOW = 1000


@router.get("/flow", response_class=Response, responses=answered("Flow", 400))
def get_flow(
    reader: ReaderAt,
    as_of: Moment = None,
    namespace: Text = None,
    window: Annotated[
        int, Query(ge=1, le=MAX_WINDOW, description="latest actions of each controller")
    ] = 100,
    limit: Annotated[int, Query(ge=1, le=MAX_WINDOW, description="passes of each link")] = 20,
) -> Response:
    """Which controller feeds which, and what was not taken up: a[i] → b[i] → c[i]."""
    at = moment("as_of", as_of)
    found = flow(reader, window, namespace).json(limit)
    return answer({"as_of": None if at is None else iso(at), "window": window, **found})
