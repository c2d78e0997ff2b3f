"""Errors as RFC 9457 `application/problem+json`: one shape everywhere, nothing foreign in it."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from lineage.errors import LineageError

log = logging.getLogger("lineage.api")


def problem(
    status: int, title: str, detail: str, errors: list[dict[str, str]] | None = None
) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail,
            "errors": errors or []}  # fmt: skip
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    return Response(orjson.dumps(body), status, headers, "application/problem+json")


def from_error(error: LineageError) -> Response:
    return problem(error.status, error.title, error.detail, error.errors)


def respond(request: Request, error: LineageError) -> Response:
    """The answer to an error met before any route: a page for whoever asks for one."""
    return _answer(request, error.status, error.title, error.detail, error.errors)


def install(app: FastAPI) -> None:
    """Every exception of a route becomes a problem; a page is asked for in `lineage.app`."""

    def on_lineage(request: Request, error: Exception) -> Response:
        assert isinstance(error, LineageError)
        if error.status >= 500:
            log.error("%s %s: %s", request.method, request.url.path, error)
        return _answer(request, error.status, error.title, error.detail, error.errors)

    def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        places = [
            {"at": ".".join(str(p) for p in e["loc"][1:]) or str(e["loc"][0]), "message": e["msg"]}
            for e in error.errors()
        ]
        first = places[0]
        detail = f"{first['at']}: {first['message']}"
        return _answer(request, 400, "The request is not valid", detail, places)

    def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = {
            404: "nothing is here; /api/v1/openapi.json lists every route",
            405: f"{request.method} is not offered here; /api/v1/openapi.json lists what is",
        }.get(error.status_code, str(error.detail))
        answer = _answer(request, error.status_code, str(error.detail), detail, [])
        if error.status_code == 405:
            answer.headers["Allow"] = ", ".join(_allowed(request))
        return answer

    def on_bug(request: Request, error: Exception) -> Response:
        log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        detail = "the server failed; nothing is known to be recorded, and its log says more"
        return _answer(request, 500, "Internal error", detail, [])

    app.add_exception_handler(LineageError, on_lineage)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_bug)


def _allowed(request: Request) -> list[str]:
    """What the address offers: a route has one method, so several may share an address."""
    routes = [r for r in request.app.routes if not isinstance(r, Mount)]  # files are only read
    return [
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        if any(r.matches({**request.scope, "method": method})[0] is Match.FULL for r in routes)
    ] or ["GET", "HEAD"]


def _answer(
    request: Request, status: int, title: str, detail: str, errors: list[dict[str, str]]
) -> Response:
    page: Any = getattr(request.app.state, "error_page", None)
    if page is not None and wants_page(request):
        answer = page(request, status, title, detail)
        assert isinstance(answer, Response)
        return answer
    return problem(status, title, detail, errors)


def wants_page(request: Request) -> bool:
    path = request.url.path
    machine = path.startswith(("/api/", "/static/", "/lambda/")) or path in ("/healthz", "/readyz")
    return not machine and "text/html" in request.headers.get("accept", "")
