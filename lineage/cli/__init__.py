"""The command line: parses, calls, prints. Everything it knows comes through `Client`.

One file per group of commands. Heavy libraries are imported inside the commands, so that
`lineage --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import lineage
from lineage.cli.backup import backup
from lineage.cli.check import check
from lineage.cli.controller import controller
from lineage.cli.diff import diff
from lineage.cli.export import export
from lineage.cli.flow import flow
from lineage.cli.formats import formats
from lineage.cli.forward import forward
from lineage.cli.history import history
from lineage.cli.impact import impact
from lineage.cli.import_mlmd import import_mlmd
from lineage.cli.imports import import_
from lineage.cli.lambda_check import lambda_check
from lineage.cli.observe import observe
from lineage.cli.outbox import outbox
from lineage.cli.prune import prune
from lineage.cli.read import graph, live, show
from lineage.cli.record import record
from lineage.cli.replay import replay
from lineage.cli.restore import restore
from lineage.cli.search import reindex, search, stats
from lineage.cli.serve import serve
from lineage.cli.stale import stale
from lineage.cli.target import Target, fail
from lineage.cli.token import token as tokens
from lineage.errors import LineageError

__all__ = ["app", "main"]

app = typer.Typer(
    name="lineage",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Times are ISO 8601; a bare date means its beginning, 00:00 UTC.",
)
for name, command in (
    ("serve", serve),
    ("show", show),
    ("graph", graph),
    ("live", live),
    ("history", history),
    ("stale", stale),
    ("diff", diff),
    ("impact", impact),
    ("flow", flow),
    ("lambda-check", lambda_check),
    ("search", search),
    ("stats", stats),
    ("reindex", reindex),
    ("export", export),
    ("formats", formats),
    ("replay", replay),
    ("prune", prune),
    ("backup", backup),
    ("restore", restore),
    ("check", check),
    ("forward", forward),
    ("controller", controller),
):
    app.command(name)(command)
app.add_typer(observe)
app.add_typer(record, name="record")
import_.command("mlmd")(import_mlmd)
app.add_typer(import_, name="import")
app.add_typer(outbox, name="outbox")
app.add_typer(tokens, name="token")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lineage {lineage.__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    url: Annotated[
        str | None, typer.Option(help="The server to ask; LINEAGE_URL when left out.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="A store file to work on without a server.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="A bearer token; better in LINEAGE_TOKEN.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Lineage for independent controllers: who made what from what, and what is live.

    `--url`, `--store` and `--token` may stand before or after the command.
    """
    ctx.obj = Target(url, store, token)


def main(argv: Sequence[str] | None = None) -> None:
    """The entry point: 0 done, 1 failed, 2 not understood."""
    try:
        app(globals_first(sys.argv[1:] if argv is None else argv))
    except LineageError as error:
        fail(error)
    except UnicodeEncodeError:
        fail(LineageError("an argument is not in UTF-8, and the server knows no other text"))


def globals_first(argv: Sequence[str]) -> list[str]:
    """The arguments with the global options before the command, where typer wants them.

    `lineage live --store x.db` is what people type. `serve` has a `--store` of its own.
    """
    front: list[str] = []
    rest: list[str] = []
    queue = list(argv)
    while queue:
        argument = queue.pop(0)
        name, equals, _ = argument.partition("=")
        if argument == "--" or (argument == "serve" and not rest):
            rest += [argument, *queue]
            break
        if name in ("--url", "--store", "--token"):
            front += [argument] if equals or not queue else [argument, queue.pop(0)]
        else:
            rest.append(argument)
    return front + rest
