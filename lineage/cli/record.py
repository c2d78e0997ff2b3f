"""`lineage record`: small reports from files into a store, and the run of a notebook."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from lineage.cli.groups import FilesFirst
from lineage.cli.target import Json, Target, clean, console, print_json
from lineage.errors import BadRequest, LineageError

if TYPE_CHECKING:
    from lineage.cli.batches import Tally

SHOWN_FAILURES = 20


record = typer.Typer(
    cls=FilesFirst.of("file"),
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
    text = sys.stdin.buffer.read() if file == "-" else read_file(Path(file))
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
        conclude(send(client, batches(file, lines)), as_json)


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


def open_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise LineageError(f"{path}: {error.strerror}; give a file that can be read") from error


def read_file(path: Path) -> bytes:
    with open_file(path) as file:
        return file.read()


def _documents(text: bytes) -> list[Any]:
    """One JSON document, the items of an array, or a document a line."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return [_document(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    return whole if isinstance(whole, list) else [whole]


def _document(number: int, line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"line {number} is not JSON ({error}); nothing was recorded") from error


def conclude(tally: Tally, as_json: bool) -> None:
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
