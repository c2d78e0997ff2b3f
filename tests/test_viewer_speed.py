"""How soon ten models of fifty versions are on the screen; `benchmarks.viewer` measures the same
alone on a machine and against tighter limits."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Browser

from benchmarks import fleet, viewer

from .browsing import CHROMIUM, SCRIPT, graph_of, launched, tab
from .conftest import Server, start_server

MODEL = fleet.model_uri(0)
TIMES = 5
"""The best of so many counts: other work on the machine is not what is tested."""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (see make browser)"),
    pytest.mark.skipif(not SCRIPT.exists(), reason="the viewer's script is not built (see make)"),
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("speed"))
    with running.client() as client:
        client.batch(fleet.lines(fleet.fleet(10, 50)), ndjson=True)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as running:
        yield running


def test_the_first_node_is_on_screen_in_a_second(recorded: Server, chromium: Browser) -> None:
    """From a cold page; what is there can be read, and it is a few dozen nodes, not 1,500."""
    taken = []
    for _ in range(TIMES):
        with tab(chromium, recorded.url) as opened:
            begun = time.perf_counter()
            opened.page.goto(recorded.url + graph_of(MODEL), wait_until="commit")
            opened.page.locator(".g-node").first.wait_for()
            taken.append(time.perf_counter() - begun)
            opened.page.wait_for_load_state()
            assert 10 <= opened.page.locator(".g-node").count() <= 60
            assert opened.page.evaluate(viewer._TEXT) >= 6  # pixels of the smallest letters
            assert opened.complaints() == []
    assert min(taken) <= 1


def test_the_server_makes_a_graph_of_two_hundred_nodes_in_half_a_second(recorded: Server) -> None:
    """Folding, placing and drawing, without a cache."""
    with httpx2.Client(base_url=recorded.url, timeout=60) as http:
        path = viewer._opened(http)
        taken = []
        for _ in range(TIMES):
            begun = time.perf_counter()
            answer = http.get(path, headers={"accept": "text/html"})
            taken.append(time.perf_counter() - begun)
        assert answer.text.count('class="g-node') >= viewer.NODES
    assert min(taken) <= 0.5


def test_the_home_page_paints_at_once(recorded: Server, chromium: Browser) -> None:
    """0.3 s is asked for; twice that here, as the browser's own start is in it."""
    taken = []
    for _ in range(TIMES):
        with tab(chromium, recorded.url) as opened:
            page = opened.open("/")
            page.wait_for_timeout(300)  # a quiet page paints after its load event
            taken.append(page.evaluate(viewer._FIRST_PAINT))
    assert min(taken) <= 0.6
