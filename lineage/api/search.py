"""`/search`: what has a name like this; `/stats`: how much there is; the index behind both."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from lineage.api.examples import answered
from lineage.api.requests import (
    MAX_LIMIT,
    Moment,
    ReaderAt,
    ReaderOf,
    Text,
    answer,
    get_searcher,
    moment,
)
from lineage.queries import search as queries
from lineage.queries.stats import stats
from lineage.store.ports import Kind, Searcher

router = APIRouter(tags=["ask"])

MAX_QUERY = 5000


SearcherOf = Annotated[Searcher, Depends(get_searcher)]


@router.get("/search", response_class=Response, responses=answered("Found", 400))
def get_search(
    reader: ReaderAt,
    searcher: SearcherOf,
    q: Annotated[
        str,
        Query(min_length=1, max_length=MAX_QUERY,
              description="words, a phrase in quotes, name=value, type:… state:… kind:…",
              examples=["faeb657", "label bot type:Model", "max_age_days=30"]),
    ],
    kind: Kind | None = None,
    type: Text = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="the best so many")] = 20,
    as_of: Moment = None,
) -> Response:  # fmt: skip
    """What has a name, URI, commit, digest, parameter or property like this, best first."""
    at = moment("as_of", as_of)
    return answer(queries.search(reader, searcher, q, kind, type, limit, at).json())


@router.get("/stats", response_class=Response, responses=answered("Stats"))
def get_stats(reader: ReaderOf, searcher: SearcherOf) -> Response:
    """How much the store holds, over which time, and how far the search index is."""
    return answer(stats(reader, searcher))


@router.post(
    "/reindex", status_code=202, response_class=Response,
    responses=answered("Reindexing", 403, status=202),
)  # fmt: skip
def post_reindex(searcher: SearcherOf) -> Response:
    """Forget the search index and build it again, in the background; `/stats` shows how far."""
    searcher.rebuild()
    body: dict[str, Any] = {"behind": searcher.state().behind}
    return answer(body, 202)
