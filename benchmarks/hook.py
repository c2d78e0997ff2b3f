"""What a hook costs its controller: time a call on its thread, time and memory of the import.

    python -m benchmarks.hook [--calls 10000]

A call is the entry or the exit of an act, or one `hook.record`; each reads a dataset and
writes a model. Ratios compare with the least a durable record can cost in the same run: its
JSON, written to a file by one `os.write`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NoReturn

from benchmarks.server import serve

NOWHERE = "http://127.0.0.1:9"
TARGETS = {"p50": 100e-6, "p99": 1e-3}
IMPORT = """
import time
began = time.perf_counter()
{}
seconds = time.perf_counter() - began
print(seconds, *(line.split()[1] for line in open("/proc/self/status") if "VmHWM" in line))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the hooks.")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--child", nargs=2, metavar=("URL", "OUTBOX"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        calls(options.child[0], options.child[1], options.calls)
    print(imports())
    with tempfile.TemporaryDirectory(prefix="lineage-bench-") as where:
        base = bare(Path(where), options.calls)
        print(_row("JSON and os.write alone", base, base))
        print(_row("hook, server down", _child(NOWHERE, f"{where}/down", options.calls), base))
        with serve(Path(where) / "lineage.db") as server:
            print(_row("hook, server up", _child(server.url, f"{where}/up", options.calls), base))


def calls(url: str, outbox: str, count: int) -> NoReturn:
    """Print the seconds of each call, and end."""
    from controllers_hooks import Dataset, Hook, Model

    hook = Hook("bench", url=url, outbox=outbox)
    clock, out = time.perf_counter, []
    for number in range(count // 2):
        dataset, model = Dataset(f"gs://b/{number}.csv"), Model(f"gs://b/model-{number}")
        act = hook.action("train", key=f"bench/{number}")
        began = clock()
        act.__enter__()
        entered = clock()
        act.reads(dataset).writes(model).params(epochs=3)
        left = clock()
        act.__exit__(None, None, None)
        out += [entered - began, clock() - left]
    assert hook.failed == 0
    print(json.dumps(out), flush=True)
    os._exit(0)  # what is left to deliver is not what is measured


def bare(where: Path, count: int) -> list[float]:
    record = {"key": "bench/1", "type": "train", "controller": {"name": "bench"},
              "state": "complete", "inputs": [{"type": "Dataset", "uri": "gs://b/1.csv"}],
              "outputs": [{"type": "Model", "uri": "gs://b/model-1"}]}  # fmt: skip
    out = []
    with (where / "bare").open("ab", buffering=0) as file:
        for _ in range(count):
            began = time.perf_counter()
            os.write(file.fileno(), json.dumps(record).encode())
            out.append(time.perf_counter() - began)
    return out


def imports() -> str:
    """The import, and with the first hook: it loads the rules of the record."""
    hook = "from controllers_hooks import Hook; Hook('bench', outbox='/nowhere/bench')"
    bare_, package, first = (
        [_measured(code) for _ in range(5)] for code in ("pass", "import controllers_hooks", hook)
    )
    base = median(m for _, m in bare_)
    parts = (
        f"{name}: {median(s for s, _ in found) * 1000:.0f} ms, "
        f"{(median(m for _, m in found) - base) / 1024:.0f} MiB over bare Python"
        for name, found in (("import (target 200 ms, 40 MiB)", package), ("and a hook", first))
    )
    return "\n".join(parts)


def _measured(code: str) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT.format(code)], capture_output=True, text=True, check=True
    )
    seconds, kib = done.stdout.split()
    return float(seconds), float(kib)


def _child(url: str, outbox: str, count: int) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.hook", "--calls", str(count)]
    done = subprocess.run(
        [*command, "--child", url, outbox], stdout=subprocess.PIPE, text=True, check=True
    )
    found: list[float] = json.loads(done.stdout)
    return found


def _row(name: str, times: list[float], base: list[float]) -> str:
    p50, p99, worst = (_at(times, share) for share in (0.5, 0.99, 1.0))
    over = "".join(
        f" (over the target of {TARGETS[n] * 1e6:.0f} µs)" for n, v in (("p50", p50), ("p99", p99))
        if v > TARGETS[n]
    )  # fmt: skip
    return (
        f"{name}: p50 {p50 * 1e6:.0f} µs, p99 {p99 * 1e6:.0f} µs, worst {worst * 1e3:.1f} ms, "
        f"{p50 / _at(base, 0.5):.1f}× the bare p50; {len(times)} calls{over}"
    )


def _at(times: list[float], share: float) -> float:
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


if __name__ == "__main__":
    main()
