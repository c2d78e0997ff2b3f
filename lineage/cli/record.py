"""`lineage record` and `lineage import`: reports from files into a store."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from typer.core import TyperGroup

from lineage.cli.target import Json, Target, clean, console, print_json
from lineage.errors import BadRequest, LineageError

if TYPE_CHECKING:
    from lineage.cli.batches import Batch, Tally

SHOWN_FAILURES = 20


class _FilesFirst(TyperGroup):
    """`lineage record FILE` records a file of records; only what is no file needs a word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or not (args[0] in self.commands or args[0] in ctx.help_option_names):
            args = ["file", *args]
        return super().parse_args(ctx, args)


record = typer.Typer(
    cls=_FilesFirst,
    help="Record actions from a file, or the run of a notebook. FILE alone is `file FILE`.",
)


@record.command("file")
def record_file(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="JSON or NDJSON; - = standard input.")] = "-",
    as_json: Json = False,
) -> None:
    """Record one action, a JSON array of them, or one a line (NDJSON).

    Example: `lineage record action.json`, `kubectl get … | to-action | lineage record`
    """
    from lineage.cli.batches import batches, send

    target: Target = ctx.obj
    text = sys.stdin.buffer.read() if file == "-" else _read(Path(file))
    actions = _documents(text)
    with target.client(read_only=False) as client:
        if len(actions) == 1 and isinstance(actions[0], dict):
            answer = client.record(actions[0])
            if as_json:
                print_json(answer)
            else:
                typer.echo(f"{answer['outcome']} {clean(answer['key'])} ({answer['id']})")
            return
        lines = (json.dumps(action).encode() for action in actions)
        _conclude(send(client, batches(file, lines)), as_json)


@record.command("notebook")
def record_notebook(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The notebook that ran, with its outputs.")],
    type: Annotated[str, typer.Option("--type", help="train, evaluate, transform…")] = "process",
    key: Annotated[
        str | None, typer.Option(help="The key of the action; its own name and time if left out.")
    ] = None,
    controller: Annotated[
        str | None, typer.Option(help="Who ran it; LINEAGE_CONTROLLER, else notebook.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="The notebook as it was written, if papermill says not.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Record a notebook that ran: its own status counts, not the exit code of what ran it.

    Example: `papermill train.ipynb out.ipynb; lineage record notebook out.ipynb --type train`
    """
    from controllers_hooks import notebook
    from controllers_hooks.repair import sound

    target: Target = ctx.obj
    settings = target.settings()
    try:
        made = notebook.read(file, source)
    except OSError as error:
        raise LineageError(f"{file}: {error.strerror}; give a file that can be read") from error
    name = controller or settings.controller or "notebook"
    where = {"cluster": settings.cluster, "namespace": settings.namespace, "name": name}
    action = sound({**made, "key": key or made["key"], "type": type, "controller": where})
    with target.client(read_only=False) as client:
        answer = client.record(action)
    if as_json:
        print_json({**answer, "state": action.state, "error": action.error})
    else:
        typer.echo(f"{answer['outcome']} {clean(answer['key'])} ({answer['id']}): {action.state}")
        if action.error:
            typer.echo(clean(action.error))


def import_(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="NDJSON files, also gzipped (.gz).")],
    as_json: Json = False,
) -> None:
    """Record large files, one action a line: what `lineage export` writes.

    Interrupted? Run it again: what is recorded already is recognised and stays as it is.

    Example: `lineage import history.ndjson.gz more.ndjson`
    """
    from lineage.cli.batches import send

    target: Target = ctx.obj
    with target.client(read_only=False) as client, _progress(files) as progress:
        tally = send(client, progress)
    _conclude(tally, as_json)


@contextmanager
def _progress(files: list[Path]) -> Iterator[Iterator[Batch]]:
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
        opened = [(path, stack.enter_context(_open(path))) for path in files]
        bar = stack.enter_context(
            Progress(*columns, console=out, disable=not out.is_terminal, transient=True)
        )
        task = bar.add_task("Recording", total=sum(path.stat().st_size for path in files))

        def pieces() -> Iterator[Batch]:
            before = 0
            for path, raw in opened:
                lines = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
                for batch in batches(str(path), _lines(path, lines)):
                    bar.update(task, completed=before + raw.tell())
                    yield batch
                before += path.stat().st_size

        yield pieces()


def _lines(path: Path, lines: Any) -> Iterator[bytes]:
    try:
        yield from lines
    except (OSError, EOFError) as error:
        raise LineageError(f"{path} cannot be read to its end: {error}") from error


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise LineageError(f"{path}: {error.strerror}; give a file that can be read") from error


def _read(path: Path) -> bytes:
    with _open(path) as file:
        return file.read()


def _documents(text: bytes) -> list[Any]:
    """One JSON document, the items of an array, or a document a line."""
    try:
        whole = json.loads(text)
    except ValueError:
        return [_document(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    return whole if isinstance(whole, list) else [whole]


def _document(number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise BadRequest(f"line {number} is not JSON ({error}); nothing was recorded") from error


def _conclude(tally: Tally, as_json: bool) -> None:
    """The counts, the failures with their lines, and exit code 1 if there were any."""
    if as_json:
        print_json(tally.json())
    else:
        counts = tally.json()
        names = ("created", "merged", "unchanged", "failed")
        typer.echo(", ".join(f"{counts[name]} {name}" for name in names))
        out = console(stderr=True)
        for failure in tally.failures[:SHOWN_FAILURES]:
            line = f"{failure.file}:{failure.line}: {failure.message}"
            out.print(clean(line), style="red", soft_wrap=True)
        if (more := len(tally.failures) - SHOWN_FAILURES) > 0:
            out.print(f"and {more} more; --json lists them all", style="red")
    if tally.failures:
        raise typer.Exit(1)
