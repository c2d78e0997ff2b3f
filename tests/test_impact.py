"""What a thing reaches: the slots that served it and when, by which path, and what else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.errors import NotFound
from lineage.model import Action
from lineage.queries.asof import AsOf
from lineage.queries.impact import impact
from lineage.queries.lineage import around
from lineage.queries.reach import reach
from lineage.queries.serving.timeline import timelines

from .conftest import Server
from .memory import MemoryReader
from .strategies import actions
from .test_cli import Run, run  # noqa: F401
from .two_models import COMMITS, DATA, REPO, SLOT, step, world

SHA = "sha256:" + "ab" * 32
reported = st.lists(actions(st.sampled_from(["k/1", "k/2", "k/3", "k/4"])), min_size=1, max_size=6)


def ask(reports: list[Action], of: str, **more: Any) -> dict[str, Any]:
    return impact(MemoryReader.of(reports), of, **more).json()


def served(answer: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(s["name"], p["since"], p["until"]) for s in answer["slots"] for p in s["periods"]]


def model(uri: str, **more: Any) -> dict[str, Any]:
    return {"type": "Model", "uri": uri, "role": "model", **more}


def deployed(version: str, evidence: str | None = "observed", **more: Any) -> dict[str, Any]:
    return {"type": "Deployment", "uri": SLOT, "version": version, "evidence": evidence, **more}


def test_first_dataset_names_the_slots_that_served_it_and_when() -> None:
    """Data of a model that was replaced served until then, by a path that can be read."""
    found = ask(world(), f"{DATA}@v1")
    assert served(found) == [("triage-worker", "2020-07-04T00:00:00Z", "2020-07-14T00:00:00Z")]
    [slot] = found["slots"]
    assert (slot["serving"], slot["claimed"]) == (False, False)
    assert [(step["name"], step["edge"]) for step in slot["path"]] == [
        ("issues.csv", None), ("0", "recorded"), ("triage-0", "recorded"), ("0", "recorded"),
        ("triage-worker", "recorded"),
    ]  # fmt: skip
    assert [m["uri"] for m in found["models"]["items"]] == ["models/triage-0"]
    assert {one["type"]: one["count"] for one in found["artifacts"]} == {"Metrics": 1}
    assert {one["type"]: one["count"] for one in found["actions"]} == {
        "train": 1, "evaluate": 1, "deploy": 1,
    }  # fmt: skip


def test_without_a_version_it_is_all_of_them() -> None:
    """Everything the dataset ever served, the present first said to be serving."""
    found = ask(world(), DATA)
    assert served(found) == [
        ("triage-worker", "2020-07-04T00:00:00Z", "2020-07-14T00:00:00Z"),
        ("triage-worker", "2020-07-14T00:00:00Z", None),
    ]
    assert found["slots"][0]["serving"]
    assert found["of"]["count"] == 2


@pytest.mark.parametrize("ref", [f"{REPO}@{COMMITS[1]}", "models/triage-1", "train/1", "fetch/1"])
def test_commits_models_and_acts_reach_as_data_does(ref: str) -> None:
    """Whatever took part in making it is asked about alike."""
    assert served(ask(world(), ref)) == [("triage-worker", "2020-07-14T00:00:00Z", None)]


def test_past_is_as_it_was() -> None:
    """At T what was replaced later still serves."""
    reader = MemoryReader.of(world())
    then = timelines(reader, [SLOT])[SLOT].periods[0].since + 1
    assert impact(AsOf(reader, then), DATA).json()["slots"][0]["serving"]


def test_copy_of_the_content_counts() -> None:
    """A model that was copied elsewhere and deployed from there serves its data."""
    reports = [
        step("t", 1, type="train", outputs=[model("gs://m/a", version=SHA)]),
        step("d", 2, inputs=[model("s3://m/b", version=SHA)], outputs=[deployed("1")]),
    ]
    found = ask(reports, "t")
    assert len(served(found)) == 1
    assert "same content" in [s["edge"] for s in found["slots"][0]["path"]]


def test_claim_is_marked() -> None:
    """What is only said to come of it is listed as that, and never as serving."""
    claim = {"evidence": "claimed"}
    reports = [
        step("t", 1, type="train", outputs=[model("m/1")]),
        step("pr", 2, inputs=[model("m/1", **claim)], outputs=[deployed("1", "claimed")]),
    ]
    [slot] = ask(reports, "t")["slots"]
    assert (slot["claimed"], slot["serving"], slot["periods"]) == (True, False, [])
    assert [s["claimed"] for s in slot["path"]] == [False, False, True, True]
    seen = step("d", 3, inputs=[model("m/1", **claim)], outputs=[deployed("2")])
    [slot] = ask([*reports, seen], "t")["slots"]
    assert (slot["claimed"], slot["serving"], len(slot["periods"])) == (True, True, 1)
    solid = step("e", 4, inputs=[model("m/1")], outputs=[deployed("3")])
    [slot] = ask([*reports, seen, solid], "t")["slots"]
    assert (slot["claimed"], [p["claimed"] for p in slot["periods"]]) == (False, [True, False])


def test_what_was_over_before_it_began_did_not_come_of_it() -> None:
    """A model that is trained again under its name: the old deploy is not the new data's."""
    data = {"type": "Dataset", "uri": "gs://b/x", "version": "2"}
    reports = [
        step("d1", 1, inputs=[model("m/x")], outputs=[deployed("1")]),
        step("t2", 2, type="train", inputs=[data], outputs=[model("m/x")]),
    ]
    assert ask(reports, "gs://b/x")["slots"] == []
    later = step("d3", 3, inputs=[model("m/x")], outputs=[deployed("3")])
    assert [p[1] for p in served(ask([*reports, later], "gs://b/x"))] == ["2020-07-01T03:00:00Z"]


def test_deployment_without_a_version_counts_by_its_act() -> None:
    """Where every deploy writes the same name, only those that read the thing count."""
    slot = {"type": "Deployment", "uri": SLOT, "evidence": "observed"}
    reports = [
        step(f"d{n}", n, inputs=[model(f"m/{n}")], outputs=[slot]) for n in (1, 2, 3)
    ]  # fmt: skip
    assert [p[1] for p in served(ask(reports, "m/2"))] == ["2020-07-01T02:00:00Z"]


def test_many_are_counted_and_some_listed() -> None:
    """A list is as long as can be read; the count is of all."""
    outputs = [model(f"m/{n}") for n in range(30)]
    found = ask([step("t", 1, type="train", outputs=outputs)], "t")
    assert (found["models"]["count"], len(found["models"]["items"])) == (30, 20)


def test_limit_says_that_it_cut() -> None:
    """Where more came of it than was looked at, the answer says so."""
    assert ask(world(), DATA, max_nodes=3)["truncated"]
    assert ask(world(), DATA, max_nodes=1)["of"]["count"] == 2
    assert not ask(world(), DATA)["truncated"]


def test_nothing_of_that_name() -> None:
    """A thing that is not there is not found, rather than without impact."""
    with pytest.raises(NotFound):
        ask(world(), "gs://nowhere")


@settings(max_examples=100, deadline=None)
@given(reported)
def test_periods_are_those_whose_upstream_holds_the_thing(reports: list[Action]) -> None:
    """Seen from the slot: a period counts if what it held came of the thing."""
    reader = MemoryReader.of(reports)
    held = {
        period.deployment.id
        for line in timelines(reader, reader.slots(None, 10)).values()
        for period in line.periods
        if period.deployment.version
    }
    behind = {id_: reach(around(reader, [id_], "upstream"), [id_], "upstream") for id_ in held}
    for ref in reader._artifacts:
        periods = [p for slot in ask(reports, ref)["slots"] for p in slot["periods"]]
        found = {p["deployment"]["id"] for p in periods if p["deployment"]["version"]}
        assert found == {id_ for id_ in held if ref in behind[id_]}


def test_the_route_and_the_command_answer_alike(server: Server, run: Run) -> None:  # noqa: F811
    """What REST says is what `--json` prints; people read the slot, its times and the path."""
    lines = [one.model_dump_json(exclude_defaults=True).encode() + b"\n" for one in world()]
    with server.client() as client:
        assert client.batch(b"".join(lines))["failed"] == 0
        answer = client.impact(DATA)
    assert answer == {"as_of": None, **ask(world(), DATA)}
    assert json.loads(run("impact", DATA, "--json", "--url", server.url).out) == answer
    shown = run("impact", f"{DATA}@v1", "--url", server.url).out
    assert "0 serving now, 1 in all" in shown
    assert "2020-07-04T00:00:00Z  –  2020-07-14T00:00:00Z  triage-0" in shown
    assert "issues.csv → train 0 → triage-0 → deploy 0 → triage-worker" in shown
    past = run("impact", DATA, "--as-of", "2020-07-05", "--url", server.url).out
    assert "1 serving then, 1 in all" in past
