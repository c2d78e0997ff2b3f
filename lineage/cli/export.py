"""`lineage export`: a whole store, or what is around one thing, in any format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lineage.cli.files import save
from lineage.cli.read import AsOf, Direction
from lineage.cli.target import Target, moment

if TYPE_CHECKING:
    from lineage.formats import Format


def export(
    ctx: typer.Context,
    ref: Annotated[
        str | None, typer.Argument(help="As for `show`; the whole store when left out.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--format", help="See `lineage formats`; by the file's name, else ndjson."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A file; standard output when left out.")
    ] = None,
    direction: Annotated[Direction, typer.Option(help="With REF: where to look.")] = Direction.both,
    depth: Annotated[
        int | None, typer.Option(min=0, help="With REF: steps from it; all when left out.")
    ] = None,
    max_nodes: Annotated[
        int | None, typer.Option(min=1, help="With REF: at most so many nodes.")
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Write every record as NDJSON, or what is around REF; in another format if asked.

    `lineage import` reads NDJSON back, here or elsewhere, and makes the same store of it.

    Example: `lineage export -o history.ndjson`, `lineage export | gzip > history.ndjson.gz`,
    `lineage export projects/p/models/TCN1 -o model.cdx.json`
    """
    form = _format(name, output)
    target: Target = ctx.obj
    if ref is None and (as_of, depth, max_nodes, direction) != (None, None, None, Direction.both):
        raise typer.BadParameter("--as-of, --direction, --depth and --max-nodes go with a REF.")
    if ref is None and form.each is None:
        raise typer.BadParameter(
            f"{form.name} tells of one thing: `lineage export --format {form.name} REF`."
        )
    with target.client() as client:
        if ref is None:
            save(output, client.export(form.name))
            return
        then = None if as_of is None else moment(as_of)
        made = client.graph(
            ref, form.name, direction=direction.value, depth=depth, max_nodes=max_nodes, as_of=then
        )
    save(output, [made])


def _format(name: str | None, output: Path | None) -> Format:
    """What was asked for, else what the file's name says, else NDJSON."""
    from lineage.formats import find, of_file
    from lineage.formats.drawn import every

    known = [one for one in every().values() if one.graph or one.each]
    if name is not None:
        return find(name, known)
    found = of_file(output.name.removesuffix(".gz"), known) if output is not None else None
    return found or find("ndjson")
