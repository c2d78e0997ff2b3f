"""The package as people get it: built, installed elsewhere, without Node and without this source."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import fleet

from .browsing import CHROMIUM, ROOT, SCRIPT, graph_of, launched, tab
from .conftest import Server, clean_environment, start_server

pytestmark = [
    pytest.mark.skipif(not SCRIPT.exists(), reason="the viewer's script is not built (see make)"),
    pytest.mark.timeout(900),  # pip installs everything anew
]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel and the source package."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that had nothing but the wheel put into it."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder)
    (wheel,) = dist.glob("*.whl")
    pip = folder / "bin" / "pip"
    run(pip, "install", "-q", "-c", ROOT / "constraints.txt", f"{wheel}[all]")
    return folder / "bin"


@pytest.fixture
def served(installed: Path, tmp_path: Path) -> Iterator[Server]:
    """`lineage serve` of the package; on its PATH are its own programs and those of a bare
    system, so no Node and no `dot`."""
    assert shutil.which("node", path=str(installed)) is None
    running = start_server(
        tmp_path, command=[str(installed / "lineage")], PATH=str(installed), PYTHONPATH=""
    )
    yield running
    running.stop()


def run(*command: object, **options: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], text=True, capture_output=True, check=False,
        env=clean_environment(PYTHONPATH=""), cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_both_packages_hold_the_built_viewer_and_the_types(dist: Path) -> None:
    """Nobody who installs needs Node, and mypy believes our annotations."""
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        inside = set(file.namelist())
    assert {"ui/static/viewer.js", "ui/static/lineage.css", "ui/templates/base.html"} < inside
    assert {"lineage/py.typed", "controllers_hooks/py.typed"} < inside
    assert not any("node_modules" in name for name in inside)
    with tarfile.open(source) as archive:
        assert any(name.endswith("/ui/static/viewer.js") for name in archive.getnames())


def test_the_command_line_completes_itself(installed: Path) -> None:
    """`lineage --show-completion` prints what a shell reads."""
    # It asks which shell has started it.
    script = run("bash", "-c", f"{installed / 'lineage'} --show-completion; true")
    assert "_LINEAGE_COMPLETE" in script


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (see make browser)")
def test_the_installed_viewer_works(served: Server) -> None:
    """Live board, graph with its script, every kind of page: no complaint of the browser."""
    with served.client() as client:
        client.batch(fleet.lines(fleet.fleet(2, 3)), ndjson=True)
    model = f"{fleet.model_uri(0)}@m-0003"
    with launched() as chromium, tab(chromium, served.url) as here:
        page = here.open("/")
        page.get_by_role("link", name="issue-triage", exact=True).click()
        page.locator(".g-node", has_text="train trainer").first.click()
        assert "train.ipynb" in page.locator("#panel article").inner_text()
        for path in (
            graph_of(model),
            "/flow",
            "/activity",
            "/search?q=triage",
            f"/impact?of={model}",
        ):
            assert here.open(path).locator("main h1").count() == 1, path
        assert here.complaints() == []
