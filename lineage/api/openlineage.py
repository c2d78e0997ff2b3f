"""OpenLineage events in: `POST /lineage` and `/lineage/batch`, and the raw ones out again.

What is acknowledged is durable twice: the raw event, for replay, and the graph. Either may
be repeated, so a client that heard nothing sends again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import orjson
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from lineage.api import examples
from lineage.api.encoded import decoded_body
from lineage.api.recording import recorded, refusals
from lineage.api.requests import answer, get_access
from lineage.errors import BadRequest, Forbidden, InvalidRecord, LineageError, TooLarge
from lineage.formats.openlineage import reports
from lineage.model import Action

router = APIRouter(tags=["openlineage"])

MAX_BATCH = 10_000
PAGE = 1000
_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL"],
    "externalDocs": {"url": "https://openlineage.io/spec/2-0-2/OpenLineage.json"},
}
_EVENTS = {"type": "array", "items": _EVENT, "maxItems": MAX_BATCH}
_START = {
    "eventType": "START",
    "eventTime": "2020-07-23T17:45:27Z",
    "run": {"runId": "8416892d-4ef2-4c0c-9c0c-aafe2aa6f34d"},
    "job": {"namespace": "label-bot", "name": "train"},
    "inputs": [{"namespace": "gs://label-bot", "name": "issues.csv"}],
    "producer": "https://github.com/kubeflow/code-intelligence",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
}


class _Kept(NamedTuple):
    """An event that can be recorded: its bytes and its reports."""

    body: bytes
    actions: list[Action]


@router.post(
    "/lineage",
    summary="Record one OpenLineage event",
    status_code=201,
    response_class=Response,
    responses=examples.problems(400, 403, 413, 422, 503),
    openapi_extra=examples.json_body(("application/json", _EVENT, _START)),
)
async def post_event(request: Request) -> Response:
    """A run, job or dataset event of spec 2-0-2 (docs/openlineage.md), gzipped if
    `Content-Encoding` says so. Answers 201 without a body, after event and graph are durable;
    to send an event again changes nothing."""
    body = await decoded_body(request, request.app.state.settings.max_body)
    (failure,) = await _record(request, [_read(_json(body))])
    if failure is not None:
        raise failure
    return Response(status_code=201)


@router.post(
    "/lineage/batch",
    summary="Record many OpenLineage events",
    response_class=Response,
    responses=examples.answered("EventVerdicts", 400, 403, 413),
    openapi_extra=examples.json_body(("application/json", _EVENTS, [_START])),
)
async def post_events(request: Request) -> Response:
    """A JSON array of at most 10,000 events. Those that can be recorded are, whatever the others
    are; `failed_events` names the others, and whether to send them again would help."""
    body = await decoded_body(request, request.app.state.settings.max_batch_body)
    items = await run_in_threadpool(_parse, body)
    failures = await _record(request, items)
    failed = [
        {"index": index, "reason": error.detail, "retriable": error.status >= 500}
        for index, error in enumerate(failures)
        if error is not None
    ]
    retriable = sum(one["retriable"] is True for one in failed)
    status = "partial_success" if failed else "success"
    summary = {
        "received": len(items), "successful": len(items) - len(failed), "failed": len(failed),
        "retriable": retriable, "non_retriable": len(failed) - retriable,
    }  # fmt: skip
    return answer(
        {
            "status": "failure" if failed and len(failed) == len(items) else status,
            "summary": summary,
            "failed_events": failed,
        }
    )


@router.get(
    "/lineage/events", response_class=Response, responses=examples.answered("RawEvents", 400)
)
def get_events(
    request: Request,
    after: Annotated[int, Query(ge=0, lt=2**63, description="`after` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
) -> Response:
    """The raw OpenLineage events that are kept, the oldest first; `after` = null on the last
    page, `removed` = how many older ones the bound has pushed out."""
    page = request.app.state.raw.page(after, limit)
    items = [orjson.Fragment(body) for body in page.bodies]
    return answer({"items": items, "after": page.after, "removed": page.removed})


async def _record(
    request: Request, items: Sequence[_Kept | LineageError]
) -> list[LineageError | None]:
    """Keep and record those that can be; for each the error that kept it out, or None."""
    state = request.app.state
    items = await run_in_threadpool(_allowed, request, items)
    good = [item for item in items if isinstance(item, _Kept)]
    if not good:
        return [item if isinstance(item, LineageError) else None for item in items]
    if state.settings.read_only:
        raise Forbidden("this server is read-only; send to the server that owns the store")
    await run_in_threadpool(state.raw.keep, [item.body for item in good])
    found = iter(await recorded(request, [a for item in good for a in item.actions]))
    out: list[LineageError | None] = []
    for item in items:
        if isinstance(item, _Kept):
            errors = [next(found).error for _ in item.actions]
            out.append(next((error for error in errors if error is not None), None))
        else:
            out.append(item)
    return out


def _allowed(
    request: Request, items: Sequence[_Kept | LineageError]
) -> Sequence[_Kept | LineageError]:
    """An event that may not be recorded is not kept either: a replay would record it."""
    if get_access(request).namespaces is None:
        return items
    actions = [a for item in items if isinstance(item, _Kept) for a in item.actions]
    known = refusals(request, actions)
    return [
        next((no for a in item.actions if (no := known.get(a.key))), item)
        if isinstance(item, _Kept)
        else item
        for item in items
    ]


def _parse(body: bytes) -> list[_Kept | InvalidRecord]:
    raw = _json(body)
    if not isinstance(raw, list):
        raise BadRequest("the body must be a JSON array of events; one alone goes to …/lineage")
    if len(raw) > MAX_BATCH:
        raise TooLarge(f"a batch has at most {MAX_BATCH:,} events, this one {len(raw):,}")
    return [_read(one) for one in raw]


def _read(raw: Any) -> _Kept | InvalidRecord:
    try:
        return _Kept(*reports(raw))
    except InvalidRecord as error:
        return error


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
