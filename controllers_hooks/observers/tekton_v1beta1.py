"""What only Tekton's v1beta1 objects hold: embedded TaskRuns and git resources. Pure."""

from __future__ import annotations

from controllers_hooks.observers.objects import Object, Record, entries, items, text


def task_runs(run: Object) -> list[tuple[str, Object]]:
    """v1beta1 keeps the status of TaskRuns in the run; they are read as parts, their own
    objects are actions."""
    found = entries(run, "status.taskRuns").items()
    return [(str(n), one) for n, one in found if isinstance(one, dict)]


def git(obj: Object) -> Record | None:
    """The commit is a result of a git resource, its url beside it or in the spec."""
    found: dict[str, dict[str, str]] = {}
    for one in items(obj, "status.resourcesResult"):
        of = text(one, "resourceName") or text(one, "resourceRef.name")
        found.setdefault(of, {})[text(one, "key")] = text(one, "value")
    for resource, values in found.items():
        if commit := values.get("commit"):
            url = values.get("url") or _url(obj, resource)
            return {"repo": url, "commit": commit} if url else None
    return None


def _url(obj: Object, resource: str) -> str:
    for one in (*items(obj, "spec.resources.inputs"), *items(obj, "spec.resources")):
        if resource in ("", text(one, "name"), text(one, "resourceRef.name")):
            for param in items(one, "resourceSpec.params"):
                if text(param, "name") == "url":
                    return text(param, "value")
    return ""
