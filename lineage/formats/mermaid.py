"""A graph as a Mermaid flowchart, for READMEs, issues and pull requests. Pure.

Ids are synthetic and every label is escaped, so whatever a thing is called, it renders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineage.formats import Format

if TYPE_CHECKING:
    from lineage.graph import Edge, Graph, Node

_PLAIN = " _/@=,"


def mermaid(graph: Graph) -> str:
    """The text of the flowchart, left to right. What was asked about has a thick border;
    a dashed line is inferred, claimed or the same content; a cut graph says so.
    """
    ids = {id_: f"n{number}" for number, id_ in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    lines += [f"  {ids[id_]}{_shape(node)}" for id_, node in graph.nodes.items()]
    lines += [
        f"  {ids[edge.source]} {_arrow(edge)} {ids[edge.target]}"
        for edge in graph.edges
        if edge.source in ids and edge.target in ids
    ]
    if graph.truncated:
        lines.append('  more["there is more than the limit let through"]')
    if asked := [ids[id_] for id_ in graph.of if id_ in ids]:
        lines.append("  classDef asked stroke-width:4px")
        lines.append(f"  class {','.join(asked)} asked")
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """`text` with everything Mermaid could read as its own grammar as an entity (`#34;`)."""
    return "".join(_escaped(text, at) for at in range(len(text)))


def _escaped(text: str, at: int) -> str:
    char = text[at]
    if char.isalnum() or char in _PLAIN:
        return char
    # `1. x` and `- x` would start a Markdown list; inside a word they are harmless.
    if char in ".-" and text[at + 1 : at + 2].isalnum():
        return char
    return f"#{ord(char)};" if char.isprintable() else " "


def _shape(node: Node) -> str:
    from lineage.graph import ArtifactNode

    if isinstance(node, ArtifactNode):
        return f'["{escape(node.label)}<br/>{escape(node.type)}"]'
    state = "" if node.state == "complete" else f", {node.state}"
    return f'(["{escape(node.name)}<br/>{escape(node.type + state)}"])'


def _arrow(edge: Edge) -> str:
    if edge.kind == "same content":
        return '-.-|"same content"|'
    if edge.kind == "inferred":
        return '-.->|"inferred"|'
    return '-.->|"claimed"|' if edge.claimed_only else "-->"


FORMAT = Format(
    name="mermaid",
    media="text/plain",
    suffixes=(".mmd",),
    says="a Mermaid flowchart, for READMEs, issues and pull requests",
    graph=lambda graph, _: mermaid(graph).encode(),
    plain=True,
)
