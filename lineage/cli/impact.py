"""`lineage impact`: what a thing reaches."""

from __future__ import annotations

from typing import Annotated

import typer

from lineage.cli.target import Json, Target, console, moment, print_json


def impact(
    ctx: typer.Context,
    ref: Annotated[
        str,
        typer.Argument(help="A dataset, commit, model or notebook (all versions), or an action."),
    ],
    as_of: Annotated[
        str | None, typer.Option(help="A past moment; a bare date is its beginning, 00:00 UTC.")
    ] = None,
    max_nodes: Annotated[
        int, typer.Option(min=1, help="At most so many things and acts, the nearest.")
    ] = 2000,
    as_json: Json = False,
) -> None:
    """What came of a thing: the slots that served it and when, models, everything else.

    Example: `lineage impact gs://bucket/issues.csv`, `lineage impact models/triage-1 --as-of 2020-08-01`
    """
    from lineage.cli.impact_text import draw

    target: Target = ctx.obj
    time = None if as_of is None else moment(as_of)
    with target.client() as client:
        answer = client.impact(ref, as_of=time, max_nodes=max_nodes)
    if as_json:
        print_json(answer)
    else:
        console().print(draw(answer))
