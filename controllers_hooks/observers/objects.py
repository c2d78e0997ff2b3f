"""What all Kubernetes objects have in common, read without trust. Pure.

An object comes from the wire: whatever may be missing, null or of another shape reads as
nothing. Times stay texts until they must be compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from controllers_hooks.observers.mapping import Mappings
from lineage.hints import digest as digest
from lineage.hints import reference as reference

Object = dict[str, Any]
Record = dict[str, Any]
GONE = "lineage/gone"
"""Put on the last state of an object by who saw that it went."""


@dataclass(frozen=True, slots=True)
class View:
    """What parsers know beyond the objects: the cluster's name, the user's mappings."""

    cluster: str = ""
    mappings: Mappings = field(default_factory=Mappings)


def get(obj: Any, path: str) -> Any:
    """`get(pod, "metadata.name")`; None where the way ends."""
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def items(obj: Any, path: str) -> list[Object]:
    """The objects of a list; what is no list, or no object in it, is not there."""
    found = get(obj, path)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def entries(obj: Any, path: str) -> dict[str, Any]:
    found = get(obj, path)
    return found if isinstance(found, dict) else {}


def text(obj: Any, path: str) -> str:
    found = get(obj, path)
    return found.strip() if isinstance(found, str) else ""


def number(obj: Any, path: str, otherwise: int = 0) -> int:
    found = get(obj, path)
    return found if isinstance(found, int) else otherwise


def name(obj: Object) -> str:
    return text(obj, "metadata.name")


def namespace(obj: Object) -> str:
    return text(obj, "metadata.namespace")


def uid(obj: Object) -> str:
    return text(obj, "metadata.uid")


def label(obj: Object, key: str) -> str:
    found = entries(obj, "metadata.labels").get(key)
    return found if isinstance(found, str) else ""


def annotation(obj: Object, key: str) -> str:
    found = entries(obj, "metadata.annotations").get(key)
    return found if isinstance(found, str) else ""


def owner(obj: Object) -> Object:
    """The reference to the object that controls this one; empty when nobody does."""
    owners = items(obj, "metadata.ownerReferences")
    return next((one for one in owners if one.get("controller")), {})


def condition(obj: Object, type: str) -> Object:
    found = (c for c in items(obj, "status.conditions") if c.get("type") == type)
    return next(found, {})


def key(obj: Object, *more: str) -> str:
    """`tekton.dev/PipelineRun/<uid>`: stable for the object, whatever version it is served in."""
    group = text(obj, "apiVersion").rpartition("/")[0] or "v1"
    return "/".join([group, text(obj, "kind"), uid(obj), *more])


def slot(view: View, obj: Object, kind: str = "", of: str = "") -> str:
    kind, of = kind or text(obj, "kind"), of or name(obj)
    return f"k8s://{view.cluster}/{namespace(obj)}/{kind}/{of}"


def base(view: View, obj: Object, key: str, type: str, controller: str) -> Record:
    """A record with the parts that no action can be without."""
    where = {"cluster": view.cluster, "namespace": namespace(obj), "name": controller}
    return {"key": key, "type": type, "name": name(obj), "controller": where}


def unique(references: Iterable[Record]) -> list[Record]:
    found = {json.dumps(one, sort_keys=True, default=str): one for one in references}
    return [found[text] for text in sorted(found)]


def moment(time: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(time)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def latest(*times: Any) -> str | None:
    """The last of these times, as it was written; None when there is none."""
    known = {found: str(time) for time in times if (found := moment(time))}
    return known[max(known)] if known else None


def later(time: str | None, microseconds: int) -> str | None:
    found = moment(time)
    return (found + timedelta(microseconds=microseconds)).isoformat() if found else None


def spec_changed(obj: Object) -> tuple[str | None, str]:
    """When somebody last changed what is wanted, and who; status writers do not count."""
    managers = {
        found: text(entry, "manager")
        for entry in items(obj, "metadata.managedFields")
        if not entry.get("subresource") and (found := moment(entry.get("time")))
    }
    if not managers:
        return latest(get(obj, "metadata.creationTimestamp")), ""
    last = max(managers)
    return last.isoformat(), managers[last]


def removal(view: View, obj: Object, controller: str, noticed: str | None) -> Record:
    """What ends a slot: a deploy of nothing. The object itself seldom says when it went, so
    `noticed` is when its going was seen."""
    at = latest(get(obj, "metadata.deletionTimestamp")) or noticed
    return {
        **base(view, obj, key(obj, "deleted"), "deploy", controller),
        "name": f"{name(obj)} deleted",
        "state": "complete",
        "ended_at": at,
        "reported_at": at,
        "outputs": [
            reference(
                "Deployment",
                slot(view, obj),
                f"deleted-{uid(obj)}",
                role="slot",
                evidence="observed",
                properties={"traffic": 0},
            )
        ],
    }


def plain(values: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, Any]]:
    """Named values as parameters: texts stay, lists and objects become JSON."""
    for one, value in values:
        if isinstance(one, str) and one and value is not None:
            yield one, value if isinstance(value, (str, bool, int, float)) else json.dumps(value)
