"""Measurements as the tables of docs/performance.md. Pure, but for `write`."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.closures import Latency
from benchmarks.load import Load

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
FACTS = {"bare": "graph only", "same": "same facts"}
CALLS = {"one": "`put_execution`, one at a time", "hundred": "`put_lineage_subgraph` ×100"}


@dataclass(frozen=True, slots=True)
class Store:
    """One store: actions imported per second, closures by family (REST, raw seconds), bytes."""

    rate: float
    rest: dict[str, Latency]
    raw: dict[str, float]
    resident: list[int]
    bytes: int


@dataclass(frozen=True, slots=True)
class Results:
    """Rates in actions per second; `raw` by (calls, facts)."""

    raw: dict[tuple[str, str], float]
    rest: dict[str, Load]
    imported: float
    stores: dict[int, Store]
    driver: str
    rounds: int
    seconds: float


def markdown(results: Results) -> str:
    parts = (_setting(results), _ingest(results), _closures(results), _sizes(results))
    return "\n\n".join(parts)


def write(text: str) -> None:
    """Between the markers of the page; the prose around them is written by hand."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has lost its markers")
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _setting(results: Results) -> str:
    return (
        f"Python {platform.python_version()}, ml-metadata {version('ml-metadata')}, "
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"load average {os.getloadavg()[1]:.1f}; "
        f"load driven by {results.driver}; median of {results.rounds} round(s) "
        f"of {results.seconds:.0f} s."
    )


def _ingest(results: Results) -> str:
    raw = results.raw
    columns = [("one", "bare"), ("one", "same"), ("hundred", "bare"), ("hundred", "same")]
    head = ["over REST, committed", "actions/s", "p50", "p99"]
    head += [f"÷ {CALLS[c]}, {FACTS[f]}" for c, f in columns]
    rows = [["ml_metadata alone", "", "", "", *(f"{raw[key]:,.0f}/s" for key in columns)]]
    measured = [
        (name, one.rate, _time(one.p50), _time(one.p99)) for name, one in results.rest.items()
    ]
    measured.append(("`lineage import`", results.imported, "", ""))
    for name, rate, p50, p99 in measured:
        ratios = [f"{rate / raw[key]:.2f}×" for key in columns]
        rows.append([name, f"{rate:,.0f}", p50, p99, *ratios])
    return "### Ingest\n\n" + _table(head, rows)


def _closures(results: Results) -> str:
    head = ["actions in the store", "nodes", "p50", "p99", "ml_metadata alone", "ratio"]
    rows = []
    for size, store in results.stores.items():
        for family, found in store.rest.items():
            raw = store.raw[family]
            rows.append(
                [f"{size:,}", f"{found.nodes:,}", _time(found.p50), _time(found.p99), _time(raw),
                 f"{raw / found.p50:.1f}×"]
            )  # fmt: skip
    return "### Upstream closures\n\n" + _table(head, rows)


def _sizes(results: Results) -> str:
    head = ["actions in the store", "`lineage import`", "file", "resident: server + children"]
    rows = [
        [f"{size:,}", f"{s.rate:,.0f}/s", f"{s.bytes / size:,.0f} B/action",
         " + ".join(f"{r / 2**20:.0f}" for r in s.resident) + " MiB"]
        for size, s in results.stores.items()
    ]  # fmt: skip
    return "### Size\n\n" + _table(head, rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
