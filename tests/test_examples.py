"""The examples run, and record what they say they do."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from lineage.errors import NotFound

from .conftest import Server, clean_environment

EXAMPLES = Path(__file__).parent.parent / "examples"
TRAININGS = ("example.com", "v1", "trainings")
WATCHED_BY_KOPF = [
    ("", "v1", "namespaces", "Namespace"),
    ("", "v1", "events", "Event"),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"),
]


@contextmanager
def running(*command: object, **environ: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=clean_environment(PYTHONPATH=str(EXAMPLES.parent), **environ),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        print(process.communicate(timeout=30)[0])


def eventually(ask: Callable[[], Any], seconds: float = 15) -> Any:
    """The first answer that is not empty; a thing that is not there yet is none."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answer := ask():
                return answer
        except NotFound:
            pass
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def complete(server: Server, key: str) -> Any:
    action = server.client().action(key)
    return action if action["state"] == "complete" else None


def lines_of_ours(path: Path) -> int:
    words = ("controllers_hooks", "hook", "act.", "Hook")
    return sum(any(word in line for word in words) for line in path.read_text().splitlines())


@pytest.mark.parametrize("path", ["plain_loop/loop.py", "kopf_operator/operator.py"])
def test_recording_costs_a_controller_five_lines(path: str) -> None:
    """Import, hook, act, what it read, what it wrote; the whole is some twenty lines."""
    text = (EXAMPLES / path).read_text()
    assert lines_of_ours(EXAMPLES / path) == 5
    assert len([line for line in text.splitlines() if line.strip()]) <= 20


def test_the_plain_loop_records_each_training(server: Server, tmp_path: Path) -> None:
    """Each version of the data is an action of its own, which read it and wrote a model."""
    data = tmp_path / "issues.csv"
    data.write_text("first issue")
    environ = {"LINEAGE_URL": server.url, "LINEAGE_OUTBOX": str(tmp_path / "box")}
    loop = EXAMPLES / "plain_loop" / "loop.py"

    def trained() -> list[Any]:
        actions = server.client().actions(controller="loop", state="complete")
        return [a for a in actions if a["key"].startswith("plain-loop/")]

    with running(sys.executable, loop, tmp_path, **environ):
        eventually(lambda: len(trained()) == 1)
        data.write_text("first issue, second issue")
        both = eventually(lambda: len(trained()) == 2 and trained())
    for short in both:
        action = server.client().action(short["key"])
        assert {i["type"] for i in action["inputs"]} >= {"Dataset"}
        assert [o["type"] for o in action["outputs"]] == ["Model"]


@contextmanager
def api_server(folder: Path, *objects: dict[str, Any]) -> Iterator[Path]:
    """A Kubernetes API server that knows Trainings; its kubeconfig."""
    import kmock

    started, stop = Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        async with kmock.KubernetesEmulator() as handler, kmock.Server(handler) as served:
            where = kmock.resource(*TRAININGS)
            handler.resources[where] = {
                "kind": "Training", "singular": "training", "namespaced": True,
                "verbs": ["list", "watch", "patch", "get"], "subresources": ["status"],
            }  # fmt: skip
            for group, version, plural, kind in WATCHED_BY_KOPF:
                handler.resources[kmock.resource(group, version, plural)] = {
                    "kind": kind, "namespaced": kind == "Event",
                    "verbs": ["list", "watch", "create"],
                }  # fmt: skip
            for one in objects:
                meta = one["metadata"]
                handler.objects[(where, meta["namespace"], meta["name"])] = one
            found.update(url=str(served.url).rstrip("/"), loop=asyncio.get_running_loop())
            started.set()
            await stop.wait()

    thread = Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(20)
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "t",
        "clusters": [{"name": "t", "cluster": {"server": found["url"]}}],
        "users": [{"name": "t", "user": {}}],
        "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(json.dumps(config))
    yield folder / "kubeconfig"
    found["loop"].call_soon_threadsafe(stop.set)
    thread.join(10)


def training(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Training",
        "metadata": {"name": name, "namespace": "label-bot", "uid": f"uid-{name}"},
        "spec": {"dataset": "gs://kopf/issues.csv", "epochs": 3, **spec},
    }


def test_the_operator_records_each_object(server: Server, tmp_path: Path) -> None:
    """A training that had to be retried is one action, complete in the end."""
    pytest.importorskip("kmock")
    pytest.importorskip("kopf")
    environ = {"LINEAGE_URL": server.url, "LINEAGE_OUTBOX": str(tmp_path / "box"),
               "LINEAGE_CONTROLLER": "training-operator"}  # fmt: skip
    program = EXAMPLES / "kopf_operator" / "operator.py"
    with (
        api_server(tmp_path, training("once"), training("twice", failures=1)) as kubeconfig,
        running(sys.executable, "-m", "kopf", "run", program, "--all-namespaces", "--standalone", "--verbose",
                KUBECONFIG=str(kubeconfig), **environ),
    ):  # fmt: skip
        for name in ("once", "twice"):
            key = f"example.com/Training/uid-{name}"
            action = eventually(lambda key=key: complete(server, key))
            assert action["params"] == {"epochs": 3}
            assert [o["uri"] for o in action["outputs"]] == [f"gs://models/{name}"]
        assert action["error"] == "TemporaryError: no accelerator is free"
        code = next(i for i in action["inputs"] if i["type"] == "Dataset")
        assert code["uri"] == "gs://kopf/issues.csv"
