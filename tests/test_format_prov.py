"""PROV-JSON: read strictly by W3C PROV's own Python library, whatever was recorded."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from prov import Error
from prov.model import ProvDocument, ProvElement, ProvRelation

from lineage.formats import REGISTRY
from lineage.graph import ActionNode, Graph
from lineage.model import Action
from tests.graphs import MODEL, SLOT, asked, hostile, of_all, several, story

PROV = REGISTRY["prov"]


class Invalid(Exception):
    """What PROV does not allow."""


def read(made: bytes) -> ProvDocument:
    """The document. The library warns of times that are none and of unknown prefixes; here they
    are errors, and so is a relation that lacks an end or has one that is nowhere or of the wrong
    kind (PROV-CONSTRAINTS, typing)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            document = ProvDocument.deserialize(content=made.decode(), format="json").unified()
        except (Error, ValueError, KeyError, TypeError, AttributeError, Warning) as error:
            raise Invalid(str(error)) from error
    kinds = {one.identifier: type(one).__name__ for one in document.get_records(ProvElement)}
    for relation in document.get_records(ProvRelation):
        ends = dict(relation.formal_attributes[:2])
        for name, end in ends.items():
            wanted = _ENDS[name.localpart]
            if kinds.get(end) != wanted:
                raise Invalid(f"{relation}: {name} is {kinds.get(end)}, not {wanted}")
        if len(ends) != 2:
            raise Invalid(f"{relation}: an end is missing")
    return document


_ENDS = {"activity": "ProvActivity", "entity": "ProvEntity", "agent": "ProvAgent",
         "alternate1": "ProvEntity", "alternate2": "ProvEntity"}  # fmt: skip


def counts(document: ProvDocument) -> dict[str, int]:
    found: dict[str, int] = {}
    for record in document.get_records():
        name = type(record).__name__
        found[name] = found.get(name, 0) + 1
    return found


def written(graph: Graph, detail: object) -> bytes:
    assert PROV.graph is not None
    return PROV.graph(graph, detail)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(several)
def test_the_library_reads_it_and_writes_it_back_unchanged(reports: list[Action]) -> None:
    """Every node is there once, every edge is a relation."""
    graph, detail = of_all(reports)
    document = read(written(graph, detail))
    again = read(document.serialize(format="json").encode())
    assert document == again
    found = counts(document)
    acts = sum(isinstance(node, ActionNode) for node in graph.nodes.values())
    assert found["ProvActivity"] == acts
    assert found.get("ProvEntity", 0) == len(graph.nodes) - acts
    relations = ("ProvUsage", "ProvGeneration", "ProvAlternate")
    assert sum(found.get(name, 0) for name in relations) == len(graph.edges)


def test_hostile_texts_are_read_as_they_were_written() -> None:
    """Names become local parts that PROV-N can write as well; values stay what they are."""
    document = read(written(*of_all([hostile()])))
    assert read(document.serialize(format="json").encode()) == document
    assert document.get_provn()


def test_the_label_bots_model() -> None:
    """Who trained it, from what, when; types and parameters with their types."""
    graph, detail = asked(story(), MODEL, "upstream")
    document = json.loads(written(graph, detail))
    models = [e for e in document["entity"].values() if e["lineage:uri"] == MODEL]
    model_type = {"$": "lineage:Model", "type": "prov:QUALIFIED_NAME"}
    assert models and all(model["prov:type"] == model_type for model in models)
    acts = document["activity"].values()
    trainings = [act for act in acts if act["prov:type"]["$"] == "lineage:train"]
    assert trainings and all(training["prov:startTime"] for training in trainings)
    assert {"wasGeneratedBy", "used", "wasAssociatedWith"} <= document.keys()


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("prefix", {"artifact": None}), ("activity", {"prov:startTime": "yesterday"}),
        ("activity", {"prov:type": {"$": "zz:train", "type": "prov:QUALIFIED_NAME"}}),
        ("used", {"prov:entity": None}), ("used", {"prov:entity": "artifact:nowhere"}),
        ("wasGeneratedBy", {"prov:time": "soon"}), ("entity", {"zz:property": 1}),
        ("used", {"prov:activity": "artifact:8"}), ("wasAssociatedWith", {"prov:agent": None}),
        ("thing", {}),
    ],
)  # fmt: skip
def test_the_validator_refuses_a_wrong_document(section: str, change: dict[str, Any]) -> None:
    """Each of these breaks PROV in one place, so the tests here mean something."""
    document = json.loads(written(*asked(story(), MODEL, "upstream")))
    part = document.setdefault(section, {"artifact:x": {}})
    if section != "prefix":
        part = next(iter(part.values()))
    part |= change
    for name in [name for name, value in part.items() if value is None]:
        del part[name]
    with pytest.raises(Invalid):
        read(json.dumps(document).encode())


def test_a_cut_graph_says_so() -> None:
    """Nothing is cut silently."""
    cut = json.loads(written(*asked(story(), SLOT, max_nodes=5)))
    assert "lineage:answer" in cut["entity"]
    assert "lineage:answer" not in json.loads(written(*asked(story(), SLOT)))["entity"]
