"""Replaying, forwarding and exporting OpenLineage, as a user does."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import time as clock
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from lineage.store.raw import SUFFIX
from tests.conftest import COMMAND, MakeServer, Server, clean_environment
from tests.openlineage_events import dataset, facet, key, run_event

URL = "/api/v1/lineage"


def lineage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=clean_environment(), capture_output=True, text=True, check=False
    )


def send(server: Server, *events: dict[str, Any]) -> None:
    answer = httpx2.post(f"{server.url}{URL}/batch", json=list(events))
    assert answer.json()["status"] == "success", answer.text


def exported(server: Server) -> bytes:
    return b"".join(server.client().export())


def some(number: int) -> dict[str, Any]:
    kinds = ("START", "COMPLETE", "RUNNING")
    return run_event(
        number % 10, kinds[number % 3], random.Random(number).randrange(100),
        inputs=[dataset("s3://lake", "a", str(number % 4))], outputs=[dataset("w", "t")],
        job_facets={"documentation": facet(description=f"v{number}")},
    )  # fmt: skip


def test_a_replay_of_the_raw_events_gives_the_same_graph(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """Into the same store nothing changes; into an empty one everything comes back."""
    server = make_server()
    send(server, *map(some, range(30)))
    before = exported(server)
    assert lineage("--url", server.url, "replay").stdout == "30 events, 0 failed\n"
    assert exported(server) == before
    server.stop()

    empty = tmp_path / "empty.db"
    shutil.copy(f"{server.store}{SUFFIX}", f"{empty}{SUFFIX}")
    other = make_server(store=empty)
    assert exported(other) == b""
    assert lineage("--url", other.url, "replay").returncode == 0
    assert exported(other) == before


def test_files_of_events_are_recorded_and_what_fails_is_named(
    server: Server, tmp_path: Path
) -> None:
    """One a line, as OpenLineage's file transport writes them; the good ones are kept too."""
    file = tmp_path / "events.ndjson"
    good, bad = run_event("file/1"), {**run_event("file/2"), "producer": "me"}
    file.write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    done = lineage("--url", server.url, "replay", str(file))
    assert (done.returncode, done.stdout) == (1, "2 events, 1 failed\n")
    assert f"{file}: event 2: producer: is not a URI" in done.stderr
    assert server.client().action(key("file/1"))["state"] == "running"
    file.write_text("{")
    done = lineage("--url", server.url, "replay", str(file))
    assert (done.returncode, "line 1 is not JSON" in done.stderr) == (1, True)


def test_what_is_exported_can_be_sent_to_another_backend(
    server: Server, make_server: MakeServer, tmp_path: Path
) -> None:
    """A graph, or the whole store: under the same keys, with the same edges."""
    hook = {
        "key": "trainer/out", "type": "train", "controller": {"name": "trainer"},
        "state": "complete", "started_at": "2020-07-23T17:45:27Z",
        "ended_at": "2020-07-23T19:02:11Z", "params": {"lr": 0.1},
        "inputs": [{"type": "Dataset", "uri": "gs://out/x.csv", "version": "1", "role": "data"}],
        "outputs": [{"type": "Model", "uri": "projects/out/models/1", "evidence": "observed"}],
    }  # fmt: skip
    server.client().record(hook)
    graph = tmp_path / "graph.openlineage.json"
    assert lineage("--url", server.url, "graph", "trainer/out", "-o", str(graph)).returncode == 0
    store = lineage("--url", server.url, "export", "--format", "openlineage").stdout
    for text in (graph.read_text(), store):
        other = make_server(store=tmp_path / f"{len(text)}.db")
        file = tmp_path / "sent.json"
        file.write_text(text)
        assert lineage("--url", other.url, "replay", str(file)).returncode == 0
        here, there = (s.client().action("trainer/out") for s in (server, other))
        there["reported_at"] = here["reported_at"]
        assert there == here


@contextmanager
def forwarding(a: Server, b: Server, state: Path) -> Iterator[subprocess.Popen[str]]:
    arguments = ["--url", a.url, "forward", "--to", b.url, "--state", str(state)]
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=clean_environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)


def eventually(true: Callable[[], bool]) -> None:
    deadline = clock.monotonic() + 30
    while not true():
        assert clock.monotonic() < deadline
        clock.sleep(0.1)


def test_what_is_recorded_is_forwarded_and_nothing_is_left_out(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """The past, the present, and what happened while the forwarder was down."""
    here, there = make_server(store=tmp_path / "a.db"), make_server(store=tmp_path / "b.db")
    state = tmp_path / "state"

    def keys(server: Server) -> set[str]:
        return {action["key"] for action in server.client().actions()}

    send(here, *map(some, range(30)))
    with forwarding(here, there, state):
        eventually(lambda: keys(there) == keys(here))
        send(here, run_event("now"))
        eventually(lambda: key("now") in keys(there))
        noted = state.read_text()
    send(here, run_event("away"), run_event("now", "COMPLETE", 3))
    with forwarding(here, there, state):
        eventually(lambda: key("away") in keys(there))
        eventually(lambda: there.client().action(key("now"))["state"] == "complete")
    assert state.read_text() != noted
    assert keys(there) == keys(here)


def test_forwarding_waits_for_a_backend_that_is_away(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """It says so, and goes on when it is back."""
    here, there = make_server(store=tmp_path / "a.db"), make_server(store=tmp_path / "b.db")
    send(here, run_event("wait"))
    there.stop()
    port = there.url.rpartition(":")[2]
    with forwarding(here, there, tmp_path / "state") as process:
        assert process.stderr is not None
        assert "trying again" in process.stderr.readline()
        back = make_server("--port", port, store=there.store)
        eventually(lambda: back.client().action(key("wait"))["state"] == "running"
                   if any(back.client().actions()) else False)  # fmt: skip


def test_a_forward_to_nowhere_is_refused(server: Server) -> None:
    """An address and a key that is set are needed before anything is sent."""
    done = lineage("--url", server.url, "forward", "--to", "marquez")
    assert (done.returncode, "is no address" in done.stderr) == (1, True)
    arguments = ("--to", "http://127.0.0.1:1", "--api-key-env", "NO_SUCH_KEY")
    done = lineage("--url", server.url, "forward", *arguments)
    assert (done.returncode, "NO_SUCH_KEY is not set" in done.stderr) == (1, True)
