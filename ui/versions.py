"""The versions of one thing: when and by whom each was written, where it was live, its numbers.
A model may have a URI for each version: then those are its versions that its trainer made.

A handful of batched reads, whatever the number of versions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.merge import ActionState, ArtifactState
from lineage.queries.staleness.trained import TRAIN, alike, complete, trained, trainer, written
from lineage.store.ports import ActionFilter, ArtifactFilter, Reader
from ui import kinds, metrics

OVERALL = metrics.OVERALL
LISTED = 50
_ACTIONS = 20
"""Of those that read a version so many are looked at for what they measured, the latest."""


@dataclass(frozen=True, slots=True)
class Version:
    node: ArtifactNode
    written: ActionNode | None
    cells: metrics.Cells = field(default_factory=dict)

    def values(self, label: str) -> dict[str, float]:
        """The measures of a label; `overall` is what was measured of all together, else the mean
        of the labels."""
        if label in self.cells or label != OVERALL:
            return self.cells.get(label, {})
        summaries = sorted(filter(metrics.is_summary, self.cells))
        if summaries:
            return self.cells[summaries[0]]
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


@dataclass(frozen=True, slots=True)
class Family:
    """`items` holds the one that was asked about, `more` says whether there are others. `maker`
    is the training they were found by, where each has a URI of its own."""

    items: tuple[ArtifactState, ...]
    more: bool
    maker: ActionNode | None = None


def family(reader: Reader, one: ArtifactState) -> Family:
    """The latest versions of it."""
    page = reader.artifacts(ArtifactFilter(uri=one.uri), None, LISTED)
    if len(page.items) <= 1 and (kin := _kin(reader, one)):
        return kin
    return Family(_with(page.items, one), page.cursor is not None)


def _kin(reader: Reader, one: ArtifactState) -> Family | None:
    """What the same training controller made in the same role, not called by another name."""
    mine = trained(reader, [one])
    if not mine:
        return None
    _, namespace, name = trainer(mine[0].by)
    wanted = ActionFilter(type=TRAIN, controller=name, namespace=namespace or None)
    page = reader.actions(wanted, None, LISTED)
    made = written(reader, filter(complete, page.items))
    alone = Counter(uri for uri, _ in {(m.model.uri, m.model.id) for m in made})
    kin = {
        m.model.id: m.model
        for m in made
        if alone[m.model.uri] == 1 and any(alike(m, own) for own in mine)
    }
    found = _with(list(kin.values()), one)
    maker = action_node(mine[0].by)
    return Family(found, page.cursor is not None, maker) if len(found) > 1 else None


def _with(found: Sequence[ArtifactState], one: ArtifactState) -> tuple[ArtifactState, ...]:
    """An old version is on its own page, however many came after it."""
    return tuple(found) if any(other.id == one.id for other in found) else (*found, one)


def versions(reader: Reader, found: Sequence[ArtifactState]) -> list[Version]:
    """Newest first; those that nobody is known to have written stand last."""
    ids = [one.id for one in found]
    first = {id_: min(found, key=_order) for id_, found in _touching(reader, ids, "out").items()}
    cells = _cells(reader, found)
    out = [Version(artifact_node(a), _node(first.get(a.id)), cells.get(a.id, {})) for a in found]
    return sorted(out, key=lambda v: (v.written is None, -(v.written.started if v.written else 0)))


def numbers(found: Iterable[Version], asked: str) -> Numbers | None:
    """None where no version has numbers. A label that nobody knows is as good as none."""
    found = [version for version in found if version.cells]
    if not found:
        return None
    labels = sorted({label for version in found for label in version.cells} - {OVERALL})
    label = asked if asked in labels else OVERALL
    measures = dict.fromkeys(m for version in found for m in version.values(label))
    measured = any(metrics.is_summary(name) for version in found for name in version.cells)
    mean = 0 if measured or label != OVERALL else len(labels)
    return Numbers((OVERALL, *labels), label, tuple(measures), mean)


def _cells(reader: Reader, those: Sequence[ArtifactState]) -> dict[str, metrics.Cells]:
    """Of models what those measured who made them, else those who read them last; of others
    their own numbers."""
    if not any(kinds.kind(one.type).slug == "model" for one in those):
        return {one.id: metrics.cells(artifact_node(one)) for one in those}
    ids = [one.id for one in those]
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
