"""`lineage search`, `stats` and `reindex`: finding things by any part of their names."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineage.cli.target import Json, Target, clean, console, moment, print_json

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

STATES = {"complete": "green", "failed": "red", "running": "blue", "canceled": "yellow"}


def search(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(help="Words, name=value, or filters: type:… state:… kind:…", metavar="TEXT"),
    ],
    limit: Annotated[int, typer.Option(min=1, max=500, help="The best so many.")] = 20,
    as_of: Annotated[
        str | None, typer.Option(help="Only what existed then; a bare date is 00:00 UTC.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find actions and artifacts by name, URI, commit, digest, parameter or property.

    Any part of three characters is found, of shorter ones and of hashes the beginning.
    What equals comes first, then whole words, beginnings, parts; the latest first.

    Example: `lineage search faeb657`, `lineage search max_age_days=30 state:failed`
    """
    target: Target = ctx.obj
    time_ = None if as_of is None else moment(as_of)
    with target.client() as client:
        # A word that the shell took out of its quotes is a phrase again.
        text = " ".join(f'"{word}"' if " " in word and ":" not in word else word for word in words)
        answer = client.search(text if len(words) > 1 else words[0], limit=limit, as_of=time_)
    if as_json:
        print_json(answer)
        return
    out = console()
    if answer["items"]:
        out.print(_table(answer["items"]))
    else:
        out.print("Nothing found.")
    if answer["truncated"]:
        out.print("There may be more; add a word or a filter, or raise --limit.", style="yellow")
    if answer["behind"]:
        hint = f"{answer['behind']:,} of the store are not indexed yet; only the latest of them "
        out.print(hint + "were looked through.", style="yellow", soft_wrap=True)


def stats(ctx: typer.Context, as_json: Json = False) -> None:
    """How much the store holds, over which time, and how far the search index is.

    Example: `lineage stats`
    """
    target: Target = ctx.obj
    with target.client() as client:
        answer = client.stats()
    if as_json:
        print_json(answer)
        return
    out = console()
    for line in _lines(answer):
        out.print(clean(line), soft_wrap=True)


def reindex(
    ctx: typer.Context,
    wait: Annotated[bool, typer.Option(help="Wait until the index is complete.")] = True,
) -> None:
    """Build the search index again from the store.

    It needs no hurry: the index is built again by itself when it is missing or broken.

    Example: `lineage reindex`, `lineage reindex --store lineage.db`
    """
    target: Target = ctx.obj
    with target.client(read_only=False) as client:
        client.reindex()
        typer.echo("Building the search index anew.")
        while wait:
            time.sleep(0.5)
            index = client.stats()["index"]
            if index["trouble"]:
                typer.echo(f"It cannot go on: {clean(index['trouble'])}", err=True)
                raise typer.Exit(1)
            if index["status"] == "ready":
                typer.echo(f"Complete: {_bytes(index['bytes'])}.")
                return


def _table(items: Iterable[dict[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Type", "Name", "Version", "State", "When", "Found in"):
        out.add_column(heading, overflow="fold")
    for item in items:
        # A digest is told apart by its beginning; --json has all of it.
        version = (item["version"] or "")[:19]
        plain = (item["type"], item["name"], version)
        state = Text(clean(item["state"] or ""), STATES.get(item["state"], ""))
        out.add_row(*map(Text, map(clean, plain)), state, item["when"] or "", _found(item))
    return out


def _found(item: dict[str, Any]) -> Text:
    """The matched values, each with its field, the matched part in bold."""
    from rich.text import Text

    lines = []
    for match in item["matches"] or [{"field": "id", "text": item["id"], "spans": []}]:
        # One replacement a character: the places stay where they are.
        value = Text(clean(match["text"]).replace("\n", " "))
        for start, end in match["spans"]:
            value.stylize("bold", start, end)
        lines.append(Text(f"{match['field']} ", "dim") + value + Text("…" if match["cut"] else ""))
    return Text("\n").join(lines)


def _lines(answer: dict[str, Any]) -> Iterable[str]:
    yield f"{answer['actions']['total']:,} actions"
    for type_, states in answer["actions"]["types"].items():
        shown = ", ".join(f"{count:,} {state}" for state, count in states.items())
        yield f"  {type_}: {shown}"
    yield f"{answer['artifacts']['total']:,} artifacts"
    for type_, count in answer["artifacts"]["types"].items():
        yield f"  {type_}: {count:,}"
    yield f"{answer['controllers']:,} controllers, {answer['slots']:,} slots"
    yield f"from {answer['first']} to {answer['last']}" if answer["first"] else "nothing yet"
    index = answer["index"]
    behind = f", {index['behind']:,} to go" if index["behind"] else ""
    trouble = f" ({index['trouble']})" if index["trouble"] else ""
    size = _bytes(index["bytes"])
    yield f"store {_bytes(answer['store_bytes'])}, search index {size}, {index['status']}{behind}{trouble}"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
