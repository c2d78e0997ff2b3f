"""`/live` and what else is asked of slots, over REST, on a store of its own:

    python -m benchmarks.questions [--slots 1000] [--deploys 20] [--times 50] [--dir PATH]

Each slot has so many deploys, each of a model of its own with its training. `/live` is asked
while nothing is recorded, while records arrive all the time (that have nothing to do with any
slot; that change one), just after a start, and at moments of the past.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import httpx2

from benchmarks.server import load, serve

_START = datetime(2026, 1, 1, tzinfo=UTC)
RATE = 50
"""Records a second, one a request."""
PAUSE = 0.1
"""Seconds between two questions, as of ten who ask every second."""
STARTS = 3


def records(slots: int, deploys: int) -> Iterator[dict[str, Any]]:
    """A day a round: in each slot a training, and the deploy of what it made."""
    for number in range(slots * deploys):
        round_, slot = divmod(number, slots)
        model = f"models/{slot}/{round_}"
        train: dict[str, Any] = {
            "type": "train",
            "code": {"repo": f"https://host/o/r{slot % 10}", "commit": f"{number:040x}"},
            "inputs": [{"type": "Dataset", "uri": f"gs://b/{slot}.csv", "version": str(round_)}],
            "outputs": [{"type": "Model", "uri": model}],
        }
        deploy: dict[str, Any] = {
            "type": "deploy",
            "inputs": [{"type": "Model", "uri": model}],
            "outputs": [
                {"type": "Deployment", "uri": f"k8s://prod/n{slot % 20}/Deployment/w{slot}",
                 "version": str(round_), "evidence": "observed"}
            ],
        }  # fmt: skip
        for hour, act in enumerate((train, deploy)):
            yield {
                "key": f"{act['type']}/{slot}/{round_}",
                "controller": {"namespace": f"n{slot % 20}", "name": act["type"]},
                "state": "complete",
                "started_at": _time(round_, hour),
                "ended_at": _time(round_, hour + 0.5),
                **act,
            }


def unrelated(number: int, slots: int) -> dict[str, Any]:
    data = {"type": "Dataset", "uri": f"gs://other/{number}.csv"}
    return {"key": f"other/{number}", "type": "process", "controller": {"name": "other"},
            "state": "complete", "outputs": [data]}  # fmt: skip


def related(number: int, slots: int) -> dict[str, Any]:
    """Deploys, slot by slot in an order that has none."""
    slot = number * 7919 % slots
    model = f"models/{slot}/{number % 2}"
    place = f"k8s://prod/n{slot % 20}/Deployment/w{slot}"
    return {"key": f"again/{number}", "type": "deploy", "controller": {"name": "deploy"},
            "state": "complete", "inputs": [{"type": "Model", "uri": model}],
            "outputs": [{"type": "Deployment", "uri": place, "version": f"again{number}",
                         "evidence": "observed"}]}  # fmt: skip


@contextmanager
def arriving(url: str, make: Any, slots: int) -> Iterator[None]:
    """Records at RATE, for as long as this is open."""
    over = threading.Event()

    def send() -> None:
        with httpx2.Client(base_url=url + "/api/v1", timeout=120) as http:
            begun = perf_counter()
            for number in itertools.count():
                time.sleep(max(0.0, begun + number / RATE - perf_counter()))
                if over.is_set():
                    return
                act = make(number, slots)
                http.put(f"/actions/{act.pop('key')}", json=act).raise_for_status()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def measure(url: str, times: int, slots: int, days: int) -> dict[str, list[float]]:
    """Seconds of each request, by what was asked."""
    taken: dict[str, list[float]] = {}
    with httpx2.Client(base_url=url + "/api/v1", timeout=120) as http:

        def ask(name: str, path: str, *params: dict[str, str]) -> None:
            taken[name] = [_seconds(http, path, params[n % len(params)]) for n in range(times)]

        ask("/live, quiet", "/live", {})
        with arriving(url, unrelated, slots):
            ask(f"/live, {RATE} unrelated records/s", "/live", {})
        with arriving(url, related, slots):
            ask(f"/live, {RATE} deploys/s", "/live", {})
        past = [{"as_of": _time(day, 12)} for day in range(days)]
        ask("/live in the past", "/live", *past)
        ask("/live in the past, asked again", "/live", past[0])
        ask("/stale", "/stale", {})
        ask("/flow", "/flow", {})
        models = [f"models/{n * 7919 % slots}/{days - 1}" for n in range(times)]
        ask("/impact of a model", "/impact", *({"of": f"{model}"} for model in models))
        ask("/diff of two models", "/diff",
            *({"a": model, "b": f"{model[: model.rindex('/')]}/0"} for model in models))  # fmt: skip
    return taken


def cold(store: Path) -> list[float]:
    """The first answer of servers that were just started."""
    taken = []
    for _ in range(STARTS):
        with serve(store) as server, httpx2.Client(base_url=server.url + "/api/v1") as http:
            taken.append(_seconds(http, "/live", {}))
    return taken


def _seconds(http: httpx2.Client, path: str, params: dict[str, str]) -> float:
    time.sleep(PAUSE)
    start = perf_counter()
    http.get(path, params=params).raise_for_status()
    return perf_counter() - start


def _time(day: int, hour: float) -> str:
    return (_START + timedelta(days=day, hours=hour)).isoformat()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what is asked of slots over REST.")
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--deploys", type=int, default=20)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--dir", help="where the database goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="lineage-bench-") as where:
        file, store = Path(where) / "slots.ndjson", Path(where) / "lineage.db"
        with file.open("w") as out:
            out.writelines(json.dumps(r) + "\n" for r in records(options.slots, options.deploys))
        with serve(store) as server:
            load(server, file)
        taken = {"/live, the first after a start": cold(store)}
        with serve(store) as server:
            taken |= measure(server.url, options.times, options.slots, options.deploys)
            resident = sum(server.resident()) / 2**20
    print(f"{options.slots:,} slots with {options.deploys} deploys each, ms; load average "
          f"{os.getloadavg()[0]:.1f}, {resident:.0f} MiB resident in the end")  # fmt: skip
    for name, seconds in taken.items():
        cuts = quantiles(seconds, n=100, method="inclusive")
        print(f"{name:34} p50 {1000 * cuts[49]:6.1f}  p99 {1000 * cuts[98]:6.1f}")


if __name__ == "__main__":
    main()
