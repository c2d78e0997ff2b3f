"""All that is known of a graph's nodes, for formats that tell more than a drawing shows."""

from __future__ import annotations

from itertools import chain

from lineage.formats import Detail
from lineage.graph import ActionNode, ArtifactNode, Graph
from lineage.queries.measured import evaluations
from lineage.store.ports import Reader


def detail(reader: Reader, graph: Graph) -> Detail:
    """The states of its nodes, of what evaluated its models, and of whatever these touch."""
    acts = [id_ for id_, node in graph.nodes.items() if isinstance(node, ActionNode)]
    models = [
        node for node in graph.nodes.values()
        if isinstance(node, ArtifactNode) and node.type == "Model"
    ]  # fmt: skip
    actions = reader.actions_by_id(acts)
    measured = evaluations(reader, models)
    all_ = [*actions.values(), *chain.from_iterable(measured.values())]
    touched = {edge.artifact for state in all_ for edge in state.edges}
    things = touched | (graph.nodes.keys() - actions.keys())
    return Detail(actions, reader.artifacts_by_id(sorted(things)), measured)
