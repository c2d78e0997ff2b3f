"""A store on MariaDB or PostgreSQL: several servers at once, and the traps of each database."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml_metadata.proto import metadata_store_pb2 as pb
from ml_metadata.proto import metadata_store_service_pb2 as rpc
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lineage.address import Address, shown
from lineage.config import InvalidSetting, Settings
from lineage.identity import action_id, identify
from lineage.merge import (
    ActionState,
    dump_action,
    dump_artifact,
    join_actions,
    join_artifacts,
    report,
)
from lineage.model import Action, parse_action
from lineage.store.database import read_engine, whose
from lineage.store.late import watch_of
from lineage.store.lookup import Lookup
from lineage.store.ports import Verdict
from lineage.store.raw_table import raw_events
from lineage.store.reader import SqlReader
from lineage.store.servers import server_engine
from lineage.store.supervisor import StoreProcess
from lineage.store.writer import Writer
from tests import databases
from tests.conftest import COMMAND, clean_environment
from tests.database_server import PASSWORD
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


# -- a database that comes and goes -----------------------------------------------------


def test_a_database_that_restarts_loses_nothing(engine: str) -> None:
    """The server of the database is killed and started again under load, three times: whatever
    was submitted is committed, once, by store processes that connect anew."""
    with databases.SERVERS[engine](durable=True) as server:
        opened = Opened(server.create())
        futures = []
        try:
            opened.record(act("first"))
            for round_ in range(3):
                for n in range(8):
                    futures.append(
                        opened.writer.submit([act(f"r/{round_}/{n}/{m}") for m in range(5)])
                    )
                server.kill()
                server.start()
            verdicts = [v for f in futures for v in f.result(240)]
            assert [v for v in verdicts if v.error is not None] == []
            keys = [s.key for chunk, _ in opened.reader.walk() for s in chunk]
            assert len(keys) == len(set(keys)) == 1 + 3 * 8 * 5
        finally:
            opened.close()


def test_locks_that_were_cut_off_are_taken_again(
    engine: str, several: Callable[[], Opened]
) -> None:
    """An administrator ends every connection of ours: the next report is recorded all the same."""
    opened = several()
    opened.record(act("k", state="running", ended_at=None))
    server = databases.shared(engine)
    if engine == "mariadb":
        mine = "SELECT id FROM information_schema.processlist WHERE user = 'lineage'"
        for (number,) in server.admin(mine):
            with contextlib.suppress(DBAPIError):
                server.admin(f"KILL {number}")
    else:
        server.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lineage'")  # fmt: skip
    assert [v.outcome for v in opened.record(act("k"))] == ["merged"]
    assert opened.reader.action(action_id("k")) is not None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a.replace(a.rpartition("@")[2].partition("/")[0], "127.0.0.1:1"), "127.0.0.1:1"),
        (lambda a: a.rpartition("/")[0] + "/nothing_here", "nothing_here"),
        (lambda a: a.replace("lineage:", "nobody:"), "nobody"),
    ],
    ids=["no server", "no database", "no user"],
)
def test_a_server_that_cannot_start_says_why(
    engine: str, url: str, tmp_path: Path, change: Callable[[str], str], says: str
) -> None:
    """Wrong host, database or user: one clear line, no password, and nothing aborts."""
    done = subprocess.run(
        [*COMMAND, "serve", "--port", "0"], capture_output=True, text=True, timeout=60, check=False,
        env=clean_environment(LINEAGE_STORE=change(url), XDG_CACHE_HOME=str(tmp_path)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and says in done.stderr
    assert PASSWORD not in done.stderr


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ("mysql://user@host", "user:password@host:port/database"),
        ("postgresql://host/database", "user:password@host:port/database"),
        ("postgresql://u:p@host/Mixed-Case", "small letters"),
        ("postgresql://u:p@host/db?sslmode=off", "nothing after it"),
        ("mysql://u:p/@d@host/db", "%40"),
        ("oracle://u:p@host/db", "mysql://"),
    ],
)
def test_an_address_that_cannot_be_is_refused_before_anything_starts(store: str, says: str) -> None:
    """What is missing is said; the address, which may hold a password, is not repeated."""
    with pytest.raises(InvalidSetting, match=re.escape(says)) as caught:
        Settings.from_env({"LINEAGE_STORE": store})
    assert "u:p" not in str(caught.value)


def test_an_address_is_complete_and_shown_without_its_password() -> None:
    """Ports have defaults; passwords appear in no text made of it."""
    address = Address.parse("mysql://me:p%40ss%2F@db.example/store")
    assert address is not None
    assert (address.port, address.password) == (3306, "p@ss/")
    assert str(address) == shown("mysql://me:p%40ss%2F@db.example/store")
    for said in (str(address), repr(address), repr(Settings(store="mysql://me:p%40ss@h/s"))):
        assert "p@ss" not in said and "p%40ss" not in said
    assert Address.parse("/var/lib/lineage.db") is None
    assert shown("lineage.db") == "lineage.db"


# -- what is special about each ---------------------------------------------------------


def test_other_clients_see_the_text_that_was_sent(several: Callable[[], Opened]) -> None:
    """Backslashes, quotes and other scripts come back through ML Metadata's own calls."""
    opened = several()
    text = "C:\\temp\\'; DROP TABLE Artifact; -- ⧵ ⧹ 日本 😀"
    opened.record(act("k", name=text, outputs=[{"uri": "gs://b/o", "properties": {text: text}}]))
    (execution,) = opened.mlmd("GetExecutions", rpc.GetExecutionsRequest()).executions
    assert execution.custom_properties["display_name"].string_value == text
    (artifact,) = opened.mlmd("GetArtifacts", rpc.GetArtifactsRequest()).artifacts
    assert artifact.custom_properties[text].string_value == text
    request = rpc.PutExecutionTypeRequest(execution_type=pb.ExecutionType(name=text))
    type_id = opened.mlmd("PutExecutionType", request).type_id
    found = opened.mlmd("GetExecutionType", rpc.GetExecutionTypeRequest(type_name=text))
    assert (found.execution_type.id, found.execution_type.name) == (type_id, text)


def test_texts_longer_than_an_index_takes_lose_nothing(several: Callable[[], Opened]) -> None:
    """URIs, aliases and properties at their bounds are read back whole, and found by them."""
    opened = several()
    uri = "gs://b/" + "".join(chr(0x4E00 + n % 5000) for n in range(4000))
    alias = "table " + "".join(chr(0x4E00 + n * 7 % 5000) for n in range(4000))
    value = "".join(chr(0x4E00 + n * 3 % 5000) for n in range(16_000))
    output = {"uri": uri, "aliases": [alias], "properties": {"x": value, "ü" * 256: value}}
    assert [v.error for v in opened.record(act("k", outputs=[output]))] == [None]
    identity = identify(uri, None, "Artifact")
    artifact = opened.reader.artifact(identity.id)
    assert artifact is not None and artifact.properties == {"x": value, "ü" * 256: value}
    assert [a.id for a in opened.reader.families([identity.uri])[identity.uri]] == [identity.id]
    opened.record(act("k2", inputs=[{"uri": alias}]))
    other = opened.reader.artifact(identify(alias, None, "Artifact").id)
    assert other is not None
    assert [a.id for a in opened.reader.same_content([other])] == [identity.id]


def test_a_long_chain_and_a_wide_graph_are_walked_alike(several: Callable[[], Opened]) -> None:
    """Walks end where the graph ends, and a limit is said, on every database."""
    opened = several()
    opened.record(
        *(act(f"chain/{n}", inputs=[{"uri": f"gs://c/{n}"}], outputs=[{"uri": f"gs://c/{n + 1}"}])
          for n in range(120)),
        *(act(f"wide/{n}", inputs=[{"uri": "gs://c/120"}], outputs=[{"uri": f"gs://w/{n}"}])
          for n in range(80)),
    )  # fmt: skip
    first, last = (identify(f"gs://c/{n}").id for n in (0, 120))
    up = opened.reader.closure([last], "upstream", None, 5000)
    assert (len(up.actions), len(up.artifacts), up.truncated) == (120, 121, False)
    down = opened.reader.closure([first], "downstream", None, 5000)
    assert (len(down.actions), len(down.artifacts), down.truncated) == (200, 201, False)
    cut = opened.reader.closure([first], "downstream", None, 50)
    assert cut.truncated and len(cut.actions) + len(cut.artifacts) <= 50


# -- what is told of changes ------------------------------------------------------------


def test_a_change_that_appears_late_is_heard(engine: str, several: Callable[[], Opened], url: str) -> None:  # fmt: skip
    """A transaction that began first and commits last is told to who follows the changes,
    though its times lie behind those that were told before."""
    opened = several()
    opened.record(act("k/late"), act("k/other"))
    watch = watch_of(opened.engine)
    watch.news()
    assert watch.news() == []
    address = Address.parse(url)
    assert address is not None
    late = server_engine(address, read_only=False, pooled=False)
    with late.connect() as db:
        now = int(time.time() * 1000)
        sql = "UPDATE Execution SET last_update_time_since_epoch = :now WHERE external_id = :id"
        db.execute(text(sql), {"now": now, "id": action_id("k/late")})
        time.sleep(0.05)
        opened.record(act("k/other", error="later"))
        news = watch.news()
        assert news is not None and {s.key for s in news if isinstance(s, ActionState)} == {
            "k/other"
        }
        db.commit()
    news = watch.news()
    assert news is not None and [s.key for s in news if isinstance(s, ActionState)] == ["k/late"]


def test_raw_events_of_several_servers_are_kept_once_and_in_order(url: str, several: Callable[[], Opened]) -> None:  # fmt: skip
    """Two servers keep events at once, some of them both: each is there once, none is skipped by
    who reads on, and beyond the bound the oldest leave and are counted."""
    several()
    one, two = raw_events(url, 10_000), raw_events(url, 10_000)
    try:
        bodies = [f"event {n} {os.urandom(40).hex()}".encode() for n in range(40)]
        threads = [threading.Thread(target=lambda k=k: [k.keep([b]) for b in bodies]) for k in (one, two)]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        page = one.page(0, 25)
        assert page.after is not None
        rest = two.page(page.after, 100)
        assert sorted([*page.bodies, *rest.bodies]) == sorted(bodies) and rest.removed == 0
        one.keep([os.urandom(6000), os.urandom(6000)])
        assert two.page(0, 100).removed > 0
    finally:
        one.close()
        two.close()


def test_a_store_of_another_tool_is_read_as_it_is(engine: str, url: str) -> None:
    """What ML Metadata's own client wrote into a database of its own is nobody's of ours, and is
    not touched by who only reads."""
    assert whose(url) == "nobody"
    opened = Opened(url)
    opened.close()
    assert whose(url) == "ours"
