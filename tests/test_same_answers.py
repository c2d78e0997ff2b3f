"""The same records make the same store in every database, and it gives the same answers.

The records of `tests.hostile_texts`, as hostile as they can be made, and the label bot's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.every_question import API, NOT_COMPARED, answer, questions
from tests.hostile_texts import records
from tests.running import ENGINES, SERVERS, Running, fill, known

pytestmark = pytest.mark.timeout(300)  # a server's start, and two thousand questions


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """SQLite, with the hostile records and the label bot's."""
    running = Running("sqlite", tmp_path_factory.mktemp("reference"))
    fill(running)
    yield running
    running.close()


@pytest.fixture(scope="module", params=ENGINES)
def filled(
    request: pytest.FixtureRequest, reference: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """Each database with the same records."""
    if request.param == "sqlite":
        yield reference
        return
    running = Running(request.param, tmp_path_factory.mktemp("filled"))
    fill(running)
    yield running
    running.close()


def test_a_restart_keeps_everything(filled: Running) -> None:
    """Every byte of the export and what is live, whether the server ended in order or was killed;
    and it records again."""
    before = filled.export(), filled.get("/live")["slots"], filled.all("/controllers", 100)
    for kill in (False, True):
        filled.again(kill)
        found = filled.export(), filled.get("/live")["slots"], filled.all("/controllers", 100)
        assert found == before
    done = filled.batch(known())
    assert done["unchanged"] == done["received"]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_export_makes_the_same_store(reference: Running, tmp_path: Path, engine: str) -> None:
    """Export → import → export: byte for byte, from SQLite into each."""
    exported = reference.export()
    copy = Running(engine, tmp_path)
    copy.record(exported.splitlines())
    assert copy.export() == exported
    copy.close()


@pytest.mark.parametrize("filled", SERVERS, indirect=True)
def test_every_question_has_the_same_answer_as_from_sqlite(
    reference: Running, filled: Running
) -> None:
    """Lists and their pages, nodes, graphs in every format, live, stale, flow, diff, search,
    export, at several moments: the same JSON, the same bytes."""
    wrong, answered = [], 0
    asked = list(questions(list(records())))
    for question in asked:
        for _ in range(3):  # a search gives up, and says so, where the machine is busy
            expected, actual = answer(reference.http, question), answer(filled.http, question)
            if expected == actual:
                break
        answered += expected[0] == 200
        if expected != actual:
            wrong.append((question, *_difference(expected, actual)))
    shown = "\n".join(f"{q}\n  SQLite: {a}\n  {filled.engine}: {b}" for q, a, b in wrong[:20])
    assert answered > 0.9 * len(asked), "mostly errors: nothing was compared"
    assert not wrong, f"{len(wrong)} of {len(asked)} answers differ:\n{shown}"


def _difference(expected: Any, actual: Any) -> tuple[str, str]:
    """Where two answers first differ, and what is there."""
    one, two = (json.dumps(x, ensure_ascii=False, default=repr) for x in (expected, actual))
    pairs = enumerate(zip(one, two, strict=False))
    at = next((n for n, (a, b) in pairs if a != b), min(len(one), len(two)))
    return one[max(0, at - 80) : at + 120], two[max(0, at - 80) : at + 120]


def test_every_text_comes_back_from_every_field(filled: Running) -> None:
    """What was recorded is what is told, to the last blank."""
    for one in records():
        found = filled.get(f"/actions/{quote(one['key'], safe='')}")
        for field in ("key", "name", "by", "error", "params", "links", "trigger", "controller"):
            assert found[field] == one[field], (one["name"], field)


def test_no_question_is_forgotten(reference: Running) -> None:
    """Every GET of the API is asked above, or is named as one that no two servers answer alike."""
    paths = reference.http.get(f"{API}/openapi.json").json()["paths"]
    asked = {question.partition("?")[0] for question in questions(list(records()))}
    for path, operations in paths.items():
        if "get" not in operations or path in NOT_COMPARED:
            continue
        parts = path.split("/")
        assert any(_fits(parts, one.split("/")) for one in asked), f"{path} is never asked"


def _fits(pattern: Sequence[str], path: Sequence[str]) -> bool:
    return len(pattern) == len(path) and all(
        p.startswith("{") or p == q for p, q in zip(pattern, path, strict=True)
    )
