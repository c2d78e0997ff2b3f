"""Argo CD: each entry of an Application's history is a deploy. Pure.

A sync that failed leaves no entry; it is read from the last operation.
"""

from __future__ import annotations

from controllers_hooks.observers.objects import (
    Object,
    Record,
    View,
    base,
    get,
    items,
    key,
    latest,
    reference,
    slot,
    text,
    unique,
)


def application(obj: Object, view: View) -> list[Record]:
    history = items(obj, "status.history")
    newest = max((_id(entry) for entry in history), default=-1)
    out = [_deploy(obj, entry, view, _id(entry) == newest) for entry in history]
    return [*out, *_failed(obj, view)]


def _id(entry: Object) -> int:
    found = entry.get("id", 0)  # the first entry's 0 is left out on the wire
    return found if isinstance(found, int) else 0


def _deploy(obj: Object, entry: Object, view: View, newest: bool) -> Record:
    ended = latest(entry.get("deployedAt"))
    sources = _sources(entry, obj)
    version = ",".join(revision for _, revision in sources if revision)
    inputs = [_source(source, revision) for source, revision in sources]
    if newest and text(obj, "status.sync.status") == "Synced":
        found = get(obj, "status.summary.images")
        images = [i for i in found if isinstance(i, str)] if isinstance(found, list) else []
        inputs += [reference("Image", image, role="image") for image in images]
    record = {
        **base(
            view, obj, key(obj, str(_id(entry))), "deploy", f"argocd/{text(obj, 'metadata.name')}"
        ),
        "state": "complete",
        "started_at": latest(entry.get("deployStartedAt")),
        "ended_at": ended,
        "reported_at": ended,
        "by": _by(entry.get("initiatedBy")),
        "inputs": unique(inputs),
        "outputs": [
            reference("Deployment", slot(view, obj), version, role="slot", evidence="observed")
        ],
        "params": _destination(obj),
    }
    return record | _code(sources)


def _failed(obj: Object, view: View) -> list[Record]:
    operation = get(obj, "status.operationState")
    started = text(operation, "startedAt")
    if text(operation, "phase") not in ("Failed", "Error") or not started:
        return []
    ended = latest(get(operation, "finishedAt")) or started
    sources = _sources(get(operation, "syncResult") or {}, obj)
    return [
        {
            **base(view, obj, key(obj, "sync", started), "deploy", f"argocd/{text(obj, 'metadata.name')}"),
            "state": "failed",
            "started_at": started,
            "ended_at": ended,
            "reported_at": ended,
            "error": text(operation, "message") or text(operation, "phase"),
            "by": _by(get(operation, "operation.initiatedBy")),
            "inputs": unique(_source(source, revision) for source, revision in sources),
            "params": _destination(obj),
        }
        | _code(sources)
    ]  # fmt: skip


def _sources(entry: Object, obj: Object) -> list[tuple[Object, str]]:
    """Each source with the revision that was deployed of it."""
    many = items(entry, "sources") or items(obj, "spec.sources")
    revisions = entry.get("revisions")
    if many and isinstance(revisions, list):
        return [
            (one, str(revision))
            for one, revision in zip(many, revisions, strict=False)
            if text(one, "repoURL")
        ]
    one = entry.get("source") or get(obj, "spec.source") or {}
    return [(one, text(entry, "revision"))] if text(one, "repoURL") else []


def _source(source: Object, revision: str) -> Record:
    chart = text(source, "chart")
    if chart:
        repo = text(source, "repoURL").rstrip("/")
        return reference("Config", f"{repo}/{chart}", revision, role="chart")
    return reference("Code", text(source, "repoURL"), revision, role="source")


def _code(sources: list[tuple[Object, str]]) -> Record:
    git = [(one, revision) for one, revision in sources if not text(one, "chart")]
    if not git:
        return {}
    one, revision = git[0]
    path = text(one, "path") or None
    return {"code": {"repo": text(one, "repoURL"), "commit": revision or None, "path": path}}


def _by(initiated: object) -> str | None:
    if text(initiated, "username"):
        return text(initiated, "username")
    return "argocd (automated)" if get(initiated, "automated") else None


def _destination(obj: Object) -> dict[str, str]:
    found = {
        "destination cluster": text(obj, "spec.destination.name")
        or text(obj, "spec.destination.server"),
        "destination namespace": text(obj, "spec.destination.namespace"),
    }
    return {name: value for name, value in found.items() if value}
