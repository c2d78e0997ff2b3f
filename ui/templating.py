"""Jinja with everything escaped, the pages' filters, and the headers every page carries."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lineage.api.guard import SESSION
from lineage.api.requests import get_access
from ui import judged, kinds, links, metrics, names, static_dir, words

CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SECTIONS = (
    ("Live", "/", "live"),
    ("Lineage", "/lineage", "lineage"),
    ("Flow", "/flow", "flow"),
    ("Activity", "/activity", "activity"),
    ("Search", "/search", "search"),
)


def render(
    template: str, request: Request, now: int, status: int = 200, **context: Any
) -> HTMLResponse:
    """A page. `now` (µs) is the moment relative times count from."""
    chosen = request.cookies.get("theme", "")
    about: dict[str, Any] = {"as_of": None, "as_of_text": "", "namespace": "", "clock": None}
    body = ENVIRONMENT.get_template(template).render(
        about | context,
        now=now,
        status=status,
        path=request.url.path,
        theme=chosen if chosen in ("light", "dark") else "",
        params=request.query_params,
        logged_in=SESSION in request.cookies and bool(get_access(request).name),
    )
    return HTMLResponse(body, status, headers=_HEADERS)


def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(static_dir().parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for module, filters in (
        (
            words,
            (
                "ago",
                "clean",
                "count",
                "day",
                "duration",
                "initial",
                "middle",
                "span",
                "stamp",
                "utc",
                "value",
                "version",
            ),
        ),
        (names, ("act", "chip", "mention", "short", "tail", "title", "who")),
        (kinds, ("kind", "state")),
        (links, ("external",)),
        (judged, ("judged",)),
        (metrics, ("is_summary",)),
    ):
        env.filters |= {
            name if module is not names else f"name_{name}": getattr(module, name)
            for name in filters
        }
    env.globals |= {
        "link": links,
        "icons": kinds.ICONS,
        "sections": SECTIONS,
        "states": kinds.STATES[:-1],
        "css": _static("lineage.css"),
        "script": _static("viewer.js"),
    }
    return env


def _static(name: str) -> str:
    """The address of a file, another one whenever its content is; empty where it is not built:
    the pages do without script."""
    path = static_dir() / name
    if not path.exists():
        return ""
    return f"/static/{name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:10]}"


ENVIRONMENT = _environment()
