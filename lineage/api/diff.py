"""The question what differs: `/diff`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from lineage.api.examples import answered
from lineage.api.requests import Moment, ReaderAt, SettingsOf, answer, moment
from lineage.errors import BadRequest
from lineage.queries.comparing.diff import diff
from lineage.times import iso

router = APIRouter(tags=["ask"])

MAX_REF = 5000


@router.get("/diff", response_class=Response, responses=answered("Diff", 400, 404))
def get_diff(
    reader: ReaderAt,
    settings: SettingsOf,
    a: Annotated[
        str,
        Query(min_length=1, max_length=MAX_REF,
              description="an artifact, an action or a slot, as in /lineage; with @time, then",
              examples=["k8s://prod/shop/Deployment/worker@2020-07-10"]),
    ],
    b: Annotated[
        str | None,
        Query(max_length=MAX_REF,
              description="compared with; left out, a is compared with what came before it"),
    ] = None,
    as_of: Moment = None,
    max_nodes: Annotated[int, Query(ge=1, description="behind each of the two")] = 2000,
) -> Response:  # fmt: skip
    """What differs between two artifacts, actions or slots, and in everything behind them."""
    if max_nodes > settings.max_nodes:
        raise BadRequest(f"max_nodes: at most {settings.max_nodes:,} here")
    at = moment("as_of", as_of)
    found = diff(reader, a, b or None, max_nodes).json()
    return answer({"as_of": None if at is None else iso(at), **found})
