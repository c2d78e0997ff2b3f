"""The status of a ModelSync: what was decided last and why, and which runs there are. Pure.

A status is written only when it says something new, or every look would be a write that
leads to the next look.
"""

from __future__ import annotations

from collections.abc import Sequence

from controllers_hooks.modelsync.decide import Decision
from controllers_hooks.modelsync.runs import Asked, Run, active
from controllers_hooks.modelsync.spec import ModelSync
from controllers_hooks.observers.objects import Object, entries, get, items, key, text


def status(sync: ModelSync, runs: Sequence[Run], decision: Decision, now: str) -> Object:
    """What the status should be; `runs` with the one just created, `now` as ISO 8601."""
    syncing = "True" if active(runs) else "False"
    told = [
        ("Ready", "True" if decision.ready else "False", decision.reason, decision.message),
        ("Syncing", syncing, decision.reason, decision.message),
    ]
    out: Object = {
        "observedGeneration": sync.generation,
        "active": sorted((_reference(run) for run in active(runs)), key=lambda r: str(r["name"])),
        "conditions": [_condition(sync, *one, now) for one in told],
    }
    if decision.trigger:
        out["lastDecision"] = _decision(sync, runs, decision, now)
    last = max(runs, key=lambda run: run.age, default=None)
    # A newer one that is gone by now is remembered all the same.
    if last and last.asked.attempt >= Asked.read(get(sync.status, "lastRun.asked")).attempt:
        out["lastRun"] = _run(last)
    return out


def changed(sync: ModelSync, wanted: Object) -> bool:
    return any(sync.status.get(field) != _present(value) for field, value in wanted.items())


def _present(value: object) -> object:
    """A null in a patch removes its member."""
    if isinstance(value, dict):
        return {name: one for name, one in value.items() if one is not None}
    return value


def _reference(run: Run) -> Object:
    return {"apiVersion": text(run.obj, "apiVersion") or "tekton.dev/v1", "kind": "PipelineRun",
            "name": run.name, "namespace": text(run.obj, "metadata.namespace"),
            "uid": run.uid}  # fmt: skip


def _condition(
    sync: ModelSync, type: str, status: str, reason: str, message: str, now: str
) -> Object:
    before = next((c for c in items(sync.status, "conditions") if c.get("type") == type), {})
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    return {"type": type, "status": status, "reason": reason, "message": message,
            "observedGeneration": sync.generation,
            "lastTransitionTime": since or now}  # fmt: skip


def _decision(sync: ModelSync, runs: Sequence[Run], decision: Decision, now: str) -> Object:
    """The last one that differs: a reason such as an age would be another with every look."""
    name = get(decision.run, "metadata.name")
    acted = next((run for run in runs if run.name == name), None)
    made: Object = {
        "outcome": decision.reason,
        **decision.trigger,
        "action": key(acted.obj) if acted else None,
        "time": now,
    }
    before = entries(sync.status, "lastDecision")
    same = ("outcome", "wanted", "observed", "action")
    return before if before and all(before.get(n) == made[n] for n in same) else made


def _run(run: Run) -> Object:
    return {
        "name": run.name,
        "uid": run.uid,
        "state": run.state,
        "startedAt": run.started_at or None,
        "finishedAt": run.ended_at or None,
        "asked": run.asked.json(),
    }
