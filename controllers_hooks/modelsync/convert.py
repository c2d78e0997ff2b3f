"""A PipelineRun spec as it was written for Tekton v1beta1, as v1 takes it. Pure.

Fields that only have another name or place are moved. PipelineResources are gone from v1:
each parameter of a git resource becomes the parameter `<resource>-<parameter>` (so `-url`,
`-revision`) and the checkout a workspace named after the resource, both only where the run
does not bind them itself. Anything else that v1 lacks is a problem, never left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controllers_hooks.modelsync.spec import Problem
from controllers_hooks.observers.objects import Object, get, items, text

_AT = "spec.pipelineRunTemplate.spec"
_TASK_RUN = {
    "taskServiceAccountName": "serviceAccountName",
    "taskPodTemplate": "podTemplate",
    "stepOverrides": "stepSpecs",
    "sidecarOverrides": "sidecarSpecs",
}


def converted(spec: Object) -> tuple[Object, list[Problem]]:
    """The v1 spec, and why it cannot be used if it cannot."""
    out = dict(spec)
    problems = list(_unusable(spec))
    for field in ("serviceAccountName", "podTemplate"):
        if value := out.pop(field, None):
            _place(out, "taskRunTemplate", field, value, f"{_AT}.{field}", problems)
    if timeout := out.pop("timeout", None):
        _place(out, "timeouts", "pipeline", timeout, f"{_AT}.timeout", problems)
    if out.get("status") == "PipelineRunCancelled":
        out["status"] = "Cancelled"
    task_runs = _task_runs(out)
    if task_runs:
        out["taskRunSpecs"] = task_runs
    _git(out, items(out, "resources"))
    for gone in ("resources", "serviceAccountNames"):
        out.pop(gone, None)
    return out, problems


def _place(
    out: Object, group: str, field: str, value: Any, at: str, problems: list[Problem]
) -> None:
    """Move a value to where v1 has it, unless something else is there."""
    inside = dict(out.get(group) or {})
    if inside.setdefault(field, value) != value:
        problems.append(Problem(at, f"contradicts {group}.{field}; remove one of them"))
    out[group] = inside


def _task_runs(spec: Object) -> list[Object]:
    """`taskRunSpecs` with v1's names, and the accounts of `serviceAccountNames` among them."""
    out: dict[str, Object] = {}
    for one in items(spec, "taskRunSpecs"):
        renamed = {_TASK_RUN.get(name, name): value for name, value in one.items()}
        for field in ("stepSpecs", "sidecarSpecs"):
            if field in renamed:
                renamed[field] = [_resources_renamed(step) for step in items(renamed, field)]
        out[text(one, "pipelineTaskName")] = renamed
    for one in items(spec, "serviceAccountNames"):
        task = text(one, "taskName")
        account = out.setdefault(task, {"pipelineTaskName": task})
        account.setdefault("serviceAccountName", text(one, "serviceAccountName"))
    return list(out.values())


def _resources_renamed(step: Object) -> Object:
    return {"computeResources" if n == "resources" else n: v for n, v in step.items()}


def _git(out: Object, resources: list[Object]) -> None:
    params, workspaces = items(out, "params"), items(out, "workspaces")
    bound = {text(one, "name") for one in params}
    mounted = {text(one, "name") for one in workspaces}
    for resource in resources:
        name = text(resource, "name")
        for param in items(resource, "resourceSpec.params"):
            wanted = f"{name}-{text(param, 'name')}"
            if wanted not in bound:
                params.append({"name": wanted, "value": param.get("value")})
        if name not in mounted:
            # As a resource was: each task gets a directory of its own.
            workspaces.append({"name": name, "emptyDir": {}})
    if resources:
        out["params"], out["workspaces"] = params, workspaces


def _unusable(spec: Object) -> Iterator[Problem]:
    found = spec.get("resources")
    if found and not isinstance(found, list):
        yield Problem(f"{_AT}.resources", "is no list; write one, or use params and workspaces")
    for number, one in enumerate(items(spec, "resources")):
        at = f"{_AT}.resources[{number}]"
        kind = text(one, "resourceSpec.type")
        if not text(one, "name"):
            yield Problem(f"{at}.name", "is empty; name the resource")
        elif "resourceRef" in one:
            yield Problem(
                f"{at}.resourceRef",
                "PipelineResources are gone from Tekton; write a resourceSpec of type git, or "
                "params and a workspace",
            )
        elif kind != "git":
            yield Problem(
                f"{at}.resourceSpec.type",
                f"{kind or 'no type'}: only git can be converted; use params and a workspace",
            )
        elif not any(text(p, "name") == "url" for p in items(one, "resourceSpec.params")):
            yield Problem(f"{at}.resourceSpec.params", "has no url; give one")
    if get(spec, "pipelineRef.bundle"):
        yield Problem(
            f"{_AT}.pipelineRef.bundle", "is gone from Tekton v1; use `resolver: bundles`"
        )
    yield from _embedded(get(spec, "pipelineSpec"), f"{_AT}.pipelineSpec")


def _embedded(pipeline: Any, at: str) -> Iterator[Problem]:
    """An embedded pipeline is taken as it is; what v1 lacks cannot be guessed."""
    places = [(at, pipeline)]
    for group in ("tasks", "finally"):
        for number, task in enumerate(items(pipeline, group)):
            place = f"{at}.{group}[{number}]"
            places += [(place, task), (f"{place}.taskSpec", get(task, "taskSpec"))]
            for n, step in enumerate(items(task, "taskSpec.steps")):
                places.append((f"{place}.taskSpec.steps[{n}]", step))
    for place, one in places:
        if get(one, "resources"):
            remedy = (
                "is called computeResources in v1; rename it"
                if ".steps[" in place
                else "is gone from Tekton v1; use params and a workspace"
            )
            yield Problem(f"{place}.resources", remedy)
