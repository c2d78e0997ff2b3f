"""A store on MariaDB or PostgreSQL: several servers at once, and the traps of each database."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml_metadata.proto import metadata_store_service_pb2 as rpc

from lineage.merge import dump_action, dump_artifact, join_actions, join_artifacts, report
from lineage.model import Action, parse_action
from lineage.store.database import read_engine
from lineage.store.lookup import Lookup
from lineage.store.ports import Verdict
from lineage.store.reader import SqlReader
from lineage.store.supervisor import StoreProcess
from lineage.store.writer import Writer
from tests import databases
from tests.strategies import actions as any_actions

ENGINES = ("mariadb", "postgresql")


class Opened:
    """What one server has of a store: process, writer, reader."""

    def __init__(self, url: str) -> None:
        self.process = StoreProcess(url)
        self.process.start()
        self.engine = read_engine(url)
        self.reader = SqlReader(self.engine)
        self.writer = Writer(self.process, Lookup(self.engine))

    def record(self, *reports: Action) -> list[Verdict]:
        return self.writer.submit(reports).result(120)

    def mlmd(self, method: str, request: Message) -> Any:
        response = getattr(rpc, f"{method}Response")()
        response.ParseFromString(self.process.call(method, request.SerializeToString()))
        return response

    def close(self) -> None:
        self.writer.close()
        self.engine.dispose()
        self.process.close()


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(engine: str) -> str:
    """A new, empty database."""
    return databases.shared(engine).create()


@pytest.fixture
def several(url: str) -> Iterator[Callable[[], Opened]]:
    """Opens the database once more, as another server would."""
    opened: list[Opened] = []

    def again() -> Opened:
        opened.append(Opened(url))
        return opened[-1]

    yield again
    for one in opened:
        one.close()


def act(key: str, **fields: Any) -> Action:
    base = {"key": key, "type": "train", "controller": {"name": "trainer"}, "state": "complete",
            "started_at": "2020-07-23T17:45:27Z", "ended_at": "2020-07-23T19:02:11Z"}  # fmt: skip
    return parse_action(json.dumps({**base, **fields}))


def joined(reports: list[Action]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What all these reports together say: actions and artifacts by id."""
    acts: dict[str, list[Any]] = {}
    things: dict[str, list[Any]] = {}
    for one in reports:
        state, mentioned = report(one)
        acts.setdefault(state.id, []).append(state)
        for artifact in mentioned:
            things.setdefault(artifact.id, []).append(artifact)
    return (
        {id_: dump_action(reduce(join_actions, some)) for id_, some in acts.items()},
        {id_: dump_artifact(reduce(join_artifacts, some)) for id_, some in things.items()},
    )


def stored(reader: SqlReader) -> tuple[dict[str, bytes], dict[str, bytes]]:
    acts: dict[str, bytes] = {}
    things: dict[str, bytes] = {}
    for states, artifacts in reader.walk():
        acts |= {s.id: dump_action(s) for s in states}
        things |= {id_: dump_artifact(a) for id_, a in artifacts.items()}
    return acts, things


# -- several servers --------------------------------------------------------------------


def conflicting(writer: int, reports: int) -> list[Action]:
    """Reports of few keys and few artifacts: each says something that no other says."""
    return [
        act(
            f"same/{n % 7}",
            params={f"p{writer}.{n}": "x"},
            reported_at=f"2020-07-24T00:{n % 60:02}:{writer:02}Z",
            inputs=[{"uri": f"gs://same/{n % 5}", "properties": {f"i{writer}.{n}": n}}],
            outputs=[{"uri": f"gs://made/{n % 11}", "role": f"r{writer}.{n % 3}"}],
            controller={"name": f"c{n % 3}"},
        )
        for n in range(reports)
    ]


def test_what_several_servers_record_at_once_is_the_join_of_it_all(
    several: Callable[[], Opened],
) -> None:
    """Three servers report the same few actions and artifacts at the same time, alone and in
    batches: everything is acknowledged, and nothing that any of them said is lost."""
    servers = [several() for _ in range(3)]
    reports = [conflicting(number, 60) for number in range(3)]
    failures: list[Verdict] = []

    def record(server: Opened, mine: list[Action]) -> None:
        parts = [mine[n : n + 1 + n % 4] for n in range(len(mine))]  # some of it more than once
        futures = [server.writer.submit(part) for part in parts]
        failures.extend(v for f in futures for v in f.result(300) if v.error is not None)

    threads = [
        threading.Thread(target=record, args=pair) for pair in zip(servers, reports, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert stored(servers[0].reader) == joined([one for mine in reports for one in mine])
    executions = servers[0].mlmd("GetExecutions", rpc.GetExecutionsRequest()).executions
    assert len(executions) == 7
    types = [t.name for t in servers[1].mlmd("GetExecutionTypes", rpc.GetExecutionTypesRequest()).execution_types]  # fmt: skip
    assert len(types) == len(set(types))


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(any_actions(), min_size=2, max_size=10))
def test_two_servers_agree_with_the_join(pair: list[Opened], reports: list[Action]) -> None:
    """Whatever is reported to two servers in turn, at once: the store holds the join."""
    mine = [one.model_copy(update={"key": f"{time.monotonic_ns()}/{one.key}"}) for one in reports]
    futures = [pair[n % 2].writer.submit([one]) for n, one in enumerate(mine * 2)]
    assert all(v.error is None for f in futures for v in f.result(120))
    expected, _ = joined(mine)
    found = pair[0].reader.actions_by_id(list(expected))
    assert {id_: dump_action(s) for id_, s in found.items()} == expected


@pytest.fixture(scope="module")
def pair(engine: str) -> Iterator[list[Opened]]:
    url = databases.shared(engine).create()
    opened = [Opened(url), Opened(url)]
    yield opened
    for one in opened:
        one.close()
