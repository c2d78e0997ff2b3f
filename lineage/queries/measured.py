"""What was measured of models. Metrics are seldom upstream of a model: they stand beside it
(another output of its training) or after it (an evaluation that read it).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lineage.graph import ArtifactNode
from lineage.merge import ActionState, ArtifactState
from lineage.queries.rules import readers
from lineage.store.ports import Reader


def is_metrics(type_: str) -> bool:
    return type_.endswith("Metrics")


def metrics(
    reader: Reader, states: Iterable[ActionState]
) -> dict[str, list[tuple[str, ArtifactState]]]:
    """For each action (id) that wrote metrics, these with their roles."""
    written = sorted(
        {(s.id, e.role, e.artifact) for s in states for e in s.edges if e.side == "out"}
    )
    known = reader.artifacts_by_id(sorted({artifact for _, _, artifact in written}))
    out: dict[str, list[tuple[str, ArtifactState]]] = defaultdict(list)
    for id_, role, artifact in written:
        if artifact in known and is_metrics(known[artifact].type):
            out[id_].append((role, known[artifact]))
    return out


def evaluations(
    reader: Reader, models: Sequence[ArtifactNode]
) -> Mapping[str, Sequence[ActionState]]:
    """For each model (id) the actions that read it and wrote metrics; of those that one
    controller repeated, the latest."""
    ids = sorted(model.id for model in models)
    found = {id_: list(states) for id_, states in reader.touching(ids, "in").items()}
    inferred = readers(reader, reader.artifacts_by_id(ids).values())
    unversioned = reader.actions_by_id(sorted({edge.target for edge in inferred}))
    for edge in inferred:
        found.setdefault(edge.source, []).append(unversioned[edge.target])
    wrote = metrics(reader, {a.id: a for states in found.values() for a in states}.values())
    return {id_: _latest(a for a in states if a.id in wrote) for id_, states in found.items()}


def _latest(states: Iterable[ActionState]) -> list[ActionState]:
    last: dict[tuple[Any, ...], ActionState] = {}
    for state in sorted(states, key=lambda a: (a.started, a.key)):
        if state.get("state") in (None, "complete"):
            last[(*state.get("controller"), state.get("type"))] = state
    return [last[kind] for kind in sorted(last)]
