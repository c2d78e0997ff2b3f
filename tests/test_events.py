"""Server-sent events: what is recorded is heard at once, by everybody who listens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from tests.conftest import MakeServer, Server

MINIMAL = {"type": "train", "controller": {"name": "trainer"}, "state": "running"}


@contextmanager
def listening(server: Server, last: str | None = None) -> Iterator[Iterator[dict[str, str]]]:
    """Events as dicts of their fields."""
    headers = {"last-event-id": last} if last else {}
    url = f"{server.url}/api/v1/events"
    with httpx2.Client(timeout=20) as http, http.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        time.sleep(0.5)  # it listens from its first look on
        yield events(answer.iter_lines())


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event.get("event"):
            yield event
            event = {}


def record(server: Server, key: str, **fields: object) -> None:
    server.client().record({"key": key, **MINIMAL, **fields})


def test_what_is_recorded_is_heard_within_a_second(server: Server) -> None:
    """Each change of an action is one event, in the form of the lists."""
    with listening(server) as heard:
        begun = time.monotonic()
        record(server, "events/1")
        event = next(heard)
        assert time.monotonic() - begun < 1
        said = json.loads(event["data"])
        assert (event["event"], said["key"], said["state"]) == ("recorded", "events/1", "running")
        record(server, "events/1", state="complete")
        assert json.loads(next(heard)["data"])["state"] == "complete"


def test_whoever_was_away_hears_what_it_missed(server: Server) -> None:
    """The id of the last event is enough to go on after it."""
    with listening(server) as heard:
        record(server, "events/2")
        last = next(heard)["id"]
    record(server, "events/3")
    record(server, "events/4")
    with listening(server, last) as heard:
        keys = [json.loads(next(heard)["data"])["key"] for _ in range(2)]
        assert keys == ["events/3", "events/4"]


def test_many_listen_and_hear_the_same(server: Server) -> None:
    """One look at the store serves them all."""
    with listening(server) as one, listening(server) as other:
        record(server, "events/5")
        assert json.loads(next(one)["data"]) == json.loads(next(other)["data"])


def test_a_server_stops_though_somebody_listens(make_server: MakeServer) -> None:
    """A page that is open somewhere keeps nobody from a restart."""
    server = make_server()
    with listening(server):
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 10
