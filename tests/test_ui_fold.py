"""What of a large graph is shown first, and what folds into stacks."""

from __future__ import annotations

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.graph import ActionNode, ArtifactNode, Edge, Graph, Node
from ui.fold import fold


def action(id_: str, started: int = 0, state: str = "complete", type_: str = "train") -> ActionNode:
    return ActionNode(id_, id_, type_, id_, "c", "n", "trainer", state, started, started + 1)


def artifact(id_: str, type_: str = "Model") -> ArtifactNode:
    return ArtifactNode(id_, type_, f"gs://b/{id_}", None)


def graph(nodes: list[Node], edges: list[tuple[str, str]], *of: str) -> Graph:
    return Graph(of, "both", None, {n.id: n for n in nodes}, [Edge(a, b) for a, b in edges])


def forty_trainings() -> Graph:
    """data → 40 trainings → a model each; the 20th is deployed."""
    nodes: list[Node] = [artifact("data", "Dataset"), artifact("slot", "Deployment")]
    nodes.append(action("deploy", 99, type_="deploy"))
    edges = [("m20", "deploy"), ("deploy", "slot")]
    for n in range(40):
        nodes += [action(f"t{n}", n, "failed" if n == 3 else "complete"), artifact(f"m{n}")]
        edges += [("data", f"t{n}"), (f"t{n}", f"m{n}")]
    return graph(nodes, edges, "data")


def test_a_small_graph_is_shown_whole() -> None:
    """Nothing is folded that could be read at once."""
    whole = graph(
        [artifact("m"), action("t"), artifact("d", "Dataset")], [("d", "t"), ("t", "m")], "m"
    )
    folded = fold(whole)
    assert folded.graph.nodes == whole.nodes
    assert folded.graph.edges == whole.edges
    assert folded.stacks == ()


def test_the_way_to_production_comes_first_then_the_newest() -> None:
    """Of forty trainings the one that is live and the two newest stay; a stack counts the rest."""
    folded = fold(forty_trainings(), live={"slot"})
    shown = folded.graph.nodes.keys()
    assert {"data", "t20", "m20", "deploy", "slot", "t39", "t38"} <= shown
    assert "t3" not in shown
    (stack,) = folded.stacks
    assert (stack.group.anchor, stack.group.side, stack.group.type) == ("data", "out", "train")
    assert (stack.count, stack.behind, stack.failed, stack.newest) == (37, 37, 1, 37)


def test_a_stack_opens_in_place() -> None:
    """Each opening shows more of it, beyond what is shown at first, until it is empty."""
    whole = forty_trainings()
    (stack,) = fold(whole, live={"slot"}).stacks
    once = fold(whole, live={"slot"}, opened={stack.id: 1})
    assert len(once.graph.nodes) > len(fold(whole, live={"slot"}).graph.nodes)
    assert once.stacks[0].count == 37 - 24
    assert not fold(whole, live={"slot"}, opened={stack.id: 2}).stacks


def test_neighbours_fold_on_request() -> None:
    """Of a node that was closed nothing further is shown but the way that led to it."""
    folded = fold(forty_trainings(), closed={"data"})
    assert folded.graph.nodes.keys() == {"data"}
    assert [s.count for s in folded.stacks] == [40]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    acts = draw(st.integers(0, 60))
    things = draw(st.integers(1, 60))
    nodes: list[Node] = [action(f"a{n}", n) for n in range(acts)]
    nodes += [artifact(f"m{n}", "Model" if n % 3 else "Dataset") for n in range(things)]
    pairs = st.tuples(st.integers(0, max(acts - 1, 0)), st.integers(0, things - 1), st.booleans())
    edges = []
    for a, m, reads in draw(st.lists(pairs, max_size=200)) if acts else ():
        edges.append((f"m{m}", f"a{a}") if reads else (f"a{a}", f"m{m}"))
    return graph(nodes, edges, f"m{draw(st.integers(0, things - 1))}")


@settings(max_examples=200)
@given(graphs(), st.integers(1, 40))
def test_whatever_is_not_shown_is_counted_by_exactly_one_stack(whole: Graph, most: int) -> None:
    """Nothing is ever left out silently, whatever the graph is like."""
    folded = fold(whole, most=most)
    assert len(folded.graph.nodes) + folded.hidden == len(whole.nodes)
    assert 1 <= len(folded.graph.nodes) <= 3 * most
    joined = nx.utils.UnionFind(whole.nodes)
    for edge in whole.edges:
        joined.union(edge.source, edge.target)
    beside = {joined[id_] for id_ in folded.graph.nodes}
    assert folded.apart == sum(joined[id_] not in beside for id_ in whole.nodes)


@settings(max_examples=50)
@given(graphs())
def test_the_same_graph_folds_in_the_same_way(whole: Graph) -> None:
    """In whatever order its nodes and edges come."""
    turned = Graph(whole.of, "both", None, dict(reversed(whole.nodes.items())), whole.edges[::-1])
    assert fold(whole).graph.nodes.keys() == fold(turned).graph.nodes.keys()
