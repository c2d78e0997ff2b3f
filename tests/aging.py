"""A store with a long past: chains of trainings, some of whose ends are live, and recorders that
go on meanwhile and now and then name something old."""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from lineage.client import Client

from .conftest import COMMAND, clean_environment

Record = dict[str, Any]
CHAIN = 5
DAYS = 400
SLOTS = 40


def day(ago: float) -> str:
    return (datetime.now(UTC) - timedelta(days=ago)).isoformat()


def act(key: str, ago: float, inputs: list[Any], outputs: list[Any], **more: Any) -> Record:
    """An act that ended so many days ago; inputs and outputs are URIs or references."""
    whole = [[{"type": "Artifact", "uri": r} if isinstance(r, str) else r for r in side]
             for side in (inputs, outputs)]  # fmt: skip
    return {"key": key, "type": "train", "controller": {"namespace": "aging", "name": "trainer"},
            "state": "complete", "started_at": day(ago + 0.01), "ended_at": day(ago),
            "reported_at": day(ago), "inputs": whole[0], "outputs": whole[1], **more}  # fmt: skip


def deploy(slot: str, model: str, ago: float) -> Record:
    place = {"type": "Deployment", "uri": slot, "version": model, "evidence": "observed"}
    return act(f"deploy/{slot}/{model}", ago, [{"type": "Model", "uri": model}], [place],
               type="deploy")  # fmt: skip


def model(number: int) -> str:
    return f"gs://aging/{number}/model"


def past(count: int) -> Iterator[Record]:
    """So many trainings over 400 days, five to a chain, the oldest first; the ends of some
    chains of every age are live."""
    for n in range(count):
        ago = DAYS * (1 - n / count)
        before = [model(n - 1)] if n % CHAIN else []
        data = {"type": "Dataset", "uri": "gs://aging/latest.csv"}
        made = {"type": "Model", "uri": model(n)}
        yield act(f"train/{n}", ago, [f"gs://aging/{n}/data", data, *before], [made])
        if n % 50 == 7:
            yield act(f"load/{n}", ago, [], [{**data, "version": f"v{n}"}], type="transform")
    step = max(CHAIN, count // SLOTS // CHAIN * CHAIN)
    for number, n in enumerate(range(CHAIN - 1, count, step)):
        slot = f"k8s://aging/n{number % 3}/Deployment/w{number}"
        yield deploy(slot, model(n), max(DAYS * (1 - n / count) - 1, 0))


def record(client: Client, records: Iterator[Record], batch: int = 500) -> None:
    lines = [json.dumps(one).encode() for one in records]
    for start in range(0, len(lines), batch):
        answer = client.batch(b"\n".join(lines[start : start + batch]))
        assert [r for r in answer["results"] if not r["outcome"]] == []


class Recorders:
    """Threads that record until the block ends. `errors` = whatever was not acknowledged,
    `slowest` = seconds of the slowest answer."""

    def __init__(self, url: str, count: int, threads: int = 3) -> None:
        self._url, self._count = url, count
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)
        ]
        self.acknowledged: list[str] = []
        self.errors: list[str] = []
        self.slowest: list[float] = []

    def __enter__(self) -> Recorders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        dice = random.Random(number)
        with httpx2.Client(base_url=self._url, timeout=60) as http:
            while not self._done.is_set():
                one = self._one(f"{number}/{len(self.acknowledged)}/{dice.random()}", dice)
                answer = http.put(f"/api/v1/actions/{one['key']}", json=one)
                self.slowest.append(answer.elapsed.total_seconds())
                if answer.status_code in (200, 201):
                    self.acknowledged.append(one["key"])
                else:
                    self.errors.append(answer.text)

    def _one(self, name: str, dice: random.Random) -> Record:
        """Something new that reads something old, or something old once more."""
        n = dice.randrange(self._count)
        if dice.random() < 0.2:
            return next(r for r in past_of(self._count, n))
        old = [model(n), f"gs://aging/{dice.randrange(self._count)}/data"]
        if dice.random() < 0.1:
            return deploy("k8s://aging/n0/Deployment/hot", model(n), 0)
        return act(f"new/{name}", 0, old, [f"gs://aging/new/{name}"])


def past_of(count: int, n: int) -> Iterator[Record]:
    ago = DAYS * (1 - n / count)
    yield act(f"train/{n}", ago, [f"gs://aging/{n}/data"], [model(n)])


def lineage(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True, text=True, env=clean_environment(**environment), timeout=300,
    )  # fmt: skip


def begin(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip


def clean(store: Path) -> bool:
    """Whether `lineage check` finds nothing; what it finds is shown."""
    done = lineage("check", "--store", store, "--full", "--json")
    found = json.loads(done.stdout)["findings"] if done.stdout else done.stderr
    assert (done.returncode, found) == (0, [])
    return True


def upstream(client: Client) -> dict[str, Any]:
    """By slot what is live, and the ids of all that is upstream of it."""
    out: dict[str, Any] = {}
    for row in client.live()["slots"]:
        graph = client.lineage(row["action"]["id"], direction="upstream", max_nodes=20_000)
        ids = sorted(node["id"] for node in graph["nodes"])
        edges = sorted((e["source"], e["target"], e["kind"]) for e in graph["edges"])
        assert not graph["truncated"]
        out[row["slot"]] = (row["deployment"]["id"], row["since"], ids, edges)
    return out
