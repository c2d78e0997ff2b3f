"""`lineage stale`: what is live although something newer is behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineage.cli.target import Json, Target, clean, console, moment, print_json

if TYPE_CHECKING:
    from rich.table import Table

_STYLES = {"fresh": "green", "stale": "yellow"}


def stale(
    ctx: typer.Context,
    as_of: Annotated[
        str | None, typer.Option(help="A past moment; a bare date is its beginning, 00:00 UTC.")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Only slots of this namespace.")] = None,
    max_age: Annotated[
        str | None,
        typer.Option(help="How old a model may be: 24h; of one trainer: trainer=7d; by comma."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Which live slots have a newer model, newer data or newer code behind them, and how far.

    Example: `lineage stale`, `lineage stale --max-age 24h,modelsync/labelbot-train=7d`
    """
    target: Target = ctx.obj
    time = None if as_of is None else moment(as_of)
    with target.client() as client:
        answer = client.stale(as_of=time, namespace=namespace, max_age=max_age)
    if as_json:
        print_json(answer)
        return
    if not answer["slots"]:
        typer.echo("Nothing is live" + (f" as of {as_of}." if as_of else "."))
        return
    out = console()
    out.print(_table(answer["slots"]))
    if answer["truncated"]:
        out.print("There is more than was looked at: name a --namespace.", style="yellow")


def _table(slots: list[dict[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Slot", "Model", "Status", "Since", "Why"):
        out.add_column(heading, overflow="fold")
    for slot in slots:
        models = ", ".join(model["name"] for model in slot["models"]) or "none known"
        why = "\n".join(reason["reason"] for reason in slot["reasons"])
        if slot["status"] == "unknown":
            why = "no training of it is recorded"
        status = Text(slot["status"], _STYLES.get(slot["status"], ""))
        # Text, so that brackets in a name are no markup.
        cells = (Text(clean(cell)) for cell in (slot["slot"], models))
        out.add_row(*cells, status, Text(slot["since"] or ""), Text(clean(why)))
    return out
