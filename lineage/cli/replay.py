"""`lineage replay`: OpenLineage events through the mapping of the version that runs now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lineage.cli.record import read_file
from lineage.cli.target import Json, Target, clean, console, print_json

if TYPE_CHECKING:
    from lineage.client import Client

EVENTS = 1000
BYTES = 8 * 2**20
SHOWN = 20


class _Event(NamedTuple):
    """An event as bytes, and what to call it: the file and its number there."""

    name: str
    body: bytes


def replay(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of events; what the server has kept when left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Record OpenLineage events again: those the server kept, or those of files.

    Nothing is doubled. After an upgrade that reads more out of events, the graph has it too.

    Example: `lineage replay`, `lineage replay events.ndjson marquez.json`
    """
    target: Target = ctx.obj
    counts: Counter[str] = Counter()
    failures: list[dict[str, str]] = []
    with target.client(read_only=False) as client:
        events = _of_files(files) if files else _kept(client, counts)
        for batch in _batches(events):
            array = b"[" + b",".join(event.body for event in batch) + b"]"
            answer = client.openlineage(array)
            counts.update({n: answer["summary"][n] for n in ("received", "successful", "failed")})
            failures += [
                {"event": batch[one["index"]].name, "reason": one["reason"]}
                for one in answer["failed_events"]
            ]
    _conclude(counts, failures, as_json)


def _kept(client: Client, counts: Counter[str]) -> Iterator[_Event]:
    import orjson

    after: int | None = 0
    seen = 0
    while after is not None:
        page = client.raw_events(after)
        counts["removed"] = page["removed"]
        for event in page["items"]:
            seen += 1
            yield _Event(f"kept event {seen}", orjson.dumps(event))
        after = page["after"]


def _of_files(files: list[Path]) -> Iterator[_Event]:
    import gzip

    import orjson

    from lineage.errors import BadRequest
    from lineage.formats.openlineage import documents

    for path in files:
        body = read_file(path)
        try:
            found = documents(gzip.decompress(body) if path.suffix == ".gz" else body)
        except (BadRequest, OSError, EOFError) as error:
            raise BadRequest(f"{path}: {error}; nothing of it was recorded") from error
        for number, event in enumerate(found, 1):
            yield _Event(f"{path}: event {number}", orjson.dumps(event))


def _batches(events: Iterable[_Event]) -> Iterator[list[_Event]]:
    batch: list[_Event] = []
    size = 0
    for event in events:
        if batch and (len(batch) == EVENTS or size + len(event.body) > BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += len(event.body)
    if batch:
        yield batch


def _conclude(counts: Counter[str], failures: list[dict[str, str]], as_json: bool) -> None:
    names = ("received", "successful", "failed", "removed")
    if as_json:
        answer: dict[str, Any] = {name: counts[name] for name in names}
        print_json({**answer, "failures": failures})
    else:
        typer.echo(f"{counts['received']} events, {counts['failed']} failed")
        out = console(stderr=True)
        if counts["removed"]:
            out.print(f"{counts['removed']} older events are not kept any more", style="yellow")
        for one in failures[:SHOWN]:
            out.print(clean(f"{one['event']}: {one['reason']}"), style="red", soft_wrap=True)
        if (more := len(failures) - SHOWN) > 0:
            out.print(f"and {more} more; --json lists them all", style="red")
    if failures:
        raise typer.Exit(1)
