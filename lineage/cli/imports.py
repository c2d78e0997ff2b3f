"""`lineage import`: what others wrote, into a store. Large NDJSON files go as they are; other
formats are read here, and sent as records."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineage.cli.groups import FilesFirst
from lineage.cli.record import conclude, open_file
from lineage.cli.target import Json, Target, console
from lineage.errors import InvalidRecord, LineageError

if TYPE_CHECKING:
    from lineage.cli.batches import Batch
    from lineage.formats import Format


class _Import(FilesFirst):
    """`lineage import slsa FILE…` is `lineage import --format slsa FILE…`. Which formats can be
    read is looked up only then: `lineage --help` loads none."""

    usual = "files"

    def expanded(self, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and not Path(args[0]).exists():
            from lineage.formats import REGISTRY

            if args[0] in REGISTRY and REGISTRY[args[0]].read:
                return ["--format", *args]
        return args


import_ = typer.Typer(
    cls=_Import,
    help="Record what files hold: NDJSON, or another of `lineage formats`. "
    "FILES alone are `files FILES`, FORMAT FILES are `files --format FORMAT FILES`.",
)


@import_.callback()
def _group() -> None:
    """Keeps it a group while there is one command."""


@import_.command("files")
def import_files(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Files, also gzipped (.gz).")],
    name: Annotated[
        str | None,
        typer.Option("--format", help="See `lineage formats`; by the file's name, else ndjson."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Record what files hold, such as `lineage export` writes: an action a line.

    Interrupted? Run it again: what is recorded already is recognised and stays as it is.

    Example: `lineage import history.ndjson.gz more.ndjson`, `lineage import slsa run.json`
    """
    from lineage.cli.batches import send

    target: Target = ctx.obj
    forms = {path: _format(name, path) for path in files}
    with target.client(read_only=False) as client, _progress(forms) as progress:
        tally = send(client, progress)
    conclude(tally, as_json)


def _format(name: str | None, path: Path) -> Format:
    from lineage.formats import REGISTRY, find, of_file

    readable = [one for one in REGISTRY.values() if one.read]
    if name is not None:
        return find(name, readable)
    found = of_file(path.name.removesuffix(".gz")) or REGISTRY["ndjson"]
    if found.read is None:
        known = ", ".join(one.name for one in readable)
        raise typer.BadParameter(f"{path.name}: {found.name} is only written; {known} are read.")
    return found


@contextmanager
def _progress(forms: dict[Path, Format]) -> Iterator[Iterator[Batch]]:
    """The files in batches, and a bar that counts the bytes read of them."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from lineage.cli.batches import batches

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    out = console(stderr=True)
    with ExitStack() as stack:
        opened = [(path, stack.enter_context(open_file(path))) for path in forms]
        bar = stack.enter_context(
            Progress(*columns, console=out, disable=not out.is_terminal, transient=True)
        )
        task = bar.add_task("Recording", total=sum(path.stat().st_size for path in forms))

        def pieces() -> Iterator[Batch]:
            before = 0
            for path, raw in opened:
                lines = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
                for batch in batches(str(path), _records(path, _lines(path, lines), forms[path])):
                    bar.update(task, completed=before + raw.tell())
                    yield batch
                before += path.stat().st_size

        yield pieces()


def _records(path: Path, lines: Iterator[bytes], form: Format) -> Iterator[bytes]:
    """A record a line. NDJSON is that already, and only the server looks into it."""
    if form.name == "ndjson" or form.read is None:
        yield from lines
        return
    try:
        # All of it before the first is sent: half a file would look like a whole one.
        found = list(form.read(b"".join(lines)))
    except InvalidRecord as error:
        raise type(error)(f"{path}: {error.detail}; nothing of it was recorded") from error
    for one in found:
        yield json.dumps(one).encode()


def _lines(path: Path, lines: Any) -> Iterator[bytes]:
    try:
        yield from lines
    except (OSError, EOFError) as error:
        raise LineageError(f"{path} cannot be read to its end: {error}") from error
