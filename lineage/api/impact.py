"""The question what a thing reaches: `/impact`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from lineage.api.examples import answered
from lineage.api.requests import Moment, ReaderAt, SettingsOf, answer, moment
from lineage.errors import BadRequest
from lineage.queries.impact import impact
from lineage.times import iso

router = APIRouter(tags=["ask"])


@router.get("/impact", response_class=Response, responses=answered("Impact", 400, 404))
def get_impact(
    reader: ReaderAt,
    settings: SettingsOf,
    of: Annotated[
        str,
        Query(min_length=1, max_length=5000,
              description="an artifact (without a version: all of them), a commit or an action"),
    ],
    as_of: Moment = None,
    max_nodes: Annotated[int, Query(ge=1)] = 2000,
) -> Response:  # fmt: skip
    """What came of a thing: the slots that served it and when, models, everything else."""
    if max_nodes > settings.max_nodes:
        raise BadRequest(f"max_nodes: at most {settings.max_nodes:,} here")
    at = moment("as_of", as_of)
    found = impact(reader, of, max_nodes).json()
    return answer({"as_of": None if at is None else iso(at), **found})
