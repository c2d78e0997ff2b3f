"""Recording runs before anybody can delete them, and why each was started.

A run carries its decision in annotations, so what is recorded never depends on what this
process remembers. The observers' parser reads the rest; reports of both are merged.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from controllers_hooks.hook import Hook
from controllers_hooks.modelsync.build import TRIGGER
from controllers_hooks.modelsync.runs import Run
from controllers_hooks.observers import tekton
from controllers_hooks.observers.assemble import TASK_RUNS
from controllers_hooks.observers.cluster import Cluster, ClusterError
from controllers_hooks.observers.objects import Object, Record, View, annotation, namespace
from controllers_hooks.observers.records import sound

_log = logging.getLogger("lineage.modelsync")


class Capture:
    """Puts runs into the hook's outbox; what is on disk counts as recorded."""

    def __init__(self, cluster: Cluster, hook: Hook, view: View) -> None:
        self._cluster = cluster
        self._hook = hook
        self._view = view
        self._recorded: dict[str, str] = {}

    def has(self, run: Run) -> bool:
        """Whether this process has recorded the run as it ended."""
        return self._recorded.get(run.uid, "active") != "active"

    def record(self, run: Run) -> bool:
        """Record a run once while it goes on, and once with its tasks when it is over; False
        when it could not be, and should be tried again."""
        if self._recorded.get(run.uid) == run.state:
            return True
        try:
            tasks = self._tasks(run.obj) if run.state != "active" else []
        except ClusterError as error:
            _log.warning("tasks of %s are not known: %s", run.name, error)
            return False
        actions = [sound(record) for record in records(run.obj, tasks, self._view)]
        if not all(self._hook.record(action) for action in actions if action):
            _log.warning("%s could not be recorded; it is kept until it can be", run.name)
            return False
        self._recorded[run.uid] = run.state
        return True

    def forget(self, uid: str) -> None:
        self._recorded.pop(uid, None)

    def _tasks(self, run: Object) -> list[Object]:
        name, uid = run["metadata"]["name"], run["metadata"].get("uid")
        path = TASK_RUNS.path("v1", namespace(run))
        found, _ = self._cluster.all_of(path, labelSelector=f"tekton.dev/pipelineRun={name}")
        said = {"apiVersion": "tekton.dev/v1", "kind": "TaskRun"}
        return [{**said, **task} for task in found if tekton.parent_uid(task) == uid]


def records(run: Object, tasks: list[Object], view: View) -> list[Record]:
    """What the observers would record, and why the run was started."""
    found = tekton.records(run, tasks, view)
    if trigger := _trigger(run):
        found[0]["trigger"] = trigger
    return found


def _trigger(run: Object) -> dict[str, str]:
    try:
        found: Any = json.loads(annotation(run, TRIGGER))
    except (ValueError, RecursionError):
        return {}
    said = found.items() if isinstance(found, dict) else ()
    fields = ("wanted", "observed", "reason")
    return {name: value for name, value in said if name in fields and value}
