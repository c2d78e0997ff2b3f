"""The pipelines of deploy/tekton as objects: of Tekton v1, complete, and as they were called."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest
import yaml

from controllers_hooks.modelsync.build import draft
from controllers_hooks.modelsync.convert import converted
from controllers_hooks.modelsync.spec import parse

from .conftest import MakeServer
from .tekton_steps import TEKTON, Object, manifest

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "tests" / "fixtures" / "modelsync" / "sample.yaml"
NAMES = (
    "run-notebook-task",
    "run-notebook-pipeline",
    "update-model-pr-task",
    "update-model-pr-pipeline",
)

# Tekton v1 takes no field it does not know. These are the ones of v1 that we use.
_PARAM = {"name", "type", "description", "default"}
SHAPE: dict[str, set[str]] = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "metadata": {"name", "annotations"},
    "spec": {"description", "params", "workspaces", "results", "volumes", "stepTemplate", "steps", "tasks"},
    "spec.params": _PARAM,
    "spec.workspaces": {"name", "description", "optional"},
    "spec.results": {"name", "type", "description", "properties", "value"},
    "spec.volumes": {"name", "emptyDir", "secret"},
    "spec.volumes.secret": {"secretName", "optional"},
    "spec.stepTemplate": {"env"},
    "spec.stepTemplate.env": {"name", "value"},
    "spec.steps": {"name", "image", "env", "script", "onError", "volumeMounts", "computeResources", "securityContext"},
    "spec.steps.env": {"name", "value"},
    "spec.steps.volumeMounts": {"name", "mountPath", "readOnly"},
    "spec.tasks": {"name", "taskRef", "params", "workspaces"},
    "spec.tasks.taskRef": {"name"},
    "spec.tasks.params": {"name", "value"},
    "spec.tasks.workspaces": {"name", "workspace"},
}  # fmt: skip
OPEN = ("metadata.annotations", "spec.results.properties", "spec.volumes.emptyDir",
        "spec.steps.computeResources", "spec.steps.securityContext")  # fmt: skip


def odd(value: Any, at: str = "") -> Iterator[str]:
    """What Tekton would refuse: fields it does not know, and values of another kind."""
    if isinstance(value, list):
        for one in value:
            yield from odd(one, at)
    elif isinstance(value, dict) and at not in OPEN:
        yield from (f"{at}.{name}" for name in value.keys() - SHAPE.get(at, set()))
        for name, inner in value.items():
            yield from odd(inner, f"{at}.{name}".strip("."))
    elif not isinstance(value, (str, dict)) and at.rpartition(".")[2] not in (
        "optional",
        "readOnly",
    ):
        yield f"{at}: {value!r} is no text"


@pytest.mark.parametrize("name", [*NAMES, "record-task"])
def test_a_manifest_is_one_of_tekton_v1(name: str) -> None:
    """Only fields of v1, all texts, no name twice, no variable that nothing declares."""
    document = manifest(name)
    assert document["apiVersion"] == "tekton.dev/v1" and list(odd(document)) == []
    spec = document["spec"]
    for group in ("params", "workspaces", "results", "volumes", "steps", "tasks"):
        names = [one["name"] for one in spec.get(group, ())]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", one) for one in names)
    text = json.dumps({k: v for k, v in spec.items() if k != "params"})
    declared = {
        *(f"params.{p['name']}" for p in spec["params"]),
        *(f"results.{r['name']}.path" for r in spec.get("results", ())),
        *(f"workspaces.{w['name']}.path" for w in spec.get("workspaces", ())),
    }
    used = set(re.findall(r"\$\(((?:params|results|workspaces)\.[^()]+)\)", text))
    assert used <= declared
    objects = [r for r in spec.get("results", ()) if r.get("type") == "object" and "steps" in spec]
    assert all(r["properties"] for r in objects)


def test_the_shape_check_bites() -> None:
    """v1beta1's resources, a misspelt field and a number are refused."""
    wrong = manifest("run-notebook-task")
    wrong["spec"] |= {"resources": {}, "stepp": []}
    wrong["spec"]["params"][0]["default"] = 7
    assert sorted(odd(wrong)) == [
        "spec.params.default: 7 is no text", "spec.resources", "spec.stepp"
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES[::2])
def test_no_parameter_stands_in_a_script(name: str) -> None:
    """Text put into a script would be run; and each script is one its interpreter takes."""
    for step in manifest(name)["spec"]["steps"]:
        assert "$(params." not in step["script"] and "$(workspaces." not in step["script"]
        first, _, rest = step["script"].partition("\n")
        if first == "#!/bin/sh":
            subprocess.run(["sh", "-n"], input=rest, text=True, check=True)
        else:
            assert first == "#!/usr/bin/env python3"
            compile(rest, step["name"], "exec")


@pytest.mark.parametrize(
    ("pipeline", "task"), [(NAMES[1], NAMES[0]), (NAMES[3], NAMES[2])], ids=["train", "deploy"]
)
def test_a_pipeline_fits_its_task(pipeline: str, task: str) -> None:
    """It hands on every parameter it has, with the task's own defaults, and every result."""
    outer, inner = manifest(pipeline)["spec"], manifest(task)
    (one,) = outer["tasks"]
    assert one["taskRef"]["name"] == inner["metadata"]["name"]
    inside = {p["name"]: p for p in inner["spec"]["params"]}
    assert all(p == inside[p["name"]] for p in outer["params"])
    assert one["params"] == [
        {"name": p["name"], "value": f"$(params.{p['name']})"} for p in outer["params"]
    ]
    needed = {name for name, p in inside.items() if "default" not in p}
    assert needed <= {p["name"] for p in outer["params"]}
    results = {r["name"]: r.get("type", "string") for r in inner["spec"]["results"]}
    for result in outer["results"]:
        star = "[*]" if results[result["name"]] == "object" else ""
        assert result["value"] == f"$(tasks.{one['name']}.results.{result['name']}{star})"
        assert result.get("type", "string") == results[result["name"]]


ORIGINAL = {
    "run-notebook": {"notebook-path": None, "output": None, "requirements": ""},
    "update-model-pr": {"automl-model": None, "branchName": None, "fork": "fork",
                        "forkName": "fork", "upstreamName": "origin"},
}  # fmt: skip


@pytest.mark.parametrize("name", ORIGINAL)
def test_the_original_parameters_are_there(name: str) -> None:
    """Under their names and with their defaults, so that old runs need no change."""
    document = manifest(f"{name}-pipeline")
    assert document["metadata"]["name"] == name
    params = {p["name"]: p.get("default") for p in document["spec"]["params"]}
    assert params.items() >= ORIGINAL[name].items()


TRAINER = {
    "pipelineRef": {"name": "run-notebook"},
    "params": [{"name": "notebook-path", "value": "n.ipynb"}, {"name": "output", "value": "gs://b/o"}],
    "resources": [{"name": "notebook-repo", "resourceSpec": {"type": "git", "params": [
        {"name": "url", "value": "https://h/o/r"}, {"name": "revision", "value": "master"}]}}],
}  # fmt: skip
DEPLOYER = yaml.safe_load(SAMPLE.read_text())["spec"]["pipelineRunTemplate"]["spec"]


def fits(run: Object) -> bool:
    """Whether this spec of a run binds all that its pipeline needs, and nothing it has not."""
    spec = manifest(f"{run['pipelineRef']['name']}-pipeline")["spec"]
    given = {p["name"] for p in run["params"]}
    needed = {p["name"] for p in spec["params"] if "default" not in p}
    rooms = [[w["name"] for w in one["workspaces"]] for one in (run, spec)]
    return needed <= given <= {p["name"] for p in spec["params"]} and rooms[0] == rooms[1]


@pytest.mark.parametrize("old", [TRAINER, DEPLOYER], ids=["trainer", "deployer"])
def test_a_converted_run_fits(old: Object) -> None:
    """What the controller makes of the article's runs starts these pipelines."""
    run, problems = converted(old)
    assert problems == [] and fits(run)


def test_the_runs_in_the_manual_fit() -> None:
    """What docs/pipelines.md shows to start by hand starts them."""
    text = (ROOT / "docs" / "pipelines.md").read_text()
    runs = [
        yaml.safe_load(block)["spec"]
        for block in re.findall(r"```yaml\n(apiVersion: tekton.*?)```", text, re.DOTALL)
    ]
    assert {run["pipelineRef"]["name"] for run in runs} == set(ORIGINAL)
    assert all(fits(run) for run in runs)


@pytest.mark.parametrize("name", ORIGINAL)
def test_the_manual_names_everything(name: str) -> None:
    """Each parameter, result and step of it stands in docs/pipelines.md."""
    text = (ROOT / "docs" / "pipelines.md").read_text()
    spec = manifest(f"{name}-pipeline")["spec"]
    (task,) = (
        t
        for t in map(manifest, NAMES[::2])
        if t["metadata"]["name"] == spec["tasks"][0]["taskRef"]["name"]
    )
    for one in (
        *spec["params"],
        *spec["results"],
        *task["spec"]["results"],
        *task["spec"]["steps"],
    ):
        assert f"`{one['name']}`" in text, one["name"]


SAMPLES = sorted((TEKTON / "samples").glob("labelbot-*.yaml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_works(make_server: MakeServer, path: Path) -> None:
    """Our own lambda answers its URL, and the run that follows binds what the pipeline needs."""
    server = make_server()  # where nothing else was ever trained
    obj = yaml.safe_load(path.read_text())
    place = urlsplit(obj["spec"]["needsSyncUrl"])
    opener = build_opener(ProxyHandler({}))
    with opener.open(f"{server.url}{place.path}?{place.query}") as answer:
        assert answer.status == 200 and json.load(answer)["kind"] == "NeedsSync"
    sync = parse(obj)
    made = draft(sync, {one.pipeline_name: "a/model" for one in sync.parameters})
    assert (sync.problems, made.problems) == ((), ())
    assert fits(made.spec)
