"""`lineage flow`: the pipeline that nobody declared."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from lineage.cli.target import Json, Target, console, moment, print_json


def flow(
    ctx: typer.Context,
    as_of: Annotated[
        str | None, typer.Option(help="A past moment; a bare date is its beginning, 00:00 UTC.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Only controllers of this namespace.")
    ] = None,
    window: Annotated[
        int, typer.Option(min=1, help="How many of each controller's latest actions to look at.")
    ] = 100,
    limit: Annotated[int, typer.Option(min=1, help="Passes shown of each chain.")] = 10,
    as_json: Json = False,
) -> None:
    """Which controller feeds which, and what was not taken up: a[i] → b[i] → c[i].

    Example: `lineage flow`, `lineage flow --as-of 2020-07-24 --namespace label-bot`
    """
    from lineage.cli.flow_text import Picture

    target: Target = ctx.obj
    time = None if as_of is None else moment(as_of)
    with target.client() as client:
        answer = client.flow(as_of=time, namespace=namespace, window=window, limit=limit)
    if as_json:
        print_json(answer)
        return
    if not answer["controllers"]:
        typer.echo("No controller had acted" + (f" as of {as_of}." if as_of else " yet."))
        return
    now = datetime.now(UTC) if time is None else datetime.fromisoformat(answer["as_of"])
    console().print(Picture(answer, now).draw())
