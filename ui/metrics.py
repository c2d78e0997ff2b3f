"""Metrics as tables: a row a label, a column a measure, and what changed since the version before."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lineage.graph import ArtifactNode, artifact_node
from lineage.merge import ActionState, ArtifactState
from lineage.store.ports import Reader

OVERALL = "overall"
_SUMMARIES = frozenset(
    f"{which}{mean}"
    for which in ("", "macro ", "micro ", "weighted ", "samples ")
    for mean in ("mean", "average", "avg")
) | {OVERALL, "all", "total", "macro", "micro", "weighted", "summary"}
_TABLES = 3
_ACTIONS = 50

Cells = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Cell:
    value: float
    delta: float | None
    """Against the version before; None = nothing to compare with."""


@dataclass(frozen=True, slots=True)
class MetricTable:
    source: ArtifactNode
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    against: ArtifactNode | None = None


def is_metrics(type_: str) -> bool:
    return type_.endswith("Metrics")


def cells(node: ArtifactNode) -> Cells:
    """`area-jupyter.precision` is row and column; a plain number of Metrics is `overall`."""
    out: Cells = defaultdict(dict)
    for name, value in sorted(node.properties.items()):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        label, _, measure = name.rpartition(".")
        if label and measure:
            out[label][measure] = float(value)
        elif is_metrics(node.type):
            out[OVERALL][name] = float(value)
    return out


def is_summary(label: str) -> bool:
    """Whether it names no label but what was measured of them together: `macro avg`, `mean`."""
    return re.sub(r"[\s_-]+", " ", label).strip().lower() in _SUMMARIES


def property_names(node: ArtifactNode) -> set[str]:
    """The properties that the table shows, so that nothing else needs to."""
    return {
        measure if label == OVERALL and measure in node.properties else f"{label}.{measure}"
        for label, row in cells(node).items()
        for measure in row
    }


def table(
    node: ArtifactNode, before: ArtifactNode | None = None, of: ArtifactNode | None = None
) -> MetricTable | None:
    """The numbers of `node`, against those of `before`, which belong to the version `of`."""
    here, there = cells(node), cells(before) if before else {}
    if not here:
        return None
    columns = tuple(dict.fromkeys(measure for row in here.values() for measure in row))
    rows = []
    for label, row in sorted(here.items(), key=lambda one: is_summary(one[0])):
        old = there.get(label, {})
        rows.append((label, tuple(_cell(row.get(c), old.get(c)) for c in columns)))
    compared = any(cell and cell.delta is not None for _, row in rows for cell in row)
    return MetricTable(node, columns, tuple(rows), of if compared else None)


def of_model(
    reader: Reader, model: ArtifactState, family: Iterable[ArtifactState]
) -> list[MetricTable]:
    """What those who made or read a model measured, against the version made before it."""
    before = _version_before(reader, model, family)
    now = _measured(reader, model)
    then = _measured(reader, before) if before else []
    of = artifact_node(before) if before else None
    tables = [
        table(node, then[n] if n < len(then) else None, of) for n, node in enumerate(now[:_TABLES])
    ]
    return [one for one in tables if one is not None]


def _cell(value: float | None, old: float | None) -> Cell | None:
    if value is None:
        return None
    return Cell(value, None if old is None else round(value - old, 6))


def _measured(reader: Reader, model: ArtifactState) -> list[ArtifactNode]:
    actions = _touching(reader, model, "out") + _touching(reader, model, "in")
    ids = {e.artifact for a in actions[:_ACTIONS] for e in a.edges if e.side == "out"}
    found = reader.artifacts_by_id(sorted(ids - {model.id})).values() if ids else []
    return sorted((artifact_node(a) for a in found if is_metrics(a.type)), key=lambda n: n.uri)


def _touching(
    reader: Reader, artifact: ArtifactState, side: Literal["in", "out"]
) -> list[ActionState]:
    return list(reader.touching([artifact.id], side).get(artifact.id, ()))


def _version_before(
    reader: Reader, model: ArtifactState, family: Iterable[ArtifactState]
) -> ArtifactState | None:
    versions = {a.id: a for a in family} | {model.id: model}
    made = {
        id_: min(a.started for a in writers)
        for id_, writers in reader.touching(sorted(versions), "out").items()
        if writers
    }
    mine = made.get(model.id)
    older = [(at, id_) for id_, at in made.items() if mine is not None and at < mine]
    return versions[max(older)[1]] if older else None
