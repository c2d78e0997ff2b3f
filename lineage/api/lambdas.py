"""`/lambda/needs-train` and `/lambda/needs-sync`: the ModelSync contract, answered from lineage.

Every answer is a NeedsSync, an error too: the caller is a controller, not a person.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from lineage.api.requests import AskedAt, ReaderAt
from lineage.errors import BadRequest, LineageError
from lineage.needs_sync import NeedsSync
from lineage.queries.staleness.family import Sought
from lineage.queries.staleness.lambdas import Against, needs_sync, needs_train
from lineage.queries.staleness.spans import parse

log = logging.getLogger("lineage.api")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _LambdaRoute(APIRoute):
    """Errors in the contract's form, and no parameter ignored: the URL stands in an object
    that nobody looks at again, and a misspelt `max_age` would hold for ever."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        known = set(_names(self.dependant))

        async def handled(request: Request) -> Response:
            try:
                _only(request, known)
                return await handle(request)
            except RequestValidationError as error:
                first = error.errors()[0]
                return _failed(400, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")
            except LineageError as error:
                return _failed(error.status, error.detail)
            except Exception:
                log.exception("%s failed", request.url.path)
                return _failed(500, "the server failed; its log says more")

        return handled


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for one in dependant.dependencies:
        yield from _names(one)


def _only(request: Request, known: set[str]) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            raise BadRequest(f"{name}: not a parameter here; there are {', '.join(sorted(known))}")
        if names.count(name) > 1:
            raise BadRequest(f"{name}: stands there twice; give it once")


def _failed(status: int, message: str) -> Response:
    return _answer(NeedsSync(False, errors=(message,)), status)


def _answer(answer: NeedsSync, status: int = 200) -> Response:
    return Response(answer.body(), status, media_type="application/json")


_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "apiVersion", "metadata", "needsSync", "parameters"],
    "properties": {
        "kind": {"const": "NeedsSync"},
        "apiVersion": {"const": "v1alpha1"},
        "metadata": {
            "type": "object",
            "required": ["creationTimestamp"],
            "properties": {"creationTimestamp": {"type": "null"}, "annotations": _TEXTS},
        },
        "needsSync": {"type": "boolean"},
        "parameters": _TEXTS,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["message"],
                "properties": {"message": {"type": "string"}},
            },
        },
    },
}


_FAILURES = {400: "A parameter makes no sense", 404: "Nothing has that name",
             500: "The server failed", 503: "The store is not available; try again"}  # fmt: skip


def _responses(example: NeedsSync) -> dict[int | str, dict[str, Any]]:
    def content(answer: NeedsSync) -> dict[str, Any]:
        return {"application/json": {"schema": _SCHEMA, "example": answer.json()}}

    failed = NeedsSync(False, errors=("max_age: not a length of time; write 24h",))
    return {
        200: {"description": "Whether to act, and why", "content": content(example)},
        **{
            status: {"description": f"{words}: `errors` says more", "content": content(failed)}
            for status, words in _FAILURES.items()
        },
    }


router = APIRouter(tags=["lambda"], prefix="/lambda", route_class=_LambdaRoute)

Model = Annotated[
    str | None,
    Query(min_length=1, max_length=4096,
          description="a model of the family: its URI, the last part of it, or its name"),
]  # fmt: skip
Controller = Annotated[
    str | None, Query(min_length=1, max_length=256, description="the controller that trains it")
]
Namespace = Annotated[
    str | None, Query(min_length=1, max_length=256, description="the namespace of that controller")
]
Cluster = Annotated[str | None, Query(min_length=1, max_length=256, description="and its cluster")]
Span = Query(max_length=32, description="such as 24h, 90m or 7d")


def get_needs_train(
    reader: ReaderAt,
    now: AskedAt,
    model: Model = None,
    controller: Controller = None,
    namespace: Namespace = None,
    cluster: Cluster = None,
    max_age: Annotated[str, Span] = "24h",
    give_up: Annotated[str, Span] = "24h",
) -> Response:
    """Whether a family of models needs a training: its latest is older than `max_age`, or there
    is newer data or code. Never while it is being trained, for at most `give_up`."""
    sought = Sought(model, controller, namespace, cluster)
    spans = parse("max_age", max_age), parse("give_up", give_up)
    return _answer(needs_train(reader, now, sought, *spans))


def get_needs_sync(
    reader: ReaderAt,
    slot: Annotated[
        str,
        Query(min_length=1, max_length=4096, description="k8s://cluster/namespace/kind/name"),
    ],
    model: Model = None,
    controller: Controller = None,
    namespace: Namespace = None,
    cluster: Cluster = None,
    against: Annotated[
        Against, Query(description="what the tree holds (if it holds anything), or what is live")
    ] = "committed",
    parameter: Annotated[
        str, Query(min_length=1, max_length=256, description="gets the URI of the model")
    ] = "name",
    version_parameter: Annotated[
        str | None,
        Query(min_length=1, max_length=256, description="gets its version; none when left out"),
    ] = None,
) -> Response:
    """Whether the latest model of a family is missing from a slot. A rollback is not undone."""
    if parameter == version_parameter:
        raise BadRequest("version_parameter: is the same as parameter; give it another name")
    sought = Sought(model, controller, namespace, cluster)
    return _answer(needs_sync(reader, sought, slot, against, parameter, version_parameter))


for _path, _endpoint, _example in (
    ("/needs-train", get_needs_train, NeedsSync(True)),
    ("/needs-sync", get_needs_sync, NeedsSync(True, {"name": "projects/p/models/TCN1"})),
):
    router.add_api_route(_path, _endpoint, methods=["GET"], response_class=Response,
                         responses=_responses(_example))  # fmt: skip
    router.add_api_route(_path, _endpoint, methods=["HEAD"], include_in_schema=False)
