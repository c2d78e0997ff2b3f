"""`lineage diff`: what differs, and in everything behind it."""

from __future__ import annotations

from typing import Annotated

import typer

from lineage.cli.target import Json, Target, console, moment, print_json


def diff(
    ctx: typer.Context,
    a: Annotated[
        str,
        typer.Argument(help="An artifact, an action or a slot; with @time behind it, then."),
    ],
    b: Annotated[
        str | None,
        typer.Argument(help="Compared with. Left out, A is compared with what came before it."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="A past moment; a bare date is its beginning, 00:00 UTC.")
    ] = None,
    max_nodes: Annotated[
        int, typer.Option(min=1, help="At most so many things and acts behind each.")
    ] = 2000,
    as_json: Json = False,
) -> None:
    """What differs between two things, in data, code, parameters, metrics and images.

    Of a slot alone: the model that is live and the one before it. Of a model alone: it and
    the one before it.

    Example: `lineage diff worker`, `lineage diff models/1 models/2`, `lineage diff worker@2020-07-10 worker`
    """
    from lineage.cli.diff_text import draw

    target: Target = ctx.obj
    time = None if as_of is None else moment(as_of)
    with target.client() as client:
        answer = client.diff(a, b, as_of=time, max_nodes=max_nodes)
    if as_json:
        print_json(answer)
    else:
        console().print(draw(answer))
