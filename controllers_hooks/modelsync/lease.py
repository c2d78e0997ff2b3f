"""Who may act: the holder of a Lease. Knows nothing of what is done with it.

The kubernetes client's own election waits without end for an answer, so it can believe to
hold what others have taken meanwhile. Here holding ends by the clock: whoever could not
renew in time has lost, whatever the network does.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event as Flag
from time import monotonic

from controllers_hooks.observers.cluster import Cluster, ClusterError, Resource
from controllers_hooks.observers.objects import Object, entries, get, text

LEASES = Resource("coordination.k8s.io", ("v1",), "leases", "Lease")
DURATION, RENEW, MARGIN = 15.0, 3.0, 5.0
"""Seconds: others may take a lease that old; between two renewals; so much earlier its holder
stops acting, for requests that are on their way."""
_log = logging.getLogger("lineage.modelsync")


class Lease:
    """`held()` is true from the moment it is acquired until it is lost, which is for good."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        duration: float = DURATION,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.identity = f"{socket.gethostname()}_{os.urandom(4).hex()}"
        self._cluster = cluster
        self._all = LEASES.path("v1", namespace)
        self._path = LEASES.path("v1", namespace, name)
        self._name = name
        self._duration = duration
        self._clock = clock
        self._until = 0.0
        self._holder = ""
        self._seen = ("", 0.0)

    def held(self) -> bool:
        return self._clock() < self._until

    def acquire(self, stop: Flag) -> bool:
        """Wait for it; False when told to stop before."""
        waiting = ""
        while not stop.is_set():
            if self._try():
                _log.info("leading as %s", self.identity)
                return True
            if (holder := self._holder) != waiting:
                waiting = holder
                _log.info("waiting for the lease %s, held by %s", self._name, holder or "nobody")
            stop.wait(RENEW * self._duration / DURATION)
        return False

    def keep(self, stop: Flag) -> None:
        """Renew until told to stop, then let go; returns early when it is lost."""
        while not stop.wait(RENEW * self._duration / DURATION):
            self._try()
            if not self.held():
                _log.error("the lease %s is lost", self._name)
                return
        self.release()

    def release(self) -> None:
        """Let the next one begin at once."""
        self._until = 0.0
        with suppress(ClusterError):
            lease = self._cluster.send("GET", self._path)
            if text(lease, "spec.holderIdentity") == self.identity:
                self._change(lease, {"holderIdentity": "", "leaseDurationSeconds": 1})

    def _try(self) -> bool:
        """Take or renew it; true if it is ours now."""
        began = self._clock()
        try:
            lease = self._read()
            spec = self._wanted(entries(lease, "spec"))
            if spec is None:
                return False
            if lease:
                self._change(lease, spec)
            else:
                self._create(spec)
        except ClusterError as error:
            if error.code != 409:  # somebody was faster
                _log.warning("the lease %s: %s", self._name, error)
            return False
        # Counted from before the request: the lease may be as old as that.
        self._until = began + self._duration * (1 - MARGIN / DURATION)
        return True

    def _read(self) -> Object:
        """As it is; empty when there is none."""
        try:
            return self._cluster.send("GET", self._path)
        except ClusterError as error:
            if error.code != 404:
                raise
            return {}

    def _wanted(self, spec: Object) -> Object | None:
        """What makes it ours; None while it is another's. Its age is measured by our own
        clock, from when it was first seen like that: clocks of two machines differ."""
        self._holder = text(spec, "holderIdentity")
        seen = f"{self._holder} {text(spec, 'renewTime')}"
        if seen != self._seen[0]:
            self._seen = (seen, self._clock())
        mine = self._holder == self.identity
        lasts = spec.get("leaseDurationSeconds") or self._duration
        if self._holder and not mine and self._clock() < self._seen[1] + lasts:
            return None
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        ours = {"holderIdentity": self.identity, "renewTime": now,
                "leaseDurationSeconds": max(int(self._duration), 1)}  # fmt: skip
        if not mine:
            count = spec.get("leaseTransitions") or 0
            ours |= {"acquireTime": now, "leaseTransitions": count + 1}
        return ours

    def _create(self, spec: Object) -> None:
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": self._name}, "spec": spec}  # fmt: skip
        self._cluster.send("POST", self._all, body)

    def _change(self, lease: Object, spec: Object) -> None:
        """Unless somebody changed it meanwhile."""
        known = {"resourceVersion": get(lease, "metadata.resourceVersion")}
        self._cluster.patch(self._path, {"metadata": known, "spec": spec})
