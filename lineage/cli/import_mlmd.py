"""`lineage import mlmd`: brings over what another tool wrote to a store of ML Metadata.

Reads it as the server would, and records that elsewhere under names that say where it is
from: MLMD's numbers mean something in one store only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineage.address import Address
from lineage.cli.record import conclude
from lineage.cli.target import Json, Target, console
from lineage.identity import NODE, node_named

if TYPE_CHECKING:
    from lineage.client import Client

_VERSION = re.compile(r"mlmd:\d+\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")


def import_mlmd(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            envvar="MLMD_STORE",
            help="The other store: a SQLite file, mysql://… or postgresql://….",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--as", help="What to call that store; as its file or database if left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring over a store of Kubeflow Pipelines, Kubeflow Metadata, TFX or another MLMD client.

    It is only read. Interrupted? Run it again: what is there already stays as it is. A URL with
    a password belongs into MLMD_STORE, where `ps` does not show it.

    Example: `lineage import mlmd --from kfp.db --as kfp-prod`
    """
    from lineage.cli.batches import batches, send
    from lineage.embedded import embedded

    target: Target = ctx.obj
    address = _address(source)
    called = name or (address.database if address else Path(source).stem).lower()
    if not _NAME.match(called):
        raise typer.BadParameter("--as wants small letters, digits, '.', '_' and '-'.")
    with embedded(source, read_only=True) as there, target.client(read_only=False) as here:
        there_are = there.stats()
        seen: set[tuple[str, str]] = set()
        with _progress(there_are["actions"]["total"]) as advance:
            lines = _lines(there, called, seen, advance)
            tally = send(here, batches(str(address or source), lines))
    alone = there_are["artifacts"]["total"] - len(seen)
    if alone > 0:
        said = f"{alone} artifacts that no action read or wrote stayed where they are"
        console(stderr=True).print(said, style="yellow", soft_wrap=True)
    conclude(tally, as_json)


def _address(source: str) -> Address | None:
    """None = a file, which must be there: an empty store is not what is meant."""
    try:
        address = Address.parse(source)
    except ValueError as error:
        raise typer.BadParameter(f"--from: {error}") from error
    if address is None and not Path(source).is_file():
        raise typer.BadParameter(f"--from: there is no file {source}")
    return address


def renamed(record: dict[str, Any], store: str) -> dict[str, Any]:
    """A record of another store as one of ours; pure. What had a key of its own keeps it."""
    out = dict(record)
    number = node_named("execution", record["key"])
    if number is not None:
        out["key"] = _within(record["key"], store)
        out["by"] = f"{NODE}{store}"
        params = {"mlmd.store": store, "mlmd.execution": number, **record.get("params", {})}
        out["params"] = _bounded(params, store)
        for field in ("parent", "trigger"):
            if field in record:
                out[field] = json.loads(json.dumps(record[field]).replace(NODE, f"{NODE}{store}/"))
    for side in ("inputs", "outputs"):
        if side in record:
            out[side] = [_reference(one, store) for one in record[side]]
    return out


def _reference(reference: dict[str, Any], store: str) -> dict[str, Any]:
    out = dict(reference)
    if node_named("artifact", reference["uri"]) is not None:
        out["uri"] = _within(reference["uri"], store)
    if _VERSION.match(version := reference.get("version", "")):
        out["version"] = f"{store}:{version.removeprefix('mlmd:')}"
    if "properties" in reference:
        out["properties"] = _bounded(reference["properties"], store)
    return out


def _within(name: str, store: str) -> str:
    return f"{NODE}{store}/{name.removeprefix(NODE)}"


def _bounded(values: dict[str, Any], store: str) -> dict[str, Any]:
    """What is too long for a record is not brought over, and says so."""
    from lineage.model import MAX_VALUE

    out = dict(values)
    for name, value in values.items():
        if isinstance(value, str) and len(value) > MAX_VALUE:
            out[name] = f"[{len(value):,} characters, left in {store}]"
    return out


def _lines(
    there: Client, store: str, seen: set[tuple[str, str]], advance: Callable[[], None]
) -> Iterator[bytes]:
    """The records, renamed; notes the artifacts they mention, and tells of each action."""
    key = None
    for line in _whole(there.export()):
        record = json.loads(line)
        if record["key"] != key:  # an action is exported in one or more records
            key = record["key"]
            advance()
        for reference in (*record.get("inputs", ()), *record.get("outputs", ())):
            seen.add((reference["uri"], reference.get("version", "")))
        yield json.dumps(renamed(record, store)).encode()


def _whole(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines, wherever the chunks were cut."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    from rich.progress import Progress

    out = console(stderr=True)
    with Progress(console=out, disable=not out.is_terminal, transient=True) as bar:
        task = bar.add_task("Recording", total=total)
        yield lambda: bar.advance(task)
