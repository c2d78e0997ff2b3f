"""The REST API of a real server: recording, reading, and what it says to bad input."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from .conftest import Server

SHA = "sha256:" + "e5" * 32


@pytest.fixture(scope="module")
def http_(server: Server) -> httpx2.Client:
    return httpx2.Client(base_url=server.url, timeout=60)


def body(**fields: Any) -> dict[str, Any]:
    return {"type": "train", "controller": {"name": "rest"}, **fields}


def put(client: httpx2.Client, key: str, content: Any) -> httpx2.Response:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.put(f"/api/v1/actions/{quote(key, safe='')}", content=data)


def export(client: httpx2.Client) -> bytes:
    return client.get("/api/v1/export").content


# -- recording ------------------------------------------------------------------------


def test_put_creates_then_merges_then_changes_nothing(http_: httpx2.Client) -> None:
    """201 created; 200 merged when there is news; 200 unchanged on a replay."""
    running = body(state="running", started_at="2020-07-01T00:00:00Z")
    done = body(state="complete", ended_at="2020-07-01T01:00:00Z")
    answers = [put(http_, "rest/one", b) for b in (running, done, done, running)]
    assert [(a.status_code, a.json()["outcome"]) for a in answers] == [
        (201, "created"), (200, "merged"), (200, "unchanged"), (200, "unchanged"),
    ]  # fmt: skip
    found = http_.get("/api/v1/actions/rest%2Fone").json()
    assert found["state"] == "complete" and found["started_at"] == "2020-07-01T00:00:00Z"
    assert found["id"] == answers[0].json()["id"]
    assert http_.get(f"/api/v1/actions/{found['id']}").json() == found


def test_a_late_running_and_a_parent_nobody_reported_are_no_errors(http_: httpx2.Client) -> None:
    """They merge: the end stays, the parent is a name until somebody reports it."""
    assert put(http_, "rest/late", body(state="complete", parent="rest/nobody")).status_code == 201
    assert put(http_, "rest/late", body(state="running", by="me")).status_code == 200
    found = http_.get("/api/v1/actions/rest/late").json()
    assert (found["state"], found["by"], found["parent"]) == ("complete", "me", "rest/nobody")


@pytest.mark.parametrize("ndjson", [True, False])
def test_a_batch_gives_each_item_its_verdict(http_: httpx2.Client, ndjson: bool) -> None:
    """The good are committed whatever the others are, and each bad one says where and why."""
    items = [body(key=f"rest/batch/{ndjson}/{n}") for n in range(3)]
    items[1]["colour"] = "red"
    if ndjson:
        data = b"\n".join(json.dumps(i).encode() for i in items)
        answer = http_.post("/api/v1/actions/batch", content=data,
                            headers={"Content-Type": "application/x-ndjson"})  # fmt: skip
    else:
        answer = http_.post("/api/v1/actions/batch", json=items)
    found = answer.json()
    assert [found[n] for n in ("received", "created", "failed")] == [3, 2, 1]
    assert [r["status"] for r in found["results"]] == [201, 422, 201]
    assert found["results"][1]["error"]["errors"][0]["at"] == "colour"
    assert http_.get(f"/api/v1/actions/rest/batch/{ndjson}/2").status_code == 200


def test_a_line_that_is_not_json_costs_only_itself(http_: httpx2.Client) -> None:
    """One broken line of NDJSON does not stop the others."""
    lines = b'{"key": broken\n' + json.dumps(body(key="rest/after-broken")).encode()
    found = http_.post("/api/v1/actions/batch", content=lines,
                       headers={"Content-Type": "application/x-ndjson"}).json()  # fmt: skip
    assert (found["created"], found["failed"]) == (1, 1)


# -- bad input ------------------------------------------------------------------------

REFERENCE = {"type": "Dataset", "uri": "gs://b/x"}
BAD: dict[str, tuple[Any, int, str]] = {
    "wrong type": (body(type=7), 422, "type"),
    "wrong nested type": (body(controller={"name": 7}), 422, "controller.name"),
    "number for a time": (body(started_at=1595526327), 422, "started_at"),
    "time without zone": (body(started_at="2020-07-01T00:00:00"), 422, "started_at"),
    "unknown field": (body(colour="red"), 422, "colour"),
    "missing field": ({"type": "train"}, 422, "controller"),
    "unknown state": (body(state="done"), 422, "state"),
    "10 MB body": (b" " * 10_000_000, 413, ""),
    "10 MB field": (body(error="x" * 3_000_000), 422, "error"),
    "NUL": (body(name="a\0b"), 422, "name"),
    "reserved literal": (body(name="__MLMD_NULL__"), 422, "name"),
    "NaN": (b'{"type":"train","controller":{"name":"r"},"params":{"x":NaN}}', 422, "params.x"),
    "Infinity": (b'{"type":"train","controller":{"name":"r"},"params":{"x":1e999}}', 422, "params.x"),
    "integer over 64 bits": (body(params={"x": 2**70}), 422, "params.x"),
    "end before start": (
        body(started_at="2020-07-02T00:00:00Z", ended_at="2020-07-01T00:00:00Z"), 422, "body"),
    "100,000 edges": (body(inputs=[REFERENCE] * 100_000), 422, "inputs"),
    "6,000 edges": (body(inputs=[{"uri": "gs://b/x"}] * 6_000), 422, "inputs"),
    "malformed URI": (body(inputs=[{"uri": "gs://"}]), 422, "inputs.0"),
    "malformed port": (body(inputs=[{"uri": "https://h:99999/x"}]), 422, "inputs.0"),
    "malformed digest": (body(inputs=[{**REFERENCE, "version": "sha256:abc"}]), 422, "inputs.0"),
    "malformed image": (body(code={"image": "UPPER CASE!"}), 422, "code"),
    "nested property": (body(outputs=[{**REFERENCE, "properties": {"x": [1]}}]), 422, "outputs.0"),
    "not JSON": (b"{", 422, "body"),
    "not an object": (b"[]", 422, "body"),
    "lone surrogate": (b'{"type":"train","controller":{"name":"\\ud800"}}', 422, "body"),
    "key differs": (body(key="another"), 422, "key"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gets_a_problem_and_changes_nothing(http_: httpx2.Client, what: str) -> None:
    """problem+json with the place and the remedy; the store stays as it was."""
    content, status, place = BAD[what]
    before = export(http_)
    answer = put(http_, f"rest/bad/{what}", content)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert problem["status"] == status and problem["title"] and len(problem["detail"]) < 2000
    if status == 422:
        assert problem["errors"][0]["at"].startswith(place), problem
        assert problem["errors"][0]["message"]
    assert export(http_) == before


def test_a_key_of_10_000_characters_is_refused(http_: httpx2.Client) -> None:
    """In the URL as well as in a batch."""
    answer = put(http_, "k" * 10_000, body())
    assert answer.status_code == 422 and answer.json()["errors"][0]["at"] == "key"
    found = http_.post("/api/v1/actions/batch", json=[body(key="k" * 10_000)]).json()
    assert found["results"][0]["error"]["errors"][0]["at"] == "key"


def test_a_body_is_bounded_while_it_streams(server: Server) -> None:
    """Without a Content-Length the bound holds all the same."""
    host = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    chunks = (b"x" * 100_000 for _ in range(100))
    try:
        connection.request("PUT", "/api/v1/actions/k", body=chunks, encode_chunked=True)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all was sent
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v1/nothing", 404), ("/api/v1/actions/unknown", 404), ("/api/v1/actions?limit=0", 400),
     ("/api/v1/actions?limit=501", 400), ("/api/v1/actions?cursor=x", 400), ("/api/v1/actions?since=soon", 400),
     ("/api/v1/artifacts/xyz", 400), ("/api/v1/artifacts/" + "0" * 32, 404), ("/api/v1/lineage", 400),
     ("/api/v1/lineage?of=unknown-thing", 404), ("/api/v1/lineage?of=x&format=gif", 400),
     ("/api/v1/lineage?of=x&max_nodes=99999999", 400), ("/api/v1/live?as_of=yesterday", 400)],
)  # fmt: skip
def test_every_error_is_a_problem(http_: httpx2.Client, path: str, status: int) -> None:
    """One shape everywhere, with words that help."""
    answer = http_.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "errors"}


def test_secrets_do_not_enter(http_: httpx2.Client) -> None:
    """Parameters named like secrets are redacted, credentials in URIs dropped."""
    put(http_, "rest/secret", body(
        params={"db_password": "hunter2", "max_tokens": "7"},
        inputs=[{"uri": "https://me:hunter2@h/x?token=hunter2&part=1"}],
        code={"repo": "https://me:hunter2@github.com/o/r"},
        links={"logs": "https://me:hunter2@h/logs?X-Amz-Signature=hunter2"},
    ))  # fmt: skip
    text = http_.get("/api/v1/actions/rest/secret").text
    assert "hunter2" not in text and "[redacted]" in text and '"max_tokens":"7"' in text


# -- reading --------------------------------------------------------------------------


def test_lists_lineage_and_versions(http_: httpx2.Client) -> None:
    """The graph of two actions that name one artifact, in every format."""
    put(http_, "rest/g/train", body(
        state="complete", started_at="2020-07-01T00:00:00Z", ended_at="2020-07-01T01:00:00Z",
        inputs=[{"type": "Dataset", "uri": "gs://rest/d", "version": "v1"}],
        outputs=[{"type": "Model", "uri": "rest/models/m", "version": SHA}]))  # fmt: skip
    put(http_, "rest/g/deploy", body(
        type="deploy", state="complete", started_at="2020-07-02T00:00:00Z",
        ended_at="2020-07-02T01:00:00Z",
        inputs=[{"type": "Model", "uri": "rest/models/m", "version": SHA}],
        outputs=[{"type": "Deployment", "uri": "k8s://rest/n/Deployment/w", "version": "1"}]))  # fmt: skip
    graph = http_.get("/api/v1/lineage", params={"of": f"rest/models/m@{SHA}"}).json()
    assert len(graph["nodes"]) == 5 and len(graph["edges"]) == 4 and not graph["truncated"]
    up = http_.get(
        "/api/v1/lineage", params={"of": "gs://rest/d@v1", "direction": "upstream"}
    ).json()
    assert len(up["nodes"]) == 1
    cut = http_.get("/api/v1/lineage", params={"of": "gs://rest/d", "max_nodes": 2}).json()
    assert len(cut["nodes"]) <= 2 and cut["truncated"]
    for format, start in [
        ("dot", b"digraph"),
        ("svg", b"<"),
        ("png", b"\x89PNG"),
        ("mermaid", b"flowchart"),
    ]:
        answer = http_.get("/api/v1/lineage", params={"of": "rest/g/deploy", "format": format})
        assert answer.status_code == 200 and answer.content.lstrip().startswith(start), format
    (model,) = [n for n in graph["nodes"] if n.get("type") == "Model"]
    detail = http_.get(f"/api/v1/artifacts/{model['id']}").json()
    assert [a["key"] for a in detail["produced_by"]] == ["rest/g/train"]
    assert [a["key"] for a in detail["read_by"]] == ["rest/g/deploy"]
    assert len(http_.get(f"/api/v1/artifacts/{model['id']}/versions").json()["items"]) == 1
    live = http_.get("/api/v1/live", params={"namespace": "n", "as_of": "2020-07-03"}).json()
    (slot,) = [s for s in live["slots"] if s["slot"] == "k8s://rest/n/Deployment/w"]
    assert slot["models"][0]["version"] == SHA and slot["since"] == "2020-07-02T01:00:00Z"
    before = http_.get("/api/v1/live", params={"namespace": "n", "as_of": "2020-07-01"}).json()
    assert before["slots"] == []


def test_probes_and_openapi(http_: httpx2.Client) -> None:
    """Alive, ready, and described: every route with its problem responses and examples."""
    assert http_.get("/healthz").json() == {"status": "ok"}
    assert http_.get("/readyz").json() == {"status": "ready"}
    schema = http_.get("/api/v1/openapi.json").json()
    put_ = schema["paths"]["/api/v1/actions/{key}"]["put"]
    assert put_["requestBody"]["content"]["application/json"]["example"]["type"] == "train"
    assert {"Action", "Reference", "Problem"} <= set(schema["components"]["schemas"])


def test_answers_carry_a_strict_policy(http_: httpx2.Client) -> None:
    """No script from elsewhere, no framing, no sniffing."""
    headers = http_.get("/api/v1/live").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
