"""Measure, print and write docs/performance.md: `make bench`, or

    python -m benchmarks.run [--sizes 10k,100k,1m] [--quick] [--dir PATH] [--dry]

Every ratio compares two measurements of one run on one machine: absolute numbers depend
on the disk and on what else runs, ratios much less. Rounds are interleaved and the median
is reported.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import closures, dataset, load, report
from benchmarks.server import Server, serve
from benchmarks.server import load as import_file

UNITS = {"k": 1_000, "m": 1_000_000}
RAW = [(calls, facts) for calls in ("one", "hundred") for facts in ("bare", "same")]
RECORDERS = {"1 recorder": (1, 1), "32 recorders": (32, 1), "batches of 100": (4, 100)}
IMPORTED = 50_000
"""Lines of the import that is compared: enough for its start not to matter."""
REPEATS = {"10": 200, "1k": 100, "10k": 20}


@dataclass(frozen=True, slots=True)
class Plan:
    sizes: tuple[int, ...]
    seconds: float
    rounds: int
    where: Path


def main() -> None:
    options = _parser().parse_args()
    sizes = tuple(_number(s) for s in ("10k" if options.quick else options.sizes).split(","))
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="lineage-bench-") as where:
        seconds, rounds = (2, 1) if options.quick else (8, 3)
        results = measure(Plan(sizes, seconds, rounds, Path(where)))
    text = report.markdown(results)
    print(text)
    if not options.dry:
        report.write(text)


def measure(plan: Plan) -> report.Results:
    raw: dict[tuple[str, str], list[float]] = {key: [] for key in RAW}
    rest: dict[str, list[load.Load]] = {name: [] for name in RECORDERS}
    imports: list[float] = []
    for round_ in range(plan.rounds):
        for key in RAW:
            raw[key].append(_raw_ingest(plan, *key))
            _say(f"round {round_ + 1}: ml_metadata {key}: {raw[key][-1]:.0f} actions/s")
        for name, (connections, size) in RECORDERS.items():
            with _fresh(plan) as server:
                load.record(server.url, "warm", connections, size, 1)
                rest[name].append(load.record(server.url, "r", connections, size, plan.seconds))
            _say(f"round {round_ + 1}: {name}: {rest[name][-1].rate:.0f} actions/s")
        with _fresh(plan) as server:
            imports.append(_import(plan, server, max(IMPORTED, min(plan.sizes))))
            _say(f"round {round_ + 1}: import: {imports[-1]:.0f} actions/s")
    stores = {size: _store(plan, size) for size in plan.sizes}
    return report.Results(
        raw={key: median(rates) for key, rates in raw.items()},
        rest={name: _middle(loads) for name, loads in rest.items()},
        imported=median(imports),
        stores=stores,
        driver="wrk" if load.WRK else "Python (no wrk on PATH): a lower bound",
        rounds=plan.rounds,
        seconds=plan.seconds,
    )


def _store(plan: Plan, size: int) -> report.Store:
    """One store of this size: how fast it fills, how it answers, what the server holds."""
    store = plan.where / f"{size}.db"
    with serve(store) as server:
        rate = _import(plan, server, size)
    # A second start: memory is that of serving, not of the import.
    with serve(store) as server:
        found = {f: closures.upstream(server.url, f, n) for f, n in REPEATS.items()}
        resident = server.resident()
    raw = {f: _raw("closure", store, "--external-id", closures.artifact_id(f)) for f in REPEATS}
    for family, answer in raw.items():
        assert answer["nodes"] == found[family].nodes, f"{family}: ml_metadata sees {answer}"
    bytes_ = sum(file.stat().st_size for file in plan.where.glob(store.name + "*"))
    _say(f"{size} actions: {found}, raw {raw}, resident {resident}")
    seconds = {family: answer["seconds"] for family, answer in raw.items()}
    return report.Store(rate, found, seconds, resident, bytes_)


def _import(plan: Plan, server: Server, size: int) -> float:
    file = plan.where / f"{size}.ndjson"
    if not file.exists():
        dataset.write(file, size)
    return size / import_file(server, file)


def _fresh(plan: Plan) -> Any:
    return serve(Path(tempfile.mkdtemp(dir=plan.where)) / "lineage.db")


def _raw_ingest(plan: Plan, calls: str, facts: str) -> float:
    store = Path(tempfile.mkdtemp(dir=plan.where)) / "raw.db"
    connection = sqlite3.connect(store)
    connection.execute("PRAGMA journal_mode=wal")
    connection.close()
    options = ("--calls", calls, "--facts", facts, "--seconds", str(plan.seconds))
    return float(_raw("ingest", store, *options)["rate"])


def _raw(what: str, store: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.raw", what, str(store), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _middle(loads: list[load.Load]) -> load.Load:
    return load.Load(*map(median, zip(*loads, strict=True)))


def _number(text: str) -> int:
    unit = UNITS.get(text[-1].lower())
    return int(text[:-1]) * unit if unit else int(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure and write docs/performance.md.")
    parser.add_argument("--sizes", default="10k,100k,1m", help="stores to fill: 10k,100k,1m")
    parser.add_argument("--quick", action="store_true", help="one short round, 10k only")
    parser.add_argument("--dir", help="where databases go: the disk that is measured")
    parser.add_argument("--dry", action="store_true", help="print, do not write the docs")
    return parser


if __name__ == "__main__":
    main()
