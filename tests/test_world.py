"""The label bot's live world: real processes, a real notebook, a real git repository."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from lineage.errors import LineageError

from .conftest import Server, clean_environment, start_server

pytest.importorskip("papermill")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parent.parent
LOOPS = ("arrivals", "trainer", "deployer", "syncer", "worker")
SLOT = "k8s://demo/label-bot-live/Deployment/label-bot-worker"
PATIENCE = 60


class World:
    """The world under test: each loop can be started and ended by itself."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server, self.client = folder / "world", server, server.client()
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str, pace: float = 3) -> None:
        for name in names:
            command = [sys.executable, str(ROOT / "examples/label_bot/world" / f"{name}.py"),
                       "--dir", str(self.folder), "--url", self.server.url,
                       "--pace", str(pace)]  # fmt: skip
            self.running[name] = subprocess.Popen(
                command, env=clean_environment(PYTHONPATH=str(ROOT)), start_new_session=True
            )

    def end(self, *names: str, how: signal.Signals = signal.SIGTERM) -> None:
        for name in names:
            self.running[name].send_signal(how)
        for name in names:
            self.running.pop(name).wait(30)

    def actions(self, type: str, **wanted: Any) -> list[dict[str, Any]]:
        return list(self.client.actions(type=type, **wanted))

    def live(self) -> dict[str, Any]:
        slot: dict[str, Any] = self.client.live(namespace="label-bot-live")["slots"][0]
        return slot

    def newest_data(self) -> Path:
        return max((self.folder / "data").glob("issues-*.ndjson"))

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads((self.folder / "cluster/status.json").read_text())
        return status

    def git(self, repository: str, *words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(self.folder / repository), *words],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip

    def settled(self) -> bool:
        """Whether the newest data is what production was trained on, and all is recorded."""
        models = {p.stem: json.loads(p.read_text()) for p in (self.folder / "models").glob("l*")}
        served = models.get(f"label-bot-{self.status()['model'][7:19]}", {})
        recent = self.live()["models"][0]["version"] == self.status()["model"]
        newest = {"data": digest(self.newest_data().read_bytes()),
                  "code": self.git("notebooks.git", "rev-parse", "main")}  # fmt: skip
        return recent and served.get("trained_on") == newest


def digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def eventually(ask: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if answer := ask():
                return answer
        except (LineageError, OSError, IndexError, ValueError):
            pass  # not there yet
        time.sleep(0.2)
    raise AssertionError(f"it did not happen: {what}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    server = start_server(folder)
    made = World(folder, server)
    yield made
    made.end(*made.running)
    server.stop()


def test_models_reach_production_without_anybody_declaring_how(world: World) -> None:
    """Data, trainings and deployments follow each other; what is live can be walked back to
    the notebook's commit, the data, the parameters and the metrics of each label."""
    world.start("author", *LOOPS)
    for type, least in (("ingest", 3), ("train", 3), ("deploy", 2), ("serve", 2)):
        done = lambda type=type: world.actions(type, state="complete")  # noqa: E731
        eventually(lambda done=done, least=least: len(done()) >= least, type)
    world.end("arrivals")
    eventually(world.settled, "the newest data in production")

    shown = subprocess.run(
        [sys.executable, "-m", "lineage", "show", SLOT, "--url", world.server.url],
        capture_output=True, text=True, cwd=ROOT, env=clean_environment(COLUMNS="300"), check=True,
    ).stdout  # fmt: skip
    assert f"commit: {world.git('notebooks.git', 'rev-parse', 'main')}" in shown
    assert f"data/issues@{digest(world.newest_data().read_bytes())}" in shown
    assert "threshold: 0.5" in shown
    assert re.search(r"area-jupyter: precision [\d.]+, recall [\d.]+", shown)
    assert f"label-bot-{world.status()['model'][7:15]}" in shown
    assert [kind for kind in ("deploy", "sync", "serve") if f"Z: {kind} " in shown] == [
        "deploy", "sync", "serve"
    ]  # fmt: skip


def test_two_models_that_were_live_differ_in_commit_data_and_labels(world: World) -> None:
    """The diff of the last two names what changed on the way; the impact of the first data
    names where it was served, and when."""
    world.client.diff(SLOT)
    ask = [sys.executable, "-m", "lineage", "--url", world.server.url]
    options: Any = {"capture_output": True, "text": True, "cwd": ROOT, "check": True}
    told = subprocess.run([*ask, "diff", SLOT], env=clean_environment(COLUMNS="300"), **options)
    periods = world.client.history(SLOT)["periods"]
    first, last = (p["models"][0] for p in (periods[-1], periods[0]))
    commits = world.git("notebooks.git", "rev-list", "main").splitlines()
    found = world.client.diff(first["id"], last["id"])
    items = {s["section"]: s["items"] for s in found["sections"]}
    assert {c[:7] for c in commits} >= {items["code"][0][side]["version"][:7] for side in "ab"}
    assert items["inputs"] and items["metrics"]
    assert "precision" in told.stdout and "issues" in told.stdout
    earliest = world.actions("ingest", state="complete")[-1]
    data = world.client.action(earliest["key"])["outputs"][0]["id"]
    reached = world.client.impact(data)
    assert [slot["slot"] for slot in reached["slots"]] == [SLOT]
    assert reached["slots"][0]["periods"][0]["since"]


def test_claimed_committed_and_observed_agree(world: World) -> None:
    """The pull request, the tree and the worker itself name one model, which answers."""
    slot, status = world.live(), world.status()
    assert (slot["status"], slot["evidence"]) == ("agree", "observed")
    said = {one["evidence"]: one["agrees"] for one in slot["agreement"]}
    assert said.keys() >= {"committed", "observed"} and all(said.values())
    newest = world.client.action(world.actions("deploy")[0]["key"])
    slots = [o for o in newest["outputs"] if o["type"] == "Deployment"]
    assert {o["evidence"] for o in slots} == {"claimed", "committed"}
    assert {i["version"] for i in newest["inputs"] if i["type"] == "Model"} == {status["model"]}
    assert {m["version"] for said in slot["agreement"] for m in said["models"]} == {status["model"]}
    tree = json.loads(world.git("config.git", "show", "main:configmap.json"))
    assert tree["data"]["model"] == status["model"]
    with build_opener(ProxyHandler({})).open(f"{status['url']}/predict?text=katib+trial") as answer:
        assert json.loads(answer.read())["model"] == status["model"]


def test_without_the_trainer_new_data_is_not_taken_up(world: World) -> None:
    """The others go on, nobody reads the newest data, and what is live becomes stale."""
    world.end("trainer")
    before = world.live()["models"]
    known = {a["id"] for a in world.actions("ingest")}
    world.start("arrivals")
    fresh = eventually(
        lambda: [a for a in world.actions("ingest", state="complete") if a["id"] not in known],
        "new data",
    )
    world.end("arrivals")
    version = world.client.action(fresh[0]["key"])["outputs"][0]
    assert world.client.artifact(version["id"])["read_by"] == []
    assert world.live()["models"] == before

    (stale,) = world.client.stale(namespace="label-bot-live")["slots"]
    assert (stale["slot"], stale["status"]) == (SLOT, "stale")
    assert [(r["kind"], r["newest"]["id"]) for r in stale["reasons"]] == [("data", version["id"])]
    found = world.client.flow(namespace="label-bot-live")["edges"]
    edges = {(edge["source"]["name"], edge["target"]["name"]): edge for edge in found}
    assert edges.keys() >= set(pairwise(LOOPS))
    missing = [p for p in edges["arrivals", "trainer"]["passes"] if p["state"] == "waiting"]
    assert [one["id"] for p in missing for one in p["artifacts"]] == [version["id"]]


def test_a_corrupt_file_fails_the_training_and_leaves_production_alone(world: World) -> None:
    """The action has the notebook's own error; mended, the file is trained on."""
    before, path = world.live()["models"], world.newest_data()
    sound = path.read_bytes()
    with path.open("a") as file:
        file.write("broken\n")
    world.start("trainer")
    failed = eventually(lambda: world.actions("train", state="failed"), "a failed training")
    error = world.client.action(failed[0]["key"])["error"]
    lines = len(sound.splitlines()) + 1
    assert error.endswith(f"ValueError: {path.name}, line {lines}: this is no issue: broken")
    assert world.live()["models"] == before
    path.write_bytes(sound)
    eventually(world.settled, "the mended data in production")
    assert world.live()["models"] != before


def test_killing_every_loop_at_any_moment_makes_no_twin(world: World) -> None:
    """Everything in the world was done by one action, and every action says how it ended."""
    world.end(*world.running)
    for lock in ("config.git/refs/heads/main.lock",):
        (world.folder / lock).touch()
        os.utime(world.folder / lock, (0, 0))  # of a git that died with its machine
    for _ in range(3):
        world.start(*LOOPS, pace=1)
        time.sleep(random.uniform(1.5, 4))
        world.end(*LOOPS, how=signal.SIGKILL)
    world.start(*LOOPS, pace=1000)
    eventually(world.settled, "the newest data in production")
    eventually(lambda: not list(world.client.actions(state="running")), "every end")

    names = Counter(a["name"] for a in world.actions("ingest"))
    assert set(names.values()) == {1}
    assert max(names) == world.newest_data().stem
    trained = [world.client.action(a["key"]) for a in world.actions("train", state="complete")]
    asked = [(i["version"], a["code"]["commit"]) for a in trained for i in a["inputs"]
             if i["type"] == "Dataset"]  # fmt: skip
    assert len(asked) == len(set(asked))
    merges = world.git("config.git", "rev-list", "--first-parent", "--merges", "main").split()
    written = [
        o["version"]
        for a in world.actions("deploy", state="complete")
        for o in world.client.action(a["key"])["outputs"] if o["type"] == "Config"
    ]  # fmt: skip
    assert sorted(written) == sorted(merges)
    generations = [
        o["version"]
        for a in world.actions("serve")
        for o in world.client.action(a["key"])["outputs"] if o["type"] == "Deployment"
    ]  # fmt: skip
    assert len(generations) == len(set(generations))
