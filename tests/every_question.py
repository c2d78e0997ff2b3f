"""Every question the API answers by GET, asked of the records of `tests.hostile_texts`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from lineage.identity import identify
from tests.hostile_texts import TEXTS, at

API = "/api/v1"
NOW, THEN = "2021-06-01T00:00:00Z", at(40)
"""Asked of a moment, an answer does not depend on when it is asked for."""
SLOT = "k8s://issue-label-bot/label-bot-prod/Deployment/label-bot-worker"
NOT_COMPARED = {f"{API}/events", "/metrics", "/healthz", "/readyz"}
"""Of the moment, or of the process, by nature."""
_STORE_ONLY = {"bytes", "store_bytes"}


def questions(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Paths with their queries."""
    for text in TEXTS:
        for name in ("controller", "namespace"):
            yield _get("/actions", limit=500, **{name: text})
        yield _get("/actions", limit=5, controller=text, namespace=text, as_of=THEN)
        if text != "\\":  # finds a ⧵ too where backslashes are encoded (`lineage.store.literal`)
            yield _get("/actions", limit=500, q=text)
            yield _get("/artifacts", limit=500, q=text)
        yield _get("/artifacts", uri=f"models/{text}")
        yield _get("/search", q=text, limit=50)
        yield _get("/live", as_of=NOW, namespace=text)
        yield _get("/lineage", of=f"table {text}", depth=2)
        yield _get("/lineage", select=f'2+"table {text}"', max_nodes=200)
    for record in records:
        yield _get(f"/actions/{quote(record['key'], safe='')}")
        for reference in record["inputs"][:2] + record["outputs"][:2]:
            id_ = identify(reference["uri"], reference.get("version"), reference["type"]).id
            yield _get(f"/artifacts/{id_}")
            yield _get(f"/artifacts/{id_}/versions", as_of=NOW)
        for reference in record["outputs"]:
            if reference["type"] == "Deployment":
                slot = identify(reference["uri"], None, "Deployment").uri
                yield _get(f"/live/{quote(slot, safe='')}/history", as_of=NOW)
    yield from _of_the_whole()


def _of_the_whole() -> Iterator[str]:
    for then in ({}, {"as_of": THEN}, {"as_of": NOW}):
        yield _get("/controllers", limit=500, **then)
        yield _get("/actions", limit=500, **then)
        yield _get("/artifacts", limit=500, **then)
        yield _get("/flow", **then)
    for type_ in ("train", "deploy", "evaluate"):
        yield _get("/actions", type=type_, state="failed", since=at(10), until=at(70), limit=500)
    for type_ in ("Model", "Dataset", "Metrics", "Deployment", "Code", "Notebook"):
        yield _get("/artifacts", type=type_, limit=500)
    for format_ in ("ndjson", "csv", "openlineage"):
        yield _get("/export", format=format_)
        yield _get("/actions" if format_ == "csv" else "/formats", format=format_, limit=500)
    for way in ("upstream", "downstream", "both"):
        yield _get("/lineage", of="hostile/trainer", direction=way, max_nodes=5000)
        yield _get("/lineage", of="TCN4131157655647420416", direction=way, as_of="2020-08-01")
    for format_ in ("dot", "mermaid", "prov", "slsa", "cyclonedx", "openlineage", "csv", "ndjson"):
        yield _get("/lineage", of="TCN4131157655647420416", format=format_)
        yield _get("/lineage", of="hostile/trainer", format=format_, depth=2)
    for moment in ("2020-07-20", "2020-08-01", NOW):
        yield _get("/live", as_of=moment, limit=1000)
        yield _get("/stale", as_of=moment, max_age="7d", limit=1000)
        yield _get("/impact", of="https://github.com/kubeflow/code-intelligence", as_of=moment)
        yield _get("/diff", a=SLOT, as_of=moment)
        who = {"controller": "modelsync/labelbot-train", "as_of": moment}
        yield f"/lambda/needs-sync?{urlencode({'slot': SLOT, **who})}"
        yield f"/lambda/needs-train?{urlencode({'max_age': '24h', **who})}"
    yield _get(f"/live/{quote(SLOT, safe='')}/history", as_of=NOW)
    yield _get("/diff", a="hostile/trainer", b="hostile/Trainer")
    yield _get("/impact", of="table 😀")
    yield _get("/stats")
    yield _get("/lineage/events", limit=1000)


def answer(client: httpx2.Client, question: str) -> Any:
    """Status and body, all pages of it, without what only this store can know: MLMD's numbers
    in cursors, and how many bytes it takes."""
    found = client.get(question)
    if not found.headers["content-type"].startswith("application/json"):
        return found.status_code, found.content
    body = found.json()
    pages = [_plain(body)]
    while isinstance(body, dict) and (cursor := body.get("cursor")):
        found = client.get(f"{question}{'&' if '?' in question else '?'}cursor={quote(cursor)}")
        body = found.json()
        pages.append(_plain(body))
        assert len(pages) < 200, question
    return found.status_code, pages


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: _plain(v) for k, v in value.items() if k not in _STORE_ONLY | {"cursor"}}
        return kept | ({"cursor": value["cursor"] is not None} if "cursor" in value else {})
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _get(path: str, **query: Any) -> str:
    return f"{API}{path}{'?' if query else ''}{urlencode(query)}"
