"""Wants the cluster to hold what main holds. Knows neither who commits nor who serves.

The cluster is a directory, `cluster/<kind>/<name>.json`; as an API server does, it counts a
Deployment's generations.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from shared import CLUSTER, NAMESPACE, World, git, log, read, run, write_whole

from controllers_hooks import Config, Deployment, Hook
from lineage.model import Reference

Object = dict[str, Any]


def reconcile(world: World, hook: Hook) -> None:
    commit = world.main()
    if not commit:
        return
    wanted = list(manifests(world, commit))
    mark = world.cluster / ".synced"
    observed = mark.read_text() if mark.exists() else "nothing"
    drifted = [obj["metadata"]["name"] for obj in wanted if differs(world, obj)]
    if not wanted or (observed == commit and not drifted):
        return
    moved = f"main moved to {commit[:7]}"
    reason = moved if observed != commit else f"not as in git: {', '.join(drifted)}"
    with hook.action("sync", key=f"syncer/{commit}", name=f"main at {commit[:7]}") as act:
        act.trigger(commit, observed, reason)
        act.reads(Config(world.repository, commit, role="configuration", evidence="committed"))
        for obj in wanted:  # by name: the ConfigMap before the Deployment that mounts it
            act.writes(reference(apply(world, obj)))
    prune(world, wanted)
    write_whole(mark, commit.encode())
    log.info("applied: %s", reason)


def manifests(world: World, commit: str) -> Iterator[Object]:
    for name in git(world.config, "ls-tree", "--name-only", commit).split():
        yield json.loads(git(world.config, "show", f"{commit}:{name}"))


def place(world: World, obj: Object) -> Path:
    return world.cluster / f"{obj['kind']}/{obj['metadata']['name']}.json"


def reference(obj: Object) -> Reference:
    """As of git: whether anything runs by it, only its worker can tell."""
    kind, meta = obj["kind"], obj["metadata"]
    uri, name = f"k8s://{CLUSTER}/{NAMESPACE}/{kind}/{meta['name']}", meta["name"]
    if kind == "ConfigMap":
        return Config(uri, name=name, role="configuration", evidence="committed")
    version = str(meta["generation"])
    return Deployment(uri, version, name=name, role="slot", evidence="committed")


def there(world: World, obj: Object) -> Object:
    """The object as the cluster has it."""
    return read(place(world, obj)) or {"metadata": {}}


def differs(world: World, obj: Object) -> bool:
    found = there(world, obj)
    return any(found.get(part) != obj.get(part) for part in ("spec", "data"))


def apply(world: World, obj: Object) -> Object:
    meta = there(world, obj)["metadata"]
    known = {"uid": meta.get("uid") or str(uuid4())}
    if "spec" in obj:
        known["generation"] = meta.get("generation", 0) + differs(world, obj)
    applied = {**obj, "metadata": {**obj["metadata"], **known}}
    write_whole(place(world, obj), json.dumps(applied, indent=1).encode())
    return applied


def prune(world: World, wanted: list[Object]) -> None:
    """What git no longer holds goes."""
    kept = {place(world, obj) for obj in wanted}
    for path in set(world.cluster.glob("ConfigMap/*.json")) - kept:
        path.unlink()


if __name__ == "__main__":
    run(reconcile)
