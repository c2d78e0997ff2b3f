"""docs/seed.md keeps its word: every row is there, and what it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from .conftest import Server

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "seed.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text("utf-8").splitlines()
    if re.match(r"\| \d", line)
]
TEST = re.compile(r"`(tests/\w+\.py)::(\w+)`")


@cache
def defined(path: Path) -> set[str]:
    """The tests that pytest collects from a file: its functions, by their name."""
    body = ast.parse(path.read_text("utf-8")).body
    return {one.name for one in body if isinstance(one, ast.FunctionDef)}


def test_every_system_has_its_row() -> None:
    """Thirty-six, in order, each with something in every column."""
    assert [row[0].strip() for row in ROWS] == [str(n) for n in range(1, 37)]
    assert all(len(row) == 4 and all(row) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_a_row_is_proved(row: list[str]) -> None:
    """By tests that are really there; and every file it points to is."""
    named = TEST.findall(row[3])
    assert named and TEST.sub("", row[3]).strip(", ") == ""
    for file, test in named:
        assert test.startswith("test_") and test in defined(ROOT / file), f"{file}::{test}"
    for target in re.findall(r"\]\(([^)#]+)", row[2]):
        assert target.startswith("https://") or (PAGE.parent / target).exists(), target


def test_what_is_known_of_data_and_models_is_kept(server: Server) -> None:
    """A query's window and size, and a model's labels, are properties of the artifact; data
    that anybody may change has no version."""
    source = "bigquery://githubarchive.month.2020*"
    seen = {
        "query": "org.login = 'kubeflow'",
        "from": "2020-01-01",
        "to": "2020-07-01",
        "rows": 9812,
    }
    labels = {"labels.team": "kubeflow", "labels.stage": "prod"}
    client = server.client()
    client.record({
        "key": "seed/train-1", "type": "train", "controller": {"name": "seed"}, "state": "complete",
        "inputs": [{"type": "Dataset", "uri": source, "properties": seen}],
        "outputs": [{"type": "Model", "uri": "projects/seed/models/TCN1", "properties": labels}],
    })  # fmt: skip
    action = client.action("seed/train-1")
    for side, properties in (("inputs", seen), ("outputs", labels)):
        (found,) = client.artifacts(uri=action[side][0]["uri"])
        assert (found["properties"], found.get("version")) == (properties, None)
