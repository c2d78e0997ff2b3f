"""All that is known of a graph's nodes, for formats that tell more than a drawing shows."""

from __future__ import annotations

from lineage.formats import Detail
from lineage.graph import ActionNode, Graph
from lineage.store.ports import Reader


def detail(reader: Reader, graph: Graph) -> Detail:
    """The states of its nodes, and of whatever its actions touch."""
    acts = [id_ for id_, node in graph.nodes.items() if isinstance(node, ActionNode)]
    actions = reader.actions_by_id(acts)
    touched = {edge.artifact for state in actions.values() for edge in state.edges}
    things = touched | (graph.nodes.keys() - actions.keys())
    return Detail(actions, reader.artifacts_by_id(sorted(things)))
