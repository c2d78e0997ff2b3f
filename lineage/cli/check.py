"""`lineage check`: verifies a store and says how to mend what is wrong."""

from __future__ import annotations

from typing import Annotated

import typer

from lineage.address import shown
from lineage.cli.prune import stages
from lineage.cli.target import Json, Target, clean, console, print_json
from lineage.errors import LineageError

DAMAGED, NOT_CHECKED = 1, 2


def check(
    ctx: typer.Context,
    full: Annotated[
        bool, typer.Option("--full", help="Also read every page of the files (slow).")
    ] = False,
    mend: Annotated[
        bool, typer.Option("--mend", help="Mend what is safe to mend; the rest is told.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify a store: edges that lead nowhere, lost records, duplicates, indexes, files.

    Exit code 0 = nothing is wrong (any more), 1 = something is, 2 = it cannot be checked.
    Works beside a running server.

    Example: `lineage check --store lineage.db --full`
    """
    from lineage.store.keeping.check import check as run

    target: Target = ctx.obj
    store = target.database()
    try:
        with stages() as stage:
            found = run(store, full, mend, stage)
    except LineageError as error:
        console(stderr=True).print(f"Error: {clean(error.detail)}", style="red", soft_wrap=True)
        raise typer.Exit(NOT_CHECKED) from error
    if as_json:
        print_json(
            {"store": shown(store), "clean": not found, "findings": [one.json() for one in found]}
        )
    else:
        _print(store, found)
    if not all(one.mended for one in found):
        raise typer.Exit(DAMAGED)


def _print(store: str, found: list) -> None:  # type: ignore[type-arg]
    out = console()
    if not found:
        out.print(f"{clean(shown(store))}: nothing is wrong")
    for one in found:
        style = "green" if one.mended else "red"
        out.print(f"{one.name}: {one.count:,}{' (mended)' if one.mended else ''}", style=style)
        out.print(f"  {clean(one.says)}", soft_wrap=True)
        for place in one.places:
            out.print(f"    {clean(place)}", soft_wrap=True)
        if one.count > len(one.places):
            out.print(f"    … and {one.count - len(one.places):,} more")
        if not one.mended:
            out.print(f"  → {clean(one.remedy)}", soft_wrap=True)
