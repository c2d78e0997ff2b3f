"""The viewer over 10 models of 50 versions (1,500 actions): how soon something is on screen.

    python -m benchmarks.viewer [--models 10] [--versions 50]

Each page is opened in a new, cold profile of Chromium. Prints a table for docs/performance.md.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from urllib.parse import quote

import httpx2
from playwright.sync_api import Browser, sync_playwright

from benchmarks import fleet
from benchmarks.report import _table, _time
from benchmarks.server import serve
from ui import static_dir

TIMES = 7
NODES = 200
"""Nodes of the larger graph whose server time is measured; opening stacks leads there."""
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
# Smallest text of a node on the screen, in pixels.
_TEXT = """Math.min(...[...document.querySelectorAll('.g-node text')].map(
  (text) => Number(text.getAttribute('font-size')) * text.getScreenCTM().a))"""


def main() -> None:
    options = _parser().parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="lineage-viewer-") as folder,
        serve(Path(folder) / "lineage.db") as server,
        sync_playwright() as playwright,
    ):
        with httpx2.Client(base_url=server.url, timeout=120) as http:
            records = fleet.lines(fleet.fleet(options.models, options.versions))
            kind = {"content-type": "application/x-ndjson"}
            http.post("/api/v1/actions/batch", content=records, headers=kind).raise_for_status()
            answers = _answers(http)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        seen = _seen(browser, server.url)
        browser.close()
    rows = [*seen, *answers, *_sizes()]
    head = ["what", "measured", "asked for"]
    print(f"### The viewer, {3 * options.models * options.versions:,} actions\n")
    print(_table(head, [list(row) for row in rows]))


def _seen(browser: Browser, base: str) -> list[tuple[str, str, str]]:
    """By a browser that has never seen the server."""
    paints, firsts, text, count = [], [], 0.0, 0
    for _ in range(TIMES):
        page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        page.goto(base)
        page.wait_for_timeout(500)  # a quiet page paints after its load event
        paints.append(page.evaluate(_FIRST_PAINT))
        page.context.close()
        page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        begun = time.perf_counter()
        page.goto(base + _lineage(fleet.model_uri(0)), wait_until="commit")
        page.locator(".g-node").first.wait_for()
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        firsts.append(time.perf_counter() - begun)
        page.wait_for_load_state()
        text, count = page.evaluate(_TEXT), page.locator(".g-node").count()
        page.context.close()
    return [
        ("first paint of the home page", _time(median(paints)), "≤ 0.3 s"),
        ("first node of a graph on screen", _time(median(firsts)), "≤ 1 s"),
        (f"smallest text of its {count} nodes, unzoomed", f"{text:.1f} px", "readable"),
    ]


def _answers(http: httpx2.Client) -> list[tuple[str, str, str]]:
    slot = _lineage(fleet.slot_uri(0))
    wide = _opened(http)
    nodes = http.get(wide).text.count('class="g-node')
    return [
        ("server: home page", _time(_asked(http, "/")), ""),
        ("server: graph of a slot's 50 versions", _time(_asked(http, slot)), ""),
        (f"server: graph of {nodes} nodes", _time(_asked(http, wide)), "≤ 0.5 s"),
        ("server: flow", _time(_asked(http, "/flow")), ""),
        ("server: search", _time(_asked(http, "/search?q=triage")), ""),
    ]


def _opened(http: httpx2.Client) -> str:
    """The address of a graph in which stacks were opened until it has enough nodes."""
    address = _lineage(fleet.model_uri(0))
    for _ in range(60):
        text = http.get(address).text
        stacks = text.split('data-open="')[1:]
        if text.count('class="g-node') >= NODES or not stacks:
            break
        address = stacks[-1].split('"')[0].replace("&amp;", "&")
    return address


def _asked(http: httpx2.Client, path: str) -> float:
    """Seconds, the median; the whole answer, as the browser waits for it."""
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        http.get(path, headers={"accept": "text/html"}).raise_for_status()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def _sizes() -> list[tuple[str, str, str]]:
    out = []
    for name, most in (("viewer.js", 60), ("lineage.css", 30)):
        size = len(gzip.compress((static_dir() / name).read_bytes()))
        out.append((f"{name}, gzipped", f"{size / 1000:.1f} KB", f"≤ {most} KB"))
    return out


def _lineage(of: str) -> str:
    return f"/lineage?of={quote(of, safe='')}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the viewer.")
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--versions", type=int, default=50)
    return parser


if __name__ == "__main__":
    main()
