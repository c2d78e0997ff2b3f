"""What is live now is kept, and never differs from what would be found by looking anew."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.api.now import Now
from lineage.api.requests import written
from lineage.merge import ActionState, ArtifactState, report
from lineage.model import Action, parse_action
from lineage.queries.serving.live import Slot, held, live, page
from lineage.queries.serving.noting import Noting
from lineage.store.database import read_engine
from lineage.store.reader import SqlReader
from lineage.store.watch import LONGEST, OVERLAP, FeedWatch

from .conftest import MakeServer, Server
from .memory import MemoryReader
from .slot_stories import Record, reports, story
from .strategies import EPOCH, actions

SLOTS = [f"k8s://prod/n{n % 3}/Deployment/w{n}" for n in range(6)]
SHARED = "https://host/o/shared.git"


class World(MemoryReader):
    """A store that tells what was recorded, and knows which slots were looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: dict[str, None] = {}
        self.asked: list[str] = []

    def record(self, action: Action) -> None:
        super().record(action)
        state, artifacts = report(action)
        self.changed |= dict.fromkeys([state.id, *(one.id for one in artifacts)])

    def news(self) -> Sequence[ActionState | ArtifactState]:
        ids, self.changed = list(self.changed), {}
        return [*self.actions_by_id(ids).values(), *self.artifacts_by_id(ids).values()]

    def deploys(
        self, slots: Sequence[str], evidence: str, limit: int, until: int | None = None
    ) -> Mapping[str, list[ActionState]]:
        self.asked += slots
        return super().deploys(slots, evidence, limit, until)

    def looked(self) -> set[str]:
        """Since this was asked last."""
        found, self.asked = set(self.asked), []
        return found


def parsed(record: Record) -> Action:
    return parse_action(orjson.dumps(record))


def made(slot: str, dice: random.Random, number: int) -> Iterator[Record]:
    """Where the models of a slot's story come from: trainings, of a version or of none, parts of
    runs, and pipelines that put what was trained into a configuration."""
    model = f"models/{slot[6:]}/{dice.randint(1, 4)}"
    versions: list[dict[str, Any]] = [{}, {"version": "v1"}]
    out: dict[str, Any] = {"type": "Model", "uri": model, **dice.choice(versions)}
    if dice.random() < 0.2:
        out["properties"] = {"immutable": True}
    code: dict[str, Any] = {"type": "Code", "uri": SHARED, **dice.choice(versions)}
    begun = EPOCH + timedelta(minutes=dice.randint(-20, 20))
    act: Record = {
        "key": f"{slot}/made/{number}",
        "controller": {"name": "trainer"},
        "state": dice.choice(["complete", "complete", "running", "failed"]),
        "started_at": begun.isoformat(),
        "ended_at": (begun + timedelta(minutes=dice.randint(0, 5))).isoformat(),
        "reported_at": (EPOCH + timedelta(minutes=number)).isoformat(),
    }
    config = {"type": "Config", "uri": f"gs://c/{slot[-2:]}", **dice.choice(versions)}
    verb = dice.choice(["train", "train", "part", "build", "ship", "look", "look"])
    if verb == "build":
        yield {**act, "type": "build", "inputs": [out], "outputs": [config]}
    elif verb == "look":
        seen = {**dice.choice([out, code, config]), "name": f"name{number}"}
        yield {**act, "type": "process", "inputs": [seen]}
    elif verb == "ship":
        uris = {slot, dice.choice(SLOTS)}
        yield {**act, "type": "deploy", "inputs": [config, code],
               "outputs": [{"type": "Deployment", "uri": uri, "version": f"ship{number}"}
                           for uri in sorted(uris)]}  # fmt: skip
    else:
        parent = {"parent": f"{slot}/made/{number - 1}"} if verb == "part" else {}
        yield {**act, **parent, "type": "train", "inputs": [code], "outputs": [out]}


def stories(seed: int, length: int) -> list[Record]:
    """Stories of all slots and what their models come from, in any order."""
    dice = random.Random(seed)
    out = [
        one for slot in SLOTS for step in story(slot, seed, length) for one in reports(slot, step)
    ]
    out += [one for n in range(len(out) // 2) for one in made(dice.choice(SLOTS), dice, n)]
    dice.shuffle(out)
    return out


def slots(now: Now) -> list[Slot]:
    return [row.slot for row in now.page(None, None, 1000).items]


def same(now: Now, reader: Any, *asked: Any) -> bool:
    kept, fresh = now.page(*asked), page(reader, *asked)
    rows = [written(slot.json()) for slot in fresh.items]
    return (kept.cursor, [row.json for row in kept.items]) == (fresh.cursor, rows)


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(actions(st.sampled_from([f"k/{n}" for n in range(6)])), max_size=12),
    st.randoms(use_true_random=False),
)
def test_what_is_kept_is_what_a_fresh_look_finds(
    seed: int, others: list[Action], dice: random.Random
) -> None:
    """After every step of a random story, in the same bytes, whichever page is asked for."""
    told = [*map(parsed, stories(seed, 4)), *others]
    dice.shuffle(told)
    world = World()
    now = Now(world, world)
    for action in told:
        world.record(action)
        if dice.random() < 0.7:
            asked = dice.choice([(None, None, 1000), (None, None, 3), ("n1", None, 1000),
                                 (None, SLOTS[2], 2)])  # fmt: skip
            assert same(now, world, *asked)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_every_question_belongs_to_a_slot(seed: int) -> None:
    """What was asked for many slots at once is found again by following the names from each,
    and at least what would have been asked for the one alone."""
    reader = MemoryReader.of(map(parsed, stories(seed, 4)))
    noting = Noting(reader)
    held(noting, SLOTS)  # type: ignore[arg-type]
    everything = {mark for slot in SLOTS for mark in noting.of(slot).marks}
    assert everything == {mark for asked in noting._asked.values() for mark in asked}
    for slot in SLOTS:
        alone = Noting(reader)
        held(alone, [slot])  # type: ignore[arg-type]
        assert alone.of(slot).marks <= noting.of(slot).marks


def test_only_what_changed_is_looked_at_again() -> None:
    """A record that has nothing to do with a slot costs nothing; one that has, that slot."""
    world = World()
    now = Now(world, world)
    for slot in SLOTS:
        uri = f"models/{slot[-2:]}"
        world.record(parsed({
            "key": f"d/{slot}", "type": "deploy", "controller": {"name": "d"},
            "state": "complete", "ended_at": "2020-07-01T00:00:00Z",
            "inputs": [{"type": "Model", "uri": uri}, {"type": "Code", "uri": SHARED}],
            "outputs": [{"type": "Deployment", "uri": slot, "version": "1"}],
        }))  # fmt: skip
    assert len(slots(now)) == len(SLOTS)
    assert world.looked() == set(SLOTS)
    train: Record = {"key": "t", "type": "train", "controller": {"name": "t"}, "state": "complete"}
    code = {"type": "Code", "uri": SHARED}
    world.record(parsed({**train, "inputs": [code], "outputs": [{"uri": "models/other"}]}))
    slots(now)
    assert world.looked() == set()
    world.record(parsed({**train, "outputs": [{"type": "Model", "uri": "models/w3"}]}))
    assert [one.trained_by[0].key for one in slots(now) if one.uri == SLOTS[3]] == ["t"]
    assert world.looked() == {SLOTS[3]}
    world.record(parsed({**train, "key": "u", "outputs": [{**code, "properties": {"a": 1}}]}))
    slots(now)
    assert world.looked() == set(SLOTS)


# -- a real store ---------------------------------------------------------------------


def fresh(store: Path) -> bytes:
    """What a process that never looked before answers."""
    slots = [slot.json() for slot in live(SqlReader(read_engine(str(store))))]
    return orjson.dumps({"as_of": None, "slots": slots, "truncated": False, "cursor": None})


def answers(*servers: Server) -> list[bytes]:
    return [httpx2.get(s.url + "/api/v1/live", timeout=60).content for s in servers]


def record(server: Server, records: Sequence[Record]) -> None:
    with server.client() as client:
        assert client.batch(b"\n".join(map(orjson.dumps, records)))["failed"] == 0


@pytest.fixture
def served(make_server: MakeServer) -> tuple[Server, Server]:
    """The server that owns a store, and one that only reads it."""
    writing = make_server()
    record(writing, [{"key": "first", "type": "train", "controller": {"name": "t"}}])
    return writing, make_server("--read-only", store=writing.store)


def test_servers_answer_as_if_they_looked_anew(served: tuple[Server, Server]) -> None:
    """The one that records and the one beside it, after every step; and as the oracle does."""
    told, dice, oracle = stories(3, 5), random.Random(3), MemoryReader()
    while told:
        count = dice.randint(1, 8)
        some, told = told[:count], told[count:]
        record(served[0], some)
        for one in some:
            oracle.record(parsed(one))
        assert answers(*served) == [fresh(served[0].store)] * 2
    expected = [slot.json() for slot in live(oracle)]
    assert orjson.loads(fresh(served[0].store))["slots"] == orjson.loads(orjson.dumps(expected))


def test_answers_stay_exact_while_much_is_recorded(served: tuple[Server, Server]) -> None:
    """Four who ask all the time disturb neither each other nor the writer, and whenever the
    writer rests everybody answers what is there."""
    told, over, failed = stories(4, 20), threading.Event(), list[str]()

    def ask(server: Server) -> None:
        with httpx2.Client(base_url=server.url + "/api/v1", timeout=60) as http:
            while not over.is_set():
                answer = http.get("/live")
                if answer.status_code != 200 or "slots" not in answer.json():
                    failed.append(answer.text)

    threads = [threading.Thread(target=ask, args=(s,)) for s in (*served, *served)]
    for thread in threads:
        thread.start()
    try:
        for start in range(0, len(told), 40):
            for one in range(start, min(start + 40, len(told)), 4):
                record(served[0], told[one : one + 4])
            assert answers(*served) == [fresh(served[0].store)] * 2
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failed == []


class Clock:
    """A clock that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.step = 0.0

    def wall(self) -> float:
        return time.time() + self.step


def keys(news: Sequence[Any] | None) -> list[str] | None:
    return news if news is None else [s.key for s in news if isinstance(s, ActionState)]


def test_watch_tells_each_change_once(served: tuple[Server, Server]) -> None:
    """First that it cannot know, then what is new, also what changed again at once."""
    server, _ = served
    watch = FeedWatch(read_engine(str(server.store)))
    assert keys(watch.news()) is None
    watch.news()
    act: Record = {"key": "w/1", "type": "train", "controller": {"name": "t"}}
    record(server, [act])
    assert keys(watch.news()) == ["w/1"]
    assert watch.news() == []
    record(server, [{**act, "params": {"n": 1}}])
    record(server, [{**act, "params": {"n": 2}}, {**act, "key": "w/2"}])
    assert keys(watch.news()) == ["w/1", "w/2"]
    assert watch.news() == []
    record(server, [{**act, "key": f"w/many/{n}"} for n in range(2100)])
    assert watch.news() is None


def test_watch_trusts_no_clock_that_was_set_back(served: tuple[Server, Server]) -> None:
    """What is written then may carry an earlier time than what was read; until the clock has
    come past that again, everything may be other."""
    server, clock = served[0], Clock()
    watch = FeedWatch(read_engine(str(server.store)), clock.wall)
    watch.news()
    assert watch.news() is not None
    clock.step = -(OVERLAP / 1000) / 4
    time.sleep(0.1)
    assert watch.news() is not None, "so little is looked at again anyhow"
    clock.step = -3600.0
    assert [watch.news(), watch.news()] == [None, None]
    clock.step = 0.0
    assert watch.news() is None
    clock.step = LONGEST / 1000 + 60
    assert watch.news() is None, "what was written before that was not read"
    assert watch.news() is not None
