"""The documentation cannot drift: what exists is described, what is shown works."""

from __future__ import annotations

import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer.main

from lineage.app import create_app
from lineage.cli import app as command_line
from lineage.config import Settings
from tests.conftest import Server

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PREFIX = "/api/v1"
EXAMPLE_URL = "http://127.0.0.1:8080"


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


README = ROOT / "README.md"
SHELL = [(page, block) for page in PAGES for block in blocks(page, "bash")]


def routes() -> set[tuple[str, str]]:
    """(METHOD, path) of everything in the OpenAPI document."""
    paths = create_app(Settings()).openapi()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def commands() -> list[str]:
    group = typer.main.get_command(command_line)
    return sorted(group.commands)  # type: ignore[attr-defined]


def requests(block: str) -> list[list[str]]:
    """The curl commands of a block, split as a shell would."""
    words = shlex.split(block.replace("\\\n", " "), comments=True)
    starts = [n for n, word in enumerate(words) if word == "curl"]
    return [words[a:b] for a, b in pairwise([*starts, len(words)])]


def test_every_route_is_in_the_rest_documentation() -> None:
    """A route that nobody can look up does not exist."""
    text = (ROOT / "docs" / "rest.md").read_text()
    missing = []
    for method, path in sorted(routes()):
        short = re.escape(path.removeprefix(PREFIX))
        # `GET /actions/{key}` does not stand for `GET /actions`.
        if not re.search(rf"{method} ({PREFIX})?{short}(?![\w/{{-])", text):
            missing.append(f"{method} {path}")
    assert missing == []


@pytest.mark.parametrize("command", commands())
def test_every_command_has_its_heading_and_its_line_in_the_readme(command: str) -> None:
    """Each command of `lineage --help` can be looked up."""
    manual = (ROOT / "docs" / "cli.md").read_text()
    assert re.search(rf"^## `lineage {command}[ `]", manual, re.MULTILINE)
    assert f"| `lineage {command}` |" in README.read_text()


@pytest.mark.parametrize(("doc", "block"), SHELL, ids=[named(doc) for doc, _ in SHELL])
def test_every_shell_block_parses(doc: Path, block: str) -> None:
    """What is to be pasted into a shell is at least a shell's language."""
    done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_runs_from_top_to_bottom(server: Server) -> None:
    """The hook records, and each curl below it is answered with what it promises."""
    [hook] = blocks(README, "python")
    scope: dict[str, object] = {}
    exec(hook.replace(EXAMPLE_URL, server.url), scope)
    assert scope["hook"].failed == 0  # type: ignore[attr-defined]

    curls = [curl for block in blocks(README, "bash") for curl in requests(block)]
    assert len(curls) == 4
    for curl in curls:
        local = [word.replace(EXAMPLE_URL, server.url) for word in curl]
        done = subprocess.run(
            [*local, "--silent", "--show-error", "--fail-with-body", "--noproxy", "*"],
            text=True, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{shlex.join(curl)}\n{done.stdout}{done.stderr}"
    keys = {
        node.get("key") for node in server.client().lineage("gs://label-bot/models/run-1")["nodes"]
    }
    assert {"trainer/run-1", "deployer/run-1"} <= keys


@pytest.mark.parametrize("doc", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(doc: Path) -> None:
    """A link to a file of ours names a file that is there."""
    links = re.findall(r"\]\(([^)\s]+)\)", doc.read_text())
    local = [urlsplit(link).path for link in links if not urlsplit(link).scheme]
    assert [link for link in local if link and not (doc.parent / link).exists()] == []


def test_decisions_are_numbered_without_gaps() -> None:
    """0001, 0002, …: a decision is superseded by a later one, never removed."""
    numbers = [int(p.name[:4]) for p in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
