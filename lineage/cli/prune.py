"""`lineage prune`: lets old actions leave a store. Works on the database itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from lineage.cli.target import Json, Target, clean, console, print_json

if TYPE_CHECKING:
    from lineage.retention import Report, Stage

_UNITS = {"h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}
MICROS = 1_000_000


def prune(
    ctx: typer.Context,
    keep: Annotated[str, typer.Option(help="How long actions stay: 90d, 12h, 8w, 2y.")],
    keep_last: Annotated[
        int,
        typer.Option(min=0, help="So many latest actions of each controller stay, however old."),
    ] = 0,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only actions of this type leave; repeatable."),
    ] = None,
    namespace: Annotated[
        list[str] | None, typer.Option(help="Only actions of this namespace leave; repeatable.")
    ] = None,
    past: Annotated[
        bool,
        typer.Option("--past", help="Also keep upstream of what was live at any time since then."),
    ] = False,
    events: Annotated[
        str | None, typer.Option(help="Also remove raw OpenLineage events older than this.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", "--yes", help="Do it; else it is only shown.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let old actions leave, and what only they held. Shows what would leave; `--apply` does it.

    Never leaves: what runs, and everything upstream of what is live in any slot. Works beside a
    running server, on its database. Interrupted? Run it again.

    Example: `lineage prune --store lineage.db --keep 90d --keep-last 10 --apply`
    """
    from lineage.retention import prune as run
    from lineage.store.keeping.policy import Policy
    from lineage.store.keeping.raw_events import prune_events

    target: Target = ctx.obj
    store = target.database()
    now = int(time.time() * MICROS)
    policy = Policy(
        now - _seconds("--keep", keep) * MICROS, keep_last,
        frozenset(type_ or ()), frozenset(namespace or ()),
    )  # fmt: skip
    until = None if events is None else now - _seconds("--events", events) * MICROS
    with stages() as stage:
        report = run(store, policy, past, apply, stage)
        if until is not None:
            report.events = prune_events(store, until, apply, stage("Raw events", None))
    if as_json:
        print_json(report.json())
    else:
        _print(report)


@contextmanager
def stages() -> Iterator[Stage]:
    """Progress on a terminal: a line for each stage, one after the other."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    out = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as bar:

        def stage(name: str, total: int | None) -> Callable[[int], None]:
            for task in bar.task_ids:
                bar.update(task, visible=False)
            task = bar.add_task(name, total=total)
            return lambda steps: bar.advance(task, steps)

        yield stage


def _seconds(option: str, text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([hdwy])", text.strip().lower())
    if not match:
        raise typer.BadParameter(f"{option} wants a time such as 90d, 12h, 8w or 2y, not '{text}'.")
    return int(match[1]) * _UNITS[match[2]]


def _print(report: Report) -> None:
    from lineage.times import iso

    out = console()
    done = report.removed
    out.print(f"{clean(report.store)}: actions that ended before {iso(report.before)}")
    for name, count in report.counts.items():
        number = getattr(done, name) if done else count.leaving
        out.print(
            f"  {name:<10} {number:>12,} of {count.total:,} {'left' if done else 'would leave'}"
        )
    for name, number in report.events.items():
        out.print(f"  {name:<10} {number:>12,}")
    if report.needed:
        out.print(
            f"  {report.needed:,} more are as old, and stay: what is live or stays needs them"
        )
    if done:
        out.print(
            f"  {done.contexts:,} empty contexts too, in {report.seconds:.1f} s; recorders waited "
            f"at most {report.longest * 1000:.0f} ms at a time"
        )
        out.print(f"  about {_size(report.bytes)} can be used again; the file stays as large "
                  "(docs/operations.md)")  # fmt: skip
    else:
        out.print(f"  about {_size(report.bytes)}. Nothing has left: add --apply", soft_wrap=True)


def _size(bytes_: int) -> str:
    size = float(bytes_)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
