"""What a thing reaches: the slots that served it, from when to when and by which path, then the
models and whatever else came of it.

A period of a slot counts when the deployment it held came of the thing. Where that is known
only from claims (a title, a parameter), the answer says `claimed`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lineage.graph import ArtifactNode, Graph, Node
from lineage.merge import ArtifactState
from lineage.queries.lineage import around
from lineage.queries.reach import Step, reach
from lineage.queries.references import resolve
from lineage.queries.serving.live import location
from lineage.queries.serving.timeline import Period, timelines
from lineage.store.ports import Reader
from lineage.times import iso

SHOWN = 20
"""Of one type of things so many are listed, the nearest; all are counted."""


@dataclass(frozen=True, slots=True)
class Served:
    """A slot that held what came of the thing. `periods` oldest first; none = only a claim."""

    uri: str
    periods: tuple[tuple[Period, bool], ...]
    """Each with whether that is only claimed."""
    path: tuple[Step, ...]
    """One of the shortest to what it held last."""
    claimed: bool

    @property
    def serving(self) -> bool:
        return any(period.until is None for period, _ in self.periods)

    def json(self, nodes: Mapping[str, Node]) -> dict[str, Any]:
        cluster, namespace, kind, name = location(self.uri)
        return {
            "slot": self.uri, "cluster": cluster, "namespace": namespace, "kind": kind,
            "name": name, "serving": self.serving, "claimed": self.claimed,
            "periods": [
                {"since": iso(p.since), "until": None if p.until is None else iso(p.until),
                 "claimed": claimed, "deployment": p.deployment.json(), "action": p.action.json(),
                 "models": [model.json() for model in p.models]}
                for p, claimed in self.periods
            ],
            "path": [_step(step, nodes[step.node]) for step in self.path],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Impact:
    ref: str
    graph: Graph
    slots: tuple[Served, ...]
    reached: Mapping[str, Step]
    """Everything that came of it, the nearest first, by id."""
    solid: frozenset[str]
    """What of it is more than claimed."""

    def json(self) -> dict[str, Any]:
        nodes = self.graph.nodes
        found = [nodes[id_] for id_, step in self.reached.items() if step.distance]
        artifacts = [n for n in found if isinstance(n, ArtifactNode)]
        slots = {slot.uri for slot in self.slots}
        others = [n for n in artifacts if n.type != "Model" and n.uri not in slots]
        return {
            "ref": self.ref,
            "of": self._some([nodes[id_] for id_ in self.graph.of if id_ in nodes])
            | {"count": len(self.graph.of)},
            "truncated": self.graph.truncated,
            "slots": [slot.json(nodes) for slot in self.slots],
            "models": self._some([n for n in artifacts if n.type == "Model"]),
            "artifacts": self._by_type(others),
            "actions": self._by_type([n for n in found if not isinstance(n, ArtifactNode)]),
        }

    def _by_type(self, found: Iterable[Node]) -> list[dict[str, Any]]:
        types: dict[str, list[Node]] = defaultdict(list)
        for node in found:
            types[node.type].append(node)
        return [{"type": type_, **self._some(types[type_])} for type_ in sorted(types)]

    def _some(self, found: Sequence[Node]) -> dict[str, Any]:
        shown = [{**n.json(), "claimed": n.id not in self.solid} for n in found[:SHOWN]]
        return {"count": len(found), "items": shown}


def impact(reader: Reader, of: str, max_nodes: int = 2000) -> Impact:
    """What came of `of` (see `resolve`), at most `max_nodes` things and acts, the nearest."""
    starts = resolve(reader, of)
    graph = around(reader, starts, "downstream", max_nodes=max_nodes)
    reached = reach(graph, starts, "downstream")
    solid = reach(graph, starts, "downstream", lambda edge: not edge.claimed_only)
    best = {**reached, **solid}
    held = _held(reader, (graph.nodes[id_] for id_ in reached))
    past = timelines(reader, sorted(held))
    slots = [
        _served(uri, line.periods, held[uri], best, solid.keys()) for uri, line in past.items()
    ]
    slots.sort(key=_serving_first)
    graph.truncated |= any(line.truncated for line in past.values())
    return Impact(of, graph, tuple(slots), best, frozenset(solid))


def _held(reader: Reader, nodes: Iterable[Node]) -> dict[str, list[ArtifactNode]]:
    """Per slot what it held. One mention as a Deployment makes the whole family a slot."""
    found: dict[str, list[ArtifactNode]] = defaultdict(list)
    for node in nodes:
        if isinstance(node, ArtifactNode) and node.uri.startswith("k8s://"):
            found[node.uri].append(node)
    named = {uri for uri, some in found.items() if any(_deployed(node) for node in some)}
    others = reader.families(sorted(found.keys() - named))
    named |= {uri for uri, family in others.items() if any(_deployed(one) for one in family)}
    return {uri: some for uri, some in found.items() if uri in named}


def _deployed(one: ArtifactNode | ArtifactState) -> bool:
    return one.type == "Deployment"


def _served(
    uri: str,
    past: Iterable[Period],
    held: Sequence[ArtifactNode],
    best: Mapping[str, Step],
    solid: Iterable[str],
) -> Served:
    """A deployment without a version is made by every act; there the act decides."""
    ids, known = {deployment.id for deployment in held}, set(solid)
    counted = [
        (period, not {period.deployment.id, *_acted(period)} <= known)
        for period in past
        if period.deployment.id in ids and all(id_ in best for id_ in _acted(period))
    ]
    last = counted[-1][0].deployment.id if counted else held[-1].id
    claimed = all(claimed for _, claimed in counted) if counted else True
    return Served(uri, tuple(counted), tuple(best[last].path()), claimed)


def _acted(period: Period) -> list[str]:
    return [] if period.deployment.version else [period.action.id]


def _serving_first(slot: Served) -> tuple[Any, ...]:
    last = max((p.until or p.since for p, _ in slot.periods), default=0)
    return not slot.serving, slot.claimed, -last, slot.uri


def _step(step: Step, node: Node) -> dict[str, Any]:
    """The short form; `edge` = how it followed from the step before, None at the start."""
    edge = step.edge
    name = node.label if isinstance(node, ArtifactNode) else node.name
    kind = "artifact" if isinstance(node, ArtifactNode) else "action"
    return {"kind": kind, "id": node.id, "type": node.type, "name": name,
            "edge": None if edge is None else edge.kind,
            "claimed": edge is not None and edge.claimed_only}  # fmt: skip
