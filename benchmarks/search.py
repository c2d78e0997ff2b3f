"""Search over REST, as it is shipped: how fast, how large, how long to build, and what it costs.

    python -m benchmarks.search [--sizes 10k,1m] [--store FILE ...] [--dir PATH]

A store is filled by `benchmarks.dataset`, or given: then its index is built in place. Prints
tables for docs/performance.md.
"""

from __future__ import annotations

import argparse
import fcntl
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import httpx2

from benchmarks import dataset, load
from benchmarks.report import _table, _time
from benchmarks.run import _number
from benchmarks.server import load as import_file
from benchmarks.server import serve

TIMES = 100
SUFFIX = ".search.db"


class Found(NamedTuple):
    """Seconds of a search, and what came."""

    p50: float
    p99: float
    items: int
    truncated: bool


class Measured(NamedTuple):
    """One store: its size, seconds and bytes of its index, searches by name, bytes resident."""

    actions: int
    seconds: float
    store_bytes: int
    index_bytes: int
    searches: dict[str, Found]
    stats: Found
    resident: list[int]


def queries(number: int) -> dict[str, str]:
    """What people type; `number` is that of an action in the middle."""
    return {
        "a URI": f"gs://bench/run/{number}/model",
        "a key": f"bench/run-{number}",
        "a name": f"run-{number}",
        "a parameter": f"seed={number}",
        "a number in names": str(number),
        "a word of every second node": "model",
        "a word of every node": "bench",
        "a parameter of every action": "epochs=10",
        "one letter": "m",
        "two letters": "mo",
        "three letters": "mod",
        "a part": "odel",
        "a part of few": str(number)[1:],
        "two words": f"data {number}",
        "two words, one filter": "type:Model run family",
        "a filter": "state:complete controller:team-3/*",
        "nothing has it": "modata",
        "common words, never together": "data model",
        "common parts, seldom together": "del/run",
    }


def measure(store: Path) -> Measured:
    with serve(store) as server:
        with httpx2.Client(base_url=server.url + "/api/v1", timeout=120) as http:
            start = time.perf_counter()
            while http.get("/stats").json()["index"]["status"] != "ready":
                time.sleep(0.5)
            seconds = time.perf_counter() - start
            stats = http.get("/stats").json()
            number = _middle(store)
            found = {name: _ask(http, "/search", q=q) for name, q in queries(number).items()}
            asked = _ask(http, "/stats")
        return Measured(
            stats["actions"]["total"],
            seconds,
            stats["store_bytes"],
            stats["index"]["bytes"],
            found,
            asked,
            server.resident(),
        )


def ingest(where: Path, seconds: float) -> dict[str, tuple[load.Load, load.Load]]:
    """32 recorders and batches of 100, in turn without an indexer and with one."""
    out = {}
    for name, (connections, size) in {"32 recorders": (32, 1), "batches of 100": (4, 100)}.items():
        runs = []
        for indexed in (False, True):
            store = Path(tempfile.mkdtemp(dir=where)) / "lineage.db"
            with _held(store, not indexed), serve(store) as server:
                load.record(server.url, "warm", connections, size, 1)
                runs.append(load.record(server.url, "r", connections, size, seconds))
        out[name] = (runs[0], runs[1])
    return out


def main() -> None:
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="lineage-search-") as folder:
        where = Path(folder)
        stores = [Path(given) for given in options.store]
        for size in options.sizes.split(",") if options.sizes else ():
            stores.append(_filled(where, _number(size)))
        measured = [measure(store) for store in stores]
        print(_searches(measured), _sizes(measured), sep="\n\n")
        if options.ingest:
            print("\n" + _ingest(ingest(where, options.ingest)))


@contextmanager
def _held(store: Path, held: bool) -> Iterator[None]:
    """While we hold its lock, the server takes us for the one who indexes."""
    with open(f"{store}{SUFFIX}.lock", "w") as file:
        if held:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _filled(where: Path, size: int) -> Path:
    store, file = where / f"{size}.db", where / f"{size}.ndjson"
    dataset.write(file, size)
    with serve(store) as server:
        import_file(server, file)
    for end in ("", "-wal", "-shm"):
        Path(f"{store}{SUFFIX}{end}").unlink(missing_ok=True)
    return store


def _middle(store: Path) -> int:
    """The number of an action about three quarters in."""
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as db:
        sql = """SELECT name FROM Execution WHERE name LIKE 'bench/run-%'
        AND id <= 0.77 * (SELECT MAX(id) FROM Execution) ORDER BY id DESC LIMIT 1"""
        return int(db.execute(sql).fetchone()[0].rpartition("-")[2])


def _ask(http: httpx2.Client, path: str, **params: str) -> Found:
    taken = []
    for _ in range(TIMES):
        start = time.perf_counter()
        answer = http.get(path, params=params)
        taken.append(time.perf_counter() - start)
        answer.raise_for_status()
    cuts = quantiles(taken, n=100, method="inclusive")
    body = answer.json()
    return Found(cuts[49], cuts[98], len(body.get("items", ())), bool(body.get("truncated")))


def _searches(measured: list[Measured]) -> str:
    head = [
        "search for",
        *(f"{m.actions:,} actions: {w}" for m in measured for w in ("p50", "p99")),
    ]
    if len(measured) > 1:
        head.append("growth of p50")
    rows = []
    for name in [*measured[0].searches, "`/stats`"]:
        found = [m.searches.get(name, m.stats) for m in measured]
        row = [name, *(_time(t) for f in found for t in (f.p50, f.p99))]
        rows.append(row + ([f"{found[-1].p50 / found[0].p50:.1f}×"] if len(found) > 1 else []))
    return "### Search\n\n" + _table(head, rows)


def _sizes(measured: list[Measured]) -> str:
    head = ["actions in the store", "index built in", "index", "of the store", "resident"]
    rows = [
        [f"{m.actions:,}", f"{m.seconds:.1f} s", f"{m.index_bytes / 2**20:,.0f} MiB",
         f"{m.index_bytes / m.store_bytes:.0%}",
         " + ".join(f"{r / 2**20:.0f}" for r in m.resident) + " MiB"]
        for m in measured
    ]  # fmt: skip
    return "### Search index\n\n" + _table(head, rows)


def _ingest(found: dict[str, tuple[load.Load, load.Load]]) -> str:
    head = ["recording", "without an index", "with", "ratio", "p99 without", "p99 with"]
    rows = [
        [name, f"{a.rate:,.0f}/s", f"{b.rate:,.0f}/s", f"{b.rate / a.rate:.2f}×",
         _time(a.p99), _time(b.p99)]
        for name, (a, b) in found.items()
    ]  # fmt: skip
    return "### What indexing costs\n\n" + _table(head, rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure search.")
    parser.add_argument("--sizes", default="", help="stores to fill: 10k,1m")
    parser.add_argument("--store", nargs="*", default=[], help="stores that are filled already")
    parser.add_argument("--ingest", type=float, default=0, help="seconds of recording to compare")
    parser.add_argument("--dir", help="where databases go")
    return parser


if __name__ == "__main__":
    main()
