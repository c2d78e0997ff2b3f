"""`/live` over REST, on a store of its own:

    python -m benchmarks.questions [--slots 1000] [--deploys 20] [--times 50] [--dir PATH]

Each slot has so many deploys, each of a model of its own with its training. Asked three ways:
while nothing is recorded, after each of as many records, and at moments of the past.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import httpx2

from benchmarks.server import load, serve

_START = datetime(2026, 1, 1, tzinfo=UTC)


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


def measure(url: str, times: int, days: int) -> dict[str, list[float]]:
    """Seconds of each request, by what was asked."""
    taken: dict[str, list[float]] = {"now, quiet": [], "now, after a record": [], "the past": []}
    with httpx2.Client(base_url=url + "/api/v1", timeout=120) as http:
        for number in range(times):
            taken["now, quiet"].append(_seconds(http, {}))
            taken["the past"].append(_seconds(http, {"as_of": _time(number % days, 12)}))
            act = {"type": "train", "controller": {"name": "bench"}}
            http.put(f"/actions/bench/{number}", json=act).raise_for_status()
            taken["now, after a record"].append(_seconds(http, {}))
    return taken


def _seconds(http: httpx2.Client, params: dict[str, str]) -> float:
    start = perf_counter()
    http.get("/live", params=params).raise_for_status()
    return perf_counter() - start


def _time(day: int, hour: float) -> str:
    return (_START + timedelta(days=day, hours=hour)).isoformat()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure /live over REST.")
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--deploys", type=int, default=20)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--dir", help="where the database goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="lineage-bench-") as where:
        file = Path(where) / "slots.ndjson"
        with file.open("w") as out:
            out.writelines(json.dumps(r) + "\n" for r in records(options.slots, options.deploys))
        with serve(Path(where) / "lineage.db") as server:
            load(server, file)
            taken = measure(server.url, options.times, options.deploys)
    print(f"/live of {options.slots:,} slots with {options.deploys} deploys each, ms")
    for name, seconds in taken.items():
        cuts = quantiles(seconds, n=100, method="inclusive")
        print(f"{name:20} p50 {1000 * cuts[49]:6.1f}  p99 {1000 * cuts[98]:6.1f}")


if __name__ == "__main__":
    main()
