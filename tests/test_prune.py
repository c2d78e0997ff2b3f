"""Old actions leave; what is left tells no lie, whoever records meanwhile."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.merge import ActionState
from lineage.queries.asof import AsOf
from lineage.queries.keeping import Upstream, needed, spare
from lineage.queries.lineage import around
from lineage.queries.rules import bindings
from lineage.queries.serving.live import live
from lineage.store.keeping.choose import Leaving
from lineage.store.keeping.policy import Policy
from lineage.times import microseconds

from . import aging
from .aging import Recorders, act, clean, day, deploy, lineage, model, record, upstream
from .conftest import MakeServer, Server, start_server
from .memory import MemoryReader
from .strategies import EPOCH
from .test_now import parsed, stories


class World(MemoryReader):
    """A store from which actions can leave."""

    def prune(self, policy: Policy, past: bool = False, share: float = 1) -> World:
        """What a store would be left with, once so large a share had left."""
        stays = Upstream(self)
        slots = needed(self, policy.before, past)
        stays.add(slots.roots)
        leaving = Leaving()
        for number, action in enumerate(self._actions.values()):
            if policy.leaves(action):
                leaving.add(number, action)
        spare(self, leaving, slots, stays, list(self._artifacts))
        order = leaving.order()
        gone = set(order[: round(len(order) * share)])
        left = World()
        left._actions = {
            id_: a for n, (id_, a) in enumerate(self._actions.items()) if n not in gone
        }
        touched = {edge.artifact for a in left._actions.values() for edge in a.edges}
        touched |= stays.ids
        left._artifacts = {id_: a for id_, a in self._artifacts.items() if id_ in touched}
        return left

    @property
    def everything(self) -> list[ActionState]:
        return list(self._actions.values())


def answers(reader: MemoryReader, at: int | None = None) -> list[dict[str, Any]]:
    return [slot.json() for slot in live(reader if at is None else AsOf(reader, at))]


def graphs(reader: MemoryReader) -> list[dict[str, Any]]:
    """The whole graph behind each live slot."""
    return [
        around(reader, [slot.action.id, slot.deployment.id], "upstream", None, 10_000).json()
        for slot in live(reader)
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(-10, 30), st.booleans(), st.sampled_from([0.3, 0.7, 1]))
def test_what_is_live_answers_as_before(seed: int, minute: int, past: bool, share: float) -> None:
    """Whatever was deployed, read and trained in whichever order: after everything older than
    some moment left, or some of it, each slot has the same answer and the same graph upstream,
    and no input of what is left is bound to another version than before."""
    before = World.of(map(parsed, stories(seed, 6)))
    policy = Policy(microseconds(EPOCH + timedelta(minutes=minute)))
    after = before.prune(policy, past, share)
    assert answers(after) == answers(before)
    assert graphs(after) == graphs(before)
    assert bindings(after, after.everything) <= bindings(before, before.everything)
    young = [a for a in before.everything if not policy.leaves(a)]
    assert {a.id for a in young} <= {a.id for a in after.everything}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(-10, 30), st.integers(0, 20))
def test_the_time_that_is_kept_is_told_as_before(seed: int, minute: int, later: int) -> None:
    """At each moment since, the same versions were live; and with their upstream when the past
    was asked for."""
    before = World.of(map(parsed, stories(seed, 6)))
    since = microseconds(EPOCH + timedelta(minutes=minute))
    at = since + later * 60_000_000
    short = before.prune(Policy(since))
    assert places(short, at) == places(before, at)
    whole = before.prune(Policy(since), past=True)
    assert answers(whole, at) == answers(before, at)


def places(reader: MemoryReader, at: int) -> list[tuple[Any, ...]]:
    return sorted(
        (s["slot"], s["deployment"]["id"], str(s["traffic"])) for s in answers(reader, at)
    )


COUNT = 2000
KEEP = ("--keep", "40d")


@pytest.fixture
def aged(make_server: MakeServer) -> Server:
    """A server over a store of 400 days, forty slots live with models of every age."""
    server = make_server()
    with server.client() as client:
        record(client, aging.past(COUNT))
    return server


def rows(store: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


def size(store: Path, table: str = "Execution") -> int:
    return int(rows(store, f"SELECT COUNT(*) FROM {table}")[0][0])


def test_pruned_under_load_and_killed_on_the_way(aged: Server) -> None:
    """Recorders write new things that name old ones, and old things again, while nine tenths
    leave and the removal is killed midway: none sees an error, every acknowledged action is
    there with its edges, each live slot's graph is as before, and the store is clean."""
    with aged.client() as client:
        before, all_ = upstream(client), size(aged.store)
        with Recorders(aged.url, COUNT) as recorders:
            first = aging.begin("prune", "--store", aged.store, *KEEP, "--apply")
            while size(aged.store) > all_ * 0.8 and first.poll() is None:
                time.sleep(0.005)
            first.kill()
            first.wait()
            assert first.returncode < 0, "it was done before it could be killed"
            assert clean(aged.store)
            done = lineage("prune", "--store", aged.store, *KEEP, "--apply", "--json")
        assert done.returncode == 0, done.stderr
        assert recorders.errors == []
        after = upstream(client)
    assert clean(aged.store)
    hot = "k8s://aging/n0/Deployment/hot"
    assert {s: g for s, g in after.items() if s != hot} == {
        s: g for s, g in before.items() if s != hot
    }
    names = {row[0] for row in rows(aged.store, "SELECT name FROM Execution")}
    assert {key for key in recorders.acknowledged if key.startswith("new/")} <= names
    report = json.loads(done.stdout)
    assert report["applied"] and report["removed"]["actions"] > 0
    assert size(aged.store) < all_ * 0.5 + len(recorders.acknowledged)


def test_servers_notice_what_left(aged: Server) -> None:
    """Search finds it no more and counts as many as there are, and what is live is told from
    the store, not from what was known before."""
    with aged.client() as client:
        wait_for_index(client)
        assert client.search("train/3")["items"]
        assert client.live()["slots"]
        done = lineage("prune", "--store", aged.store, *KEEP, "--apply")
        assert done.returncode == 0, done.stderr
        wait_for_index(client)
        left = {row[0] for row in rows(aged.store, "SELECT name FROM Execution")}
        deadline = time.monotonic() + 60
        while client.stats()["actions"]["total"] != len(left) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.stats()["actions"]["total"] == len(left)
        found = [one for one in client.search("train/3")["items"] if one["kind"] == "action"]
        assert {one["key"] for one in found} <= left
        assert len(client.live()["slots"]) == aging.SLOTS


def wait_for_index(client: Any) -> None:
    deadline = time.monotonic() + 60
    while client.stats()["index"]["status"] != "ready" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert client.stats()["index"]["status"] == "ready"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_server(tmp_path_factory.mktemp("prune"))
    yield server
    server.stop()


def pruned(server: Server, *options: str) -> set[str]:
    """The keys that are left."""
    done = lineage("prune", "--store", server.store, *options)
    assert done.returncode == 0, done.stderr
    return {row[0] for row in rows(server.store, "SELECT name FROM Execution")}


def test_what_stays_and_what_leaves(small: Server) -> None:
    """By age, by controller, by type and namespace; what runs stays; shared artifacts stay
    as long as anybody touches them; nothing is done without --apply."""
    shared = "gs://small/shared"
    other = {"namespace": "other", "name": "deployer"}
    with small.client() as client:
        record(client, iter([
            act("old", 100, [shared], ["gs://small/old"]),
            act("older", 200, [shared], ["gs://small/older"]),
            act("young", 10, [shared], ["gs://small/young"]),
            act("long", 100, [shared], [], started_at=day(300), ended_at=day(5)),
            {**act("runs", 300, [shared], []), "state": "running", "ended_at": None},
            act("elsewhere", 100, [], ["gs://small/else"], controller=other, type="evaluate"),
        ]))  # fmt: skip
    everything = {"old", "older", "young", "long", "runs", "elsewhere"}
    assert pruned(small, "--keep", "30d") == everything
    assert pruned(small, "--keep", "30d", "--type", "evaluate", "--namespace", "aging",
                  "--apply") == everything  # fmt: skip
    assert pruned(small, "--keep", "30d", "--namespace", "other", "--apply") == (
        everything - {"elsewhere"}
    )
    assert pruned(small, "--keep", "30d", "--keep-last", "2", "--apply") == (
        everything - {"elsewhere", "older"}
    )
    assert pruned(small, "--keep", "30d", "--apply") == {"young", "long", "runs"}
    uris = {row[0] for row in rows(small.store, "SELECT uri FROM Artifact")}
    assert shared in uris and "gs://small/old" not in uris
    contexts = {row[0] for row in rows(small.store, "SELECT name FROM Context")}
    assert not any("other" in name for name in contexts)
    assert clean(small.store)
    with small.client() as client:  # what is gone can come back, and so can its controller
        record(client, iter([act("elsewhere", 100, [], ["gs://small/else"], controller=other)]))
        assert client.action("elsewhere")["key"] == "elsewhere"
    assert clean(small.store)


def test_what_is_written_meanwhile_is_not_cut_off(small: Server) -> None:
    """A model of last year goes live while its training is about to leave: it stays."""
    from lineage.queries.keeping import Upstream
    from lineage.store.database import read_engine
    from lineage.store.keeping.choose import old
    from lineage.store.keeping.sweep import Sweep
    from lineage.store.reader import SqlReader

    slot = "k8s://small/n/Deployment/back"
    with small.client() as client:
        record(client, iter([
            act("made/data", 320, [], ["gs://small/raw"]),
            act("made/model", 310, ["gs://small/raw"], [{"type": "Model", "uri": model(-1)}]),
            act("made/nothing", 310, [], ["gs://small/nothing"]),
        ]))  # fmt: skip
        engine = read_engine(str(small.store))
        sweep = Sweep(str(small.store), engine, Upstream(SqlReader(engine)))
        sweep.begin()
        before = microseconds(EPOCH.fromisoformat(day(300)))
        leaving = old(engine, Policy(before), lambda _: None)
        record(client, iter([deploy(slot, model(-1), 0)]))
        sweep.run(leaving.order(), lambda _: None)
        sweep.close()
        engine.dispose()
        graph = client.lineage(slot, direction="upstream")
    keys = {node.get("key") for node in graph["nodes"]}
    assert {"made/data", "made/model"} <= keys
    assert sweep.removed.actions == 1


def test_raw_events_leave_by_their_own_time(small: Server) -> None:
    """`--events` removes those of before then, and says how many."""
    events = [
        {"eventType": "COMPLETE", "eventTime": day(ago), "producer": "https://p/1",
         "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
         "run": {"runId": f"0176a8c2-fe01-7439-87e6-56a1a1b4029{n}"},
         "job": {"namespace": "raw", "name": "job"}, "inputs": [], "outputs": []}
        for n, ago in enumerate((400, 399, 1))
    ]  # fmt: skip
    with small.client() as client:
        client.openlineage(json.dumps(events).encode())
        dry = lineage("prune", "--store", small.store, "--keep", "9y", "--events", "30d", "--json")
        assert json.loads(dry.stdout)["events"]["events"] == 2
        assert len(client.raw_events()["items"]) == 3
        pruned(small, "--keep", "9y", "--events", "30d", "--apply")
        assert len(client.raw_events()["items"]) == 1
    assert clean(small.store)


def test_it_refuses_what_it_cannot_mean(tmp_path: Path) -> None:
    """A time that is none, a server instead of a store, a store that is none."""
    wrong = lineage("prune", "--store", tmp_path / "no.db", "--keep", "soon")
    assert wrong.returncode == 2 and "90d" in wrong.stderr
    wrong = lineage("prune", "--url", "http://127.0.0.1:1", "--keep", "90d")
    assert wrong.returncode == 2 and "--store" in wrong.stderr
    wrong = lineage("prune", "--store", tmp_path / "no.db", "--keep", "90d")
    assert wrong.returncode == 1 and "does not exist" in wrong.stderr
