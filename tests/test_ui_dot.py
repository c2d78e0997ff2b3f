"""Drawings: whatever a record says, Graphviz draws it, and nothing it says becomes syntax."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.errors import RenderError
from lineage.graph import ActionNode, ArtifactNode, Edge, Graph
from ui import svg
from ui.dot import dot
from ui.fold import fold
from ui.layout import ASKED_HUB, HUB, lay

NOW = 1_600_000_000_000_000
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<b>bold</b>", "<script>alert(1)</script>", "</svg><script>", "a\"];evil[label=\"x", "\\N \\G",
    "back\\", "x:y:n", "node", "digraph", "&amp; &lt;", "]]>", "--><!--", "\x00\x01\x1f", "\ud800",
    "\ufffe\uffff", "line\nline", "日本語 العربية 🙂", "a" * 5000, "", " ", "javascript:alert(1)",
]  # fmt: skip
hostile = st.sampled_from(HOSTILE) | st.text(st.characters(), max_size=60)


def artifact(
    id_: str, name: str = "data", version: str | None = None, type: str = "Dataset"
) -> ArtifactNode:
    return ArtifactNode(id_, type, f"gs://bucket/{name}", version, name or None)


def action(id_: str, name: str = "run", state: str = "complete") -> ActionNode:
    key = f"key/{name}".encode("utf-8", "replace").decode()  # no record's key holds a surrogate
    return ActionNode(id_, key, "train", name, "", "n", name or "c", state, NOW - 9, NOW)


def graph(*nodes: ArtifactNode | ActionNode, edges: list[Edge] | None = None) -> Graph:
    return Graph((), "both", None, {n.id: n for n in nodes}, edges or [])


def small(name: str, version: str | None = None, type_: str = "Dataset") -> Graph:
    edges = [Edge("a", "t", role=name), Edge("t", "b", evidence=("claimed",))]
    return graph(
        artifact("a", name, version),
        action("t", name),
        artifact("b", name, version, type_),
        edges=edges,
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_any_name_is_drawn_in_every_format(text: str) -> None:
    """A hostile name, version, type or role reaches the picture as text, or not at all."""
    drawn = small(text, text or None, text)
    assert svg.draw(drawn, "png").startswith(b"\x89PNG")
    tree = ET.fromstring(svg.draw(drawn, "svg"))
    assert tree.tag == SVG + "svg"
    assert not tree.findall(f".//{SVG}script")
    assert all(
        a.get("href", "").startswith(("/artifacts/", "/actions/")) for a in tree.iter(SVG + "a")
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile, st.none() | hostile, hostile)
def test_any_label_renders(name: str, version: str | None, type_: str) -> None:
    """Whatever the texts, `dot` exits 0 and the SVG is well-formed XML."""
    drawn = small(name, version, type_)
    svg.run(dot(drawn, frozenset({"a"}), "/", NOW).encode(), "png")
    ET.fromstring(svg.draw(drawn, "svg", frozenset({"a"})))


@settings(max_examples=100, deadline=None)
@given(hostile, hostile.filter(lambda text: text.isprintable()))
def test_node_ids_are_synthetic(name: str, id_: str) -> None:
    """No id of a record is ever a node id of DOT, so none can be a port or a keyword."""
    text = dot(graph(artifact(id_, name)), frozenset(), None, NOW)
    assert re.findall(r"^  (\S+) \[width", text, re.M) == ["n0"]
    assert "URL=" not in text


def test_the_page_svg_has_no_style_and_no_script() -> None:
    """What a page embeds satisfies a content security policy without inline anything."""
    picture = str(svg.inline(fold(small("x")), frozenset(), NOW).svg)
    assert "<style" not in picture
    assert "style=" not in picture
    assert "<script" not in picture


def test_edges_are_drawn_by_their_evidence() -> None:
    """Recorded is solid, inferred dashed, same content dotted, claimed only thin and red."""
    edges = [
        Edge("a", "t"),
        Edge("b", "t", "inferred"),
        Edge("a", "b", "same content"),
        Edge("t", "c", evidence=("claimed",)),
    ]
    drawn = graph(artifact("a"), artifact("b"), action("t"), artifact("c"), edges=edges)
    assert [a.style for a in lay(drawn, frozenset(), NOW).arrows] == [
        "recorded", "inferred", "same", "claimed",
    ]  # fmt: skip
    text = dot(drawn, frozenset(), None, NOW)
    assert "style=dashed" in text
    assert "style=dotted" in text
    assert "#c0392b" in text


def test_a_hub_becomes_a_twin_beside_each_consumer() -> None:
    """A dataset with many readers is never the middle of a star."""
    readers = [action(f"t{n}", f"t{n}") for n in range(HUB + 1)]
    edges = [Edge("hub", t.id) for t in readers]
    drawn = lay(graph(artifact("hub"), *readers, edges=edges), frozenset(), NOW)
    twins = [box for box in drawn.boxes if box.twin]
    assert len(twins) == HUB + 1
    assert len({arrow.source for arrow in drawn.arrows}) == HUB + 1
    assert not [box for box in drawn.boxes if box.node.id == "hub" and not box.twin]


@pytest.mark.parametrize(("readers", "twins"), [(ASKED_HUB, 0), (ASKED_HUB + 1, ASKED_HUB + 1)])
def test_a_hub_that_was_asked_about_stays(readers: int, twins: int) -> None:
    """The start of the question is always drawn as itself, up to a bound with all its edges."""
    actions = {f"t{n}": action(f"t{n}", f"t{n}") for n in range(readers)}
    edges = [Edge("hub", id_) for id_ in actions]
    asked = Graph(("hub",), "both", None, {"hub": artifact("hub"), **actions}, edges)
    boxes = lay(asked, frozenset(), NOW).boxes
    assert [box.twin for box in boxes if box.focus] == [False]
    assert len([box for box in boxes if box.twin]) == twins


def test_cycles_and_loose_ends_are_drawn() -> None:
    """A cycle through a mutable name, a second producer and a lonely node are all there."""
    edges = [Edge("a", "t"), Edge("t", "a"), Edge("u", "a")]
    drawn = graph(artifact("a"), action("t"), action("u", "u"), artifact("alone", "x"), edges=edges)
    tree = ET.fromstring(svg.draw(drawn, "svg"))
    assert len([g for g in tree.iter(SVG + "g") if "g-node" in g.get("class", "")]) == 4
    assert len([g for g in tree.iter(SVG + "g") if "g-link" in g.get("class", "")]) == 3


def test_an_empty_graph_is_a_picture() -> None:
    """Nothing is not an error."""
    assert ET.fromstring(svg.draw(graph(), "svg")).tag == SVG + "svg"


def test_a_large_graph_with_a_hub_takes_seconds_at_most() -> None:
    """The case that took dot a minute: one code commit read along a chain of 200 trainings."""
    nodes: list[ArtifactNode | ActionNode] = [artifact("hub")]
    edges = []
    for n in range(200):
        nodes += [action(f"t{n}", f"t{n}"), artifact(f"m{n}", f"m{n}", type="Model")]
        edges += [Edge("hub", f"t{n}"), Edge(f"t{n}", f"m{n}")]
        edges += [Edge(f"m{n - 1}", f"t{n}")] if n else []
    assert len(svg.draw(graph(*nodes, edges=edges), "svg")) > 100_000


def test_without_graphviz_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """No binary is no crash: the message names the remedy."""
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(RenderError, match="pip install graphviz-pure"):
        svg.draw(small("x"), "png")


def test_a_graphviz_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A drawing has its time; after it the process is killed and the advice is to ask for less."""
    slow = tmp_path / "dot"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setattr(svg, "binary", lambda: str(slow))
    monkeypatch.setattr(svg, "TIMEOUT", 0.2)
    with pytest.raises(RenderError, match="smaller depth"):
        svg.draw(small("x"), "png")
