"""Mermaid: any name renders, and the drawing says what kind of edge each is."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from lineage.formats.mermaid import escape, mermaid
from lineage.graph import ActionNode, ArtifactNode, Edge, Graph

LINE = re.compile(
    r'(?:flowchart LR|  n\d+(?:\["[^"\[\](){}|`]*"\]|\(\["[^"\[\](){}|`]*"\]\))'
    r'|  n\d+ (?:-->|-\.->\|"\w+"\||-\.-\|"same content"\|) n\d+'
    r'|  more\["[\w ]+"\]|  classDef asked stroke-width:4px|  class n\d+(?:,n\d+)* asked)\Z'
)


def graph(name: str, type_: str = "Model", truncated: bool = False) -> Graph:
    artifact = ArtifactNode("a", type_, "gs://b/m", None, name)
    action = ActionNode("x", "k", "train", name, "", "", "c", "failed", 0, None)
    edges = [
        Edge("a", "x"),
        Edge("x", "a", "inferred"),
        Edge("a", "a", "same content"),
        Edge("x", "a", evidence=("claimed",)),
    ]
    return Graph(("a",), "both", None, {"a": artifact, "x": action}, edges, truncated)


@given(st.text(), st.text(), st.booleans())
def test_any_name_renders(name: str, type_: str, truncated: bool) -> None:
    """No quote, bracket or line break of a name gets into the grammar."""
    for line in mermaid(graph(name, type_, truncated)).removesuffix("\n").split("\n"):
        assert LINE.match(line), line


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_escaping_loses_nothing_printable(text: str) -> None:
    """Read back as Mermaid reads entities, the text is the one that went in."""
    assert re.sub(r"#(\d+);", lambda m: chr(int(m[1])), escape(text)) == text


def test_drawing() -> None:
    """The whole of a small graph."""
    assert mermaid(graph('m "1"', truncated=True)) == "\n".join(
        [
            "flowchart LR",
            '  n0["m #34;1#34;<br/>Model"]',
            '  n1(["m #34;1#34;<br/>train, failed"])',
            "  n0 --> n1",
            '  n1 -.->|"inferred"| n0',
            '  n0 -.-|"same content"| n0',
            '  n1 -.->|"claimed"| n0',
            '  more["there is more than the limit let through"]',
            "  classDef asked stroke-width:4px",
            "  class n0 asked",
            "",
        ]
    )


def test_lists_of_markdown_are_no_lists() -> None:
    """A name that begins like a list item is drawn as it is written."""
    assert (escape("1. x"), escape("- x")) == ("1#46; x", "#45; x")
    assert escape("v1.2-rc") == "v1.2-rc"
