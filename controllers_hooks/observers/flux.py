"""Flux: what a Kustomization applied and what a HelmRelease released. Pure.

A Kustomization names its source, not the address of it; a mapping can say which
repository that is.
"""

from __future__ import annotations

from controllers_hooks.observers.objects import (
    Object,
    Record,
    View,
    base,
    condition,
    entries,
    get,
    items,
    key,
    latest,
    name,
    namespace,
    reference,
    slot,
    text,
)

_STATES = {
    "deployed": "complete", "superseded": "complete", "uninstalled": "complete",
    "failed": "failed", "pending-install": "running", "pending-upgrade": "running",
    "pending-rollback": "running", "uninstalling": "running",
}  # fmt: skip


def kustomization(obj: Object, view: View) -> list[Record]:
    """Each entry of the history; without one, the revision applied last."""
    history = items(obj, "status.history")
    if history:
        return [_applied(obj, entry, view) for entry in history if text(entry, "digest")]
    revision = text(obj, "status.lastAppliedRevision")
    if not revision:
        return []
    ready = condition(obj, "Ready")
    at = latest(ready.get("lastTransitionTime"), get(obj, "metadata.creationTimestamp"))
    origin = text(obj, "status.lastAppliedOriginRevision")
    return [_kustomized(obj, view, revision, revision, origin, "complete", at)]


def _applied(obj: Object, entry: Object, view: View) -> Record:
    """Times are those of the first time: reconciling it again changes nothing."""
    meta = entries(entry, "metadata")
    revision = text(meta, "revision") or text(entry, "digest")
    status = text(entry, "lastReconciledStatus")
    state = "complete" if status.endswith("Succeeded") else "failed"
    at = latest(entry.get("firstReconciled"))
    made = _kustomized(
        obj, view, text(entry, "digest"), revision, text(meta, "originRevision"), state, at
    )
    made["reported_at"] = latest(entry.get("lastReconciled"), at)
    if state == "failed":
        made |= {"error": status, "outputs": []}
    return made


def _kustomized(
    obj: Object, view: View, part: str, revision: str, origin: str, state: str, at: str | None
) -> Record:
    kind, source = text(obj, "spec.sourceRef.kind"), text(obj, "spec.sourceRef.name")
    where = text(obj, "spec.sourceRef.namespace") or namespace(obj)
    commit = _commit(origin or revision)
    url = view.mappings.repository(namespace(obj), f"{kind}/{source}")
    record = {
        **base(view, obj, key(obj, part), "deploy", f"flux/{name(obj)}"),
        "state": state,
        "ended_at": at,
        "reported_at": at,
        "inputs": [
            reference(
                "Config",
                f"k8s://{view.cluster}/{where}/{kind}/{source}",
                revision,
                role="source",
            )
        ],
        "outputs": [
            reference(
                "Deployment",
                slot(view, obj),
                revision,
                role="slot",
                evidence="observed",
            )
        ],
    }
    if url:
        record["code"] = {"repo": url, "commit": commit, "path": text(obj, "spec.path") or None}
    return record


def _commit(revision: str) -> str | None:
    """`main@sha1:ab…`, `sha1:ab…`, and the older `main/ab…`."""
    found = revision.rpartition("@")[2]
    if ":" in found:
        return found.removeprefix("sha1:")
    return found.rpartition("/")[2] or None


def helm_release(obj: Object, view: View) -> list[Record]:
    """Each snapshot of the history; an uninstalled one ends the slot."""
    made = (_released(obj, one, view) for one in items(obj, "status.history"))
    return [record for record in made if record]


def _released(obj: Object, one: Object, view: View) -> Record | None:
    version, chart = str(one.get("version") or ""), text(one, "chartName")
    at = latest(one.get("lastDeployed"))
    state = _STATES.get(text(one, "status"))
    if not version or state is None:
        return None
    gone = text(one, "status") == "uninstalled"
    at = (latest(one.get("deleted")) or at) if gone else at
    inputs = [
        reference(
            "Config",
            f"helm://{chart}",
            text(one, "ociDigest") or text(one, "chartVersion"),
            role="chart",
            name=f"{chart} {text(one, 'chartVersion')}",
        )
    ] if chart else []  # fmt: skip
    if values := text(one, "configDigest"):
        inputs.append(reference("Config", slot(view, obj) + "#values", values, role="values"))
    record = {
        **base(
            view, obj, key(obj, version, *(["uninstalled"] if gone else [])), "deploy",
            f"flux/{name(obj)}",
        ),
        "state": state,
        "ended_at": at if state != "running" else None,
        "reported_at": at,
        "inputs": [] if gone else inputs,
        "outputs": [
            reference(
                "Deployment",
                slot(view, obj),
                f"uninstalled-{version}" if gone else version,
                role="slot",
                name=f"{name(obj)} release {version}",
                evidence="observed",
                properties={"traffic": 0} if gone else {},
            )
        ] if state == "complete" else [],
    }  # fmt: skip
    if state == "failed":
        ready = condition(obj, "Released") or condition(obj, "Ready")
        record["error"] = text(ready, "message") or "the release failed"
    return record
