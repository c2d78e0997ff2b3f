"""Puts an observer together and runs it: watchers tell, one recorder listens and delivers.

One recorder for all, so that what belongs together is seen in one place and reports of
one object keep their order. While the server is away the queue fills and the watchers
wait; nothing is lost, since they can list again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, Full, Queue
from threading import Event as Flag
from threading import Thread
from time import monotonic
from typing import Any

from controllers_hooks.observers import tekton
from controllers_hooks.observers.assemble import (
    CONFIG_MAPS,
    KUSTOMIZATIONS,
    MAPPINGS,
    OBSERVERS,
    PIPELINE_RUNS,
    PODS,
    TASK_RUNS,
    Assembler,
)
from controllers_hooks.observers.cluster import Cluster, ClusterError, Resource, finalizers
from controllers_hooks.observers.deliver import Delivery
from controllers_hooks.observers.mapping import GROUP, LineageMapping
from controllers_hooks.observers.objects import Object, entries, get, name, namespace, uid
from controllers_hooks.observers.records import sound
from controllers_hooks.observers.watch import Event, Watcher
from lineage.client import Client
from lineage.errors import LineageError

_log = logging.getLogger("lineage.observe")
FINALIZER = f"{GROUP}/recorded"
_WAITING = 5_000
_AT_ONCE = 200
_RELEASE_SECONDS = 30.0


def _now() -> str:
    return datetime.now(UTC).isoformat()


class Observer:
    """Records what a cluster's controllers do. `counts` by outcome."""

    def __init__(
        self,
        cluster: Cluster,
        client: Client,
        *,
        name: str = "",
        namespaces: Sequence[str] = (),
        only: Iterable[str] = OBSERVERS,
        mappings: Sequence[LineageMapping] = (),
        finalizer: bool = False,
        now: Callable[[], str] = _now,
    ) -> None:
        """`name`: how records call the cluster; `namespaces`: none given = all."""
        self.stop = Flag()
        self._cluster = cluster
        self._client = client
        self._finalizer = finalizer
        self._name = name
        self._places: list[str | None] = list(dict.fromkeys(namespaces)) or [None]
        self._queue: Queue[Event] = Queue(_WAITING)
        self._delivery = Delivery(client, self.stop)
        self._assembler = Assembler(name, tuple(mappings), self._pods, now)
        self._slots: dict[str, set[str]] = {}
        self._lists: Counter[str] = Counter()
        self._held: dict[str, tuple[float, Object]] = {}
        wanted = [MAPPINGS, *(r for group in OBSERVERS if group in set(only)
                              for r in OBSERVERS[group])]  # fmt: skip
        self._watchers = [
            Watcher(cluster, resource, place, self._tell, self.stop)
            for resource in wanted
            for place in self._places
        ]

    @property
    def counts(self) -> Counter[str]:
        return self._delivery.counts

    def once(self) -> None:
        """Record all there is, and return.

        Raises:
            ClusterError: the cluster did not answer.
        """
        for watcher in self._watchers:
            found: list[Event] = []
            watcher.list_or_skip(found.append)
            for start in range(0, len(found), _AT_ONCE):
                self._record(found[start : start + _AT_ONCE])

    def run(self) -> None:
        """Record until `stop` is set."""
        # What tasks need to know comes first: the mappings, and whose parts they are.
        threads = [Thread(target=w.run, daemon=True) for w in self._watchers]
        for watcher in self._watchers:
            if watcher.resource in (MAPPINGS, PIPELINE_RUNS):
                with suppress(ClusterError):  # its own thread tries again, and says so
                    watcher.list_or_skip(self._at_once)
        for thread in threads:
            thread.start()
        while not self.stop.is_set():
            self._record(self._next())

    def _tell(self, event: Event) -> None:
        while not self.stop.is_set():
            try:
                return self._queue.put(event, timeout=0.5)
            except Full:
                continue
        return None

    def _at_once(self, event: Event) -> None:
        self._record([event])

    def _next(self) -> list[Event]:
        """What waits, a bounded lot of it; nothing after half a second of silence."""
        found: list[Event] = []
        try:
            found.append(self._queue.get(timeout=0.5))
            while len(found) < _AT_ONCE:
                found.append(self._queue.get_nowait())
        except Empty:
            pass
        return found

    def _record(self, events: Sequence[Event]) -> None:
        records = [record for event in events for record in self._records(event)]
        actions = [action for record in records if (action := sound(record))]
        if self._delivery.deliver(actions):
            for event in events:
                if event.resource is PIPELINE_RUNS and event.what == "seen":
                    self._hold_or_release(event.obj)
            self._release_later()

    def _records(self, event: Event) -> list[dict[str, Any]]:
        if event.what == "listed":
            self._lists[event.resource.kind] += 1
            return self._vanished(event.resource)
        if event.what == "seen":
            self._slots.setdefault(event.resource.kind, set()).add(uid(event.obj))
        if event.resource is MAPPINGS:
            for watcher in self._watchers:  # what nobody holds must be read again
                watcher.again |= watcher.resource in (CONFIG_MAPS, KUSTOMIZATIONS)
        try:
            return self._assembler.records(event)
        except Exception:  # one odd object must not end the observer
            _log.exception("%s %s cannot be read", event.resource.kind, name(event.obj))
            return []

    def _vanished(self, resource: Resource) -> list[dict[str, Any]]:
        """After the first list of a kind: what the server shows as live and nobody has any
        more went while no observer ran."""
        seen = self._slots.pop(resource.kind, set())
        missing = len(self._places) - self._lists[resource.kind]
        if missing > 0:
            self._slots[resource.kind] = seen
        if missing or not self._assembler.makes_slots(resource.kind):
            return []
        prefix = f"{resource.group}/{resource.kind}/"
        try:
            slots = self._client.live()["slots"]
        except LineageError as error:
            _log.warning("what went while nobody looked is not known: %s", error)
            return []
        out: list[dict[str, Any]] = []
        for slot in slots:
            key, where = str(slot["action"].get("key") or ""), slot["namespace"]
            mine = slot["cluster"] == self._name.lower() and key.startswith(prefix)
            inside = self._places == [None] or where in self._places
            if mine and inside and key.split("/")[2] not in seen:
                out += self._assembler.vanished(resource, key, where, slot["name"])
        return out

    def _pods(self, workload: Object) -> list[Object]:
        labels = entries(workload, "spec.selector.matchLabels")
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        if not selector:
            return []
        try:
            path = PODS.path("v1", namespace(workload))
            found, _ = self._cluster.all_of(path, labelSelector=selector)
        except ClusterError as error:
            _log.warning("pods of %s are not known: %s", name(workload), error)
            return []
        return [pod for pod in found if labels.items() <= entries(pod, "metadata.labels").items()]

    def _hold_or_release(self, run: Object) -> None:
        """Keep a run until it is recorded; let it go then, whoever asked to keep it."""
        have = [f for f in get(run, "metadata.finalizers") or () if isinstance(f, str)]
        over = tekton.done(run) or bool(get(run, "metadata.deletionTimestamp"))
        self._held.pop(uid(run), None)
        if FINALIZER in have and over:
            others = [one for one in have if one != FINALIZER]
            if not self._tasks_recorded(run) or not self._change(run, others):
                self._held[uid(run)] = (monotonic() + _RELEASE_SECONDS, run)
        elif self._finalizer and not over and FINALIZER not in have:
            self._change(run, [*have, FINALIZER])

    def _release_later(self) -> None:
        """A run that could not be let go must not wait for its next event: there is none."""
        for due, run in list(self._held.values()):
            if monotonic() >= due:
                self._hold_or_release(run)

    def _tasks_recorded(self, run: Object) -> bool:
        """Read the tasks now: their own watch may be behind."""
        version = str(run.get("apiVersion", "")).rpartition("/")[2]
        try:
            path = TASK_RUNS.path(version, namespace(run))
            found, _ = self._cluster.all_of(
                path, labelSelector=f"tekton.dev/pipelineRun={name(run)}"
            )
        except ClusterError as error:
            _log.warning("tasks of %s are not known: %s", name(run), error)
            return False
        said = {"apiVersion": run.get("apiVersion"), "kind": "TaskRun"}
        events = [
            Event(TASK_RUNS, "seen", {**said, **task})
            for task in found
            if tekton.parent_uid(task) == uid(run)
        ]
        records = [record for event in events for record in self._records(event)]
        return self._delivery.deliver([a for record in records if (a := sound(record))])

    def _change(self, run: Object, wanted: list[str]) -> bool:
        """True = it is so, or somebody was faster and the event of that is on its way."""
        try:
            finalizers(self._cluster, PIPELINE_RUNS, run, wanted)
        except ClusterError as error:
            if error.code in (404, 409):
                return True
            _log.warning("finalizers of %s stay: %s", name(run), error)
            return False
        return True
