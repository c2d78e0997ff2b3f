"""Deployment, StatefulSet and ConfigMap: what the cluster runs. Pure.

A revision that is rolled out is a deploy: images by the digest that the pods run, the
ConfigMaps it reads, nothing of Secrets. A ConfigMap counts when a mapping says that one
of its keys decides what is live; its content is hashed, never recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256

from controllers_hooks.observers import annotated
from controllers_hooks.observers.objects import (
    Object,
    Record,
    View,
    annotation,
    base,
    condition,
    entries,
    get,
    items,
    key,
    latest,
    name,
    namespace,
    number,
    owner,
    reference,
    slot,
    spec_changed,
    text,
    unique,
)

_REPLICASET = re.compile(r'ReplicaSet "([^"]+)"')


def deployment(obj: Object, pods: Sequence[Object], view: View) -> list[Record]:
    """The present revision. While it is rolled out it runs; the revision before stays live."""
    revision = annotation(obj, "deployment.kubernetes.io/revision")
    if not revision:
        return []  # its controller has not seen it yet
    progress = condition(obj, "Progressing")
    match = _REPLICASET.search(text(progress, "message"))
    made_by = match[1] if match else ""
    mine = [p for p in pods if not made_by or text(owner(p), "name") == made_by]
    out = _rollout(obj, mine, view, revision, f"revision {revision}", settled(obj))
    out["params"] = {"Progressing": text(progress, "reason")} if progress else {}
    if settled(obj):
        out["ended_at"] = latest(progress.get("lastUpdateTime")) or out["ended_at"]
    # Conditions are touched again after a rollout; only the last word on it counts.
    seen = (progress.get("lastUpdateTime"), progress.get("lastTransitionTime"))
    out["reported_at"] = latest(out["reported_at"], *seen)
    return [out]


def stateful_set(obj: Object, pods: Sequence[Object], view: View) -> list[Record]:
    """A generation of it; its version is the revision's name."""
    revision = text(obj, "status.updateRevision")
    if not revision:
        return []
    mine = [
        p
        for p in pods
        if get(p, "metadata.labels.controller-revision-hash") in (None, revision)
        and text(owner(p), "name") == name(obj)
    ]
    generation = str(get(obj, "metadata.generation") or 1)
    made = _rollout(obj, mine, view, revision, revision, settled(obj))
    return [{**made, "key": key(obj, generation)}]


def settled(obj: Object) -> bool:
    """Whether the cluster runs what is wanted, and nothing else any more."""
    status = get(obj, "status")
    wanted = number(obj, "spec.replicas", 1)
    ready = number(status, "availableReplicas", number(status, "readyReplicas"))
    current = number(status, "observedGeneration") >= number(obj, "metadata.generation")
    same = text(status, "currentRevision") == text(status, "updateRevision")
    counts = (number(status, "updatedReplicas"), number(status, "replicas"))
    return current and same and counts == (wanted, wanted) and ready >= wanted


def config_map(obj: Object, view: View) -> list[Record]:
    """One deploy for each slot that a mapping ties to a key of this ConfigMap."""
    data = entries(obj, "data")
    hashed = "sha256:" + sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    at, by = spec_changed(obj)
    out = []
    for rule in view.mappings.config_map(namespace(obj), name(obj)):
        value = rule.value(data[rule.key]) if isinstance(data.get(rule.key), str) else ""
        if not value:
            continue
        place = slot(view, obj, rule.kind, rule.slot)
        controller = f"configmap/{name(obj)}"
        record = base(view, obj, key(obj, rule.slot, hashed[7:19], at or ""), "deploy", controller)
        out.append(
            {
                **record,
                "state": "complete",
                "ended_at": at,
                "reported_at": at,
                "by": by or None,
                "inputs": [
                    reference(rule.input, value, role=rule.input.lower(), evidence="observed")
                ],
                "outputs": [
                    reference("Deployment", place, hashed, role="slot", evidence="observed"),
                    reference(
                        "Config", slot(view, obj), hashed, role="configuration", evidence="observed"
                    ),
                ],
            }
        )
    return out


def images_known(obj: Object) -> bool:
    """Whether every image is wanted by digest, so that no pod needs to be asked."""
    return all("@sha256:" in image for image in _wanted(obj))


def _rollout(
    obj: Object, pods: Sequence[Object], view: View, version: str, called: str, over: bool
) -> Record:
    changed, by = spec_changed(obj)
    kind = text(obj, "kind").lower()
    said = annotated.references(obj)
    cause = annotation(obj, "kubernetes.io/change-cause")
    place = reference(
        "Deployment",
        slot(view, obj),
        version,
        role="slot",
        name=f"{name(obj)} {called}",
        evidence="observed",
    )
    # What is only wanted is no output yet: the slot still holds what it held.
    outputs = [place, *said["outputs"]] if over else []
    return {
        **base(view, obj, key(obj, version), "deploy", f"{kind}/{name(obj)}"),
        "state": "complete" if over else "running",
        "ended_at": changed if over else None,
        "reported_at": changed,
        "by": by or None,
        "trigger": {"reason": cause} if cause else None,
        "inputs": unique([*_images(obj, pods), *_configs(obj, view), *said["inputs"]]),
        "outputs": outputs,
    }


def _images(obj: Object, pods: Sequence[Object]) -> list[Record]:
    """By the digests that run; where no pod tells, what is wanted by digest."""
    running = {
        image
        for pod in pods
        for one in items(pod, "status.containerStatuses")
        if "sha256:" in (image := text(one, "imageID"))
    }
    # A bare `sha256:…` names a local image, not where it came from.
    found = {image for image in running if not image.startswith("sha256:")}
    wanted = {image for image in _wanted(obj) if "@sha256:" in image}
    return [reference("Image", image, role="image") for image in sorted(found | wanted)]


def _wanted(obj: Object) -> list[str]:
    return [text(c, "image") for c in items(obj, "spec.template.spec.containers")]


def _configs(obj: Object, view: View) -> list[Record]:
    names = sorted({found for found in _config_names(obj) if found})
    return [
        reference("Config", slot(view, obj, "ConfigMap", one), role="configuration")
        for one in names
    ]


def _config_names(obj: Object) -> Iterator[str]:
    """The ConfigMaps that pods mount or read; Secrets stand beside them and stay unread."""
    pod = get(obj, "spec.template.spec")
    for volume in items(pod, "volumes"):
        yield text(volume, "configMap.name")
        for source in items(volume, "projected.sources"):
            yield text(source, "configMap.name")
    for container in (*items(pod, "containers"), *items(pod, "initContainers")):
        for source in items(container, "envFrom"):
            yield text(source, "configMapRef.name")
        for variable in items(container, "env"):
            yield text(variable, "valueFrom.configMapKeyRef.name")
