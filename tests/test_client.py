"""The client against a real server, and against answers no good server would give."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from lineage.client import Client
from lineage.errors import (
    BadRequest,
    InvalidRecord,
    LineageError,
    NotFound,
    RenderError,
    ServerUnreachable,
    StoreError,
    StoreInUse,
    StoreUnavailable,
    TooLarge,
    Unauthorized,
)
from lineage.model import Action, Controller, Reference

from .conftest import Server

KEY = "tekton.dev/PipelineRun/ü ?#%2F"


def action(key: str = KEY, **more: Any) -> dict[str, Any]:
    return {"key": key, "type": "train", "controller": {"name": "client-test"}, **more}


def test_a_key_of_any_characters_names_the_same_action_again(server: Server) -> None:
    """Slashes, blanks and percent signs survive the way through a URL."""
    with server.client() as client:
        assert client.record(action())["outcome"] == "created"
        assert client.record(action())["outcome"] == "unchanged"
        found = client.action(KEY)
        assert found["key"] == KEY
        assert client.action(found["id"]) == found


@pytest.mark.parametrize("key", ["client/../up", "client//", "client/", "client/./x?y=1&z#f"])
def test_a_key_that_looks_like_a_path_is_not_resolved(server: Server, key: str) -> None:
    """A key is text: nothing on the way may tidy it up."""
    with server.client() as client:
        assert client.record(action(key))["key"] == key
        assert client.action(key)["key"] == key


def test_an_action_is_recorded_as_it_is(server: Server) -> None:
    """The model and its JSON are the same record."""
    reference = Reference(type="Model", uri="gs://client/model", version="v1")
    record = Action(
        key="client/model", type="train", controller=Controller(name="c"), outputs=(reference,)
    )
    with server.client() as client:
        client.record(record)
        assert client.record(json.loads(record.model_dump_json()))["outcome"] == "unchanged"
        artifact = client.artifact(reference.identity().id)
        assert (artifact["type"], artifact["uri"]) == ("Model", "gs://client/model")
        assert [v["id"] for v in client.versions(artifact["id"])] == [artifact["id"]]
        assert artifact["id"] in [a["id"] for a in client.artifacts(uri="gs://client/model")]


def test_a_list_has_every_page(server: Server) -> None:
    """An iterator goes on where a page ends, so a caller never sees cursors."""
    lines = [json.dumps({**action(f"page/{n}"), "controller": {"name": "pager"}}) for n in range(7)]
    with server.client() as client:
        answer = client.batch("\n".join(lines).encode())
        assert (answer["received"], answer["created"]) == (7, 7)
        keys = [found["key"] for found in client.actions(controller="pager", limit=2)]
        assert sorted(keys) == [f"page/{n}" for n in range(7)]
        assert "pager" in [c["name"] for c in client.controllers()]


def test_a_batch_may_be_an_array_or_a_stream(server: Server) -> None:
    """JSON, NDJSON and pieces of NDJSON all arrive."""
    one, two = (json.dumps(action(f"batch/{n}")).encode() for n in range(2))
    with server.client() as client:
        assert client.batch(b"[" + one + b"]", ndjson=False)["created"] == 1
        assert client.batch(iter([one + b"\n", two + b"\n"]))["created"] == 1


def test_lineage_live_export_and_health_answer(server: Server) -> None:
    """Each question has its method."""
    model = {"type": "Model", "uri": "gs://client/drawn"}
    with server.client() as client:
        client.record(action("client/drawn", outputs=[model]))
        graph = client.lineage("gs://client/drawn", direction="upstream")
        assert [n["key"] for n in graph["nodes"] if n["kind"] == "action"] == ["client/drawn"]
        assert json.loads(client.graph("client/drawn", "json")) == client.lineage("client/drawn")
        assert client.live(namespace="nowhere")["slots"] == []
        lines = b"".join(client.export()).splitlines()
        assert "client/drawn" in [json.loads(line)["key"] for line in lines]
        assert client.health()


def test_errors_of_the_server_are_errors_here(server: Server) -> None:
    """A refusal has the class, the detail and the places the server gave it."""
    with server.client() as client:
        with pytest.raises(InvalidRecord) as refused:
            client.record(action(colour="red"))
        assert refused.value.errors[0]["at"] == "colour"
        with pytest.raises(NotFound, match="no-such-thing"):
            client.action("no-such-thing")
        with pytest.raises(BadRequest):
            client.live(as_of="yesterday")


def test_a_record_without_a_key_is_refused_before_it_is_sent() -> None:
    """There is no URL for it."""
    with pytest.raises(InvalidRecord, match="key: is missing"):
        Client("http://127.0.0.1:1").record({"type": "train"})


def test_no_server_is_an_error_with_advice() -> None:
    """Nothing listens there: say how to start one."""
    with Client("http://127.0.0.1:1") as client, pytest.raises(ServerUnreachable) as gone:
        client.health()
    assert "lineage serve" in str(gone.value)
    assert "http://127.0.0.1:1" in str(gone.value)


@pytest.mark.parametrize("url", ["not a url", "ftp://host", ""])
def test_an_address_that_cannot_be_is_an_error_with_advice(url: str) -> None:
    """A wrong LINEAGE_URL gives no traceback."""
    with Client(url) as client, pytest.raises(ServerUnreachable, match="address"):
        client.live()


def test_a_server_that_says_nothing_is_given_up() -> None:
    """A timeout is an error like any other."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, timeout=0.1) as client, pytest.raises(ServerUnreachable, match="in time"):
            client.live()


def test_the_token_is_sent_and_never_shown() -> None:
    """It goes into one header, and into no representation or error."""
    with answering(200, b'{"slots": []}') as (url, requests):
        client = Client(url, token="s3cret")
        client.live()
        assert dict(requests[0]["headers"])[b"authorization"] == b"Bearer s3cret"
        assert "s3cret" not in repr(client)


@pytest.mark.parametrize(
    ("status", "title", "kind"),
    [
        (400, "The request is not valid", BadRequest),
        (401, "A token is needed", Unauthorized),
        (404, "Not found", NotFound),
        (413, "The body is too large", TooLarge),
        (422, "The record is not valid", InvalidRecord),
        (500, "The store refused", StoreError),
        (500, "The drawing failed", RenderError),
        (500, "Something new", LineageError),
        (503, "The store is not available", StoreUnavailable),
        (503, "The database is in use", StoreInUse),
        (418, "Something new", LineageError),
    ],
)
def test_a_problem_becomes_the_error_it_was(
    status: int, title: str, kind: type[LineageError]
) -> None:
    """By status, and by title where several errors share one."""
    problem = {"type": "about:blank", "title": title, "status": status, "detail": "why and what",
               "errors": [{"at": "uri", "message": "is empty"}]}  # fmt: skip
    answer = answering(status, json.dumps(problem).encode())
    with answer as (url, _), pytest.raises(LineageError) as caught:
        Client(url).live()
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.title, error.detail) == (status, title, "why and what")
    assert error.errors == problem["errors"]


@pytest.mark.parametrize(
    ("status", "body"), [(502, b"<html>Bad gateway"), (200, b"hello"), (302, b""), (500, b"[]")]
)
def test_an_answer_of_something_else_is_named_so(status: int, body: bytes) -> None:
    """A proxy or another program at the address is no lineage server."""
    with answering(status, body) as (url, _), pytest.raises(LineageError, match="unlike a lineage"):
        Client(url).live()


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that gives this answer to everything, and the requests it saw."""
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
