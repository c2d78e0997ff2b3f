"""Jinja with everything escaped, the pages' filters, and the headers every page carries."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ui import kinds, links, names, static_dir, words

CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
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
    ("Activity", "/activity", "activity"),
    ("Search", "/search", "search"),
)


def render(
    template: str, request: Request, now: int, status: int = 200, **context: Any
) -> HTMLResponse:
    """A page. `now` (µs) is the moment relative times count from."""
    body = ENVIRONMENT.get_template(template).render(
        now=now, status=status, path=request.url.path, **context
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
    ):
        env.filters |= {
            name if module is not names else f"name_{name}": getattr(module, name)
            for name in filters
        }
    style = (static_dir() / "lineage.css").read_bytes()
    env.globals |= {
        "link": links,
        "icons": kinds.ICONS,
        "sections": SECTIONS,
        "states": kinds.STATES[:-1],
        "css": f"/static/lineage.css?v={hashlib.sha256(style).hexdigest()[:10]}",
    }
    return env


ENVIRONMENT = _environment()
