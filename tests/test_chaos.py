"""The chaos suite, in short, and proof that it would notice."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from lineage.client import Client
from lineage.errors import LineageError
from lineage.merge import dump_action, load_action, report
from lineage.model import parse_action

from .chaos import check, faults, ledger
from .chaos.engines import series, system
from .chaos.rounds import Round
from .chaos.summary import Summary, failure
from .chaos.system import System

SEEDS = {"sqlite": range(1, 21)}
"""Twenty rounds; `make chaos` runs more, on every engine, and docs/reliability.md has the figures."""
SENT = {"key": "chaos/self/1", "type": "train", "controller": {"name": "self"},
        "reported_at": "2026-01-01T00:00:00Z", "params": {"a": 1},
        "inputs": [{"type": "Dataset", "uri": "gs://chaos/self"}]}  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", SEEDS)
def test_nothing_acknowledged_is_lost_or_doubled_whatever_breaks(engine: str) -> None:
    """Kills, full disks, clock jumps, bad clients, damaged outboxes, under load."""
    for summary in series(engine, SEEDS[engine]):
        assert summary.clean, failure(summary)
        assert summary.acknowledged


@pytest.fixture(scope="module")
def running() -> Iterator[System]:
    with system("sqlite") as one:
        yield one


def lie(round_: Round, chance: random.Random) -> None:
    """A ledger with an acknowledgement that never was."""
    liar = ledger.Ledger(round_.ledger, "liar")
    liar.sent({"liar:0": SENT})
    liar.acknowledged(["liar:0"])


def spoil(statement: str) -> faults.Fault:
    """Behind everybody's back, in the database itself."""

    def strike(round_: Round, chance: random.Random) -> None:
        of_this = f"SELECT 1 FROM Execution WHERE name LIKE 'chaos/{round_.seed}/%'"
        with closing(sqlite3.connect(round_.system.store, timeout=30)) as db:
            while not db.execute(of_this).fetchone():
                time.sleep(0.05)
            db.executescript(statement)

    return strike


TWIN = """
    INSERT INTO Execution (type_id, last_known_state)
        SELECT type_id, last_known_state FROM Execution ORDER BY id DESC LIMIT 1;
    INSERT INTO ExecutionProperty (execution_id, name, is_custom_property, proto_value)
        SELECT (SELECT MAX(id) FROM Execution), name, is_custom_property, proto_value
        FROM ExecutionProperty WHERE name = 'lineage.record'
        ORDER BY execution_id DESC LIMIT 1;
"""
SECOND_EVENT = """
    INSERT INTO Event (artifact_id, execution_id, type)
        SELECT artifact_id, execution_id, 1 FROM Event WHERE type = 4 ORDER BY id DESC LIMIT 1;
"""


@pytest.mark.parametrize(
    ("seed", "fault", "noticed"),
    [
        (1001, lie, lambda found: found.lost == ["liar:0 of chaos/self/1"]),
        (1002, spoil(TWIN), lambda found: len(found.doubled) == 1),
        (1003, spoil(SECOND_EVENT), lambda found: "an event of chaos/" in found.doubled[0]),
    ],
    ids=["lost", "doubled", "event doubled"],
)
def test_a_round_can_fail(
    running: System,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    fault: faults.Fault,
    noticed: Callable[[Summary], bool],
) -> None:
    """A made-up acknowledgement is reported as lost, a twin as doubled, by a whole round."""
    monkeypatch.setitem(faults.EVERYWHERE, "spoilt", fault)
    found = Round(running, "sqlite", seed, ["spoilt"]).run()
    assert not found.clean
    assert noticed(found), failure(found)


def until_refused(client: Client) -> None:
    """At first there is room left in SQLite's own files."""
    for n in range(1000):
        large = {f"p{p}": "x" * 9999 for p in range(30)}
        client.record(SENT | {"key": f"chaos/full/{n}", "params": large})


def test_a_full_disk_is_said_to_be_full_and_hurts_only_while_it_is(running: System) -> None:
    """507 where the disk is; a quota, which SQLite cannot tell from a broken disk, is a 500."""
    [api] = running.apis
    trouble = faults.full(running.disk) if running.mounted else faults.limited(api)
    with Client(api.url) as client:
        with trouble, pytest.raises(LineageError, match="nothing was recorded") as refused:
            until_refused(client)
        assert refused.value.status == (507 if running.mounted else 500)
        assert client.record(SENT | {"key": "chaos/room"})["outcome"] == "created"


def stored(**changes: object) -> check.Stored:
    action, artifacts = report(parse_action(json.dumps(SENT | changes)))
    state = load_action(dump_action(action))
    return check.Stored([(1, state)], [(n + 1, a) for n, a in enumerate(artifacts)], [(1, 1, 3)])


BOOK = ledger.Book({"self:0": SENT}, {"self:0"})


def test_what_is_there_as_it_was_sent_is_fine() -> None:
    """Else every round would fail."""
    assert not check.examine(BOOK, stored())


@pytest.mark.parametrize(
    "changes", [{"params": {"a": 0}}, {"params": {}}, {"reported_at": "2025-01-01T00:00:00Z"}]
)
def test_a_field_that_is_not_as_it_was_acknowledged_is_a_loss(changes: dict[str, object]) -> None:
    """An action that is there without all that was said of it is not kept."""
    assert check.examine(BOOK, stored(**changes)).lost == ["self:0 of chaos/self/1"]


def test_what_nobody_sent_is_noticed() -> None:
    """A field out of nowhere is no better than a lost one."""
    assert check.examine(BOOK, stored(params={"a": 1, "b": 2})).made_up == ["chaos/self/1"]


def test_an_edge_without_its_event_is_noticed() -> None:
    """What MLMD shows must be what the record says."""
    bare = check.Stored(stored().actions, stored().artifacts, [])
    assert check.examine(BOOK, bare).complaints
