"""One pass over one ModelSync: look, decide, act, say so.

Everything is read anew each time, from the API server itself and not from a cache, so what
a watch missed does no harm. Nothing is held between passes but which runs are recorded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from controllers_hooks.modelsync import decide as core
from controllers_hooks.modelsync import runs as history
from controllers_hooks.modelsync.capture import Capture
from controllers_hooks.modelsync.decide import Decision, Failure, Notice, Settings
from controllers_hooks.modelsync.events import tell
from controllers_hooks.modelsync.runs import Run
from controllers_hooks.modelsync.spec import GROUP, KIND, PLURAL, VERSION, ModelSync, parse
from controllers_hooks.modelsync.status import changed, status
from controllers_hooks.observers.assemble import PIPELINE_RUNS
from controllers_hooks.observers.cluster import Cluster, ClusterError, Resource
from controllers_hooks.observers.objects import Object
from lineage.errors import LineageError
from lineage.needs_sync import NeedsSync

MODEL_SYNCS = Resource(GROUP, (VERSION,), PLURAL, KIND)
_TEKTON = "v1"
_SOON = 1.0
_log = logging.getLogger("lineage.modelsync")


class LostLease(LineageError):
    """Somebody else may act by now, so this process may not."""


class Lambda(Protocol):
    def ask(self, url: str) -> NeedsSync | Failure: ...


class Reconciler:
    """`may_act` is asked right before anything is created or deleted."""

    def __init__(
        self,
        cluster: Cluster,
        lambdas: Lambda,
        capture: Capture,
        settings: Settings,
        may_act: Callable[[], bool] = lambda: True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        self._lambdas = lambdas
        self._capture = capture
        self._settings = settings
        self._may_act = may_act
        self._now = now

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Seconds until the next look; None when there is nothing left to look at.

        Raises:
            ClusterError: the cluster did not do as it was asked; the pass can be made again.
            LostLease: nothing more may be done here.
        """
        path = MODEL_SYNCS.path(VERSION, namespace, name)
        try:
            sync = parse(self._cluster.send("GET", path))
        except ClusterError as error:
            if error.code == 404:
                return None
            raise
        if sync.deleted:
            return None
        runs = self._runs(sync)
        decision = self._decide(sync, runs)
        if decision.run is not None:
            decision, created = self._create(sync, decision, decision.run)
            runs += created
        safe = {run.uid for run in runs if self._capture.has(run)}
        self._record(runs)
        for notice in decision.notices:
            tell(self._cluster, sync, notice, self._iso())
        self._say(sync, runs, decision)
        tidy = self._tidy(sync, runs, safe)
        return decision.after if tidy else min(decision.after, _SOON)

    def _runs(self, sync: ModelSync) -> list[Run]:
        found, _ = self._cluster.all_of(PIPELINE_RUNS.path(_TEKTON, sync.namespace))
        said = {"apiVersion": PIPELINE_RUNS.api_version(_TEKTON), "kind": PIPELINE_RUNS.kind}
        return history.owned(({**said, **obj} for obj in found), sync.uid)

    def _decide(self, sync: ModelSync, runs: list[Run]) -> Decision:
        decision = core.decide(sync, runs, None, self._now(), self._settings)
        if decision.what != "ask":
            return decision
        answer = self._lambdas.ask(sync.url)
        return core.decide(sync, runs, answer, self._now(), self._settings)

    def _create(
        self, sync: ModelSync, decision: Decision, run: Object
    ) -> tuple[Decision, list[Run]]:
        """The run, as it is in the cluster; whoever created it."""
        self._check_lease()
        try:
            path = PIPELINE_RUNS.path(_TEKTON, sync.namespace)
            created = [history.run(self._cluster.send("POST", path, run))]
        except ClusterError as error:
            if error.code in (0, 429) or error.code >= 500:
                raise
            created = self._twin(sync, run) if error.code == 409 else []
            if not created:
                return self._not_created(decision, error), []
        notice = Notice(core.CREATE_RUN, decision.message, "Normal")
        return replace(decision, notices=(*decision.notices, notice)), created

    def _not_created(self, decision: Decision, error: ClusterError) -> Decision:
        said = f"Unable to create PipelineRun; error {error.detail}"
        notice = Notice(core.CREATE_RUN_ERROR, said)
        return replace(decision, what="wait", reason=notice.reason, message=said, ready=False,
                       after=self._settings.retry, notices=(notice,), run=None)  # fmt: skip

    def _twin(self, sync: ModelSync, run: Object) -> list[Run]:
        """The run of this name, if it is ours: an earlier pass created it and was cut off."""
        path = PIPELINE_RUNS.path(_TEKTON, sync.namespace, run["metadata"]["name"])
        return history.owned([self._cluster.send("GET", path)], sync.uid)

    def _record(self, runs: list[Run]) -> None:
        """What goes on, and what ended last: of the older ones each was the last once."""
        finished = [run for run in runs if run.state != "active"]
        newest = sorted(finished, key=lambda run: run.age)[-1:]
        for run in (*history.active(runs), *newest):
            self._capture.record(run)

    def _say(self, sync: ModelSync, runs: list[Run], decision: Decision) -> None:
        wanted = status(sync, runs, decision, self._iso())
        if changed(sync, wanted):
            path = MODEL_SYNCS.path(VERSION, sync.namespace, sync.name)
            self._cluster.patch(f"{path}/status", {"status": wanted})

    def _tidy(self, sync: ModelSync, runs: list[Run], safe: set[str]) -> bool:
        """Delete what is over the limits and `safe`; False when more can go very soon.

        What is recorded only in this pass waits until the next: by then it is on the disk,
        and the status remembers the last run. What cannot be recorded waits for the usual look.
        """
        ready = True
        for run in history.excess(runs, sync):
            if run.uid not in safe:
                ready = not self._capture.record(run) and ready
                continue
            self._check_lease()
            path = PIPELINE_RUNS.path(_TEKTON, sync.namespace, run.name)
            body = {"propagationPolicy": "Background", "preconditions": {"uid": run.uid}}
            try:
                self._cluster.send("DELETE", path, body)
            except ClusterError as error:
                if error.code not in (404, 409):
                    _log.warning("%s could not be deleted: %s", run.name, error)
                    continue
            self._capture.forget(run.uid)
        return ready

    def _check_lease(self) -> None:
        if not self._may_act():
            raise LostLease("the lease is lost; stopping before anything else is done")

    def _iso(self) -> str:
        now = datetime.fromtimestamp(self._now(), UTC).replace(microsecond=0)
        return now.isoformat().replace("+00:00", "Z")
