"""The five columns of the Kubeflow explorer: inputs | action | target | action | outputs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lineage.graph import ActionNode, Graph, Node

MOST = 40
"""Cards in a column; the column says how many more there are."""


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    nodes: tuple[Node, ...]
    more: int


def columns(graph: Graph, focus: Sequence[Node]) -> tuple[Column, ...]:
    """Around an artifact what made it, and of what, what read it, and made of it what; around
    an action only what it read and wrote, with the actions before and after."""
    targets = [node.id for node in focus]
    titles = ("Input artifacts", "Made by", "Target", "Read by", "Output artifacts")
    if focus and isinstance(focus[0], ActionNode):
        titles = ("Actions before", "Inputs", "Target", "Outputs", "Actions after")
    left = _next(graph, targets, "in")
    right = _next(graph, targets, "out")
    parts = (_next(graph, left, "in"), left, targets, right, _next(graph, right, "out"))
    return tuple(_column(graph, title, ids) for title, ids in zip(titles, parts, strict=True))


def _next(graph: Graph, ids: Iterable[str], side: Literal["in", "out"]) -> list[str]:
    here = set(ids)
    if side == "in":
        return list(dict.fromkeys(e.source for e in graph.edges if e.target in here))
    return list(dict.fromkeys(e.target for e in graph.edges if e.source in here))


def _column(graph: Graph, title: str, ids: Iterable[str]) -> Column:
    found = [graph.nodes[id_] for id_ in ids if id_ in graph.nodes]
    found.sort(key=_order)
    return Column(title, tuple(found[:MOST]), max(0, len(found) - MOST))


def _order(node: Node) -> tuple[str, int, str]:
    return node.type, -node.started if isinstance(node, ActionNode) else 0, node.id
