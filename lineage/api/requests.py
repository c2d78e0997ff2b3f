"""What routes share: bounded bodies, times, JSON answers, the ports of the running server.

Who asks gets the ports from here, and from nowhere else: they show what that one may see.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request, Response
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import ClientDisconnect

from lineage.access.scopes import EVERYONE, Access
from lineage.config import Settings
from lineage.errors import BadRequest, TooLarge
from lineage.queries.asof import AsOf
from lineage.queries.within import Findable, Within
from lineage.store.ports import Reader, Searcher
from lineage.times import asked, microseconds

MAX_LIMIT = 500


class _Any(PathConvertor):
    """The rest of an address, line breaks too: a key may hold them."""

    regex = "(?s:.*)"


register_url_convertor("any", _Any())


ACCESS = "lineage.access"
"""Where `lineage.api.guard` leaves in a request's scope who asks; without a guard it is anyone."""


def get_access(request: Request) -> Access:
    access: Access = request.scope.get(ACCESS, EVERYONE)
    return access


def get_reader(request: Request) -> Reader:
    """Of everything, or of what the namespaces of a token did."""
    reader: Reader = request.app.state.reader
    namespaces = get_access(request).namespaces
    return reader if namespaces is None else Within(reader, namespaces)


def get_searcher(request: Request) -> Searcher:
    searcher: Searcher = request.app.state.searcher
    reader = get_reader(request)
    return Findable(searcher, reader) if isinstance(reader, Within) else searcher


def get_settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


SettingsOf = Annotated[Settings, Depends(get_settings)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="items on a page")]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="the `cursor` of the page before")
]
Text = Annotated[str | None, Query(max_length=512)]
Moment = Annotated[
    str | None,
    Query(max_length=64, description="ISO 8601; a date alone is its beginning, 00:00 UTC",
          examples=["2020-08-01", "2020-07-23T17:45:27Z"]),
]  # fmt: skip


def get_reader_at(request: Request, as_of: Moment = None) -> Reader:
    """The reader of what had happened by `as_of`; without one, of all there is."""
    at = moment("as_of", as_of)
    reader = get_reader(request)
    return reader if at is None else AsOf(reader, at)


def get_asked_at(as_of: Moment = None) -> int:
    """The moment a question is about, in µs: `as_of`, else now."""
    at = moment("as_of", as_of)
    return microseconds(datetime.now(UTC)) if at is None else at


ReaderOf = Annotated[Reader, Depends(get_reader)]
ReaderAt = Annotated[Reader, Depends(get_reader_at)]
AskedAt = Annotated[int, Depends(get_asked_at)]


async def bounded_body(request: Request, most: int) -> bytes:
    """The whole body, read no further than the bound."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise _too_large(most)
            parts.append(part)
    except ClientDisconnect as error:
        raise BadRequest("the body ended before its end; nothing was recorded") from error
    return b"".join(parts)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body is over {most:,} bytes; send less at once, or references to data")


def moment(name: str, text: str | None) -> int | None:
    """A time of a query, in µs."""
    return asked(name, text) if text and text.strip() else None


def answer(body: Any, status: int = 200) -> Response:
    return Response(written(body), status, media_type="application/json")


def written(body: Any) -> bytes:
    return orjson.dumps(body)
