"""More attempts: with paths, pages of other sites, and requests without an end."""

from __future__ import annotations

import gzip
from typing import Any

from lineage.access.tokens import session
from lineage.api.guard import SESSION

from .attempts import ATTEMPTS, A, Site, act, attempt, plain, whence
from .doors import Answer, ask, raw

PATH = "path tricks"
for target in (
    f"/{A}/actions", "/healthz/../api/v1/actions", "/static/..%2fapi%2fv1%2factions",
    "/static/%2e%2e/%2e%2e/app.py", "/API/v1/actions", f"{A}/%61ctions", f"{A}/actions/",
    f"{A}/actions;/healthz", "/healthz%2f..%2fapi%2fv1%2factions", "/healthz%00", "/./api/v1/stats",
    f"{A}/actions%3f/healthz", "http://h/api/v1/actions", "*",
):  # fmt: skip
    plain(PATH, f"`{target}`", "OPTIONS" if target == "*" else "GET", target)
plain(PATH, "`x-original-url: /healthz`", "GET", f"{A}/actions", x_original_url="/healthz")
for method in ("HEAD", "OPTIONS", "TRACE", "PROPFIND", "get"):
    plain(PATH, f"the method `{method}`", method, f"{A}/actions")
plain(PATH, "DELETE, with `read` and `write`", "DELETE", f"{A}/actions/bot%2F1", "bot")


def browser(s: Site, method: str, target: str, site: str = "same-origin", **more: Any) -> Answer:
    cookie = f"{SESSION}={session(s.locked.secrets['ops'])}"
    return s.ask(method, target, cookie=cookie, sec_fetch_site=site, **more)


CSRF = "another site"
for what, how in {
    "logged in as `ops`, a page reads": lambda s: browser(s, "GET", "/activity"),
    "logged in as `ops`, a page of ours records": lambda s: browser(
        s, "PUT", f"{A}/actions/k", body=act("x")),
    "a page elsewhere makes the browser record": lambda s: browser(
        s, "POST", f"{A}/actions/batch", "cross-site", body=b"[]"),
    "a page elsewhere logs the user out": lambda s: browser(s, "POST", "/logout", "cross-site"),
    "a page elsewhere logs the user in": lambda s: s.ask(
        "POST", "/login", body=b"token=x", origin="https://evil.example"),
    "the form sent by no browser": lambda s: s.ask("POST", "/login", body=b"token=x"),
    "on a server without tokens: a form elsewhere records": lambda s: ask(
        s.local.url, "POST", f"{A}/actions/batch", b"[]", {"origin": "https://evil.example"}),
    "on a server without tokens: a name elsewhere that leads here": lambda s: ask(
        s.local.url, "GET", f"{A}/actions", None, {"host": "evil.example"}),
    "a login that would lead elsewhere": lambda s: whence(s.ask(
        "POST", "/login", sec_fetch_site="same-origin",
        body=f"token={s.locked.secrets['reader']}&next=//evil.example".encode())),
}.items():  # fmt: skip
    ATTEMPTS.append((CSRF, what, how))

LARGE = "too large"
plain(LARGE, "an action of 5 MB", "PUT", f"{A}/actions/k", "writer", body=b" " * 5_000_000)
plain(LARGE, "a form of 1 MB", "POST", "/login", body=b" " * 10**6, origin="null", sec_fetch_site="same-origin")  # fmt: skip
plain(LARGE, "a gzip of 100 kB that is 100 MB", "POST", f"{A}/lineage", "writer",
      body=gzip.compress(b" " * 10**8), content_encoding="gzip")  # fmt: skip


@attempt(LARGE, "5 MB in chunks, of no stated length")
def _(s: Site) -> object:
    head = (f"PUT {A}/actions/k HTTP/1.1\r\nhost: h\r\nconnection: close\r\n"
            f"authorization: Bearer {s.locked.secrets['writer']}\r\ntransfer-encoding: chunked\r\n\r\n")  # fmt: skip
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    return raw(s.locked.server.url, head.encode(), *[chunk] * 80, b"0\r\n\r\n")[0].removeprefix(
        "HTTP/1.1 "
    )


@attempt(LARGE, "headers without an end")
def _(s: Site) -> object:
    lines = [b"x-%d: %s\r\n" % (n, b"y" * 8000) for n in range(500)]
    return raw(s.locked.server.url, b"GET / HTTP/1.1\r\nhost: h\r\n", *lines, pause=0.001)[
        0
    ].removeprefix("HTTP/1.1 ")


@attempt(LARGE, "a length, and chunks as well")
def _(s: Site) -> object:
    both = b"content-length: 4\r\ntransfer-encoding: chunked\r\n"
    request = (
        b"POST /login HTTP/1.1\r\nhost: h\r\n"
        + both
        + b"\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"
    )
    return raw(s.locked.server.url, request)[0].removeprefix("HTTP/1.1 ")


SLOW = "too slow (here 2 s are allowed)"


def closed(said: tuple[str, float]) -> str:
    assert 1.5 < said[1] < 15, said
    return (said[0].removeprefix("HTTP/1.1 ") or "closed") + ", in time"


@attempt(SLOW, "a connection, and nothing more")
def _(s: Site) -> object:
    return closed(raw(s.locked.server.url))


@attempt(SLOW, "headers, a byte at a time")
def _(s: Site) -> object:
    return closed(
        raw(
            s.locked.server.url,
            *[bytes([b]) for b in b"GET / HTTP/1.1\r\nx: " + b"y" * 200],
            pause=0.1,
        )
    )


@attempt(SLOW, "a body, a byte at a time")
def _(s: Site) -> object:
    head = (f"PUT {A}/actions/k HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n"
            f"authorization: Bearer {s.locked.secrets['writer']}\r\n\r\n")  # fmt: skip
    return closed(raw(s.locked.server.url, head.encode(), *[b" "] * 200, pause=0.1))


OFTEN = "too often"


@attempt(OFTEN, "100 requests at once, 5 a second allowed")
def _(s: Site) -> object:
    found = [s.slow.ask("GET", f"{A}/formats", "reader") for _ in range(100)]
    assert found[0].status == 200
    refused = [a for a in found if a.status == 429]
    assert len(refused) > 50 and refused[0].headers["retry-after"]
    return f"200, then {refused[0]}"


@attempt(OFTEN, "30 logins at once")
def _(s: Site) -> object:
    found = [
        s.ask("POST", "/login", body=b"token=x", sec_fetch_site="same-origin") for _ in range(30)
    ]
    return f"{found[0].status}, then {found[-1].status}"
