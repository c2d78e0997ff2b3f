"""OpenLineage events for tests: plain JSON, and the real client over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from openlineage.client import OpenLineageClient
from openlineage.client.transport.http import HttpConfig, HttpTransport

PRODUCER = "https://github.com/OpenLineage/OpenLineage/tree/1.54.0/client/python"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
AT = "2020-07-23T{:02}:{:02}:00Z"


def run_id(name: object) -> str:
    """A UUID of one's own for each name."""
    return str(uuid5(NAMESPACE_URL, f"test:{name}"))


def time(minutes: int) -> str:
    return AT.format(*divmod(minutes, 60))


def facet(**said: Any) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": SCHEMA + "BaseFacet", **said}


def dataset(namespace: str, name: str, version: str | None = None, **facets: Any) -> dict[str, Any]:
    if version is not None:
        facets["version"] = facet(datasetVersion=version)
    return {"namespace": namespace, "name": name, "facets": facets}


def run_event(
    run: object, kind: str | None = "START", at: int = 0, **fields: Any
) -> dict[str, Any]:
    """A run event; `run_facets` and `job_facets` go where they belong."""
    out: dict[str, Any] = {
        "eventTime": time(at),
        "producer": PRODUCER,
        "schemaURL": SCHEMA + "RunEvent",
        "run": {"runId": run_id(run), "facets": fields.pop("run_facets", {})},
        "job": {"namespace": "jobs", "name": "a/b", "facets": fields.pop("job_facets", {})},
        **fields,
    }
    return out if kind is None else {**out, "eventType": kind}


def key(run: object) -> str:
    return f"openlineage/Run/{run_id(run)}"


def emitter(url: str, **options: Any) -> OpenLineageClient:
    """The real client: gzip, a bearer token, its own retries."""
    config = {
        "type": "http", "url": url, "compression": "gzip",
        "auth": {"type": "api_key", "api_key": "a-token"}, **options,
    }  # fmt: skip
    return OpenLineageClient(transport=HttpTransport(HttpConfig.from_dict(config)))
