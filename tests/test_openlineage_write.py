"""Actions as OpenLineage events: valid by OpenLineage's own classes, and the same when read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from lineage.formats import Detail
from lineage.formats.openlineage import FORMAT, reports
from lineage.formats.openlineage.write import events
from lineage.graph import build
from lineage.merge import ActionState, ArtifactState, join_actions, join_artifacts, report
from lineage.model import Action
from tests.openlineage_classes import Invalid, validate
from tests.strategies import actions

UID = "8416892d-4ef2-4c0c-9c0c-aafe2aa6f34d"
WHO = {"cluster": "prod", "namespace": "label-bot", "name": "trainer"}
TRAIN = {
    "key": f"tekton.dev/PipelineRun/{UID}", "type": "train", "controller": WHO, "name": "train-1",
    "state": "failed", "started_at": "2020-07-23T17:45:27Z", "ended_at": "2020-07-23T19:02:11Z",
    "reported_at": "2020-07-23T19:02:12Z", "error": "out of memory", "parent": "dag/1",
    "code": {"repo": "https://github.com/o/r", "commit": "faeb6575", "path": "x.ipynb",
             "image": f"registry/o/r@sha256:{'a' * 64}", "dirty": True},
    "inputs": [{"type": "Dataset", "uri": "gs://b/a b.csv", "version": "3", "role": "issues",
                "aliases": ["gs://b/old.csv"]}],
    "outputs": [{"type": "Model", "uri": "projects/p/models/TCN1", "evidence": "observed",
                 "properties": {"f1": 0.9}}],
    "params": {"lr": 0.1}, "by": "me", "trigger": {"reason": "too old"},
    "links": {"log": "https://host/log"},
}  # fmt: skip
PARENT = {"key": "dag/1", "type": "dag", "controller": {"name": "scheduler"}}


def states(*records: dict[str, Any]) -> tuple[dict[str, ActionState], dict[str, ArtifactState]]:
    actions: dict[str, ActionState] = {}
    artifacts: dict[str, ArtifactState] = {}
    for record in records:
        state, found = report(Action.model_validate_json(json.dumps(record)))
        actions[state.id] = join_actions(actions[state.id], state) if state.id in actions else state
        for one in found:
            artifacts[one.id] = (
                join_artifacts(artifacts[one.id], one) if one.id in artifacts else one
            )
    return actions, artifacts


def written(*records: dict[str, Any]) -> list[dict[str, Any]]:
    actions, artifacts = states(*records)
    graph = build((), "both", None, actions.values(), artifacts.values())
    assert FORMAT.graph is not None
    found: list[dict[str, Any]] = json.loads(FORMAT.graph(graph, Detail(actions, artifacts)))
    return found


def again(found: list[dict[str, Any]]) -> tuple[dict[str, ActionState], dict[str, ArtifactState]]:
    """What a store holds that these events were sent to."""
    made = [action for event in found for action in reports(event)[1]]
    return states(*(json.loads(a.model_dump_json(exclude_defaults=True)) for a in made))


def test_an_action_is_a_start_and_an_end() -> None:
    """The uid of the Kubernetes object is the runId; times are the action's own."""
    _, start, end = written(TRAIN, PARENT)
    assert (start["eventType"], start["eventTime"]) == ("START", TRAIN["started_at"])
    assert (end["eventType"], end["eventTime"]) == ("FAIL", TRAIN["ended_at"])
    assert start["run"]["runId"] == end["run"]["runId"] == UID
    assert (end["job"]["namespace"], end["job"]["name"]) == ("prod/label-bot", "trainer")
    issues = next(d for d in end["inputs"] if d["name"] == "a b.csv")
    assert issues["namespace"] == "gs://b"
    assert issues["facets"]["version"]["datasetVersion"] == "3"
    (model,) = end["outputs"]
    assert model["facets"]["datasetType"]["datasetType"] == "MODEL"
    assert end["run"]["facets"]["parent"]["job"]["name"] == "scheduler"


def test_events_are_valid_by_openlineages_own_classes() -> None:
    """Every standard facet has the fields its class knows, of their types, and no others."""
    for event in written(TRAIN, PARENT):
        validate(event)


def _broken(path: str, value: Any) -> dict[str, Any]:
    """The last event of a training with one thing changed; None = it is left out."""
    event = written(TRAIN, PARENT)[-1]
    *way, last = path.split(".")
    part: Any = event
    for name in way:
        part = part[int(name) if name.isdigit() else name]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return event


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("eventTime", None), ("eventTime", "yesterday"), ("eventTime", "2020-07-23T17:45:27"),
        ("eventType", "DONE"), ("producer", None), ("producer", "me"), ("more", 1),
        ("schemaURL", "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/Event"),
        ("run", None), ("run.runId", "42"), ("job.name", None), ("job.namespace", 3),
        ("inputs", {}), ("inputs.0.name", None), ("outputs.0.inputFacets", {}),
        ("run.facets.errorMessage._producer", None), ("run.facets.errorMessage.message", None),
        ("run.facets.lineage_action._schemaURL", None), ("run.facets.parent.run.runId", "x"),
        ("job.facets.sourceCodeLocation.url", "git@github.com:o/r"),
        ("outputs.0.facets.datasetType.kind", "MODEL"),
        ("outputs.0.facets.datasetType.datasetType", 3),
        ("run.facets.datasetType", {"_producer": "a:b", "datasetType": "MODEL",
         "_schemaURL": "https://openlineage.io/spec/facets/1-0-0/DatasetTypeDatasetFacet.json"
                       "#/$defs/DatasetTypeDatasetFacet"}),
    ],
)  # fmt: skip
def test_the_validator_refuses_a_wrong_event(path: str, value: Any) -> None:
    """Each of these breaks the schema in one place, so the test above means something."""
    with pytest.raises(Invalid):
        validate(_broken(path, value))


def test_a_repository_over_ssh_is_told_as_a_uri() -> None:
    """`git@host:o/r` is none, and the schema asks for one."""
    code = {"repo": "git@github.com:o/r", "commit": "faeb6575"}
    for event in written({**TRAIN, "code": code}):
        validate(event)


def test_what_goes_out_comes_back_the_same() -> None:
    """Keys, URIs, versions, roles, evidence, parameters: OpenLineage's words are not enough for
    them, our two facets are."""
    before, things = states(TRAIN, PARENT)
    after, found = again(written(TRAIN, PARENT))
    assert after.keys() == before.keys()
    assert found.keys() == things.keys()
    for id_, state in before.items():
        assert after[id_].edges == state.edges
        mine = {n: v for n, (_, v) in state.fields.items()}
        # An action that never ended is told as OTHER, which says nothing of a state.
        assert {n: v for n, (_, v) in after[id_].fields.items()} == mine
    for id_, thing in things.items():
        assert found[id_].type == thing.type
        assert found[id_].properties == thing.properties
        assert found[id_].aliases == thing.aliases


@given(actions())
def test_any_action_is_written_and_read_with_its_identities(action: Action) -> None:
    """Whatever it is called and whatever it touches."""
    state, found = report(action)
    artifacts = {one.id: one for one in found}
    told = list(events(state, artifacts))
    for event in told:
        validate(event)
    after, things = again(json.loads(json.dumps(told)))
    assert [one.key for one in after.values()] == [action.key]
    assert after[state.id].edges == state.edges
    assert things.keys() == artifacts.keys()


def test_a_whole_store_is_an_event_a_line() -> None:
    """As OpenLineage's file transport writes them."""
    actions, artifacts = states(TRAIN)
    (state,) = actions.values()
    assert FORMAT.each is not None
    lines = FORMAT.each(state, artifacts).splitlines()
    assert [json.loads(line)["eventType"] for line in lines] == ["START", "FAIL"]
