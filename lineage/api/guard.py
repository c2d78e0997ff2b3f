"""The door of the server: who asks, whether they may, how often. Pure ASGI, before any route.

It leaves in the request's scope who asks (`lineage.api.requests.ACCESS`); what they see follows
from that, there. Decisions are made in `lineage.access`; here they are asked for and answered.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple
from urllib.parse import quote

from fastapi import Request, Response
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lineage.access.audit import Audit, line
from lineage.access.keeper import Keeper
from lineage.access.limits import Buckets
from lineage.access.origin import Asked, foreign, rebound
from lineage.access.proxy import Proxy
from lineage.access.scopes import EVERYONE, Access, need, refusal
from lineage.access.tokens import recognised
from lineage.api import problems
from lineage.api.recording import PEER
from lineage.api.requests import ACCESS
from lineage.errors import Forbidden, LineageError, TooMany, Unauthorized

SESSION = "lineage_session"
"""The cookie of a browser that logged in. It only reads, whatever its token may."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_UNCOUNTED = ("/healthz", "/readyz")


class _Who(NamedTuple):
    """Who asks (None = nobody we know), why they are not known, and whether the browser sent it
    by itself: then any page may have made it."""

    access: Access | None
    why: str = ""
    ambient: bool = False


class Guard:
    """For a server that asks who is there: tokens, sessions, an authenticating proxy."""

    def __init__(
        self, app: ASGIApp, keeper: Keeper | None, proxy: Proxy | None, rate: int,
        audit: Audit | None,
    ) -> None:  # fmt: skip
        self._app = app
        self._keeper = keeper
        self._proxy = proxy
        self._audit = audit
        self._buckets = Buckets(rate, 2 * rate, time.monotonic) if rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        who = self._identified(scope)
        error = self._error(scope, who)
        if error is None:
            scope[ACCESS] = who.access
            audited = self._audited(scope, send) if self._others(scope) else send
            await self._app(scope, receive, audited)
            return
        if scope["method"] not in _SAFE and self._audit is not None:
            self._tell(scope, who.access, error.status)
        await _refused(scope, error)(scope, receive, send)

    def _identified(self, scope: Scope) -> _Who:
        headers = scope["headers"]
        client = scope.get("client")
        address = client[0] if client else ""
        believed = self._proxy is not None and self._proxy.believes(address)
        if believed and self._proxy is not None:
            peer = self._proxy.peer(headers)
            address = peer.address or address
            scope["scheme"] = "https" if peer.secure else scope["scheme"]
        scope[PEER] = address
        tokens = [value for name, value in headers if name == b"authorization"]
        if tokens:
            return self._presented(tokens)
        if believed and self._proxy is not None:
            access = self._proxy.access(headers)
            if access is not None:
                return _Who(access, ambient=True)
        return self._in_session(headers)

    def _presented(self, tokens: list[bytes]) -> _Who:
        kind, _, token = tokens[0].decode("latin-1").partition(" ")
        if len(tokens) > 1 or kind.lower() != "bearer" or self._keeper is None:
            return _Who(None, "authorization: send one token, as `Authorization: Bearer …`")
        found = recognised(self._keeper.tokens(), token.strip(), datetime.now(UTC), browser=False)
        return _Who(None, found) if isinstance(found, str) else _Who(found.access)

    def _in_session(self, headers: list[tuple[bytes, bytes]]) -> _Who:
        cookie = next(_cookies(headers), "")
        if not cookie or self._keeper is None:
            return _Who(None)
        found = recognised(self._keeper.tokens(), cookie, datetime.now(UTC), browser=True)
        if isinstance(found, str):
            return _Who(None, found, True)
        return _Who(Access(found.name, frozenset(["read"]), found.namespaces), ambient=True)

    def _error(self, scope: Scope, who: _Who) -> LineageError | None:
        method, path = scope["method"], scope["path"]
        if self._buckets is not None and path not in _UNCOUNTED:
            wait = self._buckets.take(who.access.name if who.access else f"from {scope[PEER]}")
            if wait:
                return TooMany(f"too many requests; try again in {wait:.1f} s")
        needed = need(method, path)
        unsafe = method not in _SAFE
        if unsafe and (who.ambient or needed.scope is None):
            asked = Asked.of(scope["headers"])
            if foreign(asked) or not asked.browser:
                return Forbidden("this was sent by a page of another site, or by no browser")
        if needed.scope is not None and who.access is None and who.why:
            return Unauthorized(who.why)
        return refusal(who.access, needed)

    def _others(self, scope: Scope) -> bool:
        """Whether it writes something else than records, whose lines say more."""
        method = scope["method"]
        return (
            self._audit is not None
            and method not in _SAFE
            and need(method, scope["path"]).scope != "write"
        )

    def _audited(self, scope: Scope, send: Send) -> Send:
        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._tell(scope, scope[ACCESS], message["status"])
            await send(message)

        return observed

    def _tell(self, scope: Scope, access: Access | None, status: int) -> None:
        assert self._audit is not None
        name, did = access.name if access else "", f"{scope['method']} {scope['path']}"
        outcome = "refused" if status >= 400 else "done"
        now = datetime.now(UTC)
        self._audit.write([line(now, name, scope[PEER], did, "", outcome, status)])


class Neighbour:
    """For a server that asks nobody: whoever is on this machine may do everything, but no page of
    another site that their browser shows. `local` = it must be called by a name of this machine:
    a page can give its own name any address."""

    def __init__(self, app: ASGIApp, local: bool) -> None:
        self._app = app
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["client"]:  # a Unix socket is no browser's
            asked = Asked.of(scope["headers"])
            if self._local and rebound(asked):
                detail = "this server is asked by a name of this machine only, such as localhost"
                await _refused(scope, Forbidden(detail))(scope, receive, send)
                return
            if scope["method"] not in _SAFE and foreign(asked):
                detail = "this was sent by a page of another site"
                await _refused(scope, Forbidden(detail))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def everyone(scope: Scope) -> Access:
    access: Access = scope.get(ACCESS) or EVERYONE
    return access


def _refused(scope: Scope, error: LineageError) -> Response:
    request = Request(scope)
    page = scope["method"] == "GET" and problems.wants_page(request)
    if page and isinstance(error, Unauthorized):
        # Within the page's own address, so it cannot lead elsewhere.
        query = scope["query_string"].decode("latin-1")
        back = scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(f"/login?next={quote(back, safe='')}", 303)
    response = problems.respond(request, error)
    if isinstance(error, Unauthorized):
        response.headers["www-authenticate"] = 'Bearer realm="lineage"'
    return response


def _cookies(headers: list[tuple[bytes, bytes]]) -> Iterator[str]:
    for name, value in headers:
        if name == b"cookie" and SESSION.encode() in value:
            try:
                cookies = SimpleCookie(value.decode("latin-1"))
            except CookieError:
                continue
            if SESSION in cookies:
                yield cookies[SESSION].value
