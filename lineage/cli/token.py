"""`lineage token`: makes, lists and revokes the tokens of a file that servers read.

Works on the file itself: who may change it decides who is let in, and no server need run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from lineage.access.keeper import changing, read
from lineage.access.scopes import SCOPES
from lineage.access.tokens import NAME, BadTokens, Token, make, revoked
from lineage.cli.target import Json, Target, clean, console, print_json
from lineage.errors import LineageError
from lineage.queries.staleness.spans import parse
from lineage.times import asked

token = typer.Typer(
    no_args_is_help=True, help="Who is let in: make, list and revoke the tokens of a file."
)
File = Annotated[
    str | None,
    typer.Option("--tokens", help="The file of tokens; LINEAGE_TOKENS when left out."),
]
Name = Annotated[str, typer.Argument(help="Who has it; stands in the audit log.")]


@token.command("create")
def create(
    ctx: typer.Context,
    name: Name,
    scope: Annotated[
        list[str], typer.Option(help="read, write or admin (both, and what is about the server).")
    ],
    namespace: Annotated[
        list[str] | None, typer.Option(help="Only this namespace; may be given again.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="After a time (90d), or at a moment (2027-01-01).")
    ] = None,
    tokens: File = None,
) -> None:
    """Make a token and show it, once. Only its hash is kept.

    Example: `lineage token create trainer --scope write --namespace label-bot --expires 90d`
    """
    if not NAME.match(name):
        raise BadTokens(f"{name!r} is no name of a token: up to 64 letters, digits and . _ - @")
    path, now = _path(ctx.obj, tokens), datetime.now(UTC)
    ends = _ends(expires, now)
    secret, made = make(name, scope, namespace or [], now, ends)
    with changing(path) as known:
        if name in {one.name for one in known}:
            raise BadTokens(
                f"there is a token {name} already; choose another name, so that the audit log "
                "tells them apart, and revoke the old one once nobody uses it"
            )
        known.append(made)
    typer.echo(secret)
    out = console(stderr=True)
    out.print(f"{_says(made)}. This is the only time it is shown. Kept in {clean(path)}.")


@token.command("list")
def list_(ctx: typer.Context, tokens: File = None, as_json: Json = False) -> None:
    """List the tokens of the file: whose, what they may, until when. The tokens are not in it.

    Example: `lineage token list --tokens tokens.json`
    """
    from rich.table import Table

    now = datetime.now(UTC)
    found = read(_path(ctx.obj, tokens))
    if as_json:
        shown = ("name", "scopes", "namespaces", "created", "expires", "revoked")
        print_json([
            {**{k: v for k, v in one.json().items() if k in shown}, "status": one.status(now)}
            for one in found
        ])  # fmt: skip
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("NAME", "MAY", "NAMESPACES", "CREATED", "EXPIRES", "STATUS"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(
            one.name, _may(one), clean(", ".join(sorted(one.namespaces or ())) or "all"),
            f"{one.created:%Y-%m-%d}", f"{one.expires:%Y-%m-%d %H:%M}" if one.expires else "never",
            one.status(now),
        )  # fmt: skip
    console().print(table)


@token.command("revoke")
def revoke(ctx: typer.Context, name: Name, tokens: File = None) -> None:
    """Revoke a token: every server that reads the file refuses it within two seconds.

    Example: `lineage token revoke trainer`
    """
    with changing(_path(ctx.obj, tokens)) as known:
        known[:] = revoked(known, name, datetime.now(UTC))
    typer.echo(f"The token {name} is revoked.")


def _path(target: Target, given: str | None) -> Path:
    named = target.settings(tokens=given).tokens
    if not named:
        raise LineageError("which file? Name it with --tokens, or in LINEAGE_TOKENS")
    return Path(named)


def _ends(text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    if text[:4].isdecimal() and "-" in text:
        ends = datetime.fromtimestamp(asked("--expires", text) / 1_000_000, UTC)
    else:
        ends = now + timedelta(microseconds=parse("--expires", text))
    if ends <= now:
        raise LineageError(f"--expires: {text} is over already")
    return ends


def _may(one: Token) -> str:
    return ", ".join(s for s in SCOPES if s in one.scopes)


def _says(one: Token) -> str:
    where = f" in {', '.join(sorted(one.namespaces))}" if one.namespaces else ""
    until = f" until {one.expires:%Y-%m-%d %H:%M} UTC" if one.expires else ""
    return clean(f"{one.name} may {_may(one).replace(', ', ' and ')}{where}{until}")
