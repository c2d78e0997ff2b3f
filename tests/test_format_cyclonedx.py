"""The bill of materials: valid by CycloneDX' own strict validator, and it tells the truth."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings

from lineage.errors import BadRequest
from lineage.formats import REGISTRY
from lineage.model import Action, parse_action
from tests.conftest import Server
from tests.graphs import MODEL, SLOT, asked, hostile, of_all, several, story
from tests.memory import MemoryReader
from tests.test_cli import Run, run  # noqa: F401

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)


def bill(graph: Any, detail: Any) -> dict[str, Any]:
    write = REGISTRY["cyclonedx"].graph
    assert write is not None
    return valid(write(graph, detail))


def valid(made: bytes) -> dict[str, Any]:
    """The document, if the schema allows it and every reference in it leads somewhere."""
    assert VALIDATOR.validate_str(made.decode()) is None
    document: dict[str, Any] = json.loads(made)
    assert document["specVersion"] == "1.6"  # which the schema leaves open
    refs = [document["metadata"]["component"]["bom-ref"]]
    refs += [component["bom-ref"] for component in document["components"]]
    flows = [flow for f in document.get("formulation", []) for flow in f["workflows"]]
    assert len(refs + flows) == len({*refs, *(flow["bom-ref"] for flow in flows)})
    linked = [d["ref"] for d in document["dependencies"]]
    linked += [ref for d in document["dependencies"] for ref in d["dependsOn"]]
    linked += [io["resource"]["ref"] for flow in flows for side in ("inputs", "outputs")
               for io in flow[side] if "resource" in io]  # fmt: skip
    assert set(linked) <= set(refs)
    return document


def record(key: str, type_: str, reads: list[Any], makes: list[Any], **more: Any) -> Action:
    raw = {"key": key, "type": type_, "controller": {"name": "c"}, "state": "complete",
           "inputs": reads, "outputs": makes, **more}  # fmt: skip
    return parse_action(json.dumps(raw))


MODEL_1 = {"type": "Model", "uri": "gs://b/model", "version": "1"}
HISTORY = [
    record("t", "train", [{"type": "Dataset", "uri": "gs://b/d", "version": "sha256:" + "ab" * 32}],
           [MODEL_1, {"type": "Metrics", "uri": "gs://b/m", "properties": {"loss": 0.5, "ok": True}}],
           params={"epochs": 3, "warm": True}, ended_at="2020-07-01T01:00:00Z",
           code={"repo": "https://h/o/r", "commit": "a" * 40, "image": "python:3.11"}),
    record("e", "evaluate", [MODEL_1],
           [{"type": "Metrics", "uri": "gs://b/e", "properties": {"area-x.precision": 0.9}}]),
    record("d1", "deploy", [MODEL_1], [{"type": "Deployment", "uri": "k8s://c/n/D/w", "version": "1",
           "evidence": "observed"}], ended_at="2020-07-02T00:00:00Z"),
    record("d2", "deploy", [{"type": "Model", "uri": "gs://b/other"}],
           [{"type": "Deployment", "uri": "k8s://c/n/D/w", "version": "2", "evidence": "claimed"}],
           ended_at="2020-07-03T00:00:00Z"),
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(several)
def test_whatever_was_recorded_the_bill_is_valid(reports: list[Action]) -> None:
    """By the official schema, with formats, and no reference into nothing."""
    graph, detail = of_all(reports)
    with suppress(BadRequest):  # nobody made anything
        bill(graph, detail)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("metadata", {"timestamp": "yesterday"}), ("components", {"type": "thing"}),
        ("components", {"hashes": [{"alg": "SHA-256", "content": "xyz"}]}),
        ("components", {"more": 1}), ("components", {"name": None}),
        ("dependencies", {"ref": "nowhere"}), ("", {"specVersion": "0.9"}),
        ("", {"serialNumber": "1"}), ("", {"bomFormat": None}),
    ],
)  # fmt: skip
def test_the_validator_refuses_a_wrong_bill(place: str, change: dict[str, Any]) -> None:
    """Each of these breaks the schema in one place, so the tests here mean something."""
    found = bill(*asked(MemoryReader.of(HISTORY), "gs://b/model@1"))
    part: Any = found[place] if place else found
    part = part[0] if isinstance(part, list) else part
    part |= change
    for name in [name for name, value in change.items() if value is None]:
        del part[name]
    with pytest.raises(AssertionError):
        valid(json.dumps(found).encode())


def test_hostile_texts_make_a_valid_bill() -> None:
    """Addresses that are none are encoded or left out, texts stay as they are."""
    bill(*of_all([hostile()]))


def test_the_bill_of_a_model_names_data_code_image_and_metrics() -> None:
    """What an auditor asks for: each with its version and hash, and how it was made."""
    found = bill(*asked(MemoryReader.of(HISTORY), "gs://b/model@1"))
    model = found["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == (
        "machine-learning-model",
        "model",
        "1",
    )
    kinds = {(c["type"], c.get("data", [{}])[0].get("type")) for c in found["components"]}
    assert kinds == {("data", "dataset"), ("data", "source-code"), ("container", None)}
    [data] = [c for c in found["components"] if c.get("hashes")]
    assert data["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    card = model["modelCard"]
    assert card["modelParameters"] == {"datasets": [{"ref": data["bom-ref"]}]}
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {"type": "precision", "slice": "area-x", "value": "0.9"}, {"type": "loss", "value": "0.5"},
    ]  # fmt: skip
    assert {"name": "lineage:param:epochs", "value": "3"} in card["properties"]
    [flow] = found["formulation"][0]["workflows"]
    assert (flow["uid"], flow["taskTypes"]) == ("t", ["build"])


def test_the_bill_of_a_slot_is_that_of_its_last_deployment_that_was_not_just_claimed() -> None:
    """A later claim put nothing there."""
    found = bill(*asked(MemoryReader.of(HISTORY), "k8s://c/n/D/w"))
    assert found["metadata"]["component"]["version"] == "1"
    [model] = [c for c in found["components"] if "modelCard" in c]
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert (model["name"], [m["type"] for m in metrics]) == ("model", ["precision", "loss"])


def test_a_cut_bill_says_that_it_is_incomplete() -> None:
    """As CycloneDX says it: a composition."""
    assert "compositions" not in bill(*asked(story(), MODEL))
    cut = bill(*asked(story(), SLOT, max_nodes=8))
    assert cut["compositions"][0]["aggregate"] == "incomplete"


def test_what_is_no_artifact_and_made_none_has_no_bill() -> None:
    """The message says what to name."""
    only = record("k", "train", [], [])
    with pytest.raises(BadRequest, match="name a model or a deployment"):
        bill(*asked(MemoryReader.of([only]), "k"))


def test_the_command_line_writes_a_valid_bill(run: Run, server: Server, tmp_path: Any) -> None:  # noqa: F811
    """By the file's name alone; twice the same bytes, serial number and all."""
    with server.client() as client:
        for one in HISTORY:
            client.record(one)
    files = [tmp_path / "1.cdx.json", tmp_path / "2.cdx.json"]
    for file in files:
        assert run("export", "gs://b/model@1", "-o", file, "--url", server.url).code == 0
    assert valid(files[0].read_bytes())["metadata"]["component"]["name"] == "model"
    assert files[0].read_bytes() == files[1].read_bytes()
