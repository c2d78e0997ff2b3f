"""OpenLineage over HTTP: the real client, batches, compression, durability, and the mistakes
seen in a peer's consumer, each as a test."""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import dataset_version_dataset

from tests.conftest import MakeServer, Server
from tests.openlineage_events import dataset, emitter, facet, key, run_event, run_id, time

RUNS = 200
URL = "/api/v1/lineage"


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        yield client


def graph(http: httpx2.Client, of: str, **options: Any) -> dict[str, Any]:
    answer = http.get(URL, params={"of": of, **options})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def names(found: dict[str, Any]) -> set[str]:
    return {
        n.get("key") or n["uri"] + (f"@{n['version']}" if n["version"] else "")
        for n in found["nodes"]
    }


@contextmanager
def unsteady(url: str) -> Iterator[str]:
    """A proxy before the server that fails every fifth request: half of these before the server
    heard of it, half after it was recorded, so that the client sends it twice."""
    count = iter(range(10**9))
    hop = httpx2.Client(base_url=url, timeout=30)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept = ("content-type", "content-encoding", "authorization")
            headers = {n: v for n, v in self.headers.items() if n.lower() in kept}
            number = next(count)
            status = 503
            if number % 10 != 0:
                status = hop.post(self.path, content=body, headers=headers).status_code
            self.send_response(503 if number % 10 == 5 else status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()
        hop.close()


def told(number: int, kind: RunState, at: int) -> RunEvent:
    """Run `number` reads version `number` of one table and writes that version of a model."""
    version = dataset_version_dataset.DatasetVersionDatasetFacet(str(number))
    return RunEvent(
        eventTime=time(at),
        eventType=kind,
        producer="https://github.com/a/b",
        run=Run(run_id(f"many/{number}")),
        job=Job("many", f"job/{number % 7}"),
        inputs=[InputDataset("s3://lake", "many/in", facets={"version": version})],
        outputs=[OutputDataset("many", "model/out", facets={"version": version})],
    )


def test_two_hundred_runs_out_of_order_and_twice(server: Server, http: httpx2.Client) -> None:
    """The real client, gzipped and with a token, over a network that fails, from four threads:
    the lineage is complete and exact, and every time is an eventTime."""
    events = []
    for number in range(RUNS):
        end = RunState.FAIL if number % 5 == 0 else RunState.COMPLETE
        events += [told(number, RunState.START, number), told(number, end, number + 30)] * 2
    random.Random(7).shuffle(events)
    with unsteady(server.url) as url:
        clients = [emitter(url) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            jobs = enumerate(events)
            for done in [pool.submit(clients[n % 4].emit, event) for n, event in jobs]:
                done.result()
    listed = list(server.client().actions(namespace="many"))
    assert len(listed) == RUNS
    for number in range(RUNS):
        found = graph(http, f"many/model/out@{number}")
        assert names(found) == {
            f"s3://lake/many/in@{number}", key(f"many/{number}"), f"many/model/out@{number}",
        }  # fmt: skip
        (act,) = (node for node in found["nodes"] if node["kind"] == "action")
        assert act["state"] == ("failed" if number % 5 == 0 else "complete")
        assert (act["started_at"], act["ended_at"]) == (time(number), time(number + 30))
        assert len(found["edges"]) == 2


def test_an_event_is_answered_with_201_and_nothing_else(http: httpx2.Client) -> None:
    """Sending it again changes nothing."""
    for _ in range(2):
        answer = http.post(URL, json=run_event("answer"))
        assert (answer.status_code, answer.content) == (201, b"")
        assert answer.headers["content-length"] == "0"


def test_a_batch_names_exactly_its_bad_events(http: httpx2.Client) -> None:
    """The others are recorded, and a client knows that sending the bad again is no use."""
    batch: list[Any] = [run_event(f"batch/{n}") for n in range(10)]
    batch[2] = {"a": 1}
    batch[5]["run"]["runId"] = "not-a-uuid"
    batch[9]["eventTime"] = "yesterday"
    answer = http.post(f"{URL}/batch", json=batch)
    assert answer.status_code == 200
    said = answer.json()
    assert said["status"] == "partial_success"
    assert said["summary"] == {
        "received": 10, "successful": 7, "failed": 3, "retriable": 0, "non_retriable": 3,
    }  # fmt: skip
    assert [(one["index"], one["retriable"]) for one in said["failed_events"]] == [
        (2, False), (5, False), (9, False),
    ]  # fmt: skip
    reasons = [one["reason"] for one in said["failed_events"]]
    assert all(p in r for p, r in zip(("no event", "UUID", "time"), reasons, strict=True))
    for n in (0, 1, 3, 4, 6, 7, 8):
        assert graph(http, key(f"batch/{n}"))["nodes"]


@pytest.mark.parametrize(
    ("batch", "status"), [([], "success"), ([run_event("b/1")], "success"), ([3], "failure")]
)
def test_a_batch_says_how_it_went(http: httpx2.Client, batch: list[Any], status: str) -> None:
    """An empty one is a success."""
    assert http.post(f"{URL}/batch", json=batch).json()["status"] == status


def test_batches_on_one_connection_all_get_their_answer(http: httpx2.Client) -> None:
    """A peer's 204 had a body, which broke every second batch of a client that keeps the
    connection."""
    for n in range(10):
        answer = http.post(f"{URL}/batch", json=[run_event(f"kept/{n}")])
        assert answer.json()["summary"]["successful"] == 1
        assert http.post(URL, json=run_event(f"kept/{n}", "COMPLETE", 1)).status_code == 201


@pytest.mark.parametrize("path", [URL, f"{URL}/batch"])
def test_gzip_is_read_and_a_bomb_is_not_unpacked(http: httpx2.Client, path: str) -> None:
    """Bodies are bounded as they come and unpacked."""
    event: Any = run_event("gzip")
    body = json.dumps([event] if path.endswith("batch") else event).encode()
    packed = {"content-encoding": "gzip"}
    two = gzip.compress(body[:20]) + gzip.compress(body[20:])
    for good in (gzip.compress(body), two):
        assert http.post(path, content=good, headers=packed).is_success
    bomb = gzip.compress(b" " * (200 * 2**20))
    answer = http.post(path, content=bomb, headers=packed)
    assert (answer.status_code, "unpacked" in answer.json()["detail"]) == (413, True)
    for bad in (body, gzip.compress(body)[:-9], b"\x1f\x8b"):
        answer = http.post(path, content=bad, headers=packed)
        assert (answer.status_code, "gzip" in answer.json()["detail"]) == (400, True)
    answer = http.post(path, content=body, headers={"content-encoding": "br"})
    assert (answer.status_code, "send gzip or none" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"a": 1}', 422), (b"", 400), (b"{", 400), (b"[]", 422), (b'"\\ud800"', 400),
     (json.dumps({**run_event(1), "run": {"runId": "42"}}).encode(), 422)],
)  # fmt: skip
def test_what_is_no_event_gets_a_problem(http: httpx2.Client, body: bytes, status: int) -> None:
    """A peer answered 201 to `{"a": 1}` and to a bad UUID."""
    answer = http.post(URL, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_complete_before_start_is_complete(http: httpx2.Client) -> None:
    """At a peer a third of all runs stayed at START when four clients sent."""
    both = [run_event("early", "COMPLETE", 9), run_event("early", "START", 4)]
    for event in both:
        assert http.post(URL, json=event).status_code == 201
    (act,) = graph(http, key("early"))["nodes"]
    assert (act["state"], act["started_at"], act["ended_at"]) == ("complete", time(4), time(9))


def test_names_with_slashes_are_found(http: httpx2.Client) -> None:
    """A peer's graph route answered 404 to `s3://lake` and `a/b`."""
    event = run_event("slash", "COMPLETE", inputs=[dataset("s3://slashes/", "x/y/z")])
    assert http.post(URL, json=event).status_code == 201
    assert key("slash") in names(graph(http, "s3://slashes/x/y/z"))


def test_the_lineage_of_a_version_is_its_own(http: httpx2.Client) -> None:
    """At a peer it was mixed with that of every version its job ever touched. Here it is not,
    even where the runs name no versions at all."""
    for day in range(3):
        raw = run_event(f"day/{day}/load", "COMPLETE", 60 * day, outputs=[dataset("w", "raw")])
        use = run_event(f"day/{day}/use", "START", 60 * day + 10,
                        inputs=[dataset("w", "raw")], outputs=[dataset("w", "report")])  # fmt: skip
        for event in (use, raw):
            assert http.post(URL, json=event).status_code == 201
    report = f"w/report@run:{run_id('day/1/use')}"
    assert names(graph(http, report, direction="upstream")) == {
        report, key("day/1/use"), "w/raw", f"w/raw@run:{run_id('day/1/load')}", key("day/1/load"),
    }  # fmt: skip


def test_an_inputs_version_is_honoured_whenever_it_is_told(http: httpx2.Client) -> None:
    """Marquez ignores it (#2733). Here nothing else is inferred, though a newer version exists
    and the START did not know which was read."""
    for n in (1, 2):
        made = [dataset("v", "table", str(n))]
        http.post(URL, json=run_event(f"v/{n}", "COMPLETE", n, outputs=made))
    http.post(URL, json=run_event("v/read", "START", 30, inputs=[dataset("v", "table")]))
    http.post(URL, json=run_event("v/read", "COMPLETE", 40, inputs=[dataset("v", "table", "1")]))
    found = graph(http, key("v/read"), direction="upstream")
    assert names(found) == {key("v/read"), "v/table", "v/table@1", key("v/1")}
    assert {edge["kind"] for edge in found["edges"]} == {"recorded"}


def test_an_output_has_the_version_its_run_names_in_the_end(http: httpx2.Client) -> None:
    """While it is not named the run stands for it; afterwards only the version is drawn, and
    whoever read the table without one is bound to it."""
    http.post(URL, json=run_event("o/write", "START", 1, outputs=[dataset("o", "table")]))
    own = f"o/table@run:{run_id('o/write')}"
    assert own in names(graph(http, key("o/write")))
    http.post(URL, json=run_event("o/write", "COMPLETE", 2, outputs=[dataset("o", "table", "s1")]))
    http.post(URL, json=run_event("o/read", "START", 3, inputs=[dataset("o", "table")]))
    found = graph(http, key("o/write"), direction="downstream")
    assert names(found) == {key("o/write"), "o/table@s1", key("o/read")}


def test_a_graph_is_as_large_as_was_asked(http: httpx2.Client) -> None:
    """A peer's route always returned every edge there is."""
    many = [run_event(f"hub/{n}", inputs=[dataset("hub", "table", "1")]) for n in range(50)]
    assert http.post(f"{URL}/batch", json=many).json()["status"] == "success"
    assert len(graph(http, key("hub/7"), depth=1)["nodes"]) == 2
    cut = graph(http, "hub/table@1", max_nodes=10)
    assert (len(cut["nodes"]), cut["truncated"]) == (10, True)


def test_raw_events_come_back_in_pages(http: httpx2.Client) -> None:
    """As they were sent, but for secrets."""
    sent = run_event("raw", run_facets={"own": facet(password="hunter2", more=[1, {"b": None}])})
    http.post(URL, json=sent)
    kept: list[Any] = []
    after = 0
    while after is not None:
        page = http.get(f"{URL}/events", params={"after": after, "limit": 100}).json()
        kept += page["items"]
        after = page["after"]
    sent["run"]["facets"]["own"]["password"] = "[redacted]"
    assert sent in kept


def test_what_was_acknowledged_survives_a_power_cut(make_server: MakeServer) -> None:
    """The graph and the raw events, without a clean stop."""
    server = make_server()
    with httpx2.Client(base_url=server.url) as http:
        for n in range(20):
            assert http.post(URL, json=run_event(f"cut/{n}")).status_code == 201
    server.kill()
    again = make_server(store=server.store)
    with httpx2.Client(base_url=again.url) as http:
        assert len(http.get(f"{URL}/events").json()["items"]) == 20
        assert len(list(again.client().actions(namespace="jobs"))) == 20


def test_a_read_only_server_records_nothing(make_server: MakeServer) -> None:
    """It shows the raw events of the store all the same."""
    first = make_server()
    with httpx2.Client(base_url=first.url) as http:
        http.post(URL, json=run_event("ro"))
    first.stop()
    with httpx2.Client(base_url=make_server("--read-only", store=first.store).url) as http:
        assert http.post(URL, json=run_event("ro", "COMPLETE")).status_code == 403
        assert http.post(f"{URL}/batch", json=[run_event("ro")]).status_code == 403
        assert len(http.get(f"{URL}/events").json()["items"]) == 1
