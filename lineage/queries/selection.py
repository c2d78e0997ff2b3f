"""Which nodes of the lineage to show: evaluates the selection syntax (`lineage.queries.terms`).

References and walks are asked of the reader; fields choose among what these reach.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from fnmatch import fnmatchcase

from lineage.errors import BadRequest
from lineage.graph import ActionNode, Direction, Graph, Node
from lineage.queries.lineage import around, lineage
from lineage.queries.references import resolve
from lineage.queries.terms import Both, Either, Field, Name, Not, Term, Walk, has_field, parse
from lineage.store.ports import Reader

_VALUES: dict[str, Callable[[Node], str]] = {
    "kind": lambda n: "action" if isinstance(n, ActionNode) else "artifact",
    "type": lambda n: n.type,
    "name": lambda n: n.name if isinstance(n, ActionNode) else n.label,
    "state": lambda n: n.state if isinstance(n, ActionNode) else "",
    "controller": lambda n: f"{n.namespace}/{n.controller}" if isinstance(n, ActionNode) else "",
    "namespace": lambda n: n.namespace if isinstance(n, ActionNode) else "",
}


def select(reader: Reader, text: str, max_nodes: int = 2000, within: Graph | None = None) -> Graph:
    """The graph of what an expression selects, and of the actions that join what it selects.

    Fields are looked up among all that the references reach, and in `within`; without it
    there must be a reference, since fields alone would mean the whole store.

    Raises:
        BadRequest: see `parse`; or nothing is named to start from.
        NotFound: a reference names nothing.
    """
    term = parse(text)
    seen = _Seen(reader, max_nodes, within)
    seen.collect(term)
    seen.collect(term, by_field=True)
    if within is None and not seen.starts:
        raise BadRequest(
            "select: name something to start from, such as +gs://bucket/model and type:Dataset; "
            "fields alone would mean the whole store"
        )
    return seen.graph(seen.chosen(term))


def asked(
    reader: Reader,
    of: str | None,
    text: str | None,
    direction: Direction = "both",
    depth: int | None = None,
    max_nodes: int = 2000,
    types: frozenset[str] | None = None,
) -> Graph:
    """The graph around `of`, what `text` selects, or what it selects within that graph.

    Raises:
        BadRequest: neither is given; and as `select` and `resolve` do.
    """
    if not of and not text:
        raise BadRequest(
            "of: say what to look at: an id, a URI, URI@version or the key of an action; "
            "or a selection, as select"
        )
    within = lineage(reader, of, direction, depth, max_nodes, types) if of else None
    if text:
        return select(reader, text, max_nodes, within)
    assert within is not None
    return within


class _Seen:
    """Everything the references reach, and which of it a term chooses."""

    def __init__(self, reader: Reader, max_nodes: int, within: Graph | None) -> None:
        self._reader = reader
        self._max_nodes = max_nodes
        self._nodes: dict[str, Node] = dict(within.nodes) if within else {}
        self._edges = dict.fromkeys(within.edges) if within else {}
        self._sets: dict[Term, set[str]] = {}
        self._universe: frozenset[str] | None = None
        self._truncated = within.truncated if within else False
        self.starts: dict[str, None] = {}

    def collect(self, term: Term, by_field: bool = False) -> None:
        """Ask the store for what references and walks reach; first for those that start at
        references, then for those that start at what fields choose among all these."""
        if by_field and self._universe is None:
            self._universe = frozenset(self._nodes)
        match term:
            case Name(ref) if not by_field:
                ids = resolve(self._reader, ref)
                self.starts |= dict.fromkeys(ids)
                self._sets[term] = self._reach(ids, "upstream", 0)
            case Walk(of, up, down):
                self.collect(of, by_field)
                if by_field == has_field(of):
                    ids = sorted(self.chosen(of, self._universe))
                    found = self._reach(ids, "upstream", up) | self._reach(ids, "downstream", down)
                    self._sets[term] = found
            case Not(of):
                self.collect(of, by_field)
            case Both(a, b) | Either(a, b):
                self.collect(a, by_field)
                self.collect(b, by_field)

    def chosen(self, term: Term, among: Collection[str] | None = None) -> set[str]:
        """The ids a term selects, `among` these (None = all that was seen)."""
        nodes = self._nodes.keys() if among is None else among
        match term:
            case Field(name, pattern):
                wanted, of = pattern.lower(), _VALUES[name]
                return {n for n in nodes if fnmatchcase(of(self._nodes[n]).lower(), wanted)}
            case Not(of):
                return set(nodes) - self.chosen(of, among)
            case Both(a, b):
                return self.chosen(a, among) & self.chosen(b, among)
            case Either(a, b):
                return self.chosen(a, among) | self.chosen(b, among)
        return self._sets[term]

    def graph(self, chosen: set[str]) -> Graph:
        sources = {edge.target for edge in self._edges if edge.source in chosen}
        targets = {edge.source for edge in self._edges if edge.target in chosen}
        # Without the action between them, two artifacts would stand side by side for nothing.
        kept = chosen | {id_ for id_ in sources & targets if self._is_action(id_)}
        nodes = {id_: node for id_, node in self._nodes.items() if id_ in kept}
        edges = [edge for edge in self._edges if edge.source in kept and edge.target in kept]
        of = tuple(id_ for id_ in self.starts if id_ in kept)
        return Graph(of, "both", None, nodes, edges, self._truncated)

    def _reach(self, ids: list[str], direction: Direction, depth: int | None) -> set[str]:
        if not ids:
            return set()
        graph = around(self._reader, ids, direction, depth, self._max_nodes)
        self._nodes |= graph.nodes
        self._edges |= dict.fromkeys(graph.edges)
        self._truncated |= graph.truncated
        return set(graph.nodes)

    def _is_action(self, id_: str) -> bool:
        return isinstance(self._nodes.get(id_), ActionNode)
