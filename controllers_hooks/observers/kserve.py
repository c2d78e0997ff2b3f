"""KServe: each revision of an InferenceService that serves is a deploy. Pure.

Whoever changes the split of the traffic makes a generation of the object, and each share
of it is an act of its own, so that the shares before it stay known. The object shows the
model of its newest revision only, so a revision is recorded with its model while it is the
newest; the revision holds the same model later.
"""

from __future__ import annotations

from controllers_hooks.observers import annotated
from controllers_hooks.observers.objects import (
    Object,
    Record,
    View,
    base,
    condition,
    get,
    items,
    key,
    latest,
    name,
    reference,
    slot,
    spec_changed,
    text,
)

_PREDICTOR = "status.components.predictor"


def inference_service(obj: Object, view: View) -> list[Record]:
    traffic = _traffic(obj)
    if not traffic:
        return _whole(obj, view)
    newest = text(obj, f"{_PREDICTOR}.latestReadyRevision")
    if newest and newest not in traffic:
        traffic[newest] = 0  # ready, and serving nobody: a canary that was taken back
    return [
        _revision(obj, view, revision, percent, revision == newest)
        for revision, percent in sorted(traffic.items())
    ]


def _traffic(obj: Object) -> dict[str, int]:
    latest_ready = text(obj, f"{_PREDICTOR}.latestReadyRevision")
    out: dict[str, int] = {}
    for target in items(obj, f"{_PREDICTOR}.traffic"):
        revision = text(target, "revisionName") or (
            latest_ready if target.get("latestRevision") else ""
        )
        percent = target.get("percent")
        if revision and isinstance(percent, int):
            out[revision] = out.get(revision, 0) + percent
    return out


def _revision(obj: Object, view: View, revision: str, percent: int, newest: bool) -> Record:
    record = _base(obj, view, f"{_generation(obj)}/{revision}")
    record["outputs"] = [
        reference(
            "Deployment",
            slot(view, obj),
            revision,
            role="slot",
            name=revision,
            evidence="observed",
            properties={"traffic": percent},
        )
    ]
    if newest:
        _with_model(record, obj)
    return record


def _whole(obj: Object, view: View) -> list[Record]:
    """Without Knative there are no revisions: a generation at a time, once it is ready."""
    if condition(obj, "Ready").get("status") != "True":
        return []
    generation = _generation(obj)
    if generation != str(get(obj, "metadata.generation") or 1):
        return []
    record = _base(obj, view, generation)
    place = slot(view, obj)
    record["outputs"] = [
        reference("Deployment", place, generation, role="slot", evidence="observed")
    ]
    _with_model(record, obj)
    return [record]


def _generation(obj: Object) -> str:
    """The one the status is about."""
    return str(get(obj, "status.observedGeneration") or get(obj, "metadata.generation") or 1)


def _base(obj: Object, view: View, version: str) -> Record:
    conditions = items(obj, "status.conditions")
    changed, by = spec_changed(obj)
    at = latest(changed, *(c.get("lastTransitionTime") for c in conditions))
    return {
        **base(view, obj, key(obj, version), "deploy", f"inferenceservice/{name(obj)}"),
        "state": "complete",
        "ended_at": at,
        "reported_at": at,
        "by": by or None,
        "inputs": [],
    }


def _with_model(record: Record, obj: Object) -> None:
    found = text(obj, "spec.predictor.model.storageUri") or _older(obj)
    if found:
        record["inputs"] = [reference("Model", found, role="model", evidence="observed")]
    said = annotated.references(obj)
    record["inputs"] += said["inputs"]
    record["outputs"] += said["outputs"]


def _older(obj: Object) -> str:
    """`spec.predictor.<framework>.storageUri`, from before there was `model`."""
    predictor = get(obj, "spec.predictor")
    if not isinstance(predictor, dict):
        return ""
    found = (text(one, "storageUri") for one in predictor.values() if isinstance(one, dict))
    return next((uri for uri in found if uri), "")
