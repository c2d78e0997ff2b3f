"""Pages as a browser gets them from a real server, and what every one of them has to keep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import httpx2
import orjson

from .conftest import Server

EVIL = "\"><script>alert(1)</script><b x='y'>{{ 7*7 }}\u202e'\\"
MOMENT = datetime(2021, 3, 1, tzinfo=UTC)


def hour(n: float) -> str:
    return (MOMENT + timedelta(hours=n)).isoformat()


def act(key: str, start: float, **more: Any) -> dict[str, Any]:
    """An act of half an hour, complete unless said otherwise."""
    base = {
        "key": key, "type": "process", "controller": {"name": "someone"}, "state": "complete",
        "started_at": hour(start), "ended_at": hour(start + 0.5),
    }  # fmt: skip
    return {**base, **more}


def record(server: Server, *actions: dict[str, Any]) -> None:
    with server.client() as client:
        answer = client.batch(b"\n".join(map(orjson.dumps, actions)), ndjson=True)
    assert answer["failed"] == 0, answer


class Page(HTMLParser):
    """Tags, attributes, addresses and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src", "action"):
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def page(server: Server, path: str, status: int = 200, **query: Any) -> Page:
    """The page, after looking whether it keeps to the content security policy."""
    given = {name: value for name, value in query.items() if value is not None}
    answer = httpx2.get(
        server.url + path, params=given or None, headers={"accept": "text/html"}, timeout=30
    )
    assert answer.status_code == status, answer.text[-2000:]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "'unsafe" not in answer.headers["content-security-policy"]
    found = Page(answer.text)
    assert found.tags.count("script") == answer.text.count('<script type="module" src="/static/')
    assert not {"style", "iframe", "object"} & set(found.tags)
    assert not [a for a in found.attributes if a == "style" or a.startswith("on")]
    local = ("/", "#", "http://", "https://")
    assert [link for link in found.links if not link.startswith(local)] == []
    return found
