"""Which records follow from an event: brings together the objects that belong together.

Holds the PipelineRuns and TaskRuns that exist, and nothing else; asks for pods through a
function. No thread, no clock, no request of its own.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from controllers_hooks.observers import annotated, argocd, flux, kserve, tekton, workloads
from controllers_hooks.observers.cluster import Resource
from controllers_hooks.observers.mapping import (
    GROUP,
    VERSION,
    LineageMapping,
    Mappings,
    parse_mapping,
)
from controllers_hooks.observers.objects import (
    GONE,
    Object,
    Record,
    View,
    annotation,
    name,
    namespace,
    removal,
    uid,
)
from controllers_hooks.observers.watch import Event
from lineage.errors import InvalidRecord

_log = logging.getLogger("lineage.observe")

MAPPINGS = Resource(GROUP, (VERSION,), "lineagemappings", "LineageMapping")
PIPELINE_RUNS = Resource("tekton.dev", ("v1", "v1beta1"), "pipelineruns", "PipelineRun")
TASK_RUNS = Resource("tekton.dev", ("v1", "v1beta1"), "taskruns", "TaskRun")
DEPLOYMENTS = Resource("apps", ("v1",), "deployments", "Deployment")
STATEFUL_SETS = Resource("apps", ("v1",), "statefulsets", "StatefulSet")
CONFIG_MAPS = Resource("", ("v1",), "configmaps", "ConfigMap")
JOBS = Resource("batch", ("v1",), "jobs", "Job")
APPLICATIONS = Resource("argoproj.io", ("v1alpha1",), "applications", "Application")
KUSTOMIZATIONS = Resource(
    "kustomize.toolkit.fluxcd.io", ("v1", "v1beta2"), "kustomizations", "Kustomization"
)
HELM_RELEASES = Resource("helm.toolkit.fluxcd.io", ("v2", "v2beta2"), "helmreleases", "HelmRelease")
INFERENCE_SERVICES = Resource(
    "serving.kserve.io", ("v1beta1",), "inferenceservices", "InferenceService"
)
PODS = Resource("", ("v1",), "pods", "Pod")

OBSERVERS: dict[str, tuple[Resource, ...]] = {
    "tekton": (PIPELINE_RUNS, TASK_RUNS),
    "workloads": (DEPLOYMENTS, STATEFUL_SETS, CONFIG_MAPS),
    "argocd": (APPLICATIONS,),
    "flux": (KUSTOMIZATIONS, HELM_RELEASES),
    "kserve": (INFERENCE_SERVICES,),
    "annotated": (JOBS,),
}
"""What `--only` chooses from."""


class _Slot(NamedTuple):
    controller: str
    parse: Callable[[Object, View], list[Record]]


class Assembler:
    """Turns events into records. `pods` lists the pods of a workload, `now` tells the time
    at which a deletion is noticed: the objects do not hold it."""

    def __init__(
        self,
        cluster: str,
        mappings: tuple[LineageMapping, ...] = (),
        pods: Callable[[Object], list[Object]] = lambda workload: [],
        now: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._cluster = cluster
        self._given = mappings
        self._declared: dict[str, LineageMapping] = {}
        self._pods = pods
        self._now = now
        self._runs: dict[str, Object] = {}
        self._tasks: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self._asked: dict[str, str] = {}
        self.view = View(cluster, Mappings.of(mappings))

    def records(self, event: Event) -> list[Record]:
        if event.what == "listed":
            return []
        kind, gone = event.resource.kind, event.what == "gone"
        if kind == "LineageMapping":
            return self._map(event.obj, gone)
        if kind in ("PipelineRun", "TaskRun"):
            return list(self._tekton({**event.obj, GONE: True} if gone else event.obj))
        known = self._slot(kind)
        if known and gone:
            self._asked.pop(uid(event.obj), None)
            return [
                removal(self.view, event.obj, f"{known.controller}/{name(event.obj)}", self._now())
            ]
        if known:
            return known.parse(event.obj, self.view)
        if gone:
            return []
        if kind == "ConfigMap":
            return workloads.config_map(event.obj, self.view)
        return annotated.job(event.obj, self.view)

    def vanished(self, resource: Resource, key: str, where: str, of: str) -> list[Record]:
        """What ends a slot that the server still shows and no list holds any more.

        `key` is that of the action which made it live, `where` and `of` namespace and name.
        """
        meta = {"uid": key.split("/")[2], "namespace": where, "name": of}
        version = resource.api_version(resource.versions[0])
        obj = {"apiVersion": version, "kind": resource.kind, "metadata": meta}
        return self.records(Event(resource, "gone", obj))

    def makes_slots(self, kind: str) -> bool:
        return self._slot(kind) is not None

    def _slot(self, kind: str) -> _Slot | None:
        return {
            "Deployment": _Slot("deployment", self._deployment),
            "StatefulSet": _Slot("statefulset", self._stateful_set),
            "Application": _Slot("argocd", argocd.application),
            "Kustomization": _Slot("flux", flux.kustomization),
            "HelmRelease": _Slot("flux", flux.helm_release),
            "InferenceService": _Slot("inferenceservice", kserve.inference_service),
        }.get(kind)

    def _deployment(self, obj: Object, view: View) -> list[Record]:
        revision = annotation(obj, "deployment.kubernetes.io/revision")
        return workloads.deployment(obj, self._pods_once(obj, revision), view)

    def _stateful_set(self, obj: Object, view: View) -> list[Record]:
        revision = str((obj.get("status") or {}).get("updateRevision"))
        return workloads.stateful_set(obj, self._pods_once(obj, revision), view)

    def _pods_once(self, obj: Object, revision: str) -> list[Object]:
        """Pods are asked once a revision, when it is rolled out: their images stay the same."""
        asked = self._asked.get(uid(obj)) == revision
        if asked or workloads.images_known(obj) or not workloads.settled(obj):
            return []
        found = self._pods(obj)
        if found:
            self._asked[uid(obj)] = revision
        return found

    def _tekton(self, obj: Object) -> Iterator[Record]:
        """The whole run when it is the run that changed, else the run and the one task."""
        if obj["kind"] == "PipelineRun":
            run, tasks = obj, self._tasks[uid(obj)]
            if obj.get(GONE):
                self._runs.pop(uid(obj), None)
                self._tasks.pop(uid(obj), None)
            else:
                self._runs[uid(obj)] = obj
            yield from tekton.records(run, list(tasks.values()), self.view)
            return
        parent = tekton.parent_uid(obj)
        siblings = self._tasks[parent] if parent else {}
        siblings[uid(obj)] = obj
        found = self._runs.get(parent)
        yield tekton.task_run(obj, found, self.view)
        if found:
            yield tekton.pipeline_run(found, list(siblings.values()), self.view)
        if obj.get(GONE):
            siblings.pop(uid(obj), None)
        if not siblings:
            self._tasks.pop(parent, None)

    def _map(self, obj: Object, gone: bool) -> list[Record]:
        """Mappings hold for what was seen before them too."""
        self._declared.pop(uid(obj), None)
        if not gone:
            try:
                where = f"LineageMapping {namespace(obj)}/{name(obj)}"
                self._declared[uid(obj)] = parse_mapping(obj, where)
            except InvalidRecord as error:
                _log.error("%s; it is ignored", error)
        self.view = View(self._cluster, Mappings.of((*self._given, *self._declared.values())))
        return [
            record
            for run in self._runs.values()
            for record in tekton.records(run, list(self._tasks[uid(run)].values()), self.view)
        ]
