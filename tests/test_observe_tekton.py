"""Tekton's objects as records: both versions of the API, every kind of hint, any order."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controllers_hooks.observers.assemble import PIPELINE_RUNS, TASK_RUNS, Assembler
from controllers_hooks.observers.mapping import (
    ArtifactRule,
    ConfigMapRule,
    LineageMapping,
    Mappings,
    MappingSpec,
    PipelineRule,
    parse_mapping,
)
from controllers_hooks.observers.objects import View
from controllers_hooks.observers.records import sound
from controllers_hooks.observers.tekton import records, task_run
from controllers_hooks.observers.watch import Event
from lineage.errors import InvalidRecord
from lineage.model import Action
from lineage.queries.export import export
from lineage.queries.lineage import lineage

from .memory import MemoryReader

ROOT = Path(__file__).parent.parent
MANUAL = ROOT / "docs" / "observers.md"
CRD = ROOT / "deploy" / "base" / "crd" / "lineagemapping.yaml"
FIXTURES = Path(__file__).parent / "fixtures" / "tekton"
OBJECTS = [json.loads(path.read_text()) for path in sorted(FIXTURES.glob("*.json"))]
SHA = "sha256:" + "ab" * 32
COMMIT = "faeb65757214ac93259f417b81e9e2fedafaebda"
Object = dict[str, Any]


def mapping() -> LineageMapping:
    return parse_mapping(yaml.safe_load((FIXTURES / "lineagemapping.yaml").read_text()))


def early(obj: Object) -> Object:
    """The same object while it still ran."""
    one = deepcopy(obj)
    status = one["status"]
    status["conditions"] = [{"type": "Succeeded", "status": "Unknown", "reason": "Running"}]
    for name in ("completionTime", "results", "steps"):
        status.pop(name, None)
    return one


def observed(objects: list[Object], *mappings: LineageMapping) -> list[Action]:
    assembler = Assembler("prod", mappings)
    out = []
    for obj in objects:
        kind = PIPELINE_RUNS if obj["kind"] == "PipelineRun" else TASK_RUNS
        out += [sound(record) for record in assembler.records(Event(kind, "seen", obj))]
    return [action for action in out if action]


def exported(actions: list[Action]) -> bytes:
    return b"".join(export(MemoryReader.of(actions)))


@settings(max_examples=25, deadline=None)
@given(st.permutations([*OBJECTS * 2, *map(early, OBJECTS)]), st.integers(0, 33))
def test_any_order_with_restarts_gives_the_same_graph(order: list[Object], cut: int) -> None:
    """States in between, repetitions and an observer that starts anew leave no trace."""
    again = observed(order[:cut], mapping()) + observed([*order[cut:], *OBJECTS], mapping())
    assert exported(again) == exported(observed(OBJECTS, mapping()))


def run(results: Object, **more: Any) -> Object:
    status = {
        "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:01:00Z",
        "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded"}],
        "results": [{"name": name, "value": value} for name, value in results.items()],
    }
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "metadata": {"name": "t", "namespace": "n", "uid": "u1"},
        "spec": {},
        "status": {**status, **more.pop("status", {})},
    } | more


def action(obj: Object, *mappings: LineageMapping) -> Action:
    made = sound(task_run(obj, None, View("c", Mappings.of(mappings))))
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("results", "side", "expected"),
    [
        ({"issues_ARTIFACT_INPUTS": {"uri": "gs://b/i.csv", "digest": SHA}}, "inputs",
         ("Dataset", "gs://b/i.csv", SHA, "issues")),
        ({"MODEL_ARTIFACT_OUTPUTS": '{"uri": "gs://b/m", "digest": "' + SHA + '"}'}, "outputs",
         ("Model", "gs://b/m", SHA, "model")),
        ({"out-ARTIFACT_URI": "gs://b/x\n", "out-ARTIFACT_DIGEST": SHA + "\n"}, "outputs",
         ("Artifact", "gs://b/x", SHA, "out")),
        ({"IMAGE_URL": "r.example/a", "IMAGE_DIGEST": SHA}, "outputs",
         ("Image", "r.example/a", SHA, None)),
        ({"IMAGES": f"r.example/a@{SHA}"}, "outputs",
         ("Image", f"r.example/a@{SHA}", None, None)),
    ],
)  # fmt: skip
def test_hints(results: Object, side: str, expected: tuple[str | None, ...]) -> None:
    """The names of results say what they are; what stands before them is the role."""
    (found,) = getattr(action(run(results)), side)
    assert (found.type, found.uri, found.version, found.role) == expected


def test_images_come_by_comma_or_line() -> None:
    """`IMAGES` may hold several."""
    made = action(run({"IMAGES": f"a.example/a@{SHA},\nb.example/b@{SHA}\n"}))
    assert [one.uri for one in made.outputs] == [f"a.example/a@{SHA}", f"b.example/b@{SHA}"]


def test_the_later_source_of_the_commit_wins() -> None:
    """Default < parameter < result, and a trailing newline is none of it."""
    obj = run({"CHAINS-GIT_COMMIT": COMMIT + "\n"})
    obj["spec"] = {
        "params": [{"name": "CHAINS-GIT_COMMIT", "value": "0" * 40}],
        "taskSpec": {"params": [{"name": "CHAINS-GIT_URL", "default": "https://h/o/r"}]},
    }
    code = action(obj).code
    assert code is not None
    assert (code.repo, code.commit) == ("https://h/o/r", COMMIT)


def test_artifacts_and_the_tasks_own_code_are_read() -> None:
    """`status.artifacts`, those of the steps, and `provenance.refSource`."""
    digest = {"sha256": "ab" * 32}
    value = {"uri": "gs://b/in", "digest": digest}
    made = action(
        run(
            {},
            status={
                "artifacts": {"outputs": [{"name": "model", "values": [
                    {"uri": "gs://b/out", "digest": digest}]}]},
                "steps": [{"name": "s", "inputs": [{"name": "data", "values": [value]}]}],
                "provenance": {"refSource": {
                    "uri": "git+https://h/o/tasks", "digest": {"sha1": COMMIT},
                    "entryPoint": "tasks/train.yaml"}},
            },
        )
    )  # fmt: skip
    assert [(o.type, o.uri, o.version) for o in made.outputs] == [("Model", "gs://b/out", SHA)]
    assert [(i.type, i.uri) for i in made.inputs] == [("Dataset", "gs://b/in")]
    assert made.code is not None
    assert (made.code.commit, made.code.path) == (COMMIT, "tasks/train.yaml")
    assert made.type == "train"


@pytest.mark.parametrize(
    ("reason", "state"),
    [("TaskRunCancelled", "canceled"), ("TaskRunTimeout", "failed"), ("Failed", "failed")],
)
def test_how_it_ended(reason: str, state: str) -> None:
    """A run that somebody stopped is canceled; one that ran out of time failed."""
    condition = {"type": "Succeeded", "status": "False", "reason": reason, "message": "why"}
    made = action(run({}, status={"conditions": [condition]}))
    assert (made.state, made.error) == (state, f"{reason}: why")


def test_v1beta1() -> None:
    """Embedded TaskRuns, `pipelineResults`, `taskResults` and git resources are read."""
    task = {
        "startTime": "2020-07-23T17:45:27Z",
        "taskResults": [{"name": "MODEL_ARTIFACT_OUTPUTS",
                         "value": json.dumps({"uri": "m1", "digest": SHA})}],
        "resourcesResult": [{"key": "commit", "value": COMMIT, "resourceName": "repo"},
                            {"key": "url", "value": "https://h/o/r", "resourceName": "repo"}],
    }  # fmt: skip
    obj = {
        "apiVersion": "tekton.dev/v1beta1",
        "kind": "PipelineRun",
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"serviceAccountName": "sa", "pipelineRef": {"name": "train"}},
        "status": {
            "startTime": "2020-07-23T17:45:27Z",
            "completionTime": "2020-07-23T19:02:11Z",
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "taskRuns": {"p-a-x": {"pipelineTaskName": "a", "status": task}},
            "pipelineResults": [{"name": "score", "value": "0.9"}],
        },
    }
    (record,) = records(obj, [], View())
    made = sound(record)
    assert made is not None and made.code is not None
    assert (made.type, made.code.commit, made.params["score"]) == ("train", COMMIT, "0.9")
    assert (made.by, made.controller.name) == ("system:serviceaccount:n:sa", "pipeline/train")
    assert [o.uri for o in made.outputs] == ["m1"]


def test_what_is_not_valid_is_left_out() -> None:
    """One wrong digest does not keep the run out of the record."""
    made = action(
        run({"A_ARTIFACT_OUTPUTS": {"uri": "gs://b/a", "digest": "sha256:short"},
             "B_ARTIFACT_OUTPUTS": {"uri": "gs://b/b", "digest": SHA}, "note": "x" * 20_000})
    )  # fmt: skip
    assert [o.uri for o in made.outputs] == ["gs://b/b"]
    assert (made.state, made.params) == ("complete", {})


@pytest.mark.parametrize("broken", [None, [], "text", {"steps": None}, {"results": {"a": 1}}])
def test_odd_shapes_are_survived(broken: Any) -> None:
    """Whatever a foreign object holds, reading it does not raise."""
    obj = run({})
    obj["status"] = broken
    assert action(obj).state == "running"


def test_a_secret_parameter_is_redacted() -> None:
    """By its name, as everywhere."""
    obj = run({})
    obj["spec"] = {"params": [{"name": "api-token", "value": "hunter2"}]}
    assert action(obj).params == {"api-token": "[redacted]"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"pipelines": [{"pipeline": "p", "artifacts": [{"param": "a"}]}]}, "needs `input`"),
        ({"pipelines": [{"pipeline": "p", "artifacts": [{"input": "Model"}]}]}, "needs `param`"),
        ({"pipelines": [{"pipeline": "p", "typ": "train"}]}, "pipelines.0.typ"),
        ({"configMaps": [{"configMap": "c", "key": "k", "slot": "d", "find": "("}]},
         "no regular expression"),
    ],
)  # fmt: skip
def test_mistakes_in_a_mapping_are_explained(spec: Object, said: str) -> None:
    """With the place and the remedy."""
    document = {**mapping().model_dump(by_alias=True), "spec": spec}
    with pytest.raises(InvalidRecord, match=said):
        parse_mapping(document, "file.yaml")


def test_a_mapping_speaks_for_its_namespace_only() -> None:
    """Nobody can change what others' runs mean."""
    declared = Mappings.of([mapping()])
    assert declared.pipeline("label-bot", ["run-notebook"]).type == "train"
    assert declared.pipeline("elsewhere", ["run-notebook"]).type is None


def test_the_manuals_mapping_is_one() -> None:
    """Whoever copies it from the page gets no error."""
    (block,) = re.findall(r"```yaml\n(apiVersion.*?)```", MANUAL.read_text(), re.DOTALL)
    declared = Mappings.of([parse_mapping(yaml.safe_load(block))])
    (rule,) = declared.config_map("label-bot", "label-bot-model-config-99k8mgd865")
    assert rule.slot == "label-bot-worker"


def test_the_custom_resource_has_the_fields_of_the_file() -> None:
    """Neither knows a field that the other does not."""
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    pipeline = spec["pipelines"]["items"]["properties"]
    for model, properties in (
        (MappingSpec, spec),
        (PipelineRule, pipeline),
        (ArtifactRule, pipeline["artifacts"]["items"]["properties"]),
        (ConfigMapRule, spec["configMaps"]["items"]["properties"]),
    ):
        known = {
            "configMap" if name == "config_map" else field.alias or name
            for name, field in model.model_fields.items()
        }
        assert known == set(properties)


def step(key: str, start: str, end: str, **more: Any) -> Action:
    return Action.model_validate_json(
        json.dumps({"key": key, "type": "process", "controller": {"name": "c"},
                    "state": "complete", "started_at": start, "ended_at": end, **more})
    )  # fmt: skip


@pytest.mark.parametrize(
    ("immutable", "started", "ended", "linked"),
    [
        (True, "2026-01-01T00:00:30Z", "2026-01-01T00:00:40Z", True),
        (True, "2020-10-05T00:00:00Z", "2020-10-05T00:01:00Z", False),
        (False, "2026-01-01T00:00:30Z", "2026-01-01T00:00:40Z", False),
    ],
    ids=["while it was made", "years before it was made", "the name may change hands"],
)
def test_an_immutable_name_binds_to_its_one_version(
    immutable: bool, started: str, ended: str, linked: bool
) -> None:
    """If the making had begun before the reading ended: never to what came later."""
    train = step("train", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z",
                 outputs=[{"type": "Model", "uri": "m1", "version": SHA}])  # fmt: skip
    more = {"properties": {"immutable": True}} if immutable else {}
    deploy = step("deploy", started, ended, inputs=[{"type": "Model", "uri": "m1", **more}])
    graph = lineage(MemoryReader.of([train, deploy]), "deploy", "upstream")
    assert ("train" in {getattr(n, "key", "") for n in graph.nodes.values()}) == linked


def test_the_deploys_of_2020_do_not_claim_a_training_of_2026() -> None:
    """They read the same immutable name, years before these runs made it."""
    history = ROOT / "examples" / "label_bot" / "history.ndjson"
    old = [Action.model_validate_json(line) for line in history.read_text().splitlines()]
    reader = MemoryReader.of([*old, *observed(OBJECTS, mapping())])
    for one in old:
        graph = lineage(reader, one.key, "upstream")
        assert not [n for n in graph.nodes.values() if getattr(n, "type", "") == "train"]
