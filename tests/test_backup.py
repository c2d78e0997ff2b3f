"""A backup of a store in use is a whole store; a restore leaves the old one or the new one."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from . import aging
from .aging import Recorders, act, clean, day, lineage, record
from .conftest import MakeServer

COUNT = 1000


def keys(store: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        return {row[0] for row in db.execute("SELECT name FROM Execution")}


def event(number: int) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE", "eventTime": day(0), "producer": "https://p/1",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": f"0176a8c2-fe01-7439-87e6-56a1a1b4{number:04}"},
        "job": {"namespace": "backup", "name": "job"}, "inputs": [], "outputs": [],
    }  # fmt: skip


def test_taken_under_load_it_holds_all_that_was_acknowledged(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """While recorders write: every action acknowledged before it began is in it, restored
    elsewhere it is clean, and a server on it answers and records on."""
    server = make_server()
    copy, elsewhere = tmp_path / "copy.db", tmp_path / "elsewhere" / "lineage.db"
    with server.client() as client:
        record(client, aging.past(COUNT))
        client.openlineage(json.dumps([event(n) for n in range(20)]).encode())
    with Recorders(server.url, COUNT) as recorders:
        while len(recorders.acknowledged) < 100:
            time.sleep(0.01)
        acknowledged = set(recorders.acknowledged)
        done = lineage("backup", copy, "--store", server.store)
        assert done.returncode == 0, done.stderr
        went_on = len(recorders.acknowledged)
    assert recorders.errors == []
    assert went_on >= len(acknowledged)
    done = lineage("restore", copy, "--store", elsewhere, "--json")
    assert [Path(one["file"]).name for one in json.loads(done.stdout)["files"]] == [
        "lineage.db", "lineage.db.openlineage.db"
    ]  # fmt: skip
    assert clean(elsewhere)
    assert acknowledged <= keys(elsewhere)
    assert {f"train/{n}" for n in range(COUNT)} <= keys(elsewhere)
    with make_server(store=elsewhere).client() as client:
        assert len(client.live()["slots"]) >= 1
        assert len(client.raw_events()["items"]) == 20
        record(client, iter([act("after/restore", 0, ["gs://aging/0/data"], [])]))
    assert "after/restore" in keys(elsewhere)
    assert clean(elsewhere)


def test_nothing_is_overwritten_unasked(make_server: MakeServer, tmp_path: Path) -> None:
    """Neither a backup nor a store is replaced without --replace, no store in use ever, and
    what cannot be read leaves what was there."""
    server, copy = make_server(), tmp_path / "copy.db"
    with server.client() as client:
        record(client, iter([act("one", 1, [], [])]))
        assert lineage("backup", copy, "--store", server.store).returncode == 0
        record(client, iter([act("two", 1, [], [])]))
    again = lineage("backup", copy, "--store", server.store)
    assert again.returncode == 1 and "--replace" in again.stderr and keys(copy) == {"one"}
    used = lineage("restore", copy, "--store", server.store, "--replace")
    assert used.returncode == 1 and "stop it first" in used.stderr
    assert lineage("backup", copy, "--store", server.store, "--replace").returncode == 0
    assert keys(copy) == {"one", "two"}
    server.stop()
    (tmp_path / "torn.db").write_bytes(copy.read_bytes()[:4096])
    torn = lineage("restore", tmp_path / "torn.db", "--store", server.store, "--replace")
    assert torn.returncode == 1 and keys(server.store) == {"one", "two"}
    none = lineage("restore", tmp_path / "none.db", "--store", server.store, "--replace")
    assert none.returncode == 1 and "no backup" in none.stderr
    unasked = lineage("restore", copy, "--store", server.store)
    assert unasked.returncode == 1 and "--replace" in unasked.stderr


def test_a_restored_store_goes_back(make_server: MakeServer, tmp_path: Path) -> None:
    """What was recorded after the backup is gone after the restore, from search too, although
    the index had it."""
    server, copy = make_server(), tmp_path / "copy.db"
    with server.client() as client:
        record(client, iter([act("kept/a", 1, [], [])]))
        assert lineage("backup", copy, "--store", server.store).returncode == 0
        record(client, iter([act("lost/a", 1, [], []), act("lost/b", 1, [], [])]))
        until_counted(client, 3)
    server.stop()
    assert lineage("restore", copy, "--store", server.store, "--replace").returncode == 0
    with make_server(store=server.store).client() as client:
        until_counted(client, 1)
        assert [one["key"] for one in client.search("kept")["items"]] == ["kept/a"]
        assert client.search("lost")["items"] == []


def until_counted(client: Any, count: int) -> None:
    deadline = time.monotonic() + 60
    while (found := client.stats())["index"]["status"] != "ready" or (
        found["actions"]["total"] != count
    ):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
