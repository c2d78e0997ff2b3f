"""The whole OpenAPI document against a real server: ten thousand requests, and no surprise.

Every operation is fuzzed with what its schema allows and with what it forbids. Left out are
three checks of Schemathesis, each where the schema cannot say what is so:

* "valid data is accepted": a time, a cursor or a reference is a text of a certain form;
* "invalid data is refused", of the two batches: there each item gets a verdict of its own;
* what `Allow` says of `/actions/batch`: an action may have the key `batch`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, Response
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    positive_data_acceptance,
)

from lineage.api import answers
from lineage.app import create_app
from lineage.config import Settings
from lineage.identity import action_id, identify

from .conftest import Server, start_server

AT_LEAST = 10_000
EACH = 370
"""Generated requests of an operation; those that come of its schema's edges are more."""
LISTENED = 0.2
"""Seconds until a stream without an end is left."""
PAST = Path(__file__).parents[1] / "examples" / "label_bot"
SLOT = "k8s://prod/label-bot/Deployment/worker"

load_all_checks()
OPENAPI = create_app(Settings()).openapi()
API = schemathesis.openapi.from_dict(OPENAPI)
FUZZ = partial(
    settings,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
made: Counter[str] = Counter()


@schemathesis.serializer("application/x-ndjson")
def _lines(_: Any, value: Any) -> bytes:
    return str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a past: questions find something."""
    running = start_server(tmp_path_factory.mktemp("fuzz"))
    with running.client() as client:
        for file in sorted(PAST.glob("*.ndjson")):
            assert client.batch(file.read_bytes())["failed"] == 0
    yield running
    running.stop()


@pytest.fixture(scope="module")
def known(fuzzed: Server) -> dict[str, list[str]]:
    """What there is to ask about, by the name of the parameter that takes it."""
    with fuzzed.client() as client:
        acts, things = list(client.actions(limit=200)), list(client.artifacts(limit=200))
        slots = [slot["slot"] for slot in client.live()["slots"]]
    keys = [act["key"] for act in acts] + [act["id"] for act in acts]
    ids, uris = [t["id"] for t in things], [t["uri"] for t in things]
    times = [act["reported_at"] for act in acts[::7]] + ["2020-07-10", "2020-07-10T00:00:00+02:00"]
    refs = [*keys, *ids, *uris, *(f"{slot}@2020-07-20" for slot in slots), *slots]
    words = [ref.rpartition("/")[2] for ref in refs] + ["type:Model", "max_age_days=30", '"a b"']
    return {
        "key": keys, "id": ids, "slot": slots, "of": refs, "a": refs, "b": refs, "uri": uris,
        "as_of": times, "since": times, "until": times, "q": words, "type": ["Model", "train"],
        "select": [f"{n}+{ref}+{n}" for ref in refs[::9] for n in ("", "1")] + ["type:Model"],
        "model": uris, "controller": ["modelsync/labelbot-train"], "namespace": ["label-bot"],
        "max_age": ["24h", "24h,modelsync/labelbot-train=7d"], "give_up": ["1h30m"],
        "state": ["complete"], "types": ["Model,Dataset"],
    }  # fmt: skip


def informed(case: Case[Any], known: dict[str, list[str]]) -> None:
    """For half of the values that are allowed and lead nowhere one that leads somewhere."""
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    for part in (case.query, case.path_parameters):
        for name, value in list((part or {}).items()):
            dice = crc32(f"{case.operation.label} {name} {value!r}".encode("utf-8", "replace"))
            if name in known and isinstance(value, str) and dice % 2:
                part[name] = known[name][dice // 2 % len(known[name])]


def fuzz(case: Case[Any], server: Server, http: requests.Session, **options: Any) -> Response:
    made[case.operation.label] += 1
    response = case.call(base_url=server.url, session=http, **{"timeout": 60, **options})
    if response.text == "Invalid HTTP request received.":
        # uvicorn's own word: what stands before the body may have 64 KiB.
        assert response.status_code == 400 and len(str(response.request.url)) > 60_000
        return response
    left_out: list[Any] = [positive_data_acceptance]
    if case.operation.path.endswith("/batch"):
        left_out += [negative_data_rejection, allow_header_conformance]
    case.validate_response(response, excluded_checks=left_out)
    if response.status_code >= 400 and not case.path.startswith("/lambda"):
        assert response.headers["content-type"] == ["application/problem+json"]
        assert response.json()["detail"]
    return response


@pytest.fixture(scope="module")
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.mark.timeout(600)
@API.exclude(path="/api/v1/events").parametrize()
@FUZZ(max_examples=EACH)
def test_every_operation_keeps_its_word(
    case: Case[Any], fuzzed: Server, http: requests.Session, known: dict[str, list[str]]
) -> None:
    """No 5xx; only documented status codes, media types, headers and schemas."""
    informed(case, known)
    response = fuzz(case, fuzzed, http)
    graph = case.operation.label == "GET /api/v1/lineage" and response.status_code == 200
    if graph and (case.query or {}).get("format", "json") == "json":
        # Others are JSON as well, which the document says; this one is ours.
        assert response.json().keys() == answers.SCHEMAS["Graph"]["properties"].keys()


@pytest.mark.timeout(600)
@API.include(path="/api/v1/events").parametrize()
@FUZZ(max_examples=20)
def test_the_stream_keeps_its_word(case: Case[Any], fuzzed: Server, http: requests.Session) -> None:
    """The same of `/events`; each stream is left after a moment, for none ends by itself."""
    fuzz(case, fuzzed, http, timeout=LISTENED)


@pytest.mark.timeout(600)
@given(case=API["/api/v1/actions/{key}"]["PUT"].as_strategy())
@FUZZ(max_examples=150)
def test_what_was_taken_can_be_read(
    case: Case[Any], fuzzed: Server, http: requests.Session
) -> None:
    """Whatever is answered 2xx is there at once, by key and by id, with all that it names."""
    own = f"/{made.total()}"
    case.path_parameters["key"] += own
    sent: Any = case.body
    if isinstance(sent, dict):
        sent.pop("key", None)
    answer = fuzz(case, fuzzed, http)
    if answer.status_code not in (200, 201):
        return
    id_, key = answer.json()["id"], answer.json()["key"]  # in the path it was encoded
    assert id_ == action_id(key) and key.endswith(own)
    found = get(http, fuzzed, f"actions/{id_}")
    assert (found["key"], found["type"]) == (key, sent["type"])
    for side in ("inputs", "outputs"):
        ids = {one["id"] for one in found[side]}
        for one in sent.get(side, ()):
            named = identify(one["uri"], one.get("version"), one.get("type", "Artifact")).id
            assert named in ids
            assert get(http, fuzzed, f"artifacts/{named}")["id"] == named
    graph = get(http, fuzzed, "lineage", of=id_)
    assert id_ in {node["id"] for node in graph["nodes"]}
    listed = get(http, fuzzed, "actions", limit=500)["items"]
    assert any(one["id"] == id_ for one in listed) or len(listed) == 500


def get(http: requests.Session, server: Server, path: str, **params: Any) -> Any:
    made["read again"] += 1
    response = http.get(f"{server.url}/api/v1/{path}", params=params, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


def test_ten_thousand_requests_were_made(fuzzed: Server, http: requests.Session) -> None:
    """Of every operation some, and the server is still there. (Of the whole file only.)"""
    paths = OPENAPI["paths"]
    assert {f"{m.upper()} {path}" for path in paths for m in paths[path]} <= made.keys()
    assert made.total() >= AT_LEAST, made
    assert get(http, fuzzed, "stats")["index"]["trouble"] is None
    print(f"\n{made.total():,} requests: {dict(made.most_common())}")
