"""Where something came from and what it reached: a graph of recorded edges, completed by rules.

The store walks recorded edges; `lineage.queries.rules` adds what follows from them. Each
may lead on to the other, so they take turns until nothing new is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from lineage.graph import Direction, Edge, Graph, build, edges_of
from lineage.merge import ActionState, ArtifactState
from lineage.queries.references import resolve
from lineage.queries.rules import bindings, copies, readers
from lineage.store.ports import Reader

Way = Literal["upstream", "downstream"]


def lineage(
    reader: Reader,
    of: str,
    direction: Direction = "both",
    depth: int | None = None,
    max_nodes: int = 2000,
    types: frozenset[str] | None = None,
) -> Graph:
    """The graph around what `of` names (see `resolve`).

    `both` is everything upstream and everything downstream of it, not the siblings that
    share an ancestor. `depth` counts edges from the start. Of more than `max_nodes` the
    nearest stay and the graph says `truncated`. `types` keeps artifacts of those types
    (and the start), and the actions that touch them.
    """
    return around(reader, resolve(reader, of), direction, depth, max_nodes, types)


def around(
    reader: Reader,
    starts: Sequence[str],
    direction: Direction = "both",
    depth: int | None = None,
    max_nodes: int = 2000,
    types: frozenset[str] | None = None,
) -> Graph:
    """The same around nodes given by their ids."""
    ways: tuple[Way, ...] = ("upstream", "downstream") if direction == "both" else (direction,)
    walks = [_Walk(reader, way, depth, max_nodes).run(starts) for way in ways]
    actions = {id_: state for walk in walks for id_, state in walk.actions.items()}
    artifacts = {id_: state for walk in walks for id_, state in walk.artifacts.items()}
    truncated = any(walk.truncated for walk in walks)
    if len(actions) + len(artifacts) > max_nodes:
        kept, truncated = _nearest(walks, max_nodes), True
        actions = {id_: state for id_, state in actions.items() if id_ in kept}
        artifacts = {id_: state for id_, state in artifacts.items() if id_ in kept}
    if types is not None:
        artifacts = {k: v for k, v in artifacts.items() if v.type in types or k in starts}
        actions = {k: v for k, v in actions.items() if k in starts or _touches(v, artifacts)}
    inferred = sorted({edge for walk in walks for edge in walk.inferred}, key=_edge_order)
    return build(
        starts, direction, depth, actions.values(), artifacts.values(), inferred, truncated
    )


def _nearest(walks: Sequence[_Walk], most: int) -> set[str]:
    layers = sorted((layer for walk in walks for layer in walk.layers()), key=lambda at: at[0])
    return set(list(dict.fromkeys(id_ for _, ids in layers for id_ in ids))[:most])


class _Walk:
    """One walk in one direction: recorded edges and rules by turns."""

    def __init__(self, reader: Reader, way: Way, depth: int | None, max_nodes: int) -> None:
        self.actions: dict[str, ActionState] = {}
        self.artifacts: dict[str, ArtifactState] = {}
        self.inferred: set[Edge] = set()
        self.truncated = False
        self._reader = reader
        self._way = way
        self._depth = depth
        self._max_nodes = max_nodes
        self._starts: Sequence[str] = ()

    def run(self, starts: Sequence[str]) -> _Walk:
        self._starts = starts
        if self._depth is not None or not self._leap():
            self._steps()
        return self

    def layers(self) -> Iterator[tuple[int, list[str]]]:
        """The ids found, by their distance from the start."""
        known = self._known()
        near: dict[str, set[str]] = defaultdict(set)
        recorded = [edge for state in self.actions.values() for edge in edges_of(state)]
        for edge in (*recorded, *self.inferred):
            for here, there in self._walked(edge):
                near[here].add(there)
        layer, seen, distance = known.intersection(self._starts), set[str](), 0
        while layer:
            yield distance, sorted(layer)
            seen |= layer
            layer = {far for id_ in layer for far in near[id_]} & known - seen
            distance += 1

    def _leap(self) -> bool:
        """Whole closures at a time. False = more than the limit: a cut closure need not hold
        the nearest nodes, so these are to be found step by step.
        """
        frontier = self._load(self._starts)
        while frontier:
            before = self._known() - frontier
            complete = self._follow(frontier, None)
            if not complete or len(self._known()) > self._max_nodes:
                return False
            frontier = self._load(self._infer(self._known() - before))
        return True

    def _steps(self) -> None:
        """One edge at a time, because an edge that was inferred counts like any other."""
        self.actions, self.artifacts, self.inferred = {}, {}, set()
        frontier, taken = self._load(self._starts), 0
        while frontier and taken != self._depth and len(self._known()) <= self._max_nodes:
            before = self._known()
            self.truncated |= not self._follow(frontier, 1)
            self._load(self._infer(frontier))
            frontier = self._known() - before
            taken += 1
        self._infer(frontier)  # the outermost nodes were reached, but no rule looked at them

    def _follow(self, frontier: Collection[str], depth: int | None) -> bool:
        """Add what recorded edges reach; returns whether that is all."""
        closure = self._reader.closure(sorted(frontier), self._way, depth, self._max_nodes)
        self.actions.update((state.id, state) for state in closure.actions)
        self.artifacts.update((state.id, state) for state in closure.artifacts)
        return not closure.truncated

    def _infer(self, ids: Collection[str]) -> set[str]:
        """Apply the rules to these nodes; returns the ids they lead to in this direction."""
        actions = [self.actions[id_] for id_ in ids if id_ in self.actions]
        artifacts = [self.artifacts[id_] for id_ in ids if id_ in self.artifacts]
        edges = bindings(self._reader, actions, self.artifacts) | copies(self._reader, artifacts)
        if self._way == "downstream":
            edges |= readers(self._reader, artifacts)
        self.inferred |= edges
        return {far for edge in edges for near, far in self._walked(edge) if near in ids}

    def _walked(self, edge: Edge) -> list[tuple[str, str]]:
        """The ways an edge may be walked: content is the same in either direction."""
        there, back = (edge.source, edge.target), (edge.target, edge.source)
        if edge.kind == "same content":
            return [there, back]
        return [back] if self._way == "upstream" else [there]

    def _load(self, ids: Collection[str]) -> set[str]:
        missing = sorted(set(ids) - self._known())
        if missing:
            self.actions |= self._reader.actions_by_id(missing)
            self.artifacts |= self._reader.artifacts_by_id(missing)
        return set(missing)

    def _known(self) -> set[str]:
        return self.actions.keys() | self.artifacts.keys()


def _edge_order(edge: Edge) -> tuple[str, str, str, str]:
    return edge.source, edge.target, edge.kind, edge.role


def _touches(state: ActionState, artifacts: Collection[str]) -> bool:
    return any(edge.artifact in artifacts for edge in state.edges)
