"""Retention on a large store: pruned to a tenth while recorders write, killed on the way.

    python -m benchmarks.keeping [--store FILE] [--size 1m] [--dir PATH]

`--store` = a store of `benchmarks.dataset` that is there already; it is copied. A thousand
slots are live with models of every age. Compared before and after: every live slot's whole
graph upstream. Measured: how long each step takes, and how long recorders wait meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2

from benchmarks import dataset
from benchmarks.run import _number
from benchmarks.server import LINEAGE, Server, load, serve

SLOTS = 1000
LEFT = 0.1
RATE = 50
"""Records a second while it is measured."""
Graphs = dict[str, tuple[frozenset[str], frozenset[tuple[str, str, str]]]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path)
    parser.add_argument("--move", action="store_true", help="Do not copy it: it is used up.")
    parser.add_argument("--size", default="1m")
    parser.add_argument("--dir", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="lineage-bench-") as where:
        if options.move:
            for file in options.store.parent.glob(options.store.name + "*"):
                file.rename(Path(where) / file.name.replace(options.store.name, "lineage.db"))
        made = None if options.move else options.store
        for name, value in measure(_number(options.size), made, Path(where)):
            print(f"{name:<46} {value}", flush=True)


def measure(count: int, made: Path | None, where: Path) -> Iterator[tuple[str, str]]:
    store = where / "lineage.db"
    if made is not None:
        yield "backup, the store copied", _took("backup", store, "--store", made)
    with serve(store) as server:
        if _size(store) < count / 2:
            dataset.write(where / "records", count)
            yield "import", f"{load(server, where / 'records'):.0f} s"
        _record(server, deploys(count))
        before, actions = graphs(server), _size(store)
        nodes = sum(len(ids) for ids, _ in before.values())
        yield "slots live, nodes upstream of them", f"{len(before):,}, {nodes:,}"
        with Recorders(server) as alone:
            time.sleep(20)
        yield "recorders, nothing else", str(alone)
        with Recorders(server) as meanwhile:
            yield "prune, killed on the way", _killed(store, count, actions)
            yield "check, after that", _took("check", "--store", store)
            done, seconds = _run(*_prune(store, count))
        report = json.loads(done)
        yield "actions before, after", f"{actions:,}, {_size(store):,}"
        yield "removed the second time", json.dumps(report["removed"])
        yield "prune, the second time", f"{seconds:.0f} s, {report['needed']:,} old ones needed"
        yield "recorders waited for it at most", f"{report['longest_wait'] * 1000:.0f} ms"
        yield "recorders meanwhile", str(meanwhile)
        yield "graphs as before", str(graphs(server) == before)
        yield "check", _took("check", "--store", store)
    yield "check --full", _took("check", "--store", store, "--full")
    yield "backup of what is left", _took("backup", where / "copy.db", "--store", store)
    sizes = [f"{(where / name).stat().st_size:,}" for name in ("lineage.db", "copy.db")]
    yield "bytes of the file, of the copy", ", ".join(sizes)


def deploys(count: int) -> Iterator[dict[str, Any]]:
    """A deploy for each slot, soon after its model was made; the families' last ones too."""
    step = count // SLOTS
    models = [(n, f"gs://bench/run/{n}/model") for n in range(4, count, step)]
    models += [(count - 1, dataset.apex(family)) for family in dataset.FAMILIES]
    for number, (at, model) in enumerate(models):
        one = dataset.record(at, f"deploy-{number}", ["", ""], "")
        place = {"type": "Deployment", "uri": f"k8s://prod/bench/Deployment/w{number}",
                 "version": "1", "evidence": "observed"}  # fmt: skip
        yield {**one, "type": "deploy", "inputs": [{"type": "Model", "uri": model}],
               "outputs": [place]}  # fmt: skip


def graphs(server: Server) -> Graphs:
    """By slot the nodes and edges upstream of what is live."""
    out: Graphs = {}
    with httpx2.Client(base_url=server.url + "/api/v1", timeout=120) as http:
        cursor: str | None = None
        while True:
            asked = {"limit": "1000"} | ({"cursor": cursor} if cursor else {})
            page = http.get("/live", params=asked).json()
            for row in page["slots"]:
                params = {"of": row["action"]["id"], "direction": "upstream", "max_nodes": "20000"}
                graph = http.get("/lineage", params=params).json()
                edges = frozenset((e["source"], e["target"], e["kind"]) for e in graph["edges"])
                out[row["slot"]] = frozenset(node["id"] for node in graph["nodes"]), edges
            cursor = page.get("cursor")
            if not cursor:
                return out


class Recorders:
    """Threads that record something new, which reads something old, at a steady rate."""

    def __init__(self, server: Server, threads: int = 4) -> None:
        self._server = server
        self._done = threading.Event()
        self._each = threads / RATE
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(threads)]
        self.waited: list[float] = []
        self.errors: list[str] = []

    def __enter__(self) -> Recorders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def __str__(self) -> str:
        cuts = quantiles(self.waited, n=100, method="inclusive")
        times = ", ".join(f"{1000 * seconds:.0f} ms" for seconds in (cuts[49], cuts[98]))
        most = f"{1000 * max(self.waited):.0f} ms"
        return f"{len(self.waited):,}; p50, p99 {times}; most {most}; {len(self.errors)} errors"

    def _run(self, thread: int) -> None:
        records = dataset.stream(f"new-{thread}-{time.time_ns()}")
        with httpx2.Client(base_url=self._server.url + "/api/v1", timeout=120) as http:
            while not self._done.wait(self._each):
                one = next(records)
                now = datetime.now(UTC).isoformat()
                old = {"type": "Artifact", "uri": f"gs://bench/run/{len(self.waited)}/model"}
                one |= {"started_at": now, "ended_at": now, "inputs": [*one["inputs"], old]}
                begun = time.perf_counter()
                answer = http.put(f"/actions/{one['key']}", json=one)
                self.waited.append(time.perf_counter() - begun)
                if answer.status_code not in (200, 201):
                    self.errors.append(answer.text)


def _prune(store: Path, count: int) -> tuple[str, ...]:
    kept = datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)
    hours = round((kept.total_seconds() - count * (1 - LEFT)) / 3600)
    return ("prune", "--store", str(store), "--keep", f"{hours}h", "--apply", "--json")


def _killed(store: Path, count: int, actions: int) -> str:
    begun = time.monotonic()
    process = subprocess.Popen([*LINEAGE, *_prune(store, count)], stdout=subprocess.DEVNULL)
    first = None
    while process.poll() is None and (size := _size(store)) > actions * (1 + LEFT) / 2:
        if size < actions * 0.999 and first is None:
            first = time.monotonic() - begun
        time.sleep(1)
    process.kill()
    process.wait()
    took = time.monotonic() - begun
    return f"at {_size(store):,} actions, after {took:.0f} s, {first or 0:.0f} s of these looking"


def _record(server: Server, records: Iterator[dict[str, Any]]) -> None:
    lines = "\n".join(json.dumps(one) for one in records)
    kind = {"Content-Type": "application/x-ndjson"}
    url = server.url + "/api/v1/actions/batch"
    httpx2.post(url, content=lines, headers=kind, timeout=300).raise_for_status()


def _size(store: Path) -> int:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT COUNT(*) FROM Execution").fetchone()[0])


def _took(*arguments: object) -> str:
    said, seconds = _run(*map(str, arguments))
    return f"{seconds:.0f} s: {said.strip().splitlines()[-1]}"


def _run(*arguments: str) -> tuple[str, float]:
    begun = time.monotonic()
    done = subprocess.run([*LINEAGE, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout, time.monotonic() - begun


if __name__ == "__main__":
    main()
