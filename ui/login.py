"""The login page: a token becomes the session of a browser, which only reads; and logging out.

That these forms come from our own pages is made sure of before any route (`lineage.api.guard`).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from lineage.access.limits import Buckets
from lineage.access.tokens import recognised, session
from lineage.api.guard import SESSION
from lineage.api.recording import peer
from lineage.api.requests import ACCESS, bounded_body
from ui.templating import render

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

LASTS = 12 * 3600
"""Seconds until a browser forgets its session; a token that ends sooner ends it."""
MOST = 4096
_tries = Buckets(10 / 60, 10, time.monotonic)
"""Ten at once from one address, then one each six seconds."""


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:
    """Asks for a token; where nobody is asked, there is nothing to log in to."""
    if request.app.state.keeper is None:
        return RedirectResponse("/", 303)
    return _page(request, _own(next))


@router.post("/login")
async def log_in(request: Request) -> Response:
    """The cookie is not the token, and leads nobody to it."""
    fields = parse_qs((await bounded_body(request, MOST)).decode("utf-8", "replace"))
    back, token = _own(_field(fields, "next")), _field(fields, "token").strip()
    if request.app.state.keeper is None:
        return RedirectResponse("/", 303)
    if _tries.take(peer(request)):
        return _page(request, back, "Too many tries; wait a minute.", 429)
    found = recognised(request.app.state.keeper.tokens(), token, datetime.now(UTC), browser=False)
    if isinstance(found, str):
        return _page(request, back, f"{found[0].upper()}{found[1:]}.", 401)
    if not found.access.may("read"):
        return _page(request, back, f"The token {found.name} may not read.", 403)
    request.scope[ACCESS] = found.access  # for the audit log
    answer = RedirectResponse(back, 303)
    answer.set_cookie(
        SESSION, session(token), max_age=LASTS, httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


@router.post("/logout")
def log_out(request: Request) -> Response:
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(SESSION, httponly=True, samesite="strict")
    return answer


def _page(request: Request, back: str, trouble: str = "", status: int = 200) -> HTMLResponse:
    now = time.time_ns() // 1000
    return render("login.html", request, now, status=status, back=back, trouble=trouble)


def _field(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[0]


def _own(path: str) -> str:
    """Where to go on: a page of ours, never one of somebody else."""
    plain = path.isascii() and path.isprintable() and "\\" not in path
    ours = path.startswith("/") and not path.startswith(("//", "/login", "/logout"))
    return path if plain and ours else "/"
