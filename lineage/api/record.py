"""Recording: `PUT /actions/{key}` and `POST /actions/batch`.

The busiest routes: a body is validated once, by pydantic, straight from its bytes.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal
from urllib.parse import unquote_to_bytes

import orjson
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from lineage.api import examples
from lineage.api.recording import recorded
from lineage.api.requests import answer, bounded_body
from lineage.errors import BadRequest, InvalidRecord, LineageError, TooLarge
from lineage.identity import action_id
from lineage.model import Action, parse_action
from lineage.store.ports import Outcome, Verdict

router = APIRouter(tags=["record"])

MAX_BATCH = 10_000
_STATUS: dict[Outcome, int] = {"created": 201, "merged": 200, "unchanged": 200}
_ITEMS = {"type": "array", "items": {"$ref": examples.ACTION_REF}, "maxItems": MAX_BATCH}


@router.put(
    "/actions/{key:any}",
    summary="Record one action",
    status_code=201,
    response_class=Response,
    responses={**examples.answered("Recorded", status=201, says="Recorded as a new action"),
               **examples.answered("Recorded", 403, 413, 422, 507, says="Merged, or unchanged")},
    openapi_extra=examples.json_body(
        ("application/json", {"$ref": examples.REPORT_REF}, examples.BODY)
    ),
)  # fmt: skip
async def put_action(request: Request, key: str) -> Response:
    """Send what you see now, as often as you like: reports of one key merge (docs/recording.md).

    Answers after the commit.
    """
    state = request.app.state
    if "\N{REPLACEMENT CHARACTER}" in key:
        _well_encoded(request)
    action = parse_action(await bounded_body(request, state.settings.max_body), key)
    (verdict,) = await recorded(request, [action])
    if verdict.error is not None:
        raise verdict.error
    assert verdict.outcome is not None
    return answer(
        {"id": verdict.id, "key": key, "outcome": verdict.outcome}, _STATUS[verdict.outcome]
    )


def _well_encoded(request: Request) -> None:
    """What is no UTF-8 in an address became another character: the key of another action."""
    try:
        unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError as error:
        message = "the URL does not hold it in UTF-8; encode it as that, then with %XX"
        raise InvalidRecord(f"key: {message}", [{"at": "key", "message": message}]) from error


@router.post(
    "/actions/batch",
    summary="Record many actions",
    response_class=Response,
    responses=examples.answered("Verdicts", 400, 403, 413),
    openapi_extra=examples.json_body(
        ("application/json", _ITEMS, [examples.TRAIN]),
        ("application/x-ndjson", {"type": "string"}, orjson.dumps(examples.TRAIN).decode()),
    ),
)
async def post_batch(
    request: Request,
    verdicts: Annotated[
        Literal["all", "failed"], Query(description="which results are listed")
    ] = "all",
) -> Response:
    """At most 10,000 actions, as a JSON array or one JSON object a line. Each gets a verdict;
    the good ones are committed whatever the others are."""
    state = request.app.state
    body = await bounded_body(request, state.settings.max_batch_body)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    items = await run_in_threadpool(_parse, body, "json" not in kind or "ndjson" in kind)
    good = [item for item in items if isinstance(item, Action)]
    found = iter(await recorded(request, good) if good else [])
    pairs = [(item, next(found) if isinstance(item, Action) else None) for item in items]
    counts = Counter(verdict.outcome for _, verdict in pairs if verdict is not None)
    done = {outcome: counts[outcome] for outcome in _STATUS}
    results = [
        _result(index, item, verdict)
        for index, (item, verdict) in enumerate(pairs)
        if verdicts == "all" or verdict is None or verdict.outcome is None
    ]
    failed = len(items) - sum(done.values())
    return answer({"received": len(items), **done, "failed": failed, "results": results})


def _parse(body: bytes, lines: bool) -> list[Action | InvalidRecord]:
    texts = _array(body) if not lines else [t for t in body.split(b"\n") if t.strip()]
    if len(texts) > MAX_BATCH:
        raise TooLarge(f"a batch has at most {MAX_BATCH:,} actions, this one {len(texts):,}")
    return [_parse_one(text) for text in texts]


def _array(body: bytes) -> list[bytes]:
    try:
        items = orjson.loads(body)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(items, list):
        raise BadRequest(
            "the body must be a JSON array of actions, or NDJSON as application/x-ndjson"
        )
    return [orjson.dumps(item) for item in items]


def _parse_one(text: bytes) -> Action | InvalidRecord:
    try:
        return parse_action(text)
    except InvalidRecord as error:
        return error


def _result(index: int, item: Action | InvalidRecord, verdict: Verdict | None) -> dict[str, Any]:
    if isinstance(item, Action):
        assert verdict is not None
        if verdict.error is None and verdict.outcome is not None:
            return {"index": index, "key": item.key, "id": verdict.id,
                    "status": _STATUS[verdict.outcome], "outcome": verdict.outcome}  # fmt: skip
        error: LineageError = verdict.error or LineageError("no verdict")
    else:
        error = item
    key = item.key if isinstance(item, Action) else None
    return {"index": index, "key": key, "id": action_id(key) if key else None,
            "status": error.status, "outcome": None,
            "error": {"detail": error.detail, "errors": error.errors}}  # fmt: skip
