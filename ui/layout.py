"""What a drawing holds before anything is placed: boxes with their texts and sizes, arrows.

Pure: Graph → Layout. The DOT text, the picture on the page and the PNG are all made from
this, so they agree on every word. Sizes are CSS pixels.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lineage.graph import ActionNode, ArtifactNode, Edge, Graph, Node
from ui import kinds, links, words

HUB = 12
"""More neighbours than this on one side, and each gets its own small twin: dot needs a
minute for one star of 200 edges, and nobody can read it (MLMD.md, Graphviz)."""

_WIDEST = 230


@dataclass(frozen=True, slots=True)
class Box:
    """One card, pill or twin. `id` is synthetic: a name from a record may be any text."""

    id: str
    node: Node
    title: str
    word: str
    chip: str
    width: int
    height: int
    live: bool = False
    focus: bool = False
    twin: bool = False

    @property
    def href(self) -> str:
        node = self.node
        return links.action(node.key) if isinstance(node, ActionNode) else links.artifact(node.id)

    @property
    def full(self) -> str:
        """Everything that was shortened, for a tooltip."""
        node = self.node
        if isinstance(node, ActionNode):
            said = [f"{node.type} {node.name}", f"{node.state}, by {node.controller}"]
            said += [f"started {words.utc(node.started)}", node.error or ""]
        else:
            at = f" at {node.version}" if node.version else ""
            said = [f"{kinds.kind(node.type).word} {node.label}", node.uri + at]
            said += ["live now"] if self.live else []
        return " — ".join(words.middle(words.clean(part), 300) for part in said if part)


@dataclass(frozen=True, slots=True)
class Arrow:
    source: str
    target: str
    style: str
    """recorded | inferred | same | claimed"""
    says: str


@dataclass(frozen=True, slots=True)
class Layout:
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def lay(graph: Graph, live: frozenset[str], now: int) -> Layout:
    """Boxes and arrows for every node and edge, hubs split into twins."""
    focus = frozenset(graph.of)
    edges = list(_joined(graph))
    twins = _twins(graph, edges)
    used = {end for e in edges for end in (e.source, e.target) if (e.source, e.target) not in twins}
    boxes: dict[str, Box] = {}
    for id_, node in graph.nodes.items():
        lonely = not any(id_ == hub for hub in twins.values())
        if id_ in used or id_ in focus or lonely:
            box = _box(f"n{len(boxes)}", node, now)
            boxes[id_] = replace(box, live=id_ in live, focus=id_ in focus)
    arrows, extra = [], []
    for edge in edges:
        ends = {"source": edge.source, "target": edge.target}
        if hub := twins.get((edge.source, edge.target)):
            twin = _twin(f"t{len(extra)}", graph.nodes[hub], hub in live)
            extra.append(twin)
        at = [twin.id if hub == end else boxes[end].id for end in ends.values()]
        arrows.append(Arrow(at[0], at[1], _style(edge), _says(graph, edge)))
    return Layout((*boxes.values(), *extra), tuple(arrows))


def fit(text: str, width: float, size: float) -> str:
    """The text, shortened in the middle until it is at most `width` pixels wide."""
    text = words.middle(words.clean(text), 80)
    while len(text) > 3 and measure(text, size) > width:
        text = words.middle(text.replace("…", ""), len(text) - 1)
    return text


def measure(text: str, size: float) -> float:
    """A careful guess of the width in pixels; no font is at hand on a server."""
    return sum(_advance(char) for char in text) * size


def _advance(char: str) -> float:
    if unicodedata.east_asian_width(char) in "WF":
        return 1.05
    if char in "ijl.,:;|!'()[] ftrI-/":
        return 0.38
    return 0.72 if char.isupper() or char in "mwMW@%…" else 0.6


def _box(id_: str, node: Node, now: int) -> Box:
    if isinstance(node, ActionNode):
        verb = fit(node.type, 90, 11.5)
        who = fit(node.controller, 110, 11)
        taken = ""
        if node.ended is not None and node.ended >= node.started:
            taken = " · " + words.duration(node.ended - node.started)
        plain = node.state in ("complete", "unknown")
        when = words.ago(node.started, now) + taken
        line = when if plain else f"{node.state} · {when}"
        wide = max(measure(verb + " " + who, 11.5), measure(line, 10))
        return Box(id_, node, verb, who, line, round(wide) + 40, 36)
    kind = kinds.kind(node.type)
    title = fit(node.label, _WIDEST - 70, 12.5)
    word = fit(kind.word, 80, 10.5)
    chip = words.version(node.version)
    wide = max(measure(title, 12.5) * 1.04, measure(word, 10.5) + 8 + len(chip) * 6.5 + 34)
    return Box(id_, node, title, word, chip, min(_WIDEST, max(132, round(wide) + 46)), 46)


def _twin(id_: str, node: Node, live: bool) -> Box:
    assert isinstance(node, ArtifactNode)
    title = fit(node.label, 96, 10.5)
    chip = words.version(node.version, 12)
    wide = round(measure(title, 10.5) + len(chip) * 6) + 42
    return Box(id_, node, title, kinds.kind(node.type).word, chip, wide, 26, live, twin=True)


def _joined(graph: Graph) -> Iterator[Edge]:
    """One edge a pair of nodes: roles gathered, the strongest kind and evidence kept."""
    strength = {"recorded": 0, "inferred": 1, "same content": 2}
    pairs: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for edge in graph.edges:
        if edge.source in graph.nodes and edge.target in graph.nodes:
            pairs[edge.source, edge.target].append(edge)
    for edges in pairs.values():
        best = min(edges, key=lambda e: (strength[e.kind], e.claimed_only))
        yield replace(best, role=", ".join(dict.fromkeys(e.role for e in edges if e.role)))


def _twins(graph: Graph, edges: list[Edge]) -> dict[tuple[str, str], str]:
    """For each edge that is to end at a twin, the hub it is a twin of."""
    sides: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for e in edges:
        sides["out", e.source].append((e.source, e.target))
        sides["in", e.target].append((e.source, e.target))
    return {
        pair: hub
        for (_, hub), pairs in sides.items()
        if len(pairs) > HUB and isinstance(graph.nodes[hub], ArtifactNode)
        for pair in pairs
    }


def _style(edge: Edge) -> str:
    if edge.claimed_only:
        return "claimed"
    return {"recorded": "recorded", "inferred": "inferred"}.get(edge.kind, "same")


def _says(graph: Graph, edge: Edge) -> str:
    into = isinstance(graph.nodes[edge.target], ActionNode)
    verb = "is read by" if into else "wrote"
    if edge.kind == "same content":
        verb = "has the same content as"
    ends = [_name(graph.nodes[end]) for end in (edge.source, edge.target)]
    notes = [edge.role, "inferred" if edge.kind == "inferred" else "", ", ".join(edge.evidence)]
    tail = " · ".join(words.clean(note) for note in notes if note)
    return f"{ends[0]} {verb} {ends[1]}" + (f" ({tail})" if tail else "")


def _name(node: Node) -> str:
    label = f"{node.type} {node.name}" if isinstance(node, ActionNode) else node.label
    return words.middle(words.clean(label), 60)
