"""Requests to the Kubernetes API, as plain JSON. Knows neither watches that go on nor lineage.

The only door to the kubernetes client: it finds the address and the credentials, the rest
is HTTP.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from controllers_hooks.observers.objects import Object, get, name, namespace
from lineage.errors import LineageError

PAGE = 500
WATCH_SECONDS = 300


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
        self.send("PATCH", path, body, "application/merge-patch+json")

    def send(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json"
    ) -> Object:
        """One request; the object it is answered with."""
        headers = {"content-type": kind} if body is not None else {}
        raw = None if body is None else json.dumps(body).encode()
        with self._answer(method, path, timeout=30, body=raw, headers=headers) as answer:
            found = json.loads(answer.data)
        return found if isinstance(found, dict) else {}

    @property
    def configuration(self) -> Any:
        """Of the kubernetes client: the address and the credentials."""
        return self._configuration

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

        sent = {"accept": "application/json", **(headers or {}), **self.credentials()}
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

    def credentials(self) -> dict[str, str]:
        """The headers that say who asks."""
        # Asked for each time: tokens of a pod are replaced while it runs.
        settings: Any = self._configuration.auth_settings().values()
        return {s["key"]: s["value"] for s in settings if s["in"] == "header" and s["value"]}


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
    return "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ


def _message(body: bytes, status: int) -> str:
    try:
        found = json.loads(body).get("message")
    except (ValueError, AttributeError):
        found = None
    return f"the cluster answered {status}: {found or body[:200].decode(errors='replace')}"
