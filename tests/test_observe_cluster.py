"""`lineage observe` against an API server on a real wire: what is recorded, whatever happens."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest

kmock = pytest.importorskip("kmock")
pytest.importorskip("kubernetes")

from controllers_hooks.observers.cluster import Cluster  # noqa: E402
from controllers_hooks.observers.mapping import parse_mapping  # noqa: E402
from controllers_hooks.observers.run import FINALIZER, Observer  # noqa: E402
from lineage.cli.observe import read_mappings  # noqa: E402
from lineage.client import Client  # noqa: E402

from .conftest import COMMAND, MakeServer, Server, clean_environment  # noqa: E402

FIXTURES = Path(__file__).parent / "fixtures" / "tekton"
MAPPING = FIXTURES / "lineagemapping.yaml"
OBJECTS = [json.loads(path.read_text()) for path in sorted(FIXTURES.glob("*.json"))]
PLURALS = {"PipelineRun": "pipelineruns", "TaskRun": "taskruns", "Deployment": "deployments"}
MODEL = "projects/976279526634/locations/us-central1/models/TCN4131157655647420416"
COMMIT = "faeb65757214ac93259f417b81e9e2fedafaebda"
Object = dict[str, Any]


def resource(obj: Object) -> Any:
    group, _, version = obj["apiVersion"].rpartition("/")
    return kmock.resource(group, version, PLURALS[obj["kind"]])


@contextmanager
def api_server(
    objects: list[Object], tmp_path: Path, arrange: Callable[[Any], None] = lambda handler: None
) -> Iterator[Any]:
    """A Kubernetes API server with these objects; its kubeconfig is `tmp_path/kubeconfig`."""
    started, stop = Flag(), asyncio.Event()
    box: dict[str, Any] = {}

    async def serve() -> None:
        async with kmock.KubernetesEmulator() as handler, kmock.Server(handler) as running:
            for obj in objects:
                meta = obj["metadata"]
                handler.objects[(resource(obj), meta["namespace"], meta["name"])] = obj
            arrange(handler)
            box.update(handler=handler, url=str(running.url), loop=asyncio.get_running_loop())
            started.set()
            await stop.wait()

    thread = Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(20)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": box["url"].rstrip("/")}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    yield box["handler"]
    box["loop"].call_soon_threadsafe(stop.set)
    thread.join(0.5)  # open watches keep it; it ends with the tests


def command(server: Server, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "observe", "--url", server.url, "--kubeconfig", str(tmp_path / "kubeconfig"),
         "--cluster", "prod", *arguments],
        capture_output=True, text=True, timeout=60, env=clean_environment(),
    )  # fmt: skip


@contextmanager
def observing(server: Server, tmp_path: Path, **options: Any) -> Iterator[Observer]:
    with Client(server.url) as client:
        observer = Observer(Cluster(str(tmp_path / "kubeconfig")), client, name="prod", **options)
        thread = Thread(target=observer.run, daemon=True)
        thread.start()
        yield observer
        observer.stop.set()
        thread.join(10)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def exported(server: Server) -> bytes:
    with server.client() as client:
        return b"".join(client.export())


@pytest.fixture
def expected(make_server: MakeServer, tmp_path: Path) -> tuple[Server, bytes]:
    """A server that saw each object once, by the command line."""
    server = make_server()
    with api_server(OBJECTS, tmp_path):
        done = command(server, tmp_path, "--once", "--mapping", str(MAPPING))
    assert (done.returncode, done.stdout) == (0, "11 created, 7 merged, 0 unchanged, 0 failed\n"), (
        done.stderr
    )
    return server, exported(server)


def test_the_label_bots_runs(expected: tuple[Server, bytes]) -> None:
    """One action a PipelineRun, its TaskRuns below it, with code, data, model, reason and
    retry; the deploy run is linked to the model by the declared mapping."""
    server, _ = expected
    with server.client() as client:
        actions = {action["name"]: client.action(action["key"]) for action in client.actions()}
        deploy = client.lineage(
            actions["labelbot-deploy-7e8f9"]["key"], direction="upstream", depth=3
        )
    runs = {name: one for name, one in actions.items() if "PipelineRun" in one["key"]}
    assert {name: one["type"] for name, one in runs.items()} == {
        "labelbot-train-1a2b3": "train",
        "labelbot-train-4c5d6": "train",
        "labelbot-train-9f0e1": "train",
        "labelbot-deploy-7e8f9": "deploy",
    }
    parts = {n: one for n, one in actions.items() if n not in runs}
    assert {n: one["parent"] for n, one in parts.items()} == {
        n: next(run["key"] for name, run in runs.items() if n.startswith(name)) for n in parts
    }
    assert {one["type"] for one in parts.values()} == {"process"}

    train = runs["labelbot-train-1a2b3"]
    assert train["controller"]["name"] == "modelsync/labelbot-train"
    assert train["code"] == {
        "repo": "https://github.com/kubeflow/code-intelligence.git",
        "commit": COMMIT,
        "path": "Label_Microservice/notebooks/automl.ipynb",
    }
    (data,) = [one for one in train["inputs"] if one["type"] == "Dataset"]
    (model,) = train["outputs"]
    assert (data["version"], model["type"]) == ("sha256:" + "c5" * 32, "Model")
    assert (model["uri"], model["version"]) == (MODEL, "sha256:" + "d7" * 32)

    failed, retried = runs["labelbot-train-4c5d6"], runs["labelbot-train-9f0e1"]
    assert failed["state"] == "failed"
    assert 'StepFailed: "step-run" exited with code 1: Error' in failed["error"]
    assert (retried["state"], retried["params"]["attempts"]) == ("complete", 2)
    attempt = actions["labelbot-train-9f0e1-run-notebook"]["params"]["attempt 1"]
    assert attempt.startswith("StepFailed")

    upstream = {node["name"] for node in deploy["nodes"] if node.get("kind") == "action"}
    assert {"labelbot-train-1a2b3", "labelbot-train-9f0e1"} <= upstream


def test_any_delivery_gives_the_same_export(
    expected: tuple[Server, bytes], make_server: MakeServer, tmp_path: Path
) -> None:
    """Every event three times, shuffled, the watch cut in the middle of a line, then gone
    (410) and listed again: the export is the same to the byte."""
    _, wanted = expected
    server = make_server(store=tmp_path / "again.db")
    ended: set[str] = set()
    shuffle = random.Random(7).shuffle

    def arrange(handler: Any) -> None:
        for kind, plural in (("PipelineRun", "pipelineruns"), ("TaskRun", "taskruns")):
            mine = [obj for obj in OBJECTS if obj["kind"] == kind]
            events = [{"type": "MODIFIED", "object": obj} for obj in mine * 3]
            shuffle(events)
            third = len(events) // 3
            lists = [mine[:1], mine]
            watches = [
                [*events[:third], b'{"type": "MODIFIED", "obj'],
                [*events[third : 2 * third],
                 {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "gone"}}],
                [*events[2 * third :], None],
            ]  # fmt: skip
            where = kmock.resource("tekton.dev", "v1", plural)
            handler[kmock.action.LIST][where] << answering(lists)
            handler[kmock.action.WATCH][where] << streaming(watches, plural, ended)

    with (
        api_server([], tmp_path, arrange),
        observing(server, tmp_path, mappings=read_mappings(MAPPING)) as observer,
    ):
        until(lambda: len(ended) == 2)
        until(lambda: sum(observer.counts.values()) >= 3 * len(OBJECTS))
        time.sleep(1)
    assert exported(server) == wanted


def answering(lists: list[list[Object]]) -> Callable[[], Object]:
    def answer() -> Object:
        found = lists.pop(0) if len(lists) > 1 else lists[0]
        return {"metadata": {"resourceVersion": "1"}, "items": found}

    return answer


def streaming(watches: list[list[Any]], name: str, ended: set[str]) -> Callable[[], Any]:
    async def stream() -> AsyncIterator[Any]:
        yield b"\n"
        for event in watches.pop(0) if watches else [None]:
            if event is None:
                ended.add(name)
                await asyncio.sleep(60)
            yield event

    return stream


def deployment(revision: str = "1") -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "worker", "namespace": "label-bot", "uid": "d1", "generation": 1,
            "creationTimestamp": "2026-11-23T10:00:00Z", "resourceVersion": "5",
            "annotations": {"deployment.kubernetes.io/revision": revision},
        },
        "spec": {"replicas": 1, "template": {"spec": {"containers": [
            {"name": "w", "image": "r.example/worker@sha256:" + "ab" * 32}]}}},
        "status": {
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
            "conditions": [{"type": "Progressing", "status": "True",
                            "reason": "NewReplicaSetAvailable",
                            "lastUpdateTime": "2026-11-23T10:00:09Z"}],
        },
    }  # fmt: skip


def live(server: Server) -> list[str]:
    with server.client() as client:
        return [slot["slot"] for slot in client.live()["slots"]]


def test_deletion_ends_what_is_live(make_server: MakeServer, tmp_path: Path) -> None:
    """Deleted before our eyes, or while no observer ran: the slot is empty either way."""
    server, slot = make_server(), "k8s://prod/label-bot/Deployment/worker"
    with api_server([deployment()], tmp_path) as api, observing(server, tmp_path):
        until(lambda: live(server) == [slot])
        url = f"{api.url}/apis/apps/v1/namespaces/label-bot/deployments/worker"
        subprocess.run(
            [sys.executable, "-c",
             "import sys, urllib.request as u;"
             "u.urlopen(u.Request(sys.argv[1], method='DELETE'))", url],
            check=True,
        )  # fmt: skip
        until(lambda: live(server) == [])
    again = deployment()
    again["metadata"]["uid"] = "d2"
    again["status"]["conditions"][0]["lastUpdateTime"] = "2099-01-01T00:00:00Z"
    with api_server([again], tmp_path):
        assert command(server, tmp_path, "--once").returncode == 0
    assert live(server) == [slot]


def test_what_vanished_while_nobody_looked_has_ended(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """A first list without it says so; other namespaces and kinds are left alone."""
    server = make_server()
    other = deployment()
    other["metadata"] |= {"name": "other", "namespace": "elsewhere", "uid": "d9"}
    with api_server([deployment(), other], tmp_path):
        assert command(server, tmp_path, "--once").returncode == 0
    assert len(live(server)) == 2
    with api_server([], tmp_path, lambda h: declare(h, "apps", "v1", "deployments")):
        assert command(server, tmp_path, "--once", "--only", "kserve").returncode == 0
        assert len(live(server)) == 2
        assert command(server, tmp_path, "--once", "-n", "label-bot").returncode == 0
    assert live(server) == ["k8s://prod/elsewhere/Deployment/other"]


def declare(handler: Any, group: str, version: str, plural: str) -> None:
    """The resource is installed, though there is no object of it."""
    handler.resources[kmock.resource(group, version, plural)] = {}


def test_a_finalizer_keeps_a_run_until_it_is_recorded(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """It is added to a run that goes on, and taken off when the run is done and recorded."""
    server = make_server()
    run = json.loads(json.dumps(OBJECTS[1]))
    tasks = [one for one in OBJECTS if one["metadata"]["name"].startswith("labelbot-train-1a2b3-")]
    status, run["status"] = run["status"], {"startTime": "2026-11-23T18:27:03Z"}
    run["metadata"]["finalizers"] = ["example.com/other"]
    with (
        api_server([run, *tasks], tmp_path) as api,
        observing(server, tmp_path, finalizer=True, only=["tekton"]),
    ):
        held = api.objects[(resource(run), "label-bot", run["metadata"]["name"])]

        def kept() -> list[str]:
            return list(held.raw["metadata"]["finalizers"])

        until(lambda: kept() == ["example.com/other", FINALIZER])
        patch(api, run, {"status": status})
        until(lambda: kept() == ["example.com/other"])
        with server.client() as client:
            key = f"tekton.dev/PipelineRun/{run['metadata']['uid']}"
            assert client.action(key)["state"] == "complete"


def patch(api: Any, obj: Object, body: Object) -> None:
    meta = obj["metadata"]
    url = f"{api.url}/apis/{obj['apiVersion']}/namespaces/{meta['namespace']}/"
    subprocess.run(
        [sys.executable, "-c",
         "import sys, urllib.request as u;"
         "u.urlopen(u.Request(sys.argv[1], sys.argv[2].encode(), method='PATCH', headers="
         "{'content-type': 'application/merge-patch+json'}))",
         f"{url}{PLURALS[obj['kind']]}/{meta['name']}", json.dumps(body)],
        check=True,
    )  # fmt: skip


def test_a_server_that_is_away_is_waited_for(make_server: MakeServer, tmp_path: Path) -> None:
    """Nothing is lost while it is down: the observer waits and then delivers."""
    server = make_server()
    server.stop()
    with api_server(OBJECTS, tmp_path), observing(server, tmp_path, only=["tekton"]) as observer:
        time.sleep(1)
        assert not observer.counts
        port = server.url.rpartition(":")[2]
        again = make_server("--port", port, store=server.store)
        until(lambda: sum(observer.counts.values()) >= len(OBJECTS))
        with again.client() as client:
            until(lambda: len(list(client.actions())) == len(OBJECTS))


def test_mappings_of_the_cluster_count_like_files(make_server: MakeServer, tmp_path: Path) -> None:
    """A LineageMapping in the cluster says what a file would have said."""
    server = make_server()
    (mapping,) = read_mappings(MAPPING)
    obj = mapping.model_dump(by_alias=True, exclude_none=True, mode="json")
    obj["metadata"] |= {"uid": "m1", "generation": 1, "resourceVersion": "1"}
    assert parse_mapping(obj) == mapping
    PLURALS["LineageMapping"] = "lineagemappings"
    with api_server([*OBJECTS, obj], tmp_path):
        assert command(server, tmp_path, "--once").returncode == 0
    with server.client() as client:
        (found,) = client.actions(type="deploy")
        deploy = client.action(found["key"])
    assert [one["uri"] for one in deploy["inputs"]] == [MODEL]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "jenkins"], "choose from tekton"),
        (["--kubeconfig", "/nowhere"], "no cluster to observe"),
        (["--mapping", "/nowhere.yaml"], "name a file"),
        (["--once", "--finalizer"], "an observer that stays"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], said: str) -> None:
    """In a line, with exit code 1 or 2."""
    done = subprocess.run(
        [*COMMAND, "observe", *arguments], capture_output=True, text=True, env=clean_environment()
    )
    assert done.returncode in (1, 2)
    assert said in " ".join(done.stderr.split())
