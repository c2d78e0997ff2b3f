"""The eight questions, each asked over REST and from the command line, on the label bot's data.

The same answer in both places, and the one that the history tells. `docs/questions.md` shows
the same questions to people.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lineage.client import Client

from .conftest import start_server
from .test_cli import Run, run  # noqa: F401

ROOT = Path(__file__).parent.parent
RECORDS = sorted((ROOT / "examples" / "label_bot").glob("*.ndjson"))
PAGE = (ROOT / "docs" / "questions.md").read_text()
ANSWERS = re.findall(r"```sh\n(lineage [^\n]*)\n```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
REQUESTS = re.findall(r"```sh\ncurl '(localhost:8080[^\n]*)'\n```", PAGE)
SLOT = "k8s://issue-label-bot/label-bot-prod/Deployment/label-bot-worker"
LIVE, BEFORE, CLAIMED = "TCN4131157655647420416", "TCN2113632983515660288", "TCN1122084601494241280"
REPO = "git+https://github.com/kubeflow/code-intelligence"
LATER = "2026-12-01T00:00:00+00:00"
"""After everything: ages are told from here, so that they do not change."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server that knows the history of the label bot."""
    server = start_server(tmp_path_factory.mktemp("demo"))
    with server.client() as client:
        for file in RECORDS:
            assert client.batch(file.read_bytes())["failed"] == 0
        yield client
    server.stop()


@pytest.fixture
def asked(demo: Client, run: Run) -> Any:  # noqa: F811
    """`asked(command, …)`: what the command line answers, as JSON."""

    def asked(*words: str) -> Any:
        done = run(*words, "--json", "--url", demo.url)
        assert (done.code, done.err) == (0, "")
        return json.loads(done.out)

    return asked


def names(nodes: list[dict[str, Any]]) -> list[str]:
    return [node["name"] for node in nodes]


def test_1_what_is_live_now_and_was_then(demo: Client, asked: Any) -> None:
    """In July it was one model, today another; since when, by which act of whom."""
    then = demo.live("2020-08-01")
    assert then == asked("live", "--as-of", "2020-08-01")
    [slot] = then["slots"]
    assert (names(slot["models"]), slot["since"]) == ([BEFORE], "2020-07-16T22:18:46Z")
    assert slot["action"]["controller"]["name"] == "git/kubeflow/code-intelligence"
    assert demo.live() == asked("live")
    assert names(demo.live()["slots"][0]["models"]) == [LIVE]


def test_2_where_it_came_from(demo: Client, asked: Any) -> None:
    """Upstream of the model: its trainings, the commit they ran, the data they read."""
    found = demo.lineage(LIVE, direction="upstream")
    assert found == asked("graph", LIVE, "--direction", "upstream")
    uris = {node["uri"] for node in found["nodes"] if node["kind"] == "artifact"}
    assert {REPO, "gs://issue-label-bot-dev_automl/automl_TCN1/dataset_200723_174527.csv"} <= uris
    [train] = [node for node in found["nodes"] if node["name"] == "labelbot-train-1a2b3"]
    shown = demo.action(train["key"])
    assert shown == asked("show", train["key"])
    assert shown["params"]["requirements"] == "Label_Microservice/requirements.train.txt"


def test_3_what_it_reaches(demo: Client, asked: Any) -> None:
    """A model that was replaced: the slot it served, from when to when."""
    found = demo.impact(BEFORE)
    assert found == asked("impact", BEFORE)
    [slot] = found["slots"]
    assert (slot["slot"], slot["serving"]) == (SLOT, False)
    assert [(p["since"], p["until"]) for p in slot["periods"]] == [
        ("2020-07-16T22:18:46Z", "2020-10-05T12:59:08Z")
    ]


def test_4_what_differs(demo: Client, asked: Any) -> None:
    """The two last live models, and the commits they were deployed from."""
    found = demo.diff(SLOT)
    assert found == asked("diff", SLOT)
    sections = {section["section"]: section["items"] for section in found["sections"]}
    [model] = sections["models"]
    assert names([model["a"], model["b"]]) == [BEFORE, LIVE]
    assert [item["link"] for item in sections["code"]] == [
        "https://github.com/kubeflow/code-intelligence/compare/"
        "6c3efe61752baa6a93279157b6a1318cfdacfff3...f8713b67f3df527c98510d9a4db5eff28f2c29f8"
    ]


def test_5_what_is_stale(demo: Client, asked: Any) -> None:
    """No training of the live model is known, so nobody can say what is newer."""
    found = demo.stale(as_of=LATER)
    assert found == asked("stale", "--as-of", LATER)
    [slot] = found["slots"]
    assert (slot["slot"], slot["status"], slot["trained_by"]) == (SLOT, "unknown", [])


def test_6_whether_the_claims_agree(demo: Client, asked: Any) -> None:
    """The tree holds one model; a pull request says it deployed another, since then."""
    [slot] = asked("live")["slots"]
    assert slot == demo.live()["slots"][0]
    assert slot["status"] == "disagree"
    said = {one["evidence"]: one for one in slot["agreement"]}
    assert (said["committed"]["agrees"], names(said["committed"]["models"])) == (True, [LIVE])
    assert (said["claimed"]["agrees"], names(said["claimed"]["models"])) == (False, [CLAIMED])
    assert said["claimed"]["since"] == "2020-11-04T20:12:53Z"


def test_7_which_pipeline_emerges(demo: Client, asked: Any) -> None:
    """The controllers that acted, how often, and which of them feed each other."""
    found = demo.flow(as_of=LATER, limit=10)
    assert found == asked("flow", "--as-of", LATER)
    acted = {one["controller"]["name"]: one["states"] for one in found["controllers"]}
    assert acted["modelsync/labelbot-train"] == {"complete": 2, "failed": 1}


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("needs-train?controller=modelsync/labelbot-train&as_of=2026-11-24", False),
        ("needs-train?controller=modelsync/labelbot-train&as_of=2026-12-01", True),
        (f"needs-sync?controller=modelsync/labelbot-train&as_of=2026-11-24&slot={SLOT}", False),
    ],
)
def test_8_whether_a_controller_needs_to_act(
    demo: Client, asked: Any, path: str, needed: bool
) -> None:
    """A day after the training there is nothing to do, a week after it there is; the answer
    keeps the contract."""
    url = f"{demo.url}/lambda/{path}"
    answer = json.loads(demo._bytes("GET", f"/lambda/{path}"))
    assert (answer["kind"], answer["needsSync"]) == ("NeedsSync", needed)
    assert answer["metadata"]["annotations"]["lineage-without-dag.github.io/reason"]
    assert asked("lambda-check", url)["passed"]


@pytest.mark.parametrize(("command", "answer"), ANSWERS, ids=[a for a, _ in ANSWERS])
def test_page_shows_what_is_answered(
    demo: Client,
    run: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    answer: str,
) -> None:
    """Whoever types what docs/questions.md shows reads what it shows."""
    monkeypatch.setenv("COLUMNS", "170")
    words = shlex.split(command.replace("http://127.0.0.1:8080", demo.url))[1:]
    done = run(*words, *([] if words[0] == "lambda-check" else ["--url", demo.url]))
    assert done.code == 0
    shown = "\n".join(line.rstrip() for line in done.out.split("\n"))
    assert shown.strip("\n") == answer.strip("\n")


def test_page_asks_each_question_over_rest(demo: Client) -> None:
    """Each request of docs/questions.md is answered."""
    assert len(REQUESTS) == len(ANSWERS) == 8
    for request in REQUESTS:
        assert json.loads(demo._bytes("GET", request.removeprefix("localhost:8080")))
