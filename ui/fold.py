"""Which of a large graph is shown first, and what the rest folds into. Pure: Graph → Folded.

From what was asked about the way back to data and code and the way on to production come
first; of siblings (forty trainings of one dataset) the newest few. The rest becomes stacks:
each hangs on a node that is shown, says how many it stands for, and opens in place. Nothing
is left out without a stack that counts it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2s
from heapq import heapify, heappop, heappush
from typing import Literal, NamedTuple

from lineage.graph import ActionNode, Edge, Graph

Side = Literal["in", "out", "family"]
_SIDES: tuple[Side, Side] = ("in", "out")
VERSIONS = 3
"""Of a family that was asked about so many versions are shown; two more fold nothing."""

MOST = 60
"""Nodes that are shown before anything is opened, but for single ends (at most as many)."""
SIBLINGS = 3
"""Of the actions that wrote or read one artifact so many stand beside it."""
ENDS = 8
"""Of what an action read or wrote, of one type."""
OPENED = 24
"""So many more of a stack are shown each time it is opened."""
_LATER = 40.0
"""How far versions that were opened are: what hangs on the newest ones stays where it is."""
_FIRST = {"Dataset": 0, "Model": 1, "Code": 2, "Deployment": 2, "Config": 3, "Metrics": 4}


class Group(NamedTuple):
    """The neighbours of a node on one side that are of one type; or the other versions of it,
    where a whole family was asked about."""

    anchor: str
    side: Side
    type: str

    @property
    def key(self) -> str:
        """Short, and safe in an address whatever a type is called."""
        return blake2s("\0".join(self).encode(), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class Stack:
    """Nodes that are not shown. `count` of them hang on `group.anchor`, `behind` further on."""

    group: Group
    action: bool
    count: int
    behind: int
    failed: int
    newest: int | None
    """When the newest of them started, in µs; None where none of them is an action."""

    @property
    def id(self) -> str:
        return self.group.key


@dataclass(frozen=True, slots=True)
class Folded:
    """`graph` is what is shown of the whole. Every other node is counted by one of `stacks`,
    but for those `apart`: parts that hang together with nothing shown, and found no room."""

    graph: Graph
    stacks: tuple[Stack, ...]
    apart: int = 0

    @property
    def hidden(self) -> int:
        return sum(stack.count + stack.behind for stack in self.stacks) + self.apart


def fold(
    graph: Graph,
    live: Collection[str] = frozenset(),
    opened: Mapping[str, int] | None = None,
    closed: Collection[str] = (),
    most: int = MOST,
) -> Folded:
    """`opened`: how often each stack (by its key) was opened; `closed`: nodes whose neighbours,
    but for the way that led to them, are to be folded."""
    view = _View(graph, live, opened or {}, frozenset(closed), most)
    shown = view.shown()
    kept = {id_: node for id_, node in graph.nodes.items() if id_ in shown}
    edges = [e for e in graph.edges if e.source in shown and e.target in shown]
    folded = Folded(replace(graph, nodes=kept, edges=edges), view.stacks(shown))
    return replace(folded, apart=len(graph.nodes) - len(kept) - folded.hidden)


class _Family(NamedTuple):
    group: Group | None
    ids: tuple[str, ...]


class _View:
    def __init__(
        self,
        graph: Graph,
        live: Collection[str],
        opened: Mapping[str, int],
        closed: frozenset[str],
        most: int,
    ) -> None:
        self._nodes = graph.nodes
        self._opened, self._closed, self._most = opened, closed, most
        self._next: dict[tuple[str, Side], list[str]] = defaultdict(list)
        for edge in _unique(graph.edges):
            self._next[edge[0], "out"].append(edge[1])
            self._next[edge[1], "in"].append(edge[0])
        self._to_live = self._reaching(live)
        asked = sorted((id_ for id_ in graph.of if id_ in graph.nodes), key=self._rank)
        self._family = self._rest_of(asked)
        self._more = frozenset(asked[VERSIONS:] if self._family.group else ()) - {*self._family.ids}
        self._starts = self._seeds([id_ for id_ in asked if id_ not in self._family.ids])

    def shown(self) -> set[str]:
        """The nearest first, by a distance that grows with every sibling passed over."""
        queue: list[tuple[float, str, Side | None]] = [
            (_LATER * (id_ in self._more), id_, None) for id_ in self._starts[: self._most]
        ]
        heapify(queue)
        shown: set[str] = set()
        must = set(self._more)
        best: dict[str, float] = {}
        while queue:
            cost, id_, way = heappop(queue)
            full = len(shown - must) >= self._most
            if id_ in shown or (full and id_ not in must):
                continue
            shown.add(id_)
            for side in _SIDES if way is None else (way,):
                for added, other, asked in self._around(id_, side):
                    if asked:
                        must.add(other)
                    if other not in shown and cost + added < best.get(other, 1e9):
                        best[other] = cost + added
                        heappush(queue, (cost + added, other, side))
        return shown | self._singles(shown)

    def _singles(self, shown: set[str]) -> set[str]:
        """Nodes at the very end that would be alone in their stack: they take no more room."""
        out: set[str] = set()
        for id_ in shown - self._closed if len(shown) > 1 else ():
            for side in _SIDES:
                hidden = [o for o in self._next.get((id_, side), ()) if o not in shown]
                around = {n for o in hidden for way in _SIDES for n in self._next.get((o, way), ())}
                if len(hidden) == 1 and around <= shown:
                    out.add(hidden[0])
        return out

    def stacks(self, shown: set[str]) -> tuple[Stack, ...]:
        groups: dict[Group, list[str]] = defaultdict(list)
        counted: set[str] = set()
        for id_ in self._nodes:
            for side in _SIDES if id_ in shown else ():
                for other in self._next.get((id_, side), ()):
                    if other not in shown and other not in counted:
                        counted.add(other)
                        groups[Group(id_, side, self._nodes[other].type)].append(other)
        family = [id_ for id_ in self._family.ids if id_ not in shown and id_ not in counted]
        if self._family.group and family:
            groups[self._family.group] = family
        behind = self._behind(groups, shown)
        return tuple(self._stack(group, ids, behind[group]) for group, ids in groups.items())

    def _around(self, id_: str, side: Side) -> Iterable[tuple[float, str, bool]]:
        """Neighbours worth showing: how far each is, and whether somebody opened it."""
        groups: dict[str, list[str]] = defaultdict(list)
        for other in self._next.get((id_, side), ()):
            groups[self._nodes[other].type].append(other)
        for type_, ids in groups.items():
            usual = ENDS if isinstance(self._nodes[id_], ActionNode) else SIBLINGS
            extra = OPENED * self._opened.get(Group(id_, side, type_).key, 0)
            if id_ in self._closed and not extra:
                continue
            most = usual + extra
            # One alone takes no more room than the stack that would stand for it.
            most = len(ids) if len(ids) == most + 1 else most
            for n, other in enumerate(sorted(ids, key=self._rank)[:most]):
                passed = 0 if isinstance(self._nodes[id_], ActionNode) else n
                ahead = 0.0 if other in self._to_live else 0.25 * _FIRST.get(type_, 1)
                yield 1 + ahead + 2 * passed * (not extra), other, bool(extra)

    def _rank(self, id_: str) -> tuple[bool, int, str]:
        """The way to production first, then the newest."""
        node = self._nodes[id_]
        started = node.started if isinstance(node, ActionNode) else self._written(id_)
        return id_ not in self._to_live, -started, id_

    def _written(self, id_: str) -> int:
        made = [self._nodes[other] for other in self._next.get((id_, "in"), ())]
        return max((node.started for node in made if isinstance(node, ActionNode)), default=0)

    def _rest_of(self, asked: list[str]) -> _Family:
        """The versions that fold, where many are asked about at once."""
        if len(asked) <= VERSIONS + 2:
            return _Family(None, ())
        group = Group(asked[0], "family", self._nodes[asked[0]].type)
        shown = VERSIONS + OPENED * self._opened.get(group.key, 0)
        return _Family(group, tuple(asked[shown:]))

    def _seeds(self, starts: list[str]) -> list[str]:
        """The starts, and one node of each part that does not hang together with them."""
        joined = self._joined([*starts, *self._family.ids])
        for id_ in sorted(self._nodes):
            if id_ not in joined:
                starts.append(id_)
                joined |= self._joined([id_])
        return starts

    def _joined(self, ids: list[str]) -> set[str]:
        found, queue = set(ids), list(ids)
        while queue:
            here = queue.pop()
            for side in _SIDES:
                fresh = [o for o in self._next.get((here, side), ()) if o not in found]
                found.update(fresh)
                queue += fresh
        return found

    def _reaching(self, live: Collection[str]) -> set[str]:
        """Everything that leads to something live."""
        found = {id_ for id_ in live if id_ in self._nodes}
        queue = list(found)
        while queue:
            for other in self._next.get((queue.pop(), "in"), ()):
                if other not in found:
                    found.add(other)
                    queue.append(other)
        return found

    def _behind(self, groups: Mapping[Group, list[str]], shown: set[str]) -> dict[Group, int]:
        """How many further nodes each stack hides; each counted once, by the nearest stack."""
        owner = {id_: group for group, ids in groups.items() for id_ in ids}
        counts = dict.fromkeys(groups, 0)
        layer = list(owner)
        while layer:
            further: list[str] = []
            for id_ in layer:
                for side in _SIDES:
                    for other in self._next.get((id_, side), ()):
                        if other not in shown and other not in owner:
                            owner[other] = owner[id_]
                            counts[owner[id_]] += 1
                            further.append(other)
            layer = further
        return counts

    def _stack(self, group: Group, ids: list[str], behind: int) -> Stack:
        acts = [node for id_ in ids if isinstance(node := self._nodes[id_], ActionNode)]
        failed = sum(act.state == "failed" for act in acts)
        newest = max((act.started for act in acts), default=None)
        return Stack(group, bool(acts), len(ids), behind, failed, newest)


def _unique(edges: Iterable[Edge]) -> Iterable[tuple[str, str]]:
    return dict.fromkeys((edge.source, edge.target) for edge in edges)
