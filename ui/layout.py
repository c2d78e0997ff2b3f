"""What a drawing holds before anything is placed: boxes with their texts and sizes, arrows.

Pure: Graph → Layout. The DOT text, the picture on the page and the PNG are all made from
this, so they agree on every word. Sizes are CSS pixels.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from lineage.graph import ActionNode, ArtifactNode, Edge, Graph, Node
from ui import kinds, links, names, words
from ui.fold import Stack

HUB = 12
"""More neighbours than this on one side, and each gets its own small twin: dot needs a
minute for one star of 200 edges, and nobody can read it (docs/mlmd.md, Graphviz)."""
ASKED_HUB = 40
"""The same for what was asked about: a star is the answer then, while dot needs under 1 s."""

_WIDEST = 236
_BOLD = 1.08
"""How much wider bold letters are."""


@dataclass(frozen=True, slots=True)
class Box:
    """One card, pill, twin or stack. `id` is synthetic: a name from a record may be any text."""

    id: str
    node: Node | Stack
    title: str
    word: str
    chip: str
    width: int
    height: int
    live: bool = False
    focus: bool = False
    twin: bool = False
    opens: str = ""
    """Of a stack, the address of the same page with the stack opened."""

    @property
    def kind(self) -> kinds.Kind:
        of = self.node.group.type if isinstance(self.node, Stack) else self.node.type
        return kinds.kind(of)

    @property
    def href(self) -> str:
        node = self.node
        if isinstance(node, Stack):
            return self.opens
        return links.action(node.key) if isinstance(node, ActionNode) else links.artifact(node.id)

    @property
    def full(self) -> str:
        """Everything that was shortened, for a tooltip."""
        node = self.node
        if isinstance(node, Stack):
            said = [f"{self.title}, folded; opens in place", self.chip]
        elif isinstance(node, ActionNode):
            said = [f"{node.type} {node.name}", f"{node.state}, by {node.controller}"]
            said += [f"started {words.utc(node.started)}", node.error or ""]
        else:
            at = f" at {node.version}" if node.version else ""
            said = [f"{kinds.kind(node.type).word} {names.title(node)}", node.uri + at]
            said += ["live now"] if self.live else []
        return " — ".join(words.middle(words.clean(part), 300) for part in said if part)


@dataclass(frozen=True, slots=True)
class Arrow:
    source: str
    target: str
    style: str
    """recorded | inferred | same | claimed | folded"""
    says: str


@dataclass(frozen=True, slots=True)
class Layout:
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    beside: tuple[tuple[str, str], ...] = ()
    """Boxes that stand in one column, the first above the second."""


def lay(
    graph: Graph,
    live: frozenset[str],
    now: int,
    stacks: Collection[Stack] = (),
    opens: Callable[[str], str] | None = None,
) -> Layout:
    """Boxes and arrows for every node, edge and stack, hubs split into twins."""
    edges = list(_joined(graph))
    twins = _twins(graph, edges)
    used = {end for e in edges if _pair(e) not in twins for end in _pair(e)} | set(graph.of)
    only_twins = set(twins.values()) - used
    boxes = {
        id_: replace(_box(f"n{n}", node, now), live=id_ in live, focus=id_ in graph.of)
        for n, (id_, node) in enumerate(graph.nodes.items())
        if id_ not in only_twins
    }
    arrows: list[Arrow] = []
    extra: list[Box] = []
    for edge in edges:
        ends = {id_: boxes[id_].id for id_ in _pair(edge) if id_ in boxes}
        if hub := twins.get(_pair(edge)):
            extra.append(_twin(f"t{len(extra)}", graph.nodes[hub], hub in live))
            ends[hub] = extra[-1].id
        arrows.append(Arrow(ends[edge.source], ends[edge.target], _style(edge), _says(graph, edge)))
    column = [boxes[id_].id for id_ in _versions(graph, edges) if id_ in boxes]
    for stack in stacks:
        if stack.group.anchor in boxes:
            extra.append(_stack(f"s{len(extra)}", stack, now, opens))
            if stack.group.side == "family":
                column = [*(column or [boxes[stack.group.anchor].id]), extra[-1].id]
                continue
            ends_ = (boxes[stack.group.anchor].id, extra[-1].id)
            source, target = ends_ if stack.group.side == "out" else ends_[::-1]
            arrows.append(Arrow(source, target, "folded", f"{extra[-1].title}, folded"))
    return Layout((*boxes.values(), *extra), tuple(arrows), tuple(pairwise(column)))


def _versions(graph: Graph, edges: list[Edge]) -> list[str]:
    """The versions of one thing that were asked about, the newest first; none where one of
    them was made from another, as they cannot stand in one column then."""
    asked = [id_ for id_ in graph.of if id_ in graph.nodes]
    uris = {n.uri if isinstance(n := graph.nodes[id_], ArtifactNode) else id_ for id_ in asked}
    if len(uris) != 1:
        return []
    after: dict[str, list[str]] = defaultdict(list)
    written = dict.fromkeys(asked, 0)
    for edge in edges:
        after[edge.source].append(edge.target)
        maker = graph.nodes[edge.source]
        if edge.target in written and isinstance(maker, ActionNode):
            written[edge.target] = max(written[edge.target], maker.started)
    reached: set[str] = set()
    queue = [other for id_ in asked for other in after[id_]]
    while queue:
        if (here := queue.pop()) not in reached:
            reached.add(here)
            queue += after[here]
    return [] if reached & set(asked) else sorted(asked, key=lambda id_: (-written[id_], id_))


def fit(text: str, width: float, size: float) -> str:
    """The text, shortened in the middle until it is at most `width` pixels wide."""
    whole = words.middle(words.clean(text), 80)
    most = len(whole)
    while most > 3 and measure(words.middle(whole, most), size) > width:
        most -= 1
    return words.middle(whole, most)


def measure(text: str, size: float) -> float:
    """A careful guess of the width in pixels; no font is at hand on a server."""
    return sum(_advance(char) for char in text) * size


def _advance(char: str) -> float:
    if unicodedata.east_asian_width(char) in "WF":
        return 1.05
    if char in "ijl.,:;|!'()[] ftrI-/":
        return 0.39
    if char in "mwMW@%…":
        return 0.98
    return 0.74 if char.isupper() else 0.63


def _box(id_: str, node: Node, now: int) -> Box:
    if isinstance(node, ActionNode):
        verb = fit(node.type, 90, 11.5)
        who = fit(names.who(node), 120, 11)
        taken = ""
        if node.ended is not None and node.ended > node.started:
            taken = " · " + words.duration(node.ended - node.started)
        plain = node.state in ("complete", "unknown")
        when = words.ago(node.started, now) + taken
        line = when if plain else f"{node.state} · {when}"
        wide = max(measure(verb, 11.5 * _BOLD) + measure(" " + who, 11.5), measure(line, 10))
        return Box(id_, node, verb, who, line, round(wide) + 40, 36)
    kind = kinds.kind(node.type)
    title = fit(names.title(node), _WIDEST - 48, 12.5 * _BOLD)
    word = fit(kind.word, 80, 10.5)
    chip = names.chip(node)
    second = measure(word, 10.5) + 8 + len(chip) * 6.5 + 34
    wide = max(measure(title, 12.5 * _BOLD), second)
    return Box(id_, node, title, word, chip, min(_WIDEST, max(132, round(wide) + 46)), 46)


def _twin(id_: str, node: Node, live: bool) -> Box:
    assert isinstance(node, ArtifactNode)
    title = fit(names.title(node), 96, 10.5)
    chip = names.chip(node, 12)
    wide = round(measure(title, 10.5) + len(chip) * 6) + 42
    return Box(id_, node, title, kinds.kind(node.type).word, chip, wide, 26, live, twin=True)


def _stack(id_: str, stack: Stack, now: int, opens: Callable[[str], str] | None) -> Box:
    kind = stack.group.type if stack.action else kinds.kind(stack.group.type).word.lower()
    if stack.group.side == "family":
        kind = "other version"
    title = fit(words.count(stack.count, kind), 150, 12 * _BOLD)
    said = [
        f"{stack.failed} failed" if stack.failed else "",
        f"+{stack.behind:,} behind" if stack.behind else "",
        f"newest {words.ago(stack.newest, now)}" if stack.newest is not None else "",
    ]
    chip = " · ".join(part for part in said if part)
    wide = max(measure(title, 12 * _BOLD), measure(chip, 10))
    link = opens(stack.id) if opens else ""
    return Box(id_, stack, title, "", chip, max(112, round(wide) + 46), 42, opens=link)


def _joined(graph: Graph) -> Iterator[Edge]:
    """One edge a pair of nodes: roles gathered, the strongest kind and evidence kept."""
    strength = {"recorded": 0, "inferred": 1, "same content": 2}
    pairs: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for edge in graph.edges:
        if edge.source in graph.nodes and edge.target in graph.nodes:
            pairs[_pair(edge)].append(edge)
    for edges in pairs.values():
        best = min(edges, key=lambda e: (strength[e.kind], e.claimed_only))
        yield replace(best, role=", ".join(dict.fromkeys(e.role for e in edges if e.role)))


def _twins(graph: Graph, edges: list[Edge]) -> dict[tuple[str, str], str]:
    """For each edge that is to end at a twin, the hub it is a twin of."""
    sides: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for e in edges:
        sides["out", e.source].append(_pair(e))
        sides["in", e.target].append(_pair(e))
    return {
        pair: hub
        for (_, hub), pairs in sides.items()
        if len(pairs) > (ASKED_HUB if hub in graph.of else HUB)
        and isinstance(graph.nodes[hub], ArtifactNode)
        for pair in pairs
    }


def _pair(edge: Edge) -> tuple[str, str]:
    return edge.source, edge.target


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
    label = f"{node.type} {node.name}" if isinstance(node, ActionNode) else names.title(node)
    return words.middle(words.clean(label), 60)
