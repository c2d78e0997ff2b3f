"""When to look, and for how long: kopf watches while the lease is held. The only door to kopf.

Events are reasons to look and nothing else, so kopf writes neither finalizers nor
annotations, and what it misses is looked at all the same, a resync later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from threading import Event as Flag
from threading import Thread
from typing import Any

import kopf

from controllers_hooks.modelsync.lease import Lease
from controllers_hooks.modelsync.loops import Loops
from controllers_hooks.modelsync.reconcile import MODEL_SYNCS, LostLease, Reconciler
from controllers_hooks.modelsync.runs import owner_name, run
from controllers_hooks.modelsync.spec import GROUP, PLURAL, VERSION
from controllers_hooks.observers.assemble import PIPELINE_RUNS
from controllers_hooks.observers.cluster import Cluster, ClusterError, Resource
from controllers_hooks.observers.objects import namespace
from lineage.errors import LineageError


def run_operator(
    cluster: Cluster,
    reconciler: Reconciler,
    stop: Flag,
    namespaces: Sequence[str] = (),
    lease: Lease | None = None,
) -> None:
    """Until told to stop.

    Raises:
        LineageError: the cluster lacks what is needed, or the lease was lost.
    """
    for resource in (MODEL_SYNCS, PIPELINE_RUNS):
        for place in namespaces or (None,):
            _check(cluster, resource, place)
    if lease and not lease.acquire(stop):
        return
    over = Flag()
    keeper = Thread(target=_keep, args=(lease, over, stop), daemon=True)
    keeper.start()
    try:
        lost = asyncio.run(_operate(cluster, reconciler, stop, namespaces))
    finally:
        kept = not lease or lease.held()
        over.set()
        keeper.join(10)
    if lost or not kept:
        raise LostLease("the lease is lost; start again to wait for it")


def _check(cluster: Cluster, resource: Resource, place: str | None) -> None:
    version = resource.versions[0]
    try:
        cluster.send("GET", f"{resource.path(version, place)}?limit=1")
    except ClusterError as error:
        if error.code != 404:
            raise
        what = f"{resource.plural} of {resource.api_version(version)}"
        where = "deploy/modelsync" if resource is MODEL_SYNCS else "Tekton"
        raise LineageError(f"the cluster does not serve {what}; install {where}") from error


def _keep(lease: Lease | None, over: Flag, stop: Flag) -> None:
    if lease:
        lease.keep(over)
        stop.set()


async def _operate(
    cluster: Cluster, reconciler: Reconciler, stop: Flag, namespaces: Sequence[str]
) -> bool:
    """Whether a pass found the lease lost."""
    loops = Loops(reconciler.reconcile, stop)
    try:
        await kopf.operator(
            registry=_registry(cluster, loops),
            settings=_settings(),
            namespaces=list(namespaces),
            clusterwide=not namespaces,
            standalone=True,
            stop_flag=stop,
        )
    finally:
        stop.set()  # also when kopf ended by itself: a thread of its own waits for this
        await loops.close()
    return loops.lost


def _registry(cluster: Cluster, loops: Loops) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return connection(cluster)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def modelsync(body: kopf.Body, **_: Any) -> None:
        loops.seen(dict(body))

    @kopf.on.event("tekton.dev", "v1", "pipelineruns", registry=registry)
    async def pipeline_run(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        obj = dict(body)
        # Of a run that goes on, only its beginning and its end matter.
        matters = event["type"] != "MODIFIED" or run(obj).state != "active"
        if matters and (owner := owner_name(obj)):
            loops.wake((namespace(obj), owner))

    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    return settings


def connection(cluster: Cluster) -> kopf.ConnectionInfo:
    """The same address and credentials for kopf."""
    found = cluster.configuration
    header: str = next(iter(cluster.credentials().values()), "")
    scheme, _, token = header.rpartition(" ")
    return kopf.ConnectionInfo(
        server=found.host,
        ca_path=found.ssl_ca_cert,
        insecure=not found.verify_ssl,
        username=found.username or None,
        password=found.password or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=found.cert_file,
        private_key_path=found.key_file,
    )
