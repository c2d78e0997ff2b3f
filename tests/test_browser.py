"""The pages in a real browser: Debian's Chromium on a real server with the label bot's records."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from .conftest import Server, start_server

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
EXAMPLES = Path(__file__).parent.parent / "examples" / "label_bot"
SLOT = "k8s://issue-label-bot/label-bot-prod/Deployment/label-bot-worker"
PATHS = ["/", "/?as_of=2020-07-10", f"/lineage?of={quote(SLOT, safe='')}", "/lineage", "/activity",
         "/search?q=TCN"]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (see make browser)")


@pytest.fixture(scope="module")
def labelbot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("labelbot"))
    with running.client() as client:
        for file in sorted(EXAMPLES.glob("*.ndjson")):
            client.batch(file.read_bytes(), ndjson=True)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def opened(browser: Browser, url: str, scheme: str, width: int) -> tuple[Page, list[str]]:
    """A page without JavaScript, and whatever the browser complained about."""
    context = browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 900},
        java_script_enabled=False,
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("request", lambda r: None if r.url.startswith(url) else complaints.append(r.url))
    return page, complaints


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1600), ("dark", 380)])
def test_pages_work_without_javascript_and_break_no_rule(
    labelbot: Server, chromium: Browser, path: str, scheme: str, width: int
) -> None:
    """No violation of the strict policy, no request elsewhere, nothing wider than the screen."""
    page, complaints = opened(chromium, labelbot.url, scheme, width)
    answer = page.goto(labelbot.url + path)
    assert answer is not None and answer.ok
    assert page.locator("h1, .crumbs").first.is_visible()
    sizes = [page.locator("body").bounding_box(), page.locator("main").bounding_box()]
    assert all(box is not None and box["width"] <= width for box in sizes)
    assert complaints == []
    page.context.close()


def test_from_the_live_model_to_the_claim_that_disagrees(
    labelbot: Server, chromium: Browser
) -> None:
    """The home page says what is live and that #194 claims another; its evidence is one click away."""
    page, _ = opened(chromium, labelbot.url, "light", 1600)
    page.goto(labelbot.url)
    text = page.inner_text("main")
    assert "label-bot-worker" in text and "TCN4131" in text
    assert "Pull request #194 says TCN1122" in text
    page.get_by_role("link", name="Show the evidence").click()
    assert "0011f80" in page.inner_text("main")
    page.context.close()


def test_graph_nodes_are_links(labelbot: Server, chromium: Browser) -> None:
    """A node of the drawing leads to its page; the same edges stand in the table below."""
    page, _ = opened(chromium, labelbot.url, "light", 1600)
    page.goto(labelbot.url + PATHS[2])
    svg = page.locator("svg.graph, .graph svg").first
    assert svg.locator("a").count() > 10
    page.goto(labelbot.url + (svg.locator("a").first.get_attribute("href") or ""))
    assert page.locator("main").is_visible()
    page.context.close()
