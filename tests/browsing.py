"""A browser that tells on the pages: Debian's Chromium, and whatever it complained about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from playwright.sync_api import Browser, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "label_bot"
SCRIPT = ROOT / "ui" / "static" / "viewer.js"
Scheme = Literal["light", "dark"]

# What the policy forbade: some violations are not written to the console.
_LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


class Tab:
    """A page of a server, and what was wrong on it."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base = page, base
        self.wrong: list[str] = []
        self._may: tuple[str, ...] = ()
        page.add_init_script(_LISTEN)
        page.on("console", lambda message: self._note(message.text))
        page.on("pageerror", lambda error: self._note(f"uncaught: {error}"))
        page.on(
            "dialog", lambda dialog: (self._note(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        page.on("request", self._request)

    def open(self, path: str, *, status: int = 200) -> Page:
        # A browser itself complains about a page that is an error.
        self._may = ("Failed to load resource",) if status != 200 else ()
        answer = self.page.goto(self.base + path)
        assert answer is not None and answer.status == status, (path, answer and answer.status)
        return self.page

    def complaints(self) -> list[str]:
        """Everything so far: console, uncaught errors, dialogs, policy, requests elsewhere."""
        return [*self.wrong, *self.page.evaluate("window.violations")]

    def _note(self, text: str) -> None:
        if not text.startswith(self._may or ("\0",)):
            self.wrong.append(text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.wrong.append(f"request to {request.url}")


@contextmanager
def launched() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def tab(
    browser: Browser, base: str, scheme: Scheme = "light", width: int = 1400, **more: Any
) -> Iterator[Tab]:
    """A tab in a profile of its own."""
    viewport = {"width": width, "height": 900}
    context = browser.new_context(color_scheme=scheme, viewport=viewport, **more)  # type: ignore[arg-type]
    context.set_default_timeout(10_000)
    yield Tab(context.new_page(), base)
    context.close()


def graph_of(what: str, **query: str) -> str:
    more = "".join(f"&{name}={quote(value, safe='')}" for name, value in query.items())
    return f"/lineage?of={quote(what, safe='')}{more}"
