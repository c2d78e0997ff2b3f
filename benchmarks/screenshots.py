"""Every page in both themes, for the documentation: `make screenshots` writes docs/images/.

The label bot's real history beside a fleet of made-up models (`benchmarks.fleet`).
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import httpx2
from playwright.sync_api import Browser, sync_playwright

from benchmarks import fleet
from benchmarks.server import serve
from lineage.identity import identify

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_SIZE = (1440, 900)


def pages() -> dict[str, str]:
    """Name of the picture → address."""
    model, slot = fleet.model_uri(0), fleet.slot_uri(0)
    return {
        "live": "/",
        "past": "/?as_of=2020-07-10",
        "graph": f"/lineage?of={model}@m-0018",
        "family": f"/lineage?of={model}",
        "artifact": f"/artifacts/{identify(model, 'm-0018', 'Model').id}",
        "action": f"/actions/train/{fleet.label(0)}/18",
        "columns": f"/lineage?of={model}@m-0018&view=columns",
        "table": f"/lineage?of={model}@m-0018&view=table",
        "flow": "/flow",
        "diff": f"/diff?a={slot}",
        "impact": f"/impact?of={fleet.data_uri(0)}@v18",
        "activity": "/activity",
        "search": "/search?q=triage",
    }


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="lineage-screenshots-") as folder,
        serve(Path(folder) / "lineage.db") as server,
        sync_playwright() as playwright,
    ):
        _fill(server.url)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        for name, path in pages().items():
            for scheme in ("light", "dark"):
                _take(browser, server.url + path, IMAGES / f"{name}-{scheme}.png", scheme)
        browser.close()


def _fill(url: str) -> None:
    kind = {"content-type": "application/x-ndjson"}
    past = (p.read_bytes() for p in sorted((ROOT / "examples" / "label_bot").glob("*.ndjson")))
    now = datetime.now(UTC)
    made = fleet.lines(fleet.fleet(5, 18, now))
    # Fetched and trained once more, but not deployed: its slot is behind.
    waiting = fleet.lines(islice(fleet.release(0, 18, now), 2))
    with httpx2.Client(base_url=url, timeout=60) as http:
        for content in (*past, made, waiting):
            answer = http.post("/api/v1/actions/batch", content=content, headers=kind)
            answer.raise_for_status()


def _take(browser: Browser, url: str, file: Path, scheme: str) -> None:
    width, height = _SIZE
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_timeout(700)
    page.screenshot(path=file)
    context.close()
    print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
