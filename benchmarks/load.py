"""Recorders at work: wrk when it is on PATH, else threads of this process.

wrk is written in C and leaves the server the processor; the fallback shares it with the
server, so its numbers are lower bounds and the report says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import NamedTuple
from urllib.parse import quote

import httpx2

from benchmarks import dataset

SCRIPT = Path(__file__).with_name("record.lua")
WRK = shutil.which("wrk")


class Load(NamedTuple):
    """Actions acknowledged per second; latencies of a request in seconds."""

    rate: float
    p50: float
    p99: float


def record(url: str, prefix: str, recorders: int, size: int, seconds: float) -> Load:
    """Record new actions, `size` a request, from so many connections for so long."""
    run = _with_wrk if WRK else _with_threads
    return run(url, prefix, recorders, size, seconds)


def _with_wrk(url: str, prefix: str, recorders: int, size: int, seconds: float) -> Load:
    command = [
        str(WRK), "-t", "1", "-c", str(recorders), "-d", f"{seconds:.0f}s", "--timeout", "30s",
        "-s", str(SCRIPT), url, "--", prefix, str(size),
    ]  # fmt: skip
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(out.splitlines()[-1])
    assert not found["errors"], f"{found['errors']} requests failed:\n{out}"
    return Load(found["requests"] * size / found["seconds"], found["p50"], found["p99"])


def _with_threads(url: str, prefix: str, recorders: int, size: int, seconds: float) -> Load:
    start = perf_counter()

    def work(number: int) -> list[float]:
        taken = []
        records = dataset.stream(f"{prefix}-{number}")
        with httpx2.Client(base_url=url + "/api/v1") as http:
            while perf_counter() - start < seconds:
                batch = list(islice(records, size))
                sent = perf_counter()
                _send(http, batch)
                taken.append(perf_counter() - sent)
        return taken

    with ThreadPoolExecutor(recorders) as pool:
        taken = [t for each in pool.map(work, range(recorders)) for t in each]
    cuts = quantiles(taken, n=100)
    return Load(len(taken) * size / (perf_counter() - start), cuts[49], cuts[98])


def _send(http: httpx2.Client, batch: list[dataset.Record]) -> None:
    if len(batch) == 1:
        answer = http.put("/actions/" + quote(batch[0]["key"], safe=""), json=batch[0])
        answer.raise_for_status()
    else:
        answer = http.post("/actions/batch", json=batch)
        answer.raise_for_status()
        assert answer.json()["failed"] == 0, answer.text[:500]
