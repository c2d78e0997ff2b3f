"""What somebody may try who wants in: (kind, what, how). Made by tests/test_access_attempts.py."""

from __future__ import annotations

import json
import time
import timeit
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lineage.access.keeper import read
from lineage.access.tokens import Token, recognised, session

from .conftest import Server
from .doors import Answer, Doors, ask, raw

PAGE = Path(__file__).parent.parent / "docs" / "security.md"
THEIRS, SHARED = "theirs/deploy-1", "gs://shared/data"
A = "/api/v1"


def act(namespace: str, **more: Any) -> bytes:
    body = {"type": "train", "controller": {"name": "c", "namespace": namespace}, **more}
    return json.dumps(body).encode()


class Site:
    """The servers that are attacked."""

    def __init__(self, locked: Doors, behind: Doors, slow: Doors, local: Server) -> None:
        self.locked, self.behind, self.slow, self.local = locked, behind, slow, local
        self.ask = locked.ask


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


Attempt = tuple[str, str, Callable[[Site], object]]
ATTEMPTS: list[Attempt] = []


def attempt(kind: str, what: str) -> Callable[[Callable[[Site], object]], Callable[[Site], object]]:
    def noted(how: Callable[[Site], object]) -> Callable[[Site], object]:
        ATTEMPTS.append((kind, what, how))
        return how

    return noted


def plain(kind: str, what: str, method: str, target: str, who: str = "", **more: Any) -> None:
    ATTEMPTS.append((kind, what, lambda s: s.ask(method, target, who, **more)))


def whence(answer: Answer) -> str:
    return f"{answer.status} to {answer.headers['location']}"


NONE = "no token"
plain(NONE, "read", "GET", f"{A}/actions")
plain(NONE, "record", "PUT", f"{A}/actions/k", body=act("label-bot"))
plain(NONE, "read everything", "GET", f"{A}/export")
plain(NONE, "listen", "GET", f"{A}/events")
plain(NONE, "the metrics", "GET", "/metrics")
plain(NONE, "the OpenAPI document", "GET", f"{A}/openapi.json")
plain(NONE, "a controller's lambda", "GET", "/lambda/needs-train?model=m")
plain(NONE, "a probe", "GET", "/healthz")
ATTEMPTS.append((NONE, "a page, with a browser",
                 lambda s: whence(s.ask("GET", "/?sort=name", accept="text/html"))))  # fmt: skip

BAD = "no valid token"
plain(BAD, "one that was never made", "GET", f"{A}/actions", "lin_" + "A" * 43)
plain(BAD, "an empty one", "GET", f"{A}/actions", authorization="Bearer ")
plain(BAD, "a megabyte less a little", "GET", f"{A}/actions", "x" * 60_000)
plain(BAD, "a password (Basic)", "GET", f"{A}/actions", authorization="Basic b3BzOm9wcw==")
plain(BAD, "expired", "GET", f"{A}/actions", "expired")
plain(BAD, "revoked", "GET", f"{A}/actions", "revoked")


@attempt(BAD, "revoked while in use, moments later")
def _(s: Site) -> object:
    s.locked.token("short", "read")
    wait(lambda: s.ask("GET", f"{A}/actions", "short").status == 200)
    s.locked.revoke("short")
    wait(lambda: s.ask("GET", f"{A}/actions", "short").status != 200)
    return s.ask("GET", f"{A}/actions", "short")


@attempt(BAD, "the clock: is half the hash right?")
def _(s: Site) -> object:
    kept = read(s.locked.file)
    near = [replace(one, hash=one.hash[:32] + "0" * 32) for one in kept]
    far = [replace(one, hash="0" * 64) for one in kept]

    def fastest(tokens: list[Token]) -> float:
        now = datetime.now(UTC)
        guess = s.locked.secrets["ops"]
        return min(
            timeit.repeat(lambda: recognised(tokens, guess, now, False), number=100, repeat=50)
        )

    assert 0.67 < fastest(near) / fastest(far) < 1.5
    return "no difference"


@attempt(BAD, "a valid one, its last letter another")
def _(s: Site) -> object:
    secret = s.locked.secrets["ops"]
    return s.ask("GET", f"{A}/actions", secret[:-1] + ("A" if secret[-1] != "A" else "B"))


@attempt(BAD, "the hash that the file holds")
def _(s: Site) -> object:
    kept = json.loads(s.locked.file.read_text())["tokens"]
    (ops,) = [one for one in kept if one["name"] == "ops"]
    return s.ask("GET", f"{A}/actions", ops["hash"])


@attempt(BAD, "the cookie of a browser, as a token")
def _(s: Site) -> object:
    return s.ask("GET", f"{A}/actions", session(s.locked.secrets["ops"]))


@attempt(BAD, "a valid one in the address")
def _(s: Site) -> object:
    secret = s.locked.secrets["ops"]
    return s.ask("GET", f"{A}/actions?token={secret}&access_token={secret}")


@attempt(BAD, "a valid one and another beside it")
def _(s: Site) -> object:
    lines = "".join(f"authorization: Bearer {t}\r\n" for t in (s.locked.secrets["ops"], "x"))
    request = f"GET {A}/actions HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{lines}\r\n"
    return raw(s.locked.server.url, request.encode())[0].removeprefix("HTTP/1.1 ")


SCOPE = "wrong scope"
plain(SCOPE, "`read` records", "PUT", f"{A}/actions/k", "reader", body=act("x"))
plain(SCOPE, "`read` records a batch", "POST", f"{A}/actions/batch", "reader", body=b"[]")
plain(SCOPE, "`read` sends OpenLineage", "POST", f"{A}/lineage", "reader", body=b"{}")
plain(SCOPE, "`read`, and says it is a PUT", "GET", f"{A}/actions/k", "reader", x_http_method_override="PUT")  # fmt: skip
plain(SCOPE, "`write` reads", "GET", f"{A}/actions", "writer")
plain(SCOPE, "`write` opens a page", "GET", "/activity", "writer")
plain(SCOPE, "`write` listens", "GET", f"{A}/events", "writer")
plain(SCOPE, "`read` and `write` rebuild the index", "POST", f"{A}/reindex", "bot")

NS = "wrong namespace"
plain(NS, "records for another", "PUT", f"{A}/actions/bot%2F2", "bot", body=act("theirs"))
plain(NS, "records for none", "PUT", f"{A}/actions/bot%2F2", "bot", body=act(""))
plain(NS, "takes over another's action", "PUT", f"{A}/actions/{quote(THEIRS, safe='')}", "bot",
      body=act("label-bot", reported_at="2030-01-01T00:00:00Z"))  # fmt: skip
plain(NS, "reads another's action", "GET", f"{A}/actions/{THEIRS}", "bot")
plain(NS, "reads what only another wrote", "GET", f"{A}/lineage?of=secret://theirs", "bot")
plain(NS, "opens the page of another's action", "GET", f"/actions/{THEIRS}", "bot")
plain(NS, "counts everything", "GET", f"{A}/stats", "bot")
plain(NS, "reads the raw OpenLineage events", "GET", f"{A}/lineage/events", "bot")
plain(NS, "the metrics", "GET", "/metrics", "bot")


@attempt(NS, "a batch, half of it another's")
def _(s: Site) -> object:
    lines = [{"key": f"bot/b{n}", **json.loads(act(n))} for n in ("label-bot", "theirs")]
    got = s.ask(
        "POST", f"{A}/actions/batch", "bot", b"\n".join(json.dumps(x).encode() for x in lines)
    )
    return f"{got.status}; " + ", ".join(str(one["status"]) for one in got.json()["results"])


@attempt(NS, "an OpenLineage event of another")
def _(s: Site) -> object:
    event = {
        "eventType": "START", "eventTime": "2026-01-01T00:00:00Z",
        "run": {"runId": "8416892d-4ef2-4c0c-9c0c-aafe2aa6f34d"},
        "job": {"namespace": "theirs", "name": "train"}, "producer": "https://p.example",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    }  # fmt: skip
    got = s.ask("POST", f"{A}/lineage", "bot", json.dumps(event).encode())
    assert s.ask("GET", f"{A}/lineage/events", "ops").json()["items"] == []
    return got


LISTS = {
    "lists": ["/actions", "/artifacts", "/controllers", "/actions?namespace=theirs"],
    "answers": ["/live", "/flow", "/stale", "/impact?of=" + SHARED, "/lineage?of=" + SHARED],
    "search": ["/search?q=theirs", "/search?q=secret", "/search?q=deploy"],
    "exports": ["/export", "/export?format=csv", "/lineage?format=openlineage&of=" + SHARED],
}
for name, targets in LISTS.items():

    @attempt(NS, f"looks for a trace of another in {name}")
    def _(s: Site, targets: list[str] = targets) -> object:
        answers = [s.ask("GET", A + target, "bot") for target in targets]
        seen = [a.body for a in answers if b"theirs" in a.body.replace(b"namespace=theirs", b"")]
        return f"{answers[0].status}, {'a trace' if seen else 'none'}"


@attempt(NS, "looks for a trace on the pages")
def _(s: Site) -> object:
    pages = ["/", "/lineage", f"/lineage?of={SHARED}", "/flow", "/activity", f"/impact?of={SHARED}"]
    answers = [s.ask("GET", page, "bot") for page in pages]
    assert {a.status for a in answers} == {200}
    return f"200, {'a trace' if any(b'theirs' in a.body for a in answers) else 'none'}"


FORGED = "forged header"
for header in ("x-forwarded-user", "x-remote-user", "x-forwarded-for", "forwarded"):
    value = (
        "for=127.0.0.1"
        if header == "forwarded"
        else "127.0.0.1"
        if "for" in header[11:]
        else "root"
    )
    ATTEMPTS.append((FORGED, f"`{header}`, no proxy configured", lambda s, h=header, v=value: ask(
        s.locked.server.url, "GET", f"{A}/actions", None, {h: v})))  # fmt: skip
for what, headers in {
    "the proxy's user, in the group `sre`": {
        "x-forwarded-user": "ann",
        "x-forwarded-groups": "sre",
    },
    "the same records": {"x-forwarded-user": "ann", "x-forwarded-groups": "sre", "method": "PUT"},
    "the proxy's user, in no group": {"x-forwarded-user": "bob"},
    "groups and no user": {"x-forwarded-groups": "sre"},
}.items():
    ATTEMPTS.append(("proxy", what, lambda s, h=headers: ask(  # type: ignore[misc]
        s.behind.server.url, h.get("method", "GET"), f"{A}/actions" + "/k" * ("method" in h),
        None, {"sec-fetch-site": "same-origin", **h})))  # fmt: skip
