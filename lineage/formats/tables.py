"""Tables as CSV (RFC 4180) for spreadsheets: actions, artifacts, the edges of a graph. Pure.

A text that a spreadsheet would take for a formula gets an apostrophe in front: what a
recorder wrote is shown, never run (CWE-1236).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lineage.formats import Detail, Format
from lineage.times import iso

if TYPE_CHECKING:
    from lineage.graph import Graph
    from lineage.merge import ActionState, ArtifactState

MEDIA = "text/csv; charset=utf-8"
ACTIONS = ("id", "key", "type", "name", "cluster", "namespace", "controller", "state",
           "started_at", "ended_at", "by", "parent", "repo", "commit", "path", "image",
           "inputs", "outputs", "params", "error")  # fmt: skip
ARTIFACTS = ("id", "type", "uri", "version", "name", "properties", "aliases")
EDGES = ("source", "source_type", "source_name", "target", "target_type", "target_name",
         "kind", "role", "evidence")  # fmt: skip


def rows(lines: Iterable[Sequence[Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(
        [safe(cell) for cell in line] for line in lines
    )
    return out.getvalue().encode()


def safe(cell: Any) -> Any:
    """A cell that no spreadsheet runs: numbers stay numbers, None is empty."""
    if cell is None or isinstance(cell, (int, float)):
        return cell
    text = str(cell)
    # Some programs skip what stands before the sign.
    return (
        "'" + text
        if text.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
        or (text[:1] in ("\t", "\r", "\n"))
        else text
    )


def action(state: ActionState, artifacts: Mapping[str, ArtifactState]) -> list[Any]:
    cluster, namespace, controller = state.get("controller") or ("", "", "unknown")
    code = state.get("code.source") or {}
    started, ended = state.get("started_at"), state.get("ended_at")
    params = {n[7:]: v for n, (_, v) in sorted(state.fields.items()) if n.startswith("params.")}
    sides = [
        "\n".join(
            dict.fromkeys(
                _mention(artifacts[edge.artifact])
                for edge in sorted(state.edges)
                if edge.side == side and edge.artifact in artifacts
            )
        )
        for side in ("in", "out")
    ]
    return [
        state.id, state.key, state.get("type"), state.get("name"), cluster, namespace, controller,
        state.get("state"), None if started is None else iso(started),
        None if ended is None else iso(ended), state.get("by"), state.get("parent"),
        code.get("repo"), code.get("commit"), code.get("path"), state.get("code.image"),
        *sides, _json(params), state.get("error"),
    ]  # fmt: skip


def artifact(state: ArtifactState) -> list[Any]:
    properties = dict(sorted(state.properties.items()))
    return [state.id, state.type, state.uri, state.version, state.name, _json(properties),
            "\n".join(sorted(state.aliases))]  # fmt: skip


def edges(graph: Graph, _: Detail) -> bytes:
    """A row an edge, named at both ends; of a graph that was cut the last row says so."""
    shown = {id_: (id_, node.type, node.json()["name"]) for id_, node in graph.nodes.items()}
    lines: list[Sequence[Any]] = [EDGES]
    for edge in graph.edges:
        ends = (*shown[edge.source], *shown[edge.target])
        lines.append((*ends, edge.kind, edge.role, " ".join(edge.evidence)))
    if graph.truncated:
        lines.append(("there is more than the limit let through", *[""] * (len(EDGES) - 1)))
    return rows(lines)


def _mention(state: ArtifactState) -> str:
    return f"{state.uri}@{state.version}" if state.version else state.uri


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) if values else ""


FORMAT = Format(
    name="csv",
    media=MEDIA,
    suffixes=(".csv",),
    says="a table for spreadsheets: of a store its actions, of a graph its edges",
    graph=edges,
    each=lambda state, artifacts: rows([action(state, artifacts)]),
    head=rows([ACTIONS]),
    plain=True,
)
