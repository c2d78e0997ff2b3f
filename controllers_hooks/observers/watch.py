"""List, then watch, for ever: keeps the objects of one kind in sight. Knows no lineage.

Whatever happens to a watch, its objects are seen again: a stream that ends is taken up
where it ended, a version that is gone (410) leads to a new list, and what is missing from
a list went while nobody looked.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from threading import Event as Flag
from time import monotonic
from typing import Literal, NamedTuple

from controllers_hooks.observers.cluster import Cluster, ClusterError, Resource
from controllers_hooks.observers.objects import Object, get, name, uid

_log = logging.getLogger("lineage.observe")
RECHECK_SECONDS = 60.0
_FAST_SECONDS = 10.0
_BODIES = ("data", "binaryData")
PATIENCE = (0.2, 30.0)
"""Seconds before the first and before any later attempt, doubling in between."""


class Event(NamedTuple):
    """`seen`: an object as it is; `gone`: its last state; `listed`: all there are were seen."""

    resource: Resource
    what: Literal["seen", "gone", "listed"]
    obj: Object


class Watcher:
    """Keeps one resource of one namespace (None = all) in sight and tells what it sees."""

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        namespace: str | None,
        tell: Callable[[Event], None],
        stop: Flag,
        recheck: float = RECHECK_SECONDS,
    ) -> None:
        self._cluster = cluster
        self.resource = self._resource = resource
        self._namespace = namespace
        self._tell = tell
        self._stop = stop
        self._recheck = recheck
        self._known: dict[str, Object] = {}
        self._version = resource.versions[0]
        self._absent = False
        self.again = False
        """Set to have everything listed once more when the present watch ends."""

    def run(self) -> None:
        """Until told to stop."""
        failures = 0
        since: str | None = None
        while not self._stop.is_set():
            begun = monotonic()
            try:
                since = self.relist() if since is None or self.again else since
                for version in self._follow(since):
                    since = version
            except ClusterError as error:
                if error.code in (403, 404, 410):
                    since = None
                if error.code in (403, 404):
                    self._say_absent(error)
                    self._stop.wait(self._recheck)
                    continue
                _log.log(
                    logging.DEBUG if failures else logging.INFO,
                    "%s: %s; trying again",
                    self._resource.plural,
                    error,
                )
            # Streams end all the time; only ends that follow each other fast are failures.
            failures = failures + 1 if monotonic() - begun < _FAST_SECONDS else 1
            least, most = PATIENCE
            pause = min(least * 2 ** min(failures - 1, 10), most)
            self._stop.wait(pause * random.uniform(0.5, 1))  # noqa: S311  spreads, hides nothing

    def relist(self) -> str:
        """Tell all there is, and what went meanwhile; the version to watch from.

        Raises:
            ClusterError: 404 when no version of the resource is installed.
        """
        self.again = False
        found, since = self._list_served()
        before, self._known = self._known, {}
        for obj in found:
            self._see(obj)
        for gone in before.keys() - self._known.keys():
            self._tell(Event(self._resource, "gone", before[gone]))
        self._tell(Event(self._resource, "listed", {}))
        if self._absent:
            _log.info("%s: installed now", self._resource.plural)
        self._absent = False
        return since

    def list_or_skip(self, tell: Callable[[Event], None]) -> None:
        """The same once, told to somebody else; what is not installed is nothing.

        Raises:
            ClusterError: the cluster did not answer.
        """
        usual, self._tell = self._tell, tell
        try:
            self.relist()
        except ClusterError as error:
            if error.code not in (403, 404):
                raise
            self._say_absent(error)
        finally:
            self._tell = usual

    def _list_served(self) -> tuple[list[Object], str]:
        *others, last = self._resource.versions
        for version in others:
            try:
                self._version = version
                return self._cluster.all_of(self._resource.path(version, self._namespace))
            except ClusterError as error:
                if error.code != 404:
                    raise
        self._version = last
        return self._cluster.all_of(self._resource.path(last, self._namespace))

    def _follow(self, since: str) -> Iterator[str]:
        """Tell each event; yields the version that the next watch starts from."""
        path = self._resource.path(self._version, self._namespace)
        for event in self._cluster.watch(path, since):
            obj, what = event.get("object") or {}, event.get("type")
            if what == "ERROR":
                code = obj.get("code")
                raise ClusterError(str(obj.get("message")), code if isinstance(code, int) else 0)
            if what in ("ADDED", "MODIFIED"):
                self._see(obj)
            elif what == "DELETED" and self._known.pop(uid(obj), None):
                self._tell(Event(self._resource, "gone", self._complete(obj)))
            yield str(get(obj, "metadata.resourceVersion") or since)
            if self._stop.is_set():
                return

    def _see(self, obj: Object) -> None:
        if uid(obj) and name(obj):
            complete = self._complete(obj)
            # What a ConfigMap holds is read and forgotten.
            self._known[uid(obj)] = {k: v for k, v in complete.items() if k not in _BODIES}
            self._tell(Event(self._resource, "seen", complete))

    def _complete(self, obj: Object) -> Object:
        """Items of a list do not say what they are."""
        said = {"apiVersion": self._resource.api_version(self._version)}
        return {**said, "kind": self._resource.kind, **obj}

    def _say_absent(self, error: ClusterError) -> None:
        if not self._absent:
            why = "not installed" if error.code == 404 else f"not allowed ({error})"
            where = f" in {self._namespace}" if self._namespace else ""
            _log.info("%s%s: %s; looking again later", self._resource.plural, where, why)
        self._absent = True
