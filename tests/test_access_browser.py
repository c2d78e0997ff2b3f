"""Logging in and out with a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from .browsing import CHROMIUM, launched, tab
from .doors import Doors, ask, doors

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with doors(tmp_path_factory.mktemp("door"), LINEAGE_REQUEST_TIMEOUT="30") as door:
        door.token("ann", "read", of=("label-bot",))
        door.token("bot", "write")
        while door.ask("GET", "/api/v1/formats", "ann").status != 200:
            pass
        for namespace in ("label-bot", "theirs"):
            door.client("bot").record({
                "key": f"{namespace}/1", "type": "train", "state": "complete",
                "started_at": "2026-01-01T00:00:00Z", "name": f"run of {namespace}",
                "controller": {"name": "c", "namespace": namespace},
            })  # fmt: skip
        yield door


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


def test_a_token_lets_a_browser_in_and_out_again(door: Doors, browser: Browser) -> None:
    """It lands where it wanted to go, sees what its token may see, and no script sees its cookie."""
    with tab(browser, door.server.url) as open_:
        page = open_.page
        page.goto(door.server.url + "/activity?state=complete")
        assert page.url.startswith(door.server.url + "/login?next=")
        page.fill("#token", "wrong")
        page.click("button")
        assert page.locator("[role=alert]").inner_text() == "This token is not known here."
        page.fill("#token", door.secrets["ann"])
        page.click("button")
        page.wait_for_url("**/activity?state=complete")
        assert "run of label-bot" in page.content() and "theirs" not in page.content()
        (cookie,) = [c for c in page.context.cookies() if c["name"] == "lineage_session"]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert "lineage_session" not in page.evaluate("document.cookie")
        assert page.evaluate("fetch('/api/v1/actions').then(r => r.status)") == 200
        put = "fetch('/api/v1/actions/x', {method: 'PUT', body: '{}'}).then(r => r.status)"
        assert page.evaluate(put) == 403
        page.click("[title='Log out']")
        page.wait_for_url("**/login")
        page.goto(door.server.url + "/activity")
        assert "/login?next=" in page.url
        refused = "Failed to load resource"  # as a browser says of 401 and 403
        assert [w for w in open_.complaints() if refused not in w] == []


def test_a_token_that_cannot_read_does_not_log_in(door: Doors) -> None:
    """Its holder is told why; a session would show nothing."""
    body = f"token={door.secrets['bot']}".encode()
    got = door.ask("POST", "/login", body=body, sec_fetch_site="same-origin")
    assert got.status == 403 and b"The token bot may not read" in got.body
    assert "set-cookie" not in got.headers


@pytest.mark.parametrize(
    ("back", "leads"),
    [("/activity?q=a", "/activity?q=a"), ("//evil.example", "/"), ("https://evil.example", "/"),
     ("/\\evil.example", "/"), ("/login?next=/", "/"), ("/a\r\nset-cookie: x", "/"), ("", "/")],
)  # fmt: skip
def test_a_login_leads_to_a_page_of_ours(door: Doors, back: str, leads: str) -> None:
    """Never elsewhere, whatever the address of the login page said."""
    from urllib.parse import urlencode

    body = urlencode({"token": door.secrets["ann"], "next": back}).encode()
    got = door.ask("POST", "/login", body=body, sec_fetch_site="same-origin",
                   x_forwarded_proto="https")  # fmt: skip
    if got.status == 429:  # the limit of tries is shared by this machine
        pytest.skip("too many logins from here")
    assert (got.status, got.headers["location"]) == (303, leads)
    flags = got.headers["set-cookie"].lower()
    assert "httponly" in flags and "samesite=strict" in flags
    assert "secure" not in flags  # that header is nobody's proxy


def test_where_nobody_is_asked_there_is_no_login(server: Any) -> None:
    """The page leads to the start."""
    got = ask(server.url, "GET", "/login", None, {})
    assert (got.status, got.headers["location"]) == (303, "/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1400])
def test_the_login_page_fits(door: Doors, browser: Browser, scheme: Any, width: int) -> None:
    """On a telephone too: nothing sticks out, nothing is written on its own colour."""
    with tab(browser, door.server.url, scheme, width) as open_:
        page = open_.open("/login")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        colours = "['color', 'backgroundColor'].map(c => getComputedStyle(document.body)[c])"
        ink, ground = page.evaluate(colours)
        assert ink != ground
        if folder := os.environ.get("LINEAGE_SCREENSHOTS"):
            page.screenshot(path=str(Path(folder) / f"login-{scheme}-{width}.png"))
        assert open_.complaints() == []
