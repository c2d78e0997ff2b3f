"""The edge to the Kubernetes API: list, then watch, for ever. Knows no lineage.

The only module that talks to a cluster. Whatever happens to a watch, its objects are seen
again: a stream that ends is taken up where it ended, a version that is gone (410) and an
API server that comes back lead to a new list, and what is missing from that list went
while nobody looked.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event as Flag
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlencode

from controllers_hooks.observers.objects import Object, get, name, namespace, uid
from lineage.errors import LineageError

_log = logging.getLogger("lineage.observe")
PAGE = 500
WATCH_SECONDS = 300
RECHECK_SECONDS = 60.0
PATIENCE = (0.2, 30.0)
"""Seconds before the first and before any later attempt, doubling in between."""


class ClusterError(LineageError):
    """The cluster did not answer as it should; `code` is its HTTP status, 0 = no answer."""

    def __init__(self, detail: str, code: int = 0) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects; of its `versions` the first that is served is read."""

    group: str
    versions: tuple[str, ...]
    plural: str
    kind: str

    def path(self, version: str, namespace: str | None = None, name: str | None = None) -> str:
        root = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        inside = f"/namespaces/{quote(namespace)}" if namespace else ""
        return f"{root}{inside}/{self.plural}" + (f"/{quote(name)}" if name else "")

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}" if self.group else version


class Event(NamedTuple):
    """`seen`: an object as it is; `gone`: its last state; `listed`: all there are were seen."""

    resource: Resource
    what: Literal["seen", "gone", "listed"]
    obj: Object


class Cluster:
    """Plain requests with the credentials of a kubeconfig, or of the pod."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        try:
            from kubernetes import client
            from kubernetes import config as config_
        except ImportError as error:
            raise LineageError(
                "observing needs the kubernetes client; "
                "install it with `pip install 'lineage-without-dag[kubernetes]'`"
            ) from error
        config: Any = config_  # without annotations
        self._configuration = client.Configuration()
        try:
            if kubeconfig or not _in_pod():
                config.load_kube_config(kubeconfig, context, self._configuration)
            else:
                config.load_incluster_config(self._configuration)
        except (config.ConfigException, OSError) as error:
            raise LineageError(
                f"no cluster to observe: {error}; name a kubeconfig with --kubeconfig"
            ) from error
        self._pool = client.ApiClient(self._configuration).rest_client.pool_manager

    def all_of(self, path: str, **params: str) -> tuple[list[Object], str]:
        """All objects, page by page, and the version of the list."""
        found: list[Object] = []
        more = ""
        while True:
            query = {"limit": str(PAGE), **params, **({"continue": more} if more else {})}
            with self._answer("GET", f"{path}?{urlencode(query)}", timeout=60) as answer:
                page = json.loads(answer.data)
            found += [one for one in page.get("items") or () if isinstance(one, dict)]
            more = get(page, "metadata.continue") or ""
            if not more:
                return found, str(get(page, "metadata.resourceVersion") or "")

    def watch(self, path: str, version: str) -> Iterator[Object]:
        """The events since a version, until the server ends the stream."""
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        url = f"{path}?{urlencode(query)}"
        with self._answer("GET", url, timeout=WATCH_SECONDS + 30) as answer:
            rest = b""
            for chunk in answer.stream(None):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield json.loads(line)

    def patch(self, path: str, body: Object) -> None:
        headers = {"content-type": "application/merge-patch+json"}
        raw = json.dumps(body).encode()
        with self._answer("PATCH", path, timeout=30, body=raw, headers=headers) as answer:
            answer.read()

    @contextmanager
    def _answer(
        self,
        method: str,
        url: str,
        timeout: float,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[Any]:
        import urllib3

        sent = {"accept": "application/json", **(headers or {}), **self._credentials()}
        try:
            answer = self._pool.request(
                method,
                self._configuration.host + url,
                body=body,
                headers=sent,
                preload_content=False,
                timeout=urllib3.Timeout(connect=10, read=timeout),
                retries=False,
            )
            try:
                if answer.status >= 400:
                    raise ClusterError(_message(answer.data, answer.status), answer.status)
                yield answer
            finally:
                answer.close()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise ClusterError(f"the cluster did not answer: {error}") from error

    def _credentials(self) -> dict[str, str]:
        # Asked for each time: tokens of a pod are replaced while it runs.
        settings: Any = self._configuration.auth_settings().values()
        return {s["key"]: s["value"] for s in settings if s["in"] == "header" and s["value"]}


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

    def run(self) -> None:
        """Until told to stop."""
        failures = 0
        since: str | None = None
        while not self._stop.is_set():
            try:
                since = self.relist() if since is None else since
                failures = 0
                for version in self._follow(since):
                    since, failures = version, 0
            except ClusterError as error:
                if error.code == 410:
                    since = None
                    _log.info("%s: what was missed is listed again", self._resource.plural)
                    continue
                if error.code in (403, 404):
                    since = None
                    self._say_absent(error)
                    self._stop.wait(self._recheck)
                    continue
                failures += 1
                _log.log(
                    logging.WARNING if failures == 1 else logging.DEBUG,
                    "%s: %s; trying again",
                    self._resource.plural,
                    error,
                )
            else:
                failures += 1  # a server that ends every stream at once must not be hammered
            least, most = PATIENCE
            pause = min(least * 2 ** (failures - 1), most) if failures else 0
            self._stop.wait(pause * random.uniform(0.5, 1))  # noqa: S311  spreads, hides nothing

    def relist(self) -> str:
        """Tell all there is, and what went meanwhile; the version to watch from.

        Raises:
            ClusterError: 404 when no version of the resource is installed.
        """
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
            self._known[uid(obj)] = self._complete(obj)
            self._tell(Event(self._resource, "seen", self._known[uid(obj)]))

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


def finalizers(cluster: Cluster, resource: Resource, obj: Object, wanted: list[str]) -> None:
    """Replace the finalizers of an object, unless somebody changed it meanwhile.

    Raises:
        ClusterError: 409 when somebody did, 404 when it is gone.
    """
    version = str(obj.get("apiVersion", "")).rpartition("/")[2]
    known = get(obj, "metadata.resourceVersion")
    body = {"metadata": {"finalizers": wanted, "resourceVersion": known}}
    cluster.patch(resource.path(version, namespace(obj), name(obj)), body)


def _in_pod() -> bool:
    import os

    return "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ


def _message(body: bytes, status: int) -> str:
    try:
        found = json.loads(body).get("message")
    except (ValueError, AttributeError):
        found = None
    return f"the cluster answered {status}: {found or body[:200].decode(errors='replace')}"
