"""Nothing acknowledged is ever lost: kill -9 in the middle of a load (docs/architecture.md)."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import orjson

from .conftest import Server

ACTIONS = 10_000
BATCH = 25
RECORDERS = 4


class Ledger:
    """Keeps, outside the server, which keys were acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self.lock = threading.Lock()

    def load(self, url: Callable[[], str], keys: list[str], give_up: threading.Event) -> None:
        with httpx2.Client(timeout=60) as client:
            for start in range(0, len(keys), BATCH):
                if give_up.is_set():
                    return
                lines = b"\n".join(orjson.dumps(record(k)) for k in keys[start : start + BATCH])
                try:
                    answer = client.post(url() + "/api/v1/actions/batch", content=lines,
                                         headers={"Content-Type": "application/x-ndjson"})  # fmt: skip
                except httpx2.TransportError:
                    continue
                if answer.status_code == 200:
                    done = {r["key"] for r in answer.json()["results"] if r["outcome"]}
                    with self.lock:
                        self.acknowledged |= done


def record(key: str) -> dict[str, Any]:
    return {"key": key, "type": "train", "controller": {"name": "load"}, "state": "complete",
            "started_at": "2020-07-01T00:00:00Z", "ended_at": "2020-07-01T01:00:00Z",
            "inputs": [{"type": "Dataset", "uri": f"gs://load/{key}"}],
            "outputs": [{"type": "Model", "uri": f"models/{key}"}]}  # fmt: skip


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def store_process(server: Server) -> int:
    """The child of any of the server's threads that runs the store."""
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        for pid in (task / "children").read_text().split():
            if b"lineage.store.process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
    raise AssertionError("no store process")


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stored_keys(path: Path) -> list[str]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM Execution")]


def test_killing_store_and_server_under_load_loses_and_doubles_nothing(
    make_server: Callable[..., Server],
) -> None:
    """10,000 actions; the store process dies at a quarter, the server at a half. After the
    restart every acknowledged key is there, and after sending all again each is there once."""
    server = make_server()
    keys = [f"load/{n}" for n in range(ACTIONS)]
    ledger, killed = Ledger(), threading.Event()
    recorders = [
        threading.Thread(target=ledger.load, args=(lambda: server.url, keys[n::RECORDERS], killed))
        for n in range(RECORDERS)
    ]
    for recorder in recorders:
        recorder.start()
    wait_for(lambda: len(ledger.acknowledged) > ACTIONS / 4)
    os.kill(store_process(server), signal.SIGKILL)
    wait_for(lambda: len(ledger.acknowledged) > ACTIONS / 2)
    killed.set()
    server.kill()
    for recorder in recorders:
        recorder.join()
    acknowledged = set(ledger.acknowledged)
    assert ACTIONS / 2 < len(acknowledged) < ACTIONS

    server = make_server(store=server.store)
    found = stored_keys(server.store)
    assert len(found) == len(set(found)), "an action was doubled"
    assert acknowledged <= set(found), "an acknowledged action was lost"

    Ledger().load(lambda: server.url, keys, threading.Event())
    found = stored_keys(server.store)
    assert sorted(found) == sorted(keys)
