"""Each request gets an id, is timed, and leaves a line in the log. Pure ASGI.

The id comes from the caller's `X-Request-Id` when it is a plain word, is sent back, and
stands in every line that is logged meanwhile. Logged are method, path and how it ended:
never a query, a header or a body, which may hold what is nobody's business.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lineage.api.measures import Measures

REQUEST: ContextVar[str] = ContextVar("request_id", default="")
_GIVEN = re.compile(rb"[A-Za-z0-9._:-]{1,64}\Z")
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
_PREFIX = "/api/v1"
_PROBES = {"/healthz", "/readyz", "/metrics"}
log = logging.getLogger("lineage.requests")


class Telemetry:
    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = _id(scope)
        token = REQUEST.set(name)
        began, status = time.perf_counter(), 499  # gone before it was answered

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", name.encode())]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except BaseException:
            status = 500 if status == 499 else status
            raise
        finally:
            self._ended(scope, status, time.perf_counter() - began)
            REQUEST.reset(token)

    def _ended(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = _route(scope)
        # A stream is open for as long as somebody listens, which says nothing of our speed.
        if not route.endswith("/events"):
            self._measures.requests.labels(method, route, str(status)).observe(seconds)
        quiet = status < 400 and scope["path"] in _PROBES
        log.log(
            logging.ERROR if status >= 500 else logging.DEBUG if quiet else logging.INFO,
            "%s %s %d", method, scope["path"], status,
            extra={"method": method, "path": scope["path"], "status": status, "route": route,
                   "seconds": round(seconds, 6)},
        )  # fmt: skip


def _id(scope: Scope) -> str:
    for header, value in scope["headers"]:
        if header == b"x-request-id" and _GIVEN.match(value):
            return bytes(value).decode()
    return secrets.token_hex(8)


def _route(scope: Scope) -> str:
    """The pattern of the route, never the path itself: there are as many as clients like."""
    path: str = scope["path"]
    if (route := getattr(scope.get("route"), "path", None)) is not None:
        return _PREFIX + route if path.startswith(_PREFIX) else str(route)
    if scope["method"] == "PUT" and path.startswith(_PREFIX + "/actions/"):
        return _PREFIX + "/actions/{key:any}"
    return "/static" if path.startswith("/static/") else "other"
