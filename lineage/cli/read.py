"""`lineage show`, `graph` and `live`: questions, answered for people and programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineage.cli.files import of_output, save
from lineage.cli.target import Json, Target, console, moment, print_json

if TYPE_CHECKING:
    from lineage.client import Client

WAY = 8  # steps from a deployment back to a training; a longer way is shown in part
Reference = Annotated[
    str, typer.Argument(help="An action's key or id, an artifact's id, URI or URI@version.")
]
AsOf = Annotated[
    str | None, typer.Option(help="A past moment; a bare date is its beginning, 00:00 UTC.")
]


class Direction(StrEnum):
    """Where to look from a node."""

    upstream = "upstream"
    downstream = "downstream"
    both = "both"


def show(
    ctx: typer.Context,
    ref: Reference,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Show an action, an artifact or a slot (k8s://…): what it is, from what, for what.

    Of a URI without a version it is the newest; the others are listed.

    Example: `lineage show gs://bucket/issues.csv`, `lineage show tekton.dev/PipelineRun/8416892d`
    """
    from lineage.cli import trees

    target: Target = ctx.obj
    with target.client() as client:
        kind, answer = _found(client, ref, None if as_of is None else moment(as_of))
    if as_json:
        print_json(answer)
    else:
        console().print(
            {"slot": trees.slot, "action": trees.action}.get(kind, trees.artifact)(answer)
        )


def _found(client: Client, ref: str, then: str | None) -> tuple[str, dict[str, Any]]:
    """What the reference names, and its kind. Of a URI it is the newest version."""
    if ref.startswith("k8s://"):
        for slot in client.live(then)["slots"]:
            if slot["slot"] == ref.rstrip("/"):
                return "slot", _walked(client, slot, then)
    found = client.lineage(ref, depth=0, as_of=then)
    first = found["of"][0]
    if any(node["id"] == first and node["kind"] == "action" for node in found["nodes"]):
        return "action", client.action(first, then)
    versions = list(client.versions(first, then))
    newest = first if len(found["of"]) == 1 else versions[0]["id"]
    return "artifact", {**client.artifact(newest, then), "versions": versions}


def _walked(client: Client, slot: dict[str, Any], then: str | None) -> dict[str, Any]:
    """With its past, the trainings in full (code, data, parameters, metrics), and what came
    after them."""
    trained = [client.action(one["id"], then) for one in slot["trained_by"]]
    since = max((one.get("ended_at") or one["started_at"] for one in trained), default=None)
    start = slot["deployment"]["id"]
    found = client.lineage(start, direction="upstream", depth=WAY, as_of=then)
    way = [
        node for node in found["nodes"]
        if node["kind"] == "action" and since is not None and node["started_at"] >= since
    ]  # fmt: skip
    return {
        **slot,
        "history": client.history(slot["slot"], then)["periods"],
        "trained_by": trained,
        "way": sorted(way, key=lambda node: node["started_at"]),
    }


def graph(
    ctx: typer.Context,
    ref: Annotated[
        str | None, typer.Argument(help="As for `show`; may be left out with --select.")
    ] = None,
    select: Annotated[
        str | None, typer.Option(help="Only these: 2+REF+1, type:Model, and, or, not, ( ).")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A file: .svg, .png, .dot…; see `lineage formats`."),
    ] = None,
    direction: Annotated[Direction, typer.Option(help="Where to look.")] = Direction.both,
    depth: Annotated[
        int | None, typer.Option(min=0, help="Steps from the start; all when left out.")
    ] = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Draw where something came from and what it reached.

    The format follows the file's extension; without -o, Mermaid goes to standard output.

    Example: `lineage graph projects/p/models/TCN1 -o model.svg --direction upstream`,
    `lineage graph --select '2+projects/p/models/TCN1 and not type:Code' -o near.svg`
    """
    target: Target = ctx.obj
    if not ref and not select:
        raise typer.BadParameter("name something to draw, or select it with --select.")
    kind = "json" if as_json else "mermaid"
    if output is not None:
        kind = of_output(output).name
    with target.client() as client:
        then = None if as_of is None else moment(as_of)
        drawn = client.graph(
            ref, kind, select=select, direction=direction.value, depth=depth, as_of=then
        )
    save(output, [drawn if output else drawn.rstrip(b"\n") + b"\n"])


def live(
    ctx: typer.Context,
    as_of: AsOf = None,
    namespace: Annotated[str | None, typer.Option(help="Only slots of this namespace.")] = None,
    as_json: Json = False,
) -> None:
    """What is live, since when, who put it there, and whether the claims agree.

    Example: `lineage live`, `lineage live --as-of 2020-07-24T12:00Z --namespace label-bot`
    """
    from lineage.cli import trees

    target: Target = ctx.obj
    time = None if as_of is None else moment(as_of)
    with target.client() as client:
        answer = client.live(time, namespace)
    if as_json:
        print_json(answer)
        return
    if not answer["slots"]:
        typer.echo("Nothing is live" + (f" as of {as_of}." if as_of else "."))
        return
    out = console()
    out.print(trees.table(answer["slots"]))
    for warning in trees.disagreements(answer["slots"]):
        out.print(f"Warning: {warning}", style="yellow", soft_wrap=True)
