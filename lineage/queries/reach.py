"""Which nodes of a graph can have come of others, the nearest first, and by which path. Pure.

Edges alone say too much where names are written again and again: what began after an action
had ended cannot be where its outputs came from. So a walk carries a time along, and passes
only actions that were not over (downstream) or had begun (upstream) by then. A path that
exists in one direction exists in the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import inf

from lineage.graph import ActionNode, Edge, Graph
from lineage.queries.lineage import Way


@dataclass(frozen=True, slots=True)
class Step:
    """A node on a path: its id, how many edges from the start, and the edge that led here."""

    node: str
    distance: int
    edge: Edge | None = None
    before: Step | None = None

    def path(self) -> list[Step]:
        """From the start to here."""
        out = [self]
        while (before := out[-1].before) is not None:
            out.append(before)
        return out[::-1]


def reach(
    graph: Graph,
    starts: Iterable[str],
    way: Way,
    keep: Callable[[Edge], bool] = lambda edge: True,
) -> dict[str, Step]:
    """Each node that `starts` reach over the edges to `keep`, by one of its shortest paths."""
    near = _neighbours(graph, way, keep)
    found: dict[str, Step] = {}
    times: dict[str, float] = {}
    queue = deque((Step(id_, 0), -inf) for id_ in sorted(starts) if id_ in graph.nodes)
    while queue:
        step, time = queue.popleft()
        node = graph.nodes[step.node]
        if isinstance(node, ActionNode):
            begun, over = _span(node, way)
            if over < time:
                continue
            time = max(time, begun)
        # A longer way round is of use only if it leaves more time for what follows.
        if time >= times.get(step.node, inf) and step.node in found:
            continue
        times[step.node] = time
        found.setdefault(step.node, step)
        queue.extend(
            (Step(there, step.distance + 1, edge, step), time) for there, edge in near[step.node]
        )
    return found


def _span(node: ActionNode, way: Way) -> tuple[float, float]:
    """When an action began and was over, in the direction of the walk."""
    over = inf if node.ended is None else node.ended
    return (node.started, over) if way == "downstream" else (-over, -node.started)


def _neighbours(
    graph: Graph, way: Way, keep: Callable[[Edge], bool]
) -> dict[str, list[tuple[str, Edge]]]:
    out: dict[str, list[tuple[str, Edge]]] = {id_: [] for id_ in graph.nodes}
    for edge in graph.edges:
        if keep(edge):
            for here, there in _ways(edge, way):
                out[here].append((there, edge))
    for found in out.values():
        found.sort(key=lambda to: to[0])
    return out


def _ways(edge: Edge, way: Way) -> Iterator[tuple[str, str]]:
    if way == "downstream" or edge.kind == "same content":
        yield edge.source, edge.target
    if way == "upstream" or edge.kind == "same content":
        yield edge.target, edge.source
