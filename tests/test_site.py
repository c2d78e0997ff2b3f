"""The documentation as a site: whole, and strict about its links."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import typer.main

from lineage.cli import app

from .browsing import ROOT


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", source / ".mkdocs.yml", "-d", site],
        text=True, capture_output=True, check=False,
    )  # fmt: skip


def test_the_site_holds_every_command_and_asks_no_other_host(tmp_path: Path) -> None:
    """Every command with its options, from the code; no font, script or style from elsewhere."""
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "reference" / "commands.html").read_text()
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert f"lineage {name}" in reference
    for page in tmp_path.rglob("*.html"):
        text = page.read_text()
        assert 'src="http' not in text, page
        assert 'rel="stylesheet" href="http' not in text, page


def test_a_dead_link_fails_the_build(tmp_path: Path) -> None:
    """To a page that is not there, and to a heading that is not."""
    copy = tmp_path / "copy"
    for name in ("docs", "deploy", "examples", "lineage", "controllers_hooks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".mkdocs.yml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    assert build(copy, tmp_path / "site").returncode == 0
    for link in ("gone.md", "rest.md#no-such-heading"):
        with (copy / "docs" / "flow.md").open("r+") as page:
            text = page.read()
            page.write(f"\n[dead]({link})\n")
        done = build(copy, tmp_path / "site")
        assert done.returncode == 1, link
        assert link in done.stderr
        (copy / "docs" / "flow.md").write_text(text)
