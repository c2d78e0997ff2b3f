"""SLSA provenance in in-toto statements: ours are valid, others' are read, Chains' join up."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement

from controllers_hooks.observers import tekton
from controllers_hooks.observers.objects import View
from lineage.errors import BadRequest, InvalidRecord, LineageError
from lineage.formats import REGISTRY
from lineage.merge import report
from lineage.model import Action, parse_action
from lineage.queries.lineage import lineage
from tests.conftest import Server
from tests.graphs import asked, hostile, of_all, several
from tests.memory import MemoryReader
from tests.test_cli import Run, run  # noqa: F401

CHAINS = Path(__file__).parent / "fixtures" / "tekton-chains"
TRAINING = "tekton.dev/PipelineRun/8416892d-5897-45a0-8dd9-f877f3b0db2b"
MODEL = "projects/976279526634/locations/us-central1/models/TCN4131157655647420416"
DATA = "gs://issue-label-bot-dev_automl/automl_TCN1/dataset_200723_174527.csv"
SLSA = REGISTRY["slsa"]


def validate(line: bytes) -> dict[str, Any]:
    """By the bindings of the in-toto attestation framework; unknown fields are refused, and so is
    what SLSA requires for Build L1 and is missing (provenance v1, "BuildDefinition" and on)."""
    statement = json_format.Parse(line, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    found: dict[str, Any] = json.loads(line)
    predicate = json.dumps(found["predicate"])
    provenance = json_format.Parse(predicate, provenance_pb2.Provenance())
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert provenance.build_definition.build_type
    assert provenance.build_definition.HasField("external_parameters")
    assert provenance.run_details.builder.id
    for dependency in provenance.build_definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(dependency).validate()
        assert dependency.uri or dependency.digest
    return found


def read(document: Any) -> list[dict[str, Any]]:
    assert SLSA.read is not None
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    records = list(SLSA.read(text))
    for one in records:
        parse_action(json.dumps(one))
    return records


def statement(**predicate: Any) -> dict[str, Any]:
    return {"_type": "https://in-toto.io/Statement/v1", "subject": [],
            "predicateType": "https://slsa.dev/provenance/v1", "predicate": predicate}  # fmt: skip


def signed(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHAINS / f"{name}.json").read_bytes())
    return found


def payload(obj: dict[str, Any]) -> bytes:
    [text] = [v for k, v in obj["metadata"]["annotations"].items() if "/payload-" in k]
    return base64.b64decode(text)


@settings(max_examples=50, deadline=None)
@given(several)
def test_what_is_written_is_valid_and_read_back_as_the_same_actions(reports: list[Action]) -> None:
    """A statement loses only what no run says of itself: properties and aliases of artifacts, and
    which report said what."""
    _, detail = of_all(reports)
    assert SLSA.each is not None
    for state in detail.actions.values():
        line = SLSA.each(state, detail.artifacts)
        if not line:
            assert all(edge.side == "in" for edge in state.edges)
            continue
        validate(line)
        [back] = read(line)
        again, _ = report(parse_action(json.dumps(back)))
        assert again.key == state.key
        assert again.edges == state.edges
        kept = {n: v for n, (_, v) in state.fields.items() if not n.startswith("traffic.")}
        if state.ended is not None and state.ended < state.started:
            kept.pop("ended_at")  # two reports disagree
        assert {n: v for n, (_, v) in again.fields.items()} == kept


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("_type", "https://in-toto.io/Statement/v2"), ("subject", []), ("more", 1),
        ("subject.0.digest", {}), ("subject.0.digest.sha256", 7), ("subject.0.hash", "ab"),
        ("predicateType", "https://slsa.dev/provenance/v2"), ("predicate.buildDefinition", {}),
        ("predicate.buildDefinition.buildType", ""), ("predicate.runDetails.builder.id", ""),
        ("predicate.buildDefinition.externalParameters", None),
        ("predicate.buildDefinition.resolvedDependencies.0", {"name": "neither uri nor digest"}),
        ("predicate.runDetails.metadata.startedOn", "yesterday"), ("predicate.materials", []),
    ],
)  # fmt: skip
def test_the_validator_refuses_a_wrong_statement(path: str, value: Any) -> None:
    """Each of these breaks the format in one place, so the tests here mean something."""
    assert SLSA.graph is not None
    found = validate(SLSA.graph(*asked(MemoryReader.of(
        parse_action(json.dumps(one)) for one in read(signed("pipelinerun-labelbot-train-1a2b3"))
    ), MODEL)))  # fmt: skip
    *way, last = path.split(".")
    part: Any = found
    for name in way:
        part = part[int(name) if name.isdigit() else name]
    part[int(last) if last.isdigit() else last] = value
    with pytest.raises((ValueError, AssertionError, json_format.ParseError)):
        validate(json.dumps(found).encode())


def test_hostile_texts_make_valid_statements() -> None:
    """Protobuf takes only whole UTF-8 and no unknown field."""
    _, detail = of_all([hostile()])
    assert SLSA.each is not None
    for state in detail.actions.values():
        validate(SLSA.each(state, detail.artifacts))


def test_a_graph_becomes_the_statements_of_what_was_asked_about() -> None:
    """Of an artifact each production of it, with it alone as subject."""
    reports = [
        {"key": key, "type": "train", "controller": {"name": "c"},
         "outputs": [{"type": "Model", "uri": "gs://b/m", "version": "sha256:" + "ab" * 32},
                     {"type": "Metrics", "uri": f"gs://b/{key}"}]}
        for key in ("one", "two")
    ]  # fmt: skip
    reader = MemoryReader.of(parse_action(json.dumps(one)) for one in reports)
    assert SLSA.graph is not None
    lines = SLSA.graph(*asked(reader, "gs://b/m")).splitlines()
    found = [validate(line) for line in lines]
    subject = {"name": "gs://b/m", "digest": {"sha256": "ab" * 32}}
    assert [(s["name"], s["digest"]) for one in found for s in one["subject"]] == [
        (subject["name"], subject["digest"])
    ] * 2
    [whole] = SLSA.graph(*asked(reader, "one")).splitlines()
    assert len(validate(whole)["subject"]) == 2


def test_what_nobody_produced_cannot_be_attested() -> None:
    """An input alone has no provenance here."""
    raw = {
        "key": "k",
        "type": "train",
        "controller": {"name": "c"},
        "inputs": [{"uri": "gs://b/i"}],
    }
    assert SLSA.graph is not None
    with pytest.raises(BadRequest, match="nothing to attest"):
        SLSA.graph(*asked(MemoryReader.of([parse_action(json.dumps(raw))]), "gs://b/i"))


@pytest.mark.parametrize("file", sorted(CHAINS.glob("*.json")), ids=lambda file: file.stem)
def test_what_chains_signed_joins_what_the_observer_saw(file: Path) -> None:
    """Same key, same artifacts, and where both speak of the run itself, the observer's word."""
    obj = json.loads(file.read_bytes())
    [attested] = [parse_action(json.dumps(one)) for one in read(obj)]
    run_, tasks = (obj, []) if obj["kind"] == "PipelineRun" else (None, [obj])
    [raw] = tekton.records(run_, tasks, View("prod"))
    observed = parse_action(json.dumps(raw))
    assert attested.key == observed.key
    for order in ([attested, observed], [observed, attested]):
        reader = MemoryReader.of(order)
        [state] = reader.actions_by_id([report(observed)[0].id]).values()
        alone = report(observed)[0]
        for name, (_, value) in alone.fields.items():
            assert state.get(name) == value, name
        assert alone.edges <= state.edges
        # What only the attestation names is what the tasks used: data and images.
        assert all(edge.side == "in" or edge in alone.edges or edge.role == ""
                   or attested.key == TRAINING for edge in state.edges)  # fmt: skip


def test_the_model_among_the_by_products_is_an_output_of_the_training() -> None:
    """v2alpha4 lists what no `isBuildArtifact` flags there; data and code are inputs, the commit
    loses its line break."""
    [found] = read(signed("pipelinerun-labelbot-train-1a2b3"))
    assert (found["key"], found["type"], found["state"]) == (TRAINING, "train", "complete")
    assert found["outputs"] == [
        {"type": "Model", "uri": MODEL, "version": "sha256:" + "d7" * 32, "role": "model",
         "evidence": "observed"}
    ]  # fmt: skip
    assert found["code"]["commit"] == "faeb65757214ac93259f417b81e9e2fedafaebda"
    assert [one["role"] for one in found["inputs"] if one["uri"] == DATA] == ["issues"]
    assert found["params"]["notebook-path"].endswith("automl.ipynb")


def test_a_failed_run_that_was_signed_has_failed() -> None:
    """Chains signs it all the same, and only the object says so."""
    obj = signed("pipelinerun-labelbot-train-4c5d6")
    assert read(obj)[0]["state"] == "failed"
    assert "state" not in read(payload(obj))[0]


def test_a_bare_statement_an_envelope_a_bundle_a_list_and_lines_are_all_read() -> None:
    """Wherever the statement lies, it says the same."""
    obj = signed("pipelinerun-labelbot-train-1a2b3")
    body = payload(obj)
    [bare] = read(body)
    envelope = {"payloadType": "application/vnd.in-toto+json", "signatures": [],
                "payload": base64.b64encode(body).decode()}  # fmt: skip
    url_safe = {**envelope, "payload": base64.urlsafe_b64encode(body).decode()}
    lines = b"\n".join([json.dumps(json.loads(body)).encode()] * 2) + b"\n"
    for document in (envelope, url_safe, {"dsseEnvelope": envelope}, [envelope]):
        assert read(document) == [bare]
    assert read(lines) == [bare, bare]
    listed = read({"kind": "List", "items": [obj, {"metadata": {"name": "not signed yet"}}]})
    assert [one["key"] for one in listed] == [TRAINING]
    assert bare["key"] == TRAINING  # the invocation is the run's uid


def test_provenance_of_another_builder_is_read_by_the_same_rules() -> None:
    """SLSA v1 as GitHub's generator writes it, and v0.2 without an invocation."""
    builder = "https://github.com/o/r/.github/workflows/release.yml@refs/heads/main"
    [found] = read({
        **statement(
            buildDefinition={
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {"workflow": {"ref": "refs/heads/main"}, "n": 1},
                "resolvedDependencies": [
                    {"uri": "git+https://github.com/o/r@refs/heads/main",
                     "digest": {"gitCommit": "ab" * 20}},
                    {"digest": {"sha512": "cd" * 64}}, {"content": "aGk="},
                ],
            },
            runDetails={"builder": {"id": builder},
                        "metadata": {"invocationId": "https://github.com/o/r/actions/runs/1"}},
        ),
        "subject": [{"name": "dist.whl", "digest": {"sha256": "EF" * 32}}],
    })  # fmt: skip
    assert (found["key"], found["controller"]) == (
        "https://github.com/o/r/actions/runs/1", {"name": builder},
    )  # fmt: skip
    assert (found["code"]["commit"], found["params"]["n"]) == ("ab" * 20, 1)
    assert found["inputs"] == [
        {"type": "Artifact", "uri": "sha512:" + "cd" * 64, "version": "sha512:" + "cd" * 64}
    ]
    old = {"_type": "https://in-toto.io/Statement/v0.1", "subject": [],
           "predicateType": "https://slsa.dev/provenance/v0.2",
           "predicate": {"builder": {"id": "b"}, "buildType": "x",
                         "invocation": {"configSource": {"uri": "git+https://h/o/r",
                                                         "digest": {"sha1": "ab" * 20},
                                                         "entryPoint": "build.yaml"}}}}  # fmt: skip
    [first] = read(old)
    assert first["key"].startswith("in-toto/sha256:")
    assert first["code"] == {"repo": "git+https://h/o/r", "commit": "ab" * 20, "path": "build.yaml"}
    assert read(old) == [first]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "holds no statement"),
        (b"{", "line 1: is not JSON"),
        (b"7", "file: is not an object"),
        (b"[" * 100_000, "file: is nested too deeply"),
        ({"a": 1}, "is no in-toto statement"),
        ({"metadata": {"annotations": None}}, "has not signed"),
        ({"_type": "x"}, "_type: is none of"),
        ({"payloadType": "x", "payload": "!"}, "payload: is not base64"),
        ({"payloadType": "x", "payload": "e30="}, "payload: holds no in-toto statement"),
        (
            {**statement(), "predicateType": "https://spdx.dev/Document"},
            "predicateType: is neither",
        ),
        ({**statement(), "predicate": []}, "predicate: is not an object"),
    ],
)
def test_what_is_no_provenance_is_refused_with_its_place(document: Any, message: str) -> None:
    """Place and remedy, never a traceback."""
    with pytest.raises(InvalidRecord, match=message):
        read(document)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "predicate", "buildDefinition", "runDetails", "builder", "id", "metadata", "invocationId",
        "resolvedDependencies", "uri", "digest", "sha256", "byproducts", "name", "content",
        "externalParameters", "runSpec", "params", "annotations", "invocation", "materials",
        "internalParameters", "lineage_action", "buildType", "startedOn", "finishedOn",
    ]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(junk, junk, st.sampled_from(["v1", "v0.2"]))
def test_hostile_statements_are_read_or_refused(subject: Any, predicate: Any, version: str) -> None:
    """A statement of any shape never breaks the reader."""
    text = json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": subject,
                       "predicateType": f"https://slsa.dev/provenance/{version}",
                       "predicate": predicate}).encode()  # fmt: skip
    assert SLSA.read is not None
    try:
        records = list(SLSA.read(text))
        for one in records:
            parse_action(json.dumps(one))
    except LineageError:
        pass


def test_attestations_are_imported_from_the_command_line(
    run: Run,  # noqa: F811
    server: Server,
    tmp_path: Path,
) -> None:
    """By the format's word or the file's name; what is wrong with a file is said with its name."""
    files = sorted(CHAINS.glob("*.json"))
    done = run("import", "slsa", *files, "--json", "--url", server.url)
    counts = json.loads(done.out)
    assert (done.code, counts["received"], counts["failed"]) == (0, len(files), 0)
    with server.client() as client:
        nodes = client.lineage(MODEL, direction="upstream")["nodes"]
        assert {TRAINING, DATA} <= {node.get("key", node.get("uri")) for node in nodes}
        out = tmp_path / "model.intoto.jsonl"
        assert run("export", MODEL, "-o", out, "--url", server.url).code == 0
        for line in out.read_bytes().splitlines():
            validate(line)
    again = run("import", out, "--url", server.url)
    assert (again.code, again.out.split(",")[0]) == (0, "0 created")
    broken = tmp_path / "broken.intoto.json"
    broken.write_text("{}")
    failed = run("import", broken, "--url", server.url)
    assert (failed.code, "broken.intoto.json: file: is no" in failed.err) == (1, True)
    refused = run("import", tmp_path / "x.prov.json", "--url", server.url)
    assert (refused.code, "prov is only written" in refused.err.replace("\n", " ")) == (2, True)


def test_a_chain_of_attestations_is_a_graph() -> None:
    """Nothing but what was signed: from the deployment back to the data."""
    reports = [one for file in sorted(CHAINS.glob("pipelinerun-*.json")) for one in read(
        json.loads(file.read_bytes()))]  # fmt: skip
    reader = MemoryReader.of(parse_action(json.dumps(one)) for one in reports)
    found = lineage(reader, MODEL, "upstream").nodes.values()
    assert DATA in {getattr(node, "uri", "") for node in found}
