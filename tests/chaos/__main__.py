"""`python -m tests.chaos --rounds N --engine sqlite --json`: run rounds, show what became of them.

Ends with 1 when anything was lost, doubled or made up, or when the system misbehaved.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from .engines import ENGINES, series
from .summary import Summary, counts, failure, total

console = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="of each engine together")
    parser.add_argument("--engine", choices=ENGINES, action="append", help="all by default")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; then counted on")
    parser.add_argument("--fault", action="append", default=[], help="only faults of this name")
    parser.add_argument("--json", action="store_true", help="one line a round, then the sum")
    options = parser.parse_args()
    done = run(options.engine or ENGINES, options.rounds, options.seed, options.fault, options.json)
    if options.json:
        print(json.dumps(total(done)))
    else:
        show(done)
    sys.exit(not all(one.clean for one in done))


def run(
    engines: Sequence[str], rounds: int, seed: int, kinds: Sequence[str], lines: bool
) -> list[Summary]:
    """The rounds shared out evenly; whatever fails is told at once, with how to repeat it."""
    done: list[Summary] = []
    words = TextColumn("{task.description}"), TextColumn("{task.fields[now]}")
    with Progress(*words, MofNCompleteColumn(), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("chaos", total=rounds, now="")
        for place, engine in enumerate(engines):
            first = seed + rounds * place // len(engines)
            seeds = range(first, seed + rounds * (place + 1) // len(engines))
            for summary in series(engine, seeds, kinds):
                done.append(summary)
                bar.update(task, advance=1, now=f"{engine}, {counts(total(done))}")
                if lines:
                    print(json.dumps(summary.json()), flush=True)
                if not summary.clean:
                    console.print(failure(summary), markup=False)
    return done


def show(done: Sequence[Summary]) -> None:
    for engine in dict.fromkeys(one.engine for one in done):
        figures = total([one for one in done if one.engine == engine])
        table = Table("", engine, title=None)
        for name, value in figures.items():
            if not isinstance(value, dict):
                table.add_row(name.replace("_", " "), f"{value:,}")
        for name in ("refused", "faults"):
            for what, times in figures[name].items():
                table.add_row(f"{name}: {what}", f"{times:,}")
        console.print(table)
    console.print(counts(total(done)))


if __name__ == "__main__":
    main()
