"""What the pages of one artifact and one action show: plain data for the templates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lineage.graph import (
    ActionNode,
    ArtifactNode,
    Graph,
    action_node,
    artifact_node,
    edges_of,
)
from lineage.identity import action_id
from lineage.merge import ActionState, ArtifactState
from lineage.queries.serving.live import Slot
from lineage.records import view
from lineage.store.ports import Reader
from ui import kinds, links, metrics, names, words
from ui.versions import Family

LISTED = 50
"""Rows of a section; when there are more, the page says so."""
_OPTIONAL = ("state", "error", "params", "trigger", "code", "links", "parent", "by")
_CODE = ("repo", "commit", "path", "image", "dirty")
_TRIGGER = ("reason", "wanted", "observed")


@dataclass(frozen=True, slots=True)
class ArtifactPage:
    node: ArtifactNode
    aliases: tuple[str, ...]
    live: tuple[Slot, ...]
    properties: tuple[tuple[str, Any], ...]
    metrics: tuple[metrics.MetricTable, ...]
    versions: tuple[ArtifactNode, ...]
    more_versions: bool
    produced_by: tuple[ActionNode, ...]
    read_by: tuple[ActionNode, ...]
    readers: int
    href: str | None


@dataclass(frozen=True, slots=True)
class Mention:
    """One end of an action: what, in which role, known how."""

    node: ArtifactNode
    role: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ActionPage:
    node: ActionNode
    record: dict[str, Any]
    inputs: tuple[Mention, ...]
    outputs: tuple[Mention, ...]
    links: tuple[tuple[str, str, str | None], ...]
    commit: str | None
    parent: ActionNode | None


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """One row of the table that says what the graph draws."""

    action: ActionNode | None
    source: ArtifactNode | None
    target: ArtifactNode | None
    role: str
    how: str


def artifact_page(
    reader: Reader, state: ArtifactState, slots: Iterable[Slot], family: Family
) -> ArtifactPage:
    node = artifact_node(state)
    producers = reader.touching([state.id], "out").get(state.id, [])
    readers = reader.touching([state.id], "in").get(state.id, [])
    live = [s for s in slots if state.id in {s.deployment.id, *(m.id for m in s.models)}]
    tables = [metrics.table(node)]
    if kinds.kind(node.type).slug == "model":
        tables += metrics.of_model(reader, state, family.items)
    numbers = metrics.property_names(node)
    rest = [(k, v) for k, v in sorted(state.properties.items()) if k not in numbers]
    return ArtifactPage(
        node,
        tuple(sorted(state.aliases)),
        tuple(live),
        tuple(rest),
        tuple(filter(None, tables)),
        tuple(artifact_node(a) for a in family.items if a.id != state.id),
        family.more,
        tuple(action_node(a) for a in _latest(producers)),
        tuple(action_node(a) for a in _latest(readers)[:LISTED]),
        len(readers),
        links.commit(node.uri, node.version),
    )


def action_page(reader: Reader, state: ActionState) -> ActionPage:
    artifacts = reader.artifacts_by_id(sorted({e.artifact for e in state.edges}))
    record: dict[str, Any] = dict.fromkeys(_OPTIONAL) | view(state, artifacts)
    for name, parts in (("code", _CODE), ("trigger", _TRIGGER)):
        if record[name]:
            record[name] = dict.fromkeys(parts) | record[name]
    commit = next(
        (links.commit(a.uri, a.version) for a in artifacts.values() if a.type == "Code"), None
    )
    parent = reader.action(action_id(record["parent"])) if record["parent"] else None
    return ActionPage(
        action_node(state),
        record,
        _mentions(state, artifacts, "in"),
        _mentions(state, artifacts, "out"),
        tuple((k, v, links.external(v)) for k, v in (record["links"] or {}).items()),
        commit if record["code"] else None,
        action_node(parent) if parent else None,
    )


def with_metrics(reader: Reader, graph: Graph) -> Graph:
    """The same, and what was measured beside the artifacts asked about by those who made them:
    neither up- nor downstream, but what everybody looks for next."""
    makers = sorted({e.source for e in graph.edges if e.target in graph.of})[:LISTED]
    states = reader.actions_by_id([m for m in makers if isinstance(graph.nodes[m], ActionNode)])
    edges = [e for state in states.values() for e in edges_of(state) if e.source == state.id]
    found = reader.artifacts_by_id(sorted({e.target for e in edges} - graph.nodes.keys()))
    beside = {id_: artifact_node(a) for id_, a in found.items() if metrics.is_metrics(a.type)}
    new = [edge for edge in edges if edge.target in beside]
    return replace(graph, nodes={**graph.nodes, **beside}, edges=[*graph.edges, *new])


def edge_rows(graph: Graph) -> list[EdgeRow]:
    """Every edge in words, grouped by action, earliest first."""
    rows = []
    for edge in graph.edges:
        ends = graph.nodes.get(edge.source), graph.nodes.get(edge.target)
        action = next((n for n in ends if isinstance(n, ActionNode)), None)
        source, target = (n if isinstance(n, ArtifactNode) else None for n in ends)
        how = edge.kind if edge.kind != "recorded" else ", ".join(edge.evidence) or "recorded"
        rows.append(EdgeRow(action, source, target, edge.role, how))
    return sorted(rows, key=_when)


def live_ids(slots: Iterable[Slot]) -> frozenset[str]:
    """The deployments and models that are live: what a graph flags."""
    return frozenset(id_ for s in slots for id_ in (s.deployment.id, *(m.id for m in s.models)))


def latest_times(reader: Reader, nodes: Sequence[ArtifactNode]) -> dict[str, int]:
    """When each artifact was last written, for lists that name a time."""
    written = reader.touching([n.id for n in nodes], "out") if nodes else {}
    return {id_: max(a.started for a in found) for id_, found in written.items() if found}


def _when(row: EdgeRow) -> tuple[int, str, bool, str]:
    started, key = (row.action.started, row.action.key) if row.action else (0, "")
    shown = row.source or row.target
    return started, key, row.source is None, names.title(shown) if shown else ""


def _latest(states: Iterable[ActionState]) -> list[ActionState]:
    return sorted(states, key=lambda a: (-a.started, a.key))


def _mentions(
    state: ActionState, artifacts: dict[str, ArtifactState], side: str
) -> tuple[Mention, ...]:
    gathered: dict[tuple[str, str], set[str]] = defaultdict(set)
    for edge in state.edges:
        if edge.side == side and edge.artifact in artifacts:
            gathered[edge.artifact, edge.role].add(edge.evidence)
    found = [
        Mention(artifact_node(artifacts[id_]), words.clean(role), tuple(sorted(filter(None, said))))
        for (id_, role), said in gathered.items()
    ]
    return tuple(sorted(found, key=lambda m: (m.role, names.title(m.node), m.node.id)))
