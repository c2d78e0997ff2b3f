"""Tekton: PipelineRuns and TaskRuns as actions, v1 and v1beta1. Pure.

A run and its tasks are read together, since hints stand on either. Reports of one run
may draw on more or fewer of its tasks, depending on what was seen first; one that draws
on more is later by a microsecond each, so the fullest wins in any order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from controllers_hooks.observers import annotated, hints, tekton_v1beta1
from controllers_hooks.observers.mapping import Found
from controllers_hooks.observers.modelsync import controller_of
from controllers_hooks.observers.objects import (
    GONE,
    Object,
    Record,
    View,
    base,
    condition,
    digest,
    get,
    items,
    key,
    label,
    later,
    latest,
    moment,
    name,
    namespace,
    owner,
    plain,
    reference,
    text,
    unique,
)

# What both versions of the API have called it when somebody stopped a run.
CANCELED = {
    "Cancelled", "CancelledRunFinally", "StoppedRunFinally", "PipelineRunCancelled",
    "TaskRunCancelled", "CancelledRunningFinally", "PipelineRunStopped",
}  # fmt: skip
_TASKS, _GENERATIONS = 999, 900


def records(run: Object | None, tasks: Sequence[Object], view: View) -> list[Record]:
    """The PipelineRun, when it is known, and each of its TaskRuns."""
    tasks = sorted(tasks, key=lambda task: (text(task, "status.startTime"), name(task)))
    out = [pipeline_run(run, tasks, view)] if run else []
    return out + [task_run(task, run, view) for task in tasks]


def parent_uid(task: Object) -> str:
    """The uid of the PipelineRun a TaskRun belongs to; empty when it runs alone."""
    found = owner(task)
    if text(found, "kind") == "PipelineRun":
        return text(found, "uid")
    return label(task, "tekton.dev/pipelineRunUID")


def done(run: Object) -> bool:
    return condition(run, "Succeeded").get("status") in ("True", "False")


def pipeline_run(run: Object, tasks: Sequence[Object], view: View) -> Record:
    """A run, told what its tasks read and wrote."""
    rule = view.mappings.pipeline(namespace(run), _names(run))
    params, results = _params(run), _results(run)
    embedded = [
        {"status": one.get("status"), "metadata": {"name": n}}
        for n, one in tekton_v1beta1.task_runs(run)
    ]
    parts = [_facts(task, rule, {}) for task in chain(tasks, embedded)]
    own = _facts(run, rule, _defaults(run))
    inputs = [r for part in (own, *parts) for r in part["inputs"] if r["type"] != "Image"]
    outputs = [r for part in (own, *parts) for r in part["outputs"]]
    announced = chain(_announced(run), *(_announced(task) for task in tasks))
    record = {
        **_common(run, view, _type(rule, outputs, announced)),
        "controller": _controller(view, run, f"pipeline/{_names(run)[0] or name(run)}"),
        "inputs": unique(inputs),
        "outputs": unique(outputs),
    }
    shown = {**params, **_plain_results(results)}
    if attempts := max((_attempts(t) for t in tasks), default=1) - 1:
        shown["attempts"] = attempts + 1
    if skipped := [text(one, "name") for one in items(run, "status.skippedTasks")]:
        shown["skipped tasks"] = ", ".join(sorted(skipped))
    record["params"] = dict(plain(shown.items()))
    if code := next((p["code"] for p in (own, *parts) if p["code"]), None):
        path = params.get(rule.code_path or "")
        record["code"] = {**code, **({"path": path} if isinstance(path, str) and path else {})}
    if "error" in record:
        failing = [f"{name(t)}: {_error(t)}" for t in tasks if condition(t, "Succeeded")
                   .get("status") == "False"]  # fmt: skip
        record["error"] = "; ".join([record["error"], *failing])
    finished = sum(done(task) for task in tasks)
    return _dated(record, rule, min(finished, _TASKS))


def task_run(task: Object, run: Object | None, view: View) -> Record:
    """A TaskRun: a part of its run, or an act of its own."""
    parent = parent_uid(task)
    rule = view.mappings.pipeline(namespace(task), _names(task))
    facts = _facts(task, rule, _defaults(task))
    type_ = "process" if parent else _type(rule, facts["outputs"], _announced(task))
    otherwise = f"{'pipeline' if parent else 'task'}/{_names(task)[0] or name(task)}"
    record = {
        **_common(task, view, type_),
        "controller": _controller(view, run or ({} if parent else task), otherwise, task),
        "inputs": unique([*facts["inputs"], *_images(task.get("status"))]),
        "outputs": unique(facts["outputs"]),
        "params": dict(plain({**_params(task), **_plain_results(_results(task))}.items())),
    }
    if facts["code"]:
        record["code"] = facts["code"]
    if parent:
        record["parent"] = f"tekton.dev/PipelineRun/{parent}"
    earlier = items(task, "status.retriesStatus")
    for number, attempt in enumerate(earlier, 1):
        record["params"][f"attempt {number}"] = _error({"status": attempt})
        record["inputs"] = unique([*record["inputs"], *_images(attempt)])
    if earlier:
        record["params"]["attempts"] = len(earlier) + 1
        starts = {m: t for a in (*earlier, task["status"])
                  if (m := moment(t := a.get("startTime")))}  # fmt: skip
        if starts:
            record["started_at"] = starts[min(starts)]
    return _dated(record, rule, 1 if run else 0)


def _common(obj: Object, view: View, type_: str) -> Record:
    """What PipelineRuns and TaskRuns have in common."""
    status = obj.get("status")
    record = base(view, obj, key(obj), type_, "tekton")
    ended = text(status, "completionTime") or None
    state = _state(obj)
    record["started_at"] = text(status, "startTime") or None
    if state == "running" and obj.get(GONE):
        state, ended = "canceled", get(obj, "metadata.deletionTimestamp")
    elif state != "running":
        ended = ended or latest(condition(obj, "Succeeded").get("lastTransitionTime"))
    record |= {"state": state, "ended_at": ended}
    if state in ("failed", "canceled"):
        record["error"] = _error(obj) or "deleted while it ran"
    record["reported_at"] = ended or latest(
        get(obj, "metadata.creationTimestamp"),
        record["started_at"],
        condition(obj, "Succeeded").get("lastTransitionTime"),
    )
    account = text(obj, "spec.taskRunTemplate.serviceAccountName")
    if account := account or text(obj, "spec.serviceAccountName"):
        record["by"] = f"system:serviceaccount:{namespace(obj)}:{account}"
    return record


def _dated(record: Record, rule: Found, drawn: int) -> Record:
    """Later by what it draws on; a changed mapping is news as well."""
    extra = drawn + 1000 * min(rule.generation, _GENERATIONS)
    return {**record, "reported_at": later(record["reported_at"], extra)}


def _controller(view: View, obj: Object, otherwise: str, place: Object | None = None) -> Record:
    found = controller_of(obj, otherwise)
    return {"cluster": view.cluster, "namespace": namespace(place or obj), "name": found}


def _facts(obj: Object, rule: Found, defaults: dict[str, Any]) -> dict[str, Any]:
    """Code, inputs and outputs that one object names."""
    params, results = _params(obj), _results(obj)
    mapped = frozenset(r.result for r in rule.artifacts if r.result)
    sources = [
        hints.hinted(results, mapped),
        hints.declared(rule.artifacts, {**defaults, **params}, results),
        hints.artifacts(obj.get("status")),
        annotated.references(obj),
    ]
    out: dict[str, Any] = {
        side: list(chain.from_iterable(source[side] for source in sources))
        for side in ("inputs", "outputs")
    }
    out["code"] = hints.git(defaults, params, results) or tekton_v1beta1.git(obj)
    if definition := _definition(get(obj, "status.provenance.refSource")):
        if out["code"] is None:
            entry = text(obj, "status.provenance.refSource.entryPoint")
            repo, commit = definition["uri"], definition.get("version")
            out["code"] = {"repo": repo, "commit": commit, "path": entry or None}
        else:
            out["inputs"].append(definition)
    return out


def _definition(source: Any) -> Record | None:
    """The pipeline's or the task's own code."""
    uri = text(source, "uri")
    version = digest(get(source, "digest"))
    return reference("Code", uri, version.removeprefix("sha1:"), role="definition") if uri else None


def _state(obj: Object) -> str:
    found = condition(obj, "Succeeded")
    if found.get("status") == "True":
        return "complete"
    if found.get("status") == "False":
        return "canceled" if found.get("reason") in CANCELED else "failed"
    return "running"


def _error(obj: Object) -> str:
    """Reason, message, the first step that failed, and what a result such as
    `notebook-error` says of it."""
    found = condition(obj, "Succeeded")
    said = ": ".join(part for part in (text(found, "reason"), text(found, "message")) if part)
    steps = items(obj, "status.steps")
    failing = [text(step, "name") for step in steps if get(step, "terminated.exitCode")]
    if failing:
        said = f"{said} (first failing step: {failing[0]})"
    own = [v for n, v in _plain_results(_results(obj)).items() if n.endswith("-error")]
    return "; ".join([said, *own])


def _type(rule: Found, outputs: Iterable[Record], announced: Iterable[str]) -> str:
    made = {one["type"] for one in outputs} | hints.announced(announced)
    made |= {one.output for one in rule.artifacts if one.output}
    if rule.type:
        return rule.type
    if "Model" in made:
        return "train"
    return "deploy" if made & {"PullRequest", "Deployment"} else "process"


def _names(obj: Object) -> list[str]:
    """What a mapping may call it: the pipeline, else the task."""
    return [
        label(obj, "tekton.dev/pipeline") or text(obj, "spec.pipelineRef.name"),
        label(obj, "tekton.dev/task") or text(obj, "spec.taskRef.name"),
    ][:: 1 if parent_uid(obj) or text(obj, "kind") != "TaskRun" else -1]


def _params(obj: Object) -> dict[str, Any]:
    return {text(p, "name"): p.get("value") for p in items(obj, "spec.params")}


def _defaults(obj: Object) -> dict[str, Any]:
    specs = ("spec.taskSpec", "status.taskSpec", "spec.pipelineSpec", "status.pipelineSpec")
    found = chain.from_iterable(items(obj, f"{spec}.params") for spec in specs)
    return {text(p, "name"): p["default"] for p in found if p.get("default") is not None}


def _results(obj: Object) -> dict[str, Any]:
    places = ("results", "taskResults", "pipelineResults")
    found = chain.from_iterable(items(obj, f"status.{place}") for place in places)
    return {text(r, "name"): r.get("value") for r in found}


def _plain_results(results: dict[str, Any]) -> dict[str, Any]:
    kept = ((n, v) for n, v in results.items() if not n.startswith("CHAINS-"))
    return {n: v for n, v in kept if isinstance(v, str) and v}


def _announced(obj: Object) -> Iterable[str]:
    """The names of results that are still to come."""
    specs = [get(obj, f"{place}.{kind}Spec") for place in ("spec", "status")
             for kind in ("task", "pipeline")]  # fmt: skip
    inner = [get(t, "taskSpec") for spec in specs for t in items(spec, "tasks")]
    return [text(r, "name") for spec in (*specs, *inner) for r in items(spec, "results")]


def _attempts(task: Object) -> int:
    return len(items(task, "status.retriesStatus")) + 1


def _images(status: Any) -> list[Record]:
    found = [
        text(one, "imageID") for place in ("steps", "sidecars") for one in items(status, place)
    ]
    return [reference("Image", image, role="image") for image in found if image]
