"""SLSA provenance v1 in in-toto Statements v1, unsigned; and back (`slsa_read`). Pure.

A statement says how its subjects were made: one for each action, one a line. A subject must
have a digest. Where content has none that is known, `lineageId` stands for it: this store's
id of URI and version (32 hexadecimal digits), which names a thing and proves nothing; a
verifier passes over algorithms it does not know (DigestSet, "Guidelines").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lineage.errors import BadRequest
from lineage.formats import Detail, Format, to_json
from lineage.formats.descriptors import dependency, subject
from lineage.formats.predicates import OWN, V1
from lineage.formats.slsa_read import read
from lineage.formats.statements import TYPES
from lineage.times import iso

if TYPE_CHECKING:
    from lineage.graph import Graph
    from lineage.merge import ActionState, ArtifactState

BUILD_TYPE = "urn:x-lineage:action:v1"


def graph(graph: Graph, detail: Detail) -> bytes:
    """The statements of what was asked about: of an artifact how each action that produced it
    did so, of an action all that it produced."""
    asked = set(graph.of)
    lines = []
    for state in sorted(detail.actions.values(), key=lambda a: a.key):
        made = {edge.artifact for edge in state.edges if edge.side == "out"}
        wanted = made if state.id in asked else made & asked
        if wanted:
            lines.append(to_json(statement(state, detail.artifacts, wanted)))
    if not lines:
        raise BadRequest(
            "slsa: no action is known that produced this, so there is nothing to attest; "
            "ask about an output, or with direction=both"
        )
    return b"".join(lines)


def each(state: ActionState, artifacts: Mapping[str, ArtifactState]) -> bytes:
    made = {edge.artifact for edge in state.edges if edge.side == "out"}
    return to_json(statement(state, artifacts, made)) if made else b""


def statement(
    state: ActionState, artifacts: Mapping[str, ArtifactState], subjects: Collection[str]
) -> dict[str, Any]:
    """How an action made these of its outputs (ids)."""
    edges = [edge for edge in sorted(state.edges) if edge.artifact in artifacts]
    return {
        "_type": TYPES[-1],
        "subject": [
            subject(edge, artifacts[edge.artifact])
            for edge in edges
            if edge.side == "out" and edge.artifact in subjects
        ],
        "predicateType": V1,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _nested(state, "params."),
                "internalParameters": {OWN: _own(state)},
                "resolvedDependencies": [
                    dependency(edge, artifacts[edge.artifact])
                    for edge in edges
                    if edge.side == "in"
                ],
            },
            "runDetails": {
                "builder": {"id": _builder(state)},
                "metadata": _metadata(state),
            },
        },
    }


def _metadata(state: ActionState) -> dict[str, str]:
    """`invocationId` is a Tekton run's uid, as Chains writes it, so the two can be joined."""
    tekton = state.key.startswith("tekton.dev/")
    out = {"invocationId": state.key.rpartition("/")[2] if tekton else state.key}
    started, ended = state.get("started_at"), state.get("ended_at")
    if started is not None:
        out["startedOn"] = iso(started)
    if ended is not None and ended >= (started or 0):  # of two reports that disagree, the start
        out["finishedOn"] = iso(ended)
    return out


def _own(state: ActionState) -> dict[str, Any]:
    """The record without what SLSA has a place for."""
    from lineage.records import view

    kept = view(state, {})
    for name in ("inputs", "outputs", "params", "started_at", "ended_at"):
        kept.pop(name, None)
    return kept


def _builder(state: ActionState) -> str:
    parts = state.get("controller") or ("", "", "unknown")
    return "urn:x-lineage:controller:" + "/".join(quote(part, safe="") for part in parts)


def _nested(state: ActionState, prefix: str) -> dict[str, Any]:
    return {n[len(prefix) :]: v for n, (_, v) in state.fields.items() if n.startswith(prefix)}


FORMAT = Format(
    name="slsa",
    media="application/x-ndjson",
    suffixes=(".intoto.jsonl", ".intoto.json"),
    says="in-toto statements with SLSA provenance, also from Tekton Chains",
    graph=graph,
    each=each,
    read=read,
)
