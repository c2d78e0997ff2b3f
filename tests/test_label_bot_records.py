"""The label bot's history: what ships is what the facts say, and it gives the right answers."""

from __future__ import annotations

import random
import runpy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lineage.merge import dump_action, dump_artifact
from lineage.model import Action, parse_action
from lineage.queries.asof import AsOf
from lineage.queries.lineage import lineage
from lineage.queries.serving.live import Slot, live
from lineage.queries.serving.timeline import timelines
from lineage.store.ports import Reader
from lineage.times import iso, microseconds

from .memory import MemoryReader

EXAMPLE = Path(__file__).parent.parent / "examples" / "label_bot"
FILES = ("history", "evaluation", "tekton")
MODELS = "projects/976279526634/locations/us-central1/models/"


def shipped(name: str) -> str:
    return (EXAMPLE / f"{name}.ndjson").read_text(encoding="utf-8")


def reports() -> list[Action]:
    return [parse_action(line) for name in FILES for line in shipped(name).splitlines()]


def slot(day: datetime | None = None) -> Slot:
    reader: Reader = MemoryReader.of(reports())
    (found,) = live(reader if day is None else AsOf(reader, microseconds(day)))
    return found


def models(slot: Slot) -> list[str]:
    return [model.uri.removeprefix(MODELS) for model in slot.models]


@pytest.mark.parametrize("name", FILES)
def test_shipped_records_are_what_the_facts_give(name: str) -> None:
    """Nobody edited the NDJSON by hand, and nobody forgot to build it."""
    example: dict[str, Any] = runpy.run_path(str(EXAMPLE / "build.py"))
    assert example["ndjson"](example["build"]()[name]) == shipped(name)


def test_live_now() -> None:
    """The last model that a tree held is live since the commit that brought it."""
    found = slot()
    assert found.uri == "k8s://issue-label-bot/label-bot-prod/Deployment/label-bot-worker"
    assert models(found) == ["TCN4131157655647420416"]
    assert (iso(found.since), found.evidence) == ("2020-10-05T12:59:08Z", "committed")
    assert found.action.name == "f8713b6 #183"
    assert [c.version for c in found.code] == ["f8713b67f3df527c98510d9a4db5eff28f2c29f8"]


@pytest.mark.parametrize(
    ("day", "model"),
    [
        (datetime(2020, 7, 10, tzinfo=UTC), "TCN654213816573231104"),
        (datetime(2020, 7, 16, 12, tzinfo=UTC), "TCN4752636812038504448"),
        (datetime(2020, 8, 1, tzinfo=UTC), "TCN2113632983515660288"),
        (datetime(2020, 12, 1, tzinfo=UTC), "TCN4131157655647420416"),
    ],
)
def test_live_then(day: datetime, model: str) -> None:
    """At any past day the model of that day is the answer."""
    assert models(slot(day)) == [model]


def test_before_the_configmap_nothing_is_known() -> None:
    """Before 2020-06-30 no tree named a model, so none is shown."""
    before = AsOf(MemoryReader.of(reports()), microseconds(datetime(2020, 6, 30, tzinfo=UTC)))
    assert live(before) == []


def test_claims_are_judged() -> None:
    """#194 names a model that no tree ever held; #184 names the one that was there."""
    found = slot()
    assert [
        (c.action.name, c.agrees, [m.uri.removeprefix(MODELS) for m in c.models])
        for c in found.claims
    ] == [
        ("0011f80 #194", False, ["TCN1122084601494241280"]),
        ("a6b48bd #184", True, ["TCN4131157655647420416"]),
    ]
    assert found.status == "disagree"


def test_history_has_each_deploy_once() -> None:
    """The merge is there and its branch commit is not; a new ConfigMap is a deploy of its own."""
    uri = slot().uri
    line = timelines(MemoryReader.of(reports()), [uri])[uri]
    assert [(p.action.name, iso(p.since)[:10]) for p in line.periods] == [
        ("388b16f #152", "2020-06-30"),
        ("40fe5a4 #165", "2020-07-15"),
        ("d46af57 #166", "2020-07-16"),
        ("6c3efe6 #173", "2020-07-16"),
        ("f8713b6 #183", "2020-10-05"),
    ]


def test_origin_is_not_invented() -> None:
    """No training of a deployed model was recorded, and later runs are no excuse."""
    assert slot().trained_by == ()


def test_runs_are_told_from_their_retries() -> None:
    """A run that failed for good and one that its retry saved both show two attempts."""
    by_name = {str(action.name): action for action in reports()}
    failed, saved = (by_name[f"labelbot-train-{n}-run-notebook"] for n in ("4c5d6", "9f0e1"))
    assert (failed.state, failed.params["attempts"]) == ("failed", 2)
    why = 'StepFailed: "step-run" exited with code 1: Error (first failing step: run)'
    assert (failed.error, saved.params["attempt 1"]) == (why, why)
    assert (saved.state, saved.params["attempts"]) == ("complete", 2)


def test_training_run_shows_data_code_and_model() -> None:
    """Of a run: the dataset and the commit it read, and the model it made."""
    graph = lineage(MemoryReader.of(reports()), "labelbot-train-1a2b3", depth=1)
    assert sorted(node.json()["name"] for node in graph.nodes.values()) == [
        "TCN4131157655647420416", "code-intelligence", "dataset_200723_174527.csv",
        "labelbot-train-1a2b3",
    ]  # fmt: skip


def test_any_order_gives_the_same_history() -> None:
    """Shuffled and repeated ten ways, the same states."""

    def states(given: list[Action]) -> tuple[list[bytes], list[bytes]]:
        actions, artifacts = [], []
        for chunk, touched in MemoryReader.of(given).walk():
            actions += [dump_action(state) for state in chunk]
            artifacts += [dump_artifact(state) for state in touched.values()]
        return actions, sorted(artifacts)

    expected = states(reports())
    for seed in range(10):
        shuffled = reports() + reports()[::2]
        random.Random(seed).shuffle(shuffled)
        assert states(shuffled) == expected
