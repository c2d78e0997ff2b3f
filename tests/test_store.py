"""The store on a real MLMD file: what is committed, how MLMD shows it, and the traps of ml-metadata."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml_metadata.proto import metadata_store_pb2 as pb
from ml_metadata.proto import metadata_store_service_pb2 as rpc

from lineage.errors import StoreInUse, StoreUnavailable
from lineage.identity import action_id, identify
from lineage.merge import dump_action, dump_artifact
from lineage.model import Action, parse_action
from lineage.queries.export import export
from lineage.store import codec
from lineage.store.database import add_indexes, read_engine
from lineage.store.lookup import Lookup
from lineage.store.ports import ActionFilter, ArtifactFilter, Verdict
from lineage.store.reader import SqlReader
from lineage.store.supervisor import StoreProcess, StoreRefused
from lineage.store.writer import Writer

from .memory import MemoryReader
from .strategies import actions


class Store:
    """An open store: process, writer, reader, and raw calls to MLMD."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.process = StoreProcess(self.path)
        self.process.start()
        add_indexes(self.path)
        self.engine = read_engine(self.path)
        self.reader = SqlReader(self.engine)
        self.writer = Writer(self.process, Lookup(self.engine))

    def record(self, *reports: Action) -> list[Verdict]:
        return self.writer.submit(reports).result(60)

    def mlmd(self, method: str, request: Message) -> Any:
        response = getattr(rpc, f"{method}Response")()
        response.ParseFromString(self.process.call(method, request.SerializeToString()))
        return response

    def execution(self, key: str) -> pb.Execution:
        request = rpc.GetExecutionsByExternalIdsRequest(external_ids=[action_id(key)])
        (found,) = self.mlmd("GetExecutionsByExternalIds", request).executions
        return found

    def close(self) -> None:
        self.writer.close()
        self.engine.dispose()
        self.process.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "lineage.db")
    yield opened
    opened.close()


def act(key: str, **fields: Any) -> Action:
    base = {"key": key, "type": "train", "controller": {"name": "trainer"}, "state": "complete",
            "started_at": "2020-07-23T17:45:27Z", "ended_at": "2020-07-23T19:02:11Z"}  # fmt: skip
    return parse_action(json.dumps({**base, **fields}))


def chain(length: int) -> list[Action]:
    """gs://c/0 → action 0 → gs://c/1 → action 1 → …"""
    return [
        act(f"chain/{n}", inputs=[{"uri": f"gs://c/{n}", "version": "1"}],
            outputs=[{"uri": f"gs://c/{n + 1}", "version": "1"}])
        for n in range(length)
    ]  # fmt: skip


# -- committing -----------------------------------------------------------------------


def test_outcomes_say_created_merged_or_unchanged(store: Store) -> None:
    """A new key is created, news is merged, a replay changes nothing."""
    running = act("k", state="running", ended_at=None)
    assert [v.outcome for v in store.record(running)] == ["created"]
    assert [v.outcome for v in store.record(act("k"), act("k"))] == ["merged", "unchanged"]
    assert [v.outcome for v in store.record(running)] == ["unchanged"]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(actions(), min_size=1, max_size=8), st.integers(1, 4))
def test_the_sql_store_equals_the_store_in_memory(
    tmp_path_factory: pytest.TempPathFactory, reports: list[Action], group: int
) -> None:
    """Whatever is recorded, in whatever groups: every answer is the oracle's."""
    opened = Store(tmp_path_factory.mktemp("store") / "lineage.db")
    try:
        futures = [
            opened.writer.submit(reports[n : n + group]) for n in range(0, len(reports), group)
        ]
        assert all(v.error is None for f in futures for v in f.result(60))
        compare(opened.reader, MemoryReader.of(reports))
    finally:
        opened.close()


def compare(reader: SqlReader, oracle: MemoryReader) -> None:
    expected = {s.id: dump_action(s) for chunk, _ in oracle.walk() for s in chunk}
    found = {s.id: dump_action(s) for chunk, _ in reader.walk() for s in chunk}
    assert found == expected
    artifacts = {id_: a for _, some in oracle.walk() for id_, a in some.items()}
    stored = reader.artifacts_by_id(list(artifacts))
    assert {i: dump_artifact(a) for i, a in stored.items()} == {
        i: dump_artifact(a) for i, a in artifacts.items()
    }
    for start in [*expected, *artifacts]:
        for way in ("upstream", "downstream"):
            for depth in (None, 1, 2, 5):
                one = reader.closure([start], way, depth, 1000)  # type: ignore[arg-type]
                two = oracle.closure([start], way, depth, 1000)  # type: ignore[arg-type]
                assert {a.id for a in one.actions} == {a.id for a in two.actions}
                assert {a.id for a in one.artifacts} == {a.id for a in two.artifacts}
    ids = list(artifacts)
    for side in ("in", "out"):
        one_side = reader.touching(ids, side)  # type: ignore[arg-type]
        two_side = oracle.touching(ids, side)  # type: ignore[arg-type]
        for id_ in ids:
            assert {(s.key, s.id) for s in one_side[id_]} == {(s.key, s.id) for s in two_side[id_]}
    assert reader.owners(ids) == oracle.owners(ids)
    slots = oracle.slots(None, 100)
    assert reader.slots(None, 100) == slots
    assert reader.slots(None, 1, slots[0] if slots else None) == slots[1:2]
    times = sorted({state.started for chunk, _ in oracle.walk() for state in chunk})
    for until in (None, *times):
        for evidence in ("claimed", "committed", "observed", "reported"):
            one, two = (r.deploys(slots, evidence, 100, until) for r in (reader, oracle))
            for uri in slots:
                assert {s.key for s in one[uri]} == {s.key for s in two[uri]}
    # Windows that leave nothing out: an action that changed its controller was in both.
    for namespace in (None, "n", ""):
        assert reader.latest(100, namespace) == oracle.latest(100, namespace)
    for id_, artifact in artifacts.items():
        same = {a.id for a in reader.same_content([artifact])}
        assert same == {a.id for a in oracle.same_content([artifact])}, id_
    assert b"".join(export(reader)) == b"".join(export(oracle))


def test_lists_page_through_everything_once(store: Store) -> None:
    """Keyset cursors neither repeat nor skip, newest start first, also where starts are equal."""
    hours = [3, 1, 2, 2, 2, 5, 4]
    store.record(
        *(act(f"p/{n}", started_at=f"2020-07-01T0{h}:00:00Z") for n, h in enumerate(hours))
    )
    seen: list[str] = []
    cursor = None
    while True:
        page = store.reader.actions(ActionFilter(), cursor, 2)
        seen += [s.key for s in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == len(hours)
    assert [hours[int(k.removeprefix("p/"))] for k in seen] == sorted(hours, reverse=True)


def test_filters_select_what_they_say(store: Store) -> None:
    """Type, state, controller, namespace, text and time each narrow the list."""
    store.record(
        act("a/1", controller={"namespace": "n1", "name": "x"}, name="Nightly 100%"),
        act("a/2", type="deploy", state="failed", controller={"namespace": "n2", "name": "y"}),
    )

    def keys(**filter: Any) -> set[str]:
        return {s.key for s in store.reader.actions(ActionFilter(**filter), None, 10).items}

    assert keys(type="deploy") == keys(state="failed") == keys(controller="y") == {"a/2"}
    assert keys(namespace="n1") == keys(q="nightly 100%") == {"a/1"}
    assert keys(q="100_") == set()
    assert keys(since=action_start() + 1) == set()
    assert keys(until=action_start() + 1) == {"a/1", "a/2"}


def action_start() -> int:
    return 1595526327_000_000


# -- how MLMD shows it ----------------------------------------------------------------


def test_a_standard_client_in_another_process_reads_the_same(store: Store) -> None:
    """Types with their bases, states, URIs, events with role and evidence, contexts with parents."""
    store.record(
        act("k/train", controller={"cluster": "c", "namespace": "n", "name": "trainer"},
            inputs=[{"type": "Dataset", "uri": "gs://b/d", "version": "v1", "role": "issues"}],
            outputs=[{"type": "Model", "uri": "models/m", "role": "model", "evidence": "observed",
                      "properties": {"auc": 0.5}}]),
        act("k/pr", type="deploy", state="failed", outputs=[{"type": "PullRequest", "uri": "https://h/1"}]),
    )  # fmt: skip
    program = """
import json, sys
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb
config = pb.ConnectionConfig(); config.sqlite.filename_uri = sys.argv[1]
store = metadata_store.MetadataStore(config)
types = {t.id: t for t in store.get_execution_types()}
kinds = {t.id: t for t in store.get_artifact_types()}
out = {"executions": sorted([types[e.type_id].name, pb.ExecutionType.SystemDefinedBaseType.Name(types[e.type_id].base_type), e.name, e.last_known_state] for e in store.get_executions()),
       "artifacts": sorted([kinds[a.type_id].name, a.uri, a.state] for a in store.get_artifacts())}
(train,) = [e for e in store.get_executions() if e.name == "k/train"]
out["events"] = sorted([v.type, v.milliseconds_since_epoch, [s.key or s.index for s in v.path.steps]] for v in store.get_events_by_execution_ids([train.id]))
contexts = store.get_contexts_by_execution(train.id)
out["contexts"] = sorted([c.type, c.name] for c in contexts)
(controller,) = [c for c in contexts if c.type == "lineage.Controller"]
out["parents"] = [c.name for c in store.get_parent_contexts_by_context(controller.id)]
out["attributed"] = len(store.get_artifacts_by_context(controller.id))
out["display_name"] = train.custom_properties["display_name"].string_value
out["auc"] = [a.custom_properties["auc"].double_value for a in store.get_artifacts_by_uri("models/m")]
print(json.dumps(out))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, store.path], capture_output=True, check=True
    )
    assert json.loads(done.stdout) == {
        "executions": [["lineage.deploy", "DEPLOY", "k/pr", pb.Execution.FAILED],
                       ["lineage.train", "TRAIN", "k/train", pb.Execution.COMPLETE]],
        "artifacts": [["lineage.PullRequest", "https://h/1", 2], ["system.Dataset", "gs://b/d", 2],
                      ["system.Model", "models/m", 2]],
        "events": [[3, 1595526327000, ["issues"]], [4, 1595530931000, ["model", "observed"]]],
        "contexts": [["lineage.Controller", "c/n/trainer"]],
        "parents": ["c/n"], "attributed": 2, "display_name": "k/train", "auc": [0.5],
    }  # fmt: skip


def test_each_node_is_in_the_contexts_of_its_own_controllers_only(store: Store) -> None:
    """Contexts attach to every node of an MLMD call (trap 9), so each call has one controller."""
    store.record(
        act("x/1", controller={"name": "one"}, outputs=[{"uri": "gs://b/shared"}]),
        act("x/2", controller={"name": "two"}, inputs=[{"uri": "gs://b/shared"}],
            outputs=[{"uri": "gs://b/two"}]),
    )  # fmt: skip
    names = {}
    for uri in ("gs://b/shared", "gs://b/two"):
        (artifact,) = store.mlmd(
            "GetArtifactsByURI", rpc.GetArtifactsByURIRequest(uris=[uri])
        ).artifacts
        request = rpc.GetContextsByArtifactRequest(artifact_id=artifact.id)
        found = store.mlmd("GetContextsByArtifact", request).contexts
        names[uri] = {c.name for c in found if c.type == "lineage.Controller"}
    assert names == {"gs://b/shared": {"-/-/one", "-/-/two"}, "gs://b/two": {"-/-/two"}}


def test_controllers_of_one_group_may_read_what_the_others_write(store: Store) -> None:
    """Whichever controller's part of a group is committed first, new artifacts are there for it."""
    verdicts = store.record(
        act("g/1", controller={"name": "one"}, outputs=[{"uri": "gs://g/1"}]),
        act("g/2", controller={"name": "two"}, outputs=[{"uri": "gs://g/2"}]),
        act("g/3", controller={"name": "one"}, inputs=[{"uri": "gs://g/2"}]),
    )
    assert [v.outcome for v in verdicts] == ["created"] * 3
    found = store.reader.closure([identify("gs://g/2").id], "both", None, 10)
    assert {a.key for a in found.actions} == {"g/2", "g/3"}


def test_children_share_the_context_of_their_run(store: Store) -> None:
    """A parent that nobody reported yet is no error; its children meet in its Run context."""
    verdicts = store.record(act("run/1/a", parent="run/1"), act("run/1/b", parent="run/1"))
    assert [v.outcome for v in verdicts] == ["created", "created"]
    request = rpc.GetContextsByTypeRequest(type_name="lineage.Run")
    (run,) = store.mlmd("GetContextsByType", request).contexts
    assert run.custom_properties["display_name"].string_value == "run/1"


# -- the traps of docs/mlmd.md -------------------------------------------------------------


def test_trap_1_the_file_is_wal_and_opened_by_sqlite_in_other_processes_only(store: Store) -> None:
    """The store process makes the file WAL before MLMD opens it; opening and closing it here,
    in a process without a MetadataStore, loses nothing of what was acknowledged."""
    store.record(act("k"))
    with sqlite3.connect(f"file:{store.path}?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    for n in range(20):
        store.record(act(f"k/{n}"))
        sqlite3.connect(store.path).close()
    os.kill(store.process.pid or 0, signal.SIGKILL)
    assert len(store.reader.actions(ActionFilter(), None, 100).items) == 21


def test_trap_2_reading_goes_on_while_the_store_process_hangs(store: Store) -> None:
    """MLMD holds the GIL for a whole call; in its own process that stops nobody else."""
    store.record(act("k"))
    assert store.process.pid is not None
    os.kill(store.process.pid, signal.SIGSTOP)
    try:
        assert store.reader.action(action_id("k")) is not None
    finally:
        os.kill(store.process.pid, signal.SIGCONT)


def test_trap_4_a_broken_connection_is_made_anew(store: Store) -> None:
    """After an INTERNAL error (here a NaN) the next call finds a working store."""
    type_id = store.mlmd(
        "PutExecutionType",
        rpc.PutExecutionTypeRequest(execution_type=pb.ExecutionType(name="t")),
    ).type_id
    bad = pb.Execution(type_id=type_id)
    bad.custom_properties["x"].double_value = float("nan")
    with pytest.raises(StoreRefused):
        store.mlmd("PutExecutions", rpc.PutExecutionsRequest(executions=[bad]))
    assert [v.outcome for v in store.record(act("after"))] == ["created"]


def test_trap_5_a_second_store_process_on_the_file_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One writer a file: the second is told who holds it and what to do."""
    monkeypatch.setattr("lineage.store.supervisor.LOCK_WAIT", 0.2)
    second = StoreProcess(store.path)
    with pytest.raises(StoreInUse, match=f"in use by process {os.getpid()}.*--read-only"):
        second.start()


def test_trap_6_an_update_keeps_what_others_put_on_the_node(store: Store) -> None:
    """A put with an id replaces the whole node, so the writer reads, merges and writes it whole."""
    store.record(
        act("k", state="running", ended_at=None, outputs=[{"uri": "gs://b/m", "name": "mine"}])
    )
    node = store.execution("k")
    node.custom_properties["note"].string_value = "added by another tool"
    store.mlmd("PutExecutions", rpc.PutExecutionsRequest(executions=[node]))
    store.record(act("k", error="disk full", state="failed"))
    after = store.execution("k")
    assert after.custom_properties["note"].string_value == "added by another tool"
    assert after.last_known_state == pb.Execution.FAILED
    store.record(act("k2", inputs=[{"uri": "gs://b/m"}]))
    artifact = store.reader.artifact(identify("gs://b/m").id)
    assert artifact is not None and artifact.name == "mine"


def test_trap_6_a_node_wiped_by_another_tool_is_healed_by_the_next_report(store: Store) -> None:
    """Our id without our record: reported again, the node is whole and is not doubled."""
    store.record(act("k"))
    node = store.execution("k")
    node.custom_properties.clear()
    store.mlmd("PutExecutions", rpc.PutExecutionsRequest(executions=[node]))
    assert store.reader.action(action_id("k")) is None
    assert [v.error for v in store.record(act("k"))] == [None]
    assert store.reader.action(action_id("k")) is not None


def test_trap_8_many_writers_of_one_key_make_one_execution(store: Store) -> None:
    """Fifty concurrent reports of the same action and artifact: one node each, all acknowledged."""
    futures = [
        store.writer.submit([act("same", params={f"p{n}": "x"}, outputs=[{"uri": "gs://b/one"}])])
        for n in range(50)
    ]
    assert all(f.result(60)[0].error is None for f in futures)
    state = store.reader.action(action_id("same"))
    assert state is not None
    assert sum(name.startswith("params.") for name in state.fields) == 50
    assert len(store.mlmd("GetExecutions", rpc.GetExecutionsRequest()).executions) == 1


@pytest.mark.parametrize(
    "text", ["x" * 512, "ü" * 300, "back\\slash 'quote' \"double\"", "a%b_c!d", "mlmd-struct::AA=="]
)
def test_trap_10_long_and_strange_keys_keep_apart(store: Store, text: str) -> None:
    """MLMD's names end at 255: two long keys with one beginning stay two actions."""
    one, two = text[:511] + "1", text[:511] + "2"
    store.record(act(one, name=text[:256]), act(two))
    found = store.reader.actions_by_id([action_id(one), action_id(two)])
    assert {s.key for s in found.values()} == {one, two}
    assert len(codec.bounded_name(one).encode()) <= 255


def test_trap_12_mlmd_messages_stay_inside(store: Store) -> None:
    """MLMD's errors carry whole nodes; what a client may see has only the code."""
    type_id = store.mlmd(
        "PutExecutionType", rpc.PutExecutionTypeRequest(execution_type=pb.ExecutionType(name="t"))
    ).type_id
    node = pb.Execution(type_id=type_id, name="same")
    node.custom_properties["password"].string_value = "hunter2 " * 1000
    store.mlmd("PutExecutions", rpc.PutExecutionsRequest(executions=[node]))
    with pytest.raises(StoreRefused) as caught:
        store.mlmd("PutExecutions", rpc.PutExecutionsRequest(executions=[node]))
    assert caught.value.code == "ALREADY_EXISTS", "a long message must not become ResourceExhausted"
    assert "hunter2" not in str(caught.value)


def test_trap_14_a_chain_of_a_thousand_actions_is_walked_to_its_end(store: Store) -> None:
    """get_lineage_subgraph stops after 100 hops; we do not, and a limit is said."""
    store.record(*chain(1000))
    end = identify("gs://c/1000", "1").id
    whole = store.reader.closure([end], "upstream", None, 5000)
    assert (len(whole.actions), len(whole.artifacts), whole.truncated) == (1000, 1001, False)
    cut = store.reader.closure([end], "upstream", None, 100)
    assert len(cut.actions) + len(cut.artifacts) <= 100 and cut.truncated
    assert len(store.reader.closure([end], "upstream", 4, 5000).actions) == 2


def test_trap_15_kfp_can_register_the_shared_types_beside_us(store: Store) -> None:
    """system.* types stay schemaless, so KFP's own registration still succeeds, and is ours."""
    store.record(act("k", outputs=[{"type": "Model", "uri": "models/m"}]))
    request = rpc.PutArtifactTypeRequest(artifact_type=pb.ArtifactType(name="system.Model"))
    again = store.mlmd("PutArtifactType", request).type_id
    (artifact,) = store.mlmd("GetArtifacts", rpc.GetArtifactsRequest()).artifacts
    assert artifact.type_id == again


def test_grpc_carries_messages_beyond_four_megabytes(store: Store) -> None:
    """gRPC's own limit of 4 MB is raised on both sides."""
    big = [act(f"big/{n}", error="e" * 16_000, params={"p": "v" * 16_000}) for n in range(200)]
    assert all(v.outcome == "created" for v in store.record(*big))


def test_missing_indexes_are_there(store: Store) -> None:
    """Walks from artifacts and to contexts have an index each."""
    with sqlite3.connect(f"file:{store.path}?mode=ro", uri=True) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert {"lineage_event_artifact", "lineage_attribution_artifact"} <= names


# -- the process ----------------------------------------------------------------------


def test_a_killed_store_process_comes_back_and_no_report_is_lost(store: Store) -> None:
    """kill -9 under load: every submitted report is committed after the restart, once."""
    pids = []

    def kill() -> None:
        for _ in range(3):
            time.sleep(0.15)
            pids.append(store.process.pid)
            os.kill(store.process.pid or 0, signal.SIGKILL)
            store.process.wait_ready(10)

    killer = threading.Thread(target=kill)
    killer.start()
    futures = [
        store.writer.submit(
            [act(f"c/{n}/{m}", outputs=[{"uri": f"gs://c/{n}/{m}"}]) for m in range(20)]
        )
        for n in range(100)
    ]
    verdicts = [v for f in futures for v in f.result(120)]
    killer.join()
    assert all(v.error is None for v in verdicts)
    assert store.process.restarts >= 1
    keys = [s.key for chunk, _ in store.reader.walk() for s in chunk]
    assert len(keys) == len(set(keys)) == 2000


def test_calls_while_the_process_is_away_say_so(store: Store) -> None:
    """A call that cannot be carried raises StoreUnavailable, quickly."""
    os.kill(store.process.pid or 0, signal.SIGKILL)
    time.sleep(0.05)
    with pytest.raises(StoreUnavailable):
        store.process.call("GetArtifactTypes", b"")


def test_the_store_process_ends_with_its_server(tmp_path: Path) -> None:
    """A server killed with -9 leaves no store behind that would hold the file."""
    program = """
import sys, time
from lineage.store.supervisor import StoreProcess
store = StoreProcess(sys.argv[1]); store.start(); print(store.pid, flush=True); time.sleep(60)
"""
    server = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "x.db")], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    server.kill()
    server.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.05)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_artifact_lists_filter_and_page(store: Store) -> None:
    """By type, by text, by URI; every version of a URI is one family."""
    outputs = [{"type": "Model", "uri": "models/m", "version": f"v{n}"} for n in range(5)]
    store.record(
        act("k", outputs=[*outputs, {"type": "Dataset", "uri": "gs://b/d", "name": "Issues"}])
    )

    def uris(**filter: Any) -> list[str]:
        return [a.uri for a in store.reader.artifacts(ArtifactFilter(**filter), None, 10).items]

    assert uris(type="Dataset") == uris(q="issue") == ["gs://b/d"]
    assert uris(uri="models/m") == ["models/m"] * 5
    first = store.reader.artifacts(ArtifactFilter(uri="models/m"), None, 3)
    rest = store.reader.artifacts(ArtifactFilter(uri="models/m"), first.cursor, 3)
    assert {a.version for a in (*first.items, *rest.items)} == {f"v{n}" for n in range(5)}
