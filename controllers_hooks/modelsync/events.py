"""Kubernetes Events about a ModelSync, as `kubectl describe` shows them. Best effort.

The same event again only raises its count, so a lambda that is away for a day is one line.
"""

from __future__ import annotations

import logging

from controllers_hooks.modelsync.decide import Notice, clipped
from controllers_hooks.modelsync.spec import ModelSync, fingerprint
from controllers_hooks.observers.cluster import Cluster, ClusterError, Resource
from controllers_hooks.observers.objects import Object, get

EVENTS = Resource("", ("v1",), "events", "Event")
COMPONENT = "modelsync"
_MESSAGE = 1024
_log = logging.getLogger("lineage.modelsync")


def tell(cluster: Cluster, sync: ModelSync, notice: Notice, now: str) -> None:
    level = logging.WARNING if notice.type == "Warning" else logging.INFO
    _log.log(level, "%s/%s: %s: %s", sync.namespace, sync.name, notice.reason, notice.message)
    obj = event(sync, notice, now)
    path = EVENTS.path("v1", sync.namespace)
    try:
        try:
            cluster.send("POST", path, obj)
        except ClusterError as error:
            if error.code != 409:
                raise
            path = EVENTS.path("v1", sync.namespace, obj["metadata"]["name"])
            count = get(cluster.send("GET", path), "count") or 1
            cluster.patch(path, {"count": count + 1, "lastTimestamp": now})
    except ClusterError as error:
        _log.warning("an event could not be written: %s", error)


def event(sync: ModelSync, notice: Notice, now: str) -> Object:
    message = clipped(notice.message, _MESSAGE)
    tail = fingerprint([sync.uid, notice.reason, message])
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{sync.name[:200]}.{tail}", "namespace": sync.namespace},
        "involvedObject": {**sync.reference(), "namespace": sync.namespace},
        "type": notice.type,
        "reason": notice.reason,
        "message": message,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
