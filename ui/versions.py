"""The versions of one thing: when and by whom each was written, where it was live, its numbers.

A handful of batched reads, whatever the number of versions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.merge import ActionState, ArtifactState
from lineage.store.ports import Reader
from ui import kinds, metrics

OVERALL = metrics.OVERALL
_ACTIONS = 20
"""Of those that read a version so many are looked at for what they measured, the latest."""


@dataclass(frozen=True, slots=True)
class Version:
    node: ArtifactNode
    written: ActionNode | None
    cells: metrics.Cells = field(default_factory=dict)

    def values(self, label: str) -> dict[str, float]:
        """The measures of a label; `overall` of what nobody measured as a whole is the mean."""
        if label in self.cells or label != OVERALL:
            return self.cells.get(label, {})
        found: dict[str, list[float]] = defaultdict(list)
        for row in self.cells.values():
            for measure, value in row.items():
                found[measure].append(value)
        return {measure: sum(all_) / len(all_) for measure, all_ in found.items()}


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is known across versions: the labels to choose from, the measures of the one chosen."""

    labels: tuple[str, ...]
    label: str
    measures: tuple[str, ...]
    mean_of: int
    """Of how many labels `overall` is the mean; 0 = it was measured so."""


def versions(reader: Reader, family: Sequence[ArtifactState]) -> list[Version]:
    """Newest first; those that nobody is known to have written stand last."""
    ids = [one.id for one in family]
    written = {id_: min(found, key=_order) for id_, found in _touching(reader, ids, "out").items()}
    cells = _cells(reader, family)
    out = [Version(artifact_node(a), _node(written.get(a.id)), cells.get(a.id, {})) for a in family]
    return sorted(out, key=lambda v: (v.written is None, -(v.written.started if v.written else 0)))


def numbers(found: Iterable[Version], asked: str) -> Numbers | None:
    """None where no version has numbers. A label that nobody knows is as good as none."""
    found = [version for version in found if version.cells]
    if not found:
        return None
    labels = sorted({label for version in found for label in version.cells} - {OVERALL})
    label = asked if asked in labels else OVERALL
    measures = dict.fromkeys(m for version in found for m in version.values(label))
    measured = any(OVERALL in version.cells for version in found)
    mean = 0 if measured or label != OVERALL else len(labels)
    return Numbers((OVERALL, *labels), label, tuple(measures), mean)


def _cells(reader: Reader, family: Sequence[ArtifactState]) -> dict[str, metrics.Cells]:
    """Of models what those measured who made them, else those who read them last; of others
    their own numbers."""
    if not any(kinds.kind(one.type).slug == "model" for one in family):
        return {one.id: metrics.cells(artifact_node(one)) for one in family}
    ids = [one.id for one in family]
    acts: dict[str, list[ActionState]] = {id_: [] for id_ in ids}
    for found in (_touching(reader, ids, "in"), _touching(reader, ids, "out")):
        for id_, states in found.items():
            acts[id_] += sorted(states, key=_order)[-_ACTIONS:]
    outputs = {
        e.artifact for all_ in acts.values() for a in all_ for e in a.edges if e.side == "out"
    }
    known = reader.artifacts_by_id(sorted(outputs - set(ids))) if outputs else {}
    measured = {id_: a for id_, a in known.items() if metrics.is_metrics(a.type)}
    return {id_: _joined(all_, measured) for id_, all_ in acts.items()}


def _joined(acts: Iterable[ActionState], measured: Mapping[str, ArtifactState]) -> metrics.Cells:
    """The later of these override the earlier."""
    out: metrics.Cells = {}
    for act in acts:
        for edge in sorted(act.edges):
            if edge.side == "out" and edge.artifact in measured:
                for label, row in metrics.cells(artifact_node(measured[edge.artifact])).items():
                    out.setdefault(label, {}).update(row)
    return out


def _touching(reader: Reader, ids: Sequence[str], side: str) -> dict[str, list[ActionState]]:
    found = reader.touching(ids, side) if ids else {}  # type: ignore[arg-type]
    return {id_: list(states) for id_, states in found.items() if states}


def _order(state: ActionState) -> tuple[int, str]:
    return state.started, state.key


def _node(state: ActionState | None) -> ActionNode | None:
    return None if state is None else action_node(state)
