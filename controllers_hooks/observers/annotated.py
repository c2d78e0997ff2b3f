"""Objects that say themselves what they read and wrote, by annotation. Pure.

`metadata.kubeflow.org/input` and `…/output` hold an object or a list of them:
`{"kind": "Dataset", "metadata": {"name"}, "spec": {"uri", "version", …}}` (kubeflow/metadata
#249). On objects that are recorded anyway they add to the record; a Job that carries one
is recorded because of it.
"""

from __future__ import annotations

import json
from typing import Any

from controllers_hooks.observers.modelsync import controller_of
from controllers_hooks.observers.objects import (
    Object,
    Record,
    View,
    annotation,
    base,
    condition,
    entries,
    get,
    key,
    latest,
    name,
    reference,
    text,
)

PREFIX = "metadata.kubeflow.org/"
_TYPES = {
    "dataset": "Dataset", "model": "Model", "metrics": "Metrics", "notebook": "Notebook",
    "image": "Image", "config": "Config", "code": "Code",
}  # fmt: skip


def references(obj: Object) -> dict[str, list[Record]]:
    return {side + "s": _side(obj, side) for side in ("input", "output")}


def job(obj: Object, view: View) -> list[Record]:
    """A batch Job, if it is annotated."""
    found = references(obj)
    if not found["inputs"] and not found["outputs"]:
        return []
    complete, failed = condition(obj, "Complete"), condition(obj, "Failed")
    end = complete if complete.get("status") == "True" else failed
    over = end.get("status") == "True"
    state = ("complete" if end is complete else "failed") if over else "running"
    types = {one["type"] for one in found["outputs"]}
    record = {
        **base(view, obj, key(obj), "train" if "Model" in types else "process", "job"),
        **found,
        "state": state,
        "started_at": text(obj, "status.startTime") or None,
        "reported_at": latest(
            get(obj, "metadata.creationTimestamp"),
            get(obj, "status.startTime"),
            end.get("lastTransitionTime") if over else None,
        ),
    }
    record["controller"]["name"] = controller_of(obj, f"job/{name(obj)}")
    if over:
        record["ended_at"] = latest(
            get(obj, "status.completionTime"), end.get("lastTransitionTime")
        )
    if state == "failed":
        record["error"] = f"{text(end, 'reason')}: {text(end, 'message')}"
    return [record]


def _side(obj: Object, side: str) -> list[Record]:
    try:
        found = json.loads(annotation(obj, PREFIX + side) or "[]")
    except (ValueError, RecursionError):
        return []
    many = found if isinstance(found, list) else [found]
    made = (_reference(one, side) for one in many if isinstance(one, dict))
    return [one for one in made if one]


def _reference(one: dict[str, Any], side: str) -> Record | None:
    uri = text(one, "spec.uri") or text(one, "metadata.name")
    if not uri:
        return None
    version = get(one, "spec.digest") or get(one, "spec.version")
    scalars = {
        n: v
        for n, v in entries(one, "spec").items()
        if n not in ("uri", "version", "digest") and isinstance(v, (str, int, float, bool))
    }
    return reference(
        _TYPES.get(text(one, "kind").lower(), "Artifact"),
        uri,
        str(version) if version is not None else None,
        name=text(one, "metadata.name"),
        evidence="claimed",  # by whoever wrote the annotation
        properties=scalars,
    )
