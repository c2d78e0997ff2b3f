"""What the field of the selection offers: everything it offers is understood, and selects it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lineage.graph import ActionNode, ArtifactNode, Node
from lineage.queries.terms import Field, Name, parse
from ui.completing import MOST, completions

text = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=20)
spoken = st.one_of(
    text, st.sampled_from(["a b", "x+1", "(y)", "+up+", "and", 'say "hi"', "w" * 400])
)


@given(spoken, spoken, spoken)
def test_every_word_is_one_term_that_means_it(type_: str, name: str, uri: str) -> None:
    """Whatever things are called: written as offered, it is a field or a reference, never more."""
    nodes: list[Node] = [
        ArtifactNode("1", type_, uri, "v"),
        ActionNode("2", name, type_, name, "c", name, name, "complete", 0, 1),
    ]
    for word, says in completions(nodes, nodes):
        term = parse(word)
        assert isinstance(term, (Field, Name)) and says
        if isinstance(term, Field):
            assert term.pattern in (type_, name, f"{name}/{name}", "complete", "action", "artifact")


def test_frequent_fields_come_first_and_references_last() -> None:
    """A controller is offered as the selection knows it, with its namespace."""
    nodes = [
        ActionNode(str(n), f"k/{n}", "train", "n", "", "ns", "bot", "failed", 0, 1)
        for n in range(3)
    ]
    offered = [word for word, _ in completions(nodes, nodes[:1])]
    assert "controller:ns/bot" in offered and offered[-1] == "k/0"
    many = [ArtifactNode(str(n), "Model", f"models/{n}", None) for n in range(2 * MOST)]
    assert len(completions(many, many)) == MOST
