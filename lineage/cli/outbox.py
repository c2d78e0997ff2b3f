"""`lineage outbox`: what waits on this machine to be delivered, and delivering it now."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from lineage.cli.target import Json, Target, clean, console, print_json
from lineage.errors import LineageError
from lineage.times import asked

outbox = typer.Typer(
    no_args_is_help=True, help="Reports that wait on this machine: list them, deliver them."
)
Dir = Annotated[
    Path | None,
    typer.Option("--dir", help="One outbox; LINEAGE_OUTBOX, or all of this user, when left out."),
]


@outbox.command("ls")
def ls(ctx: typer.Context, directory: Dir = None, as_json: Json = False) -> None:
    """List outboxes: what waits, since when, and what was put aside.

    Example: `lineage outbox ls`, `lineage outbox ls --dir /var/lib/trainer/outbox --json`
    """
    found = [describe(one) for one in _directories(ctx.obj, directory)]
    if as_json:
        print_json(found)
        return
    out = console()
    for one in found:
        out.print(clean(one["directory"]), style="bold")
        waits = f"{one['waiting']} waiting ({one['waiting_bytes']} bytes"
        out.print(
            f"  {waits}, the oldest since {one['oldest']})" if one["oldest"] else f"  {waits})"
        )
        if one["rejected"]:
            out.print(f"  {one['rejected']} rejected by the server:", style="red")
            for reason in one["reasons"]:
                out.print(f"    {clean(reason)}")
        if one["corrupt"]:
            out.print(f"  {one['corrupt']} damaged, in the file corrupt", style="red")
    if not found:
        typer.echo("No outbox here; --dir names one elsewhere.")


@outbox.command("metrics")
def metrics(ctx: typer.Context, directory: Dir = None) -> None:
    """Print what waits as Prometheus reads it: for node-exporter's textfile collector, or a
    sidecar beside the controller.

    Example: `lineage outbox metrics > /var/lib/node_exporter/lineage.prom`
    """
    found = [describe(one) for one in _directories(ctx.obj, directory)]
    now = time.time()
    for name, says, value in _METRICS:
        typer.echo(f"# HELP {name} {says}\n# TYPE {name} gauge")
        for one in found:
            typer.echo(f"{name}{{directory={json.dumps(one['directory'])}}} {value(one, now)}")


@outbox.command("replay")
def replay(
    ctx: typer.Context,
    directory: Dir = None,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Also what the server refused before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Deliver what waits now. Repeating it is harmless; a running controller goes on meanwhile.

    Example: `lineage outbox replay --url http://lineage:8080 --dir /mnt/outbox`
    """
    from controllers_hooks import segments
    from controllers_hooks.delivery import Delivery
    from controllers_hooks.outbox import Statistics

    target: Target = ctx.obj
    results = []
    with target.client(read_only=False) as client:
        for one in _directories(target, directory):
            if rejected:
                segments.requeue_rejected(one)
            counts = Statistics()
            if not Delivery(one, client, counts).drain():
                raise LineageError(f"another process is delivering {one} just now; nothing to do")
            left = describe(one)
            results.append(
                {"directory": str(one), "delivered": counts.delivered, "rejected": counts.rejected,
                 "corrupt": counts.corrupt, "torn": counts.torn, "waiting": left["waiting"]}
            )  # fmt: skip
    if as_json:
        print_json(results)
    for result in () if as_json else results:
        parts = ", ".join(f"{n} {name}" for name, n in result.items() if name != "directory")
        typer.echo(f"{clean(result['directory'])}: {parts}")
    if any(result["rejected"] or result["corrupt"] or result["waiting"] for result in results):
        raise typer.Exit(1)


_METRICS: tuple[tuple[str, str, Callable[[dict[str, Any], float], object]], ...] = (
    ("lineage_outbox_reports", "Reports that wait.", lambda one, _: one["waiting"]),
    ("lineage_outbox_bytes", "Bytes that wait.", lambda one, _: one["waiting_bytes"]),
    ("lineage_outbox_oldest_seconds", "Age of the oldest report that waits; 0 = none.",
     lambda one, now: round(now - asked("", one["oldest"]) / 1e6, 3) if one["oldest"] else 0),
    ("lineage_outbox_rejected", "Reports the server refused.", lambda one, _: one["rejected"]),
    ("lineage_outbox_corrupt", "Damaged lines, kept aside.", lambda one, _: one["corrupt"]),
)  # fmt: skip


def describe(directory: Path) -> dict[str, Any]:
    """Counts of one outbox, as `ls --json` prints them."""
    from controllers_hooks import segments
    from lineage.times import iso

    frames = [f.stamp for s in segments.segments(directory) for f in s.frames()]
    refused = segments.rejected(directory)
    corrupt = directory / "corrupt"
    return {
        "directory": str(directory),
        "waiting": len(frames),
        "waiting_bytes": sum(s.waiting for s in segments.segments(directory)),
        "oldest": iso(min(frames) // 1000) if frames else None,
        "rejected": len(refused),
        "reasons": sorted({str(one.get("reason")) for one in refused})[:10],
        "corrupt": corrupt.read_bytes().count(b"\n") if corrupt.exists() else 0,
    }


def _directories(target: Target, directory: Path | None) -> list[Path]:
    from controllers_hooks import place

    given = directory or (Path(text) if (text := target.settings().outbox) else None)
    if given is not None:
        if not given.is_dir():
            raise LineageError(f"{given} is no directory; give the outbox of a controller")
        return [given]
    return sorted(path for path in place.outboxes(os.environ).iterdir() if path.is_dir())
