"""`lineage history`: what was live in a slot, from when to when."""

from __future__ import annotations

from typing import Annotated

import typer

from lineage.cli.read import AsOf
from lineage.cli.target import Json, Target, console, moment, print_json


def history(
    ctx: typer.Context,
    slot: Annotated[str, typer.Argument(help="k8s://cluster/namespace/kind/name")],
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """What was live in a slot, from when to when, by which action; rollbacks and gaps.

    Example: `lineage history k8s://prod/label-bot/Deployment/worker --as-of 2020-08-01`
    """
    from lineage.cli import trees

    target: Target = ctx.obj
    with target.client() as client:
        answer = client.history(slot, None if as_of is None else moment(as_of))
    if as_json:
        print_json(answer)
        return
    out = console()
    out.print(trees.periods(answer["periods"], "then" if as_of else "now"))
    if answer["truncated"]:
        out.print("Older deploys of this slot are left out.", style="yellow")
