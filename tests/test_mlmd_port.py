"""`lineage serve --mlmd-port`: MLMD's own service for its own clients, and what they write."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb
from ml_metadata.proto import metadata_store_service_pb2 as rpc

from lineage.client import Client

from . import neighbours
from .conftest import COMMAND, MakeServer, Server, clean_environment

MISSING = {"GetLineageGraph", "GetParentContextsByContexts", "GetChildrenContextsByContexts"}
"""Not in the wheel's library, so nobody can be answered (docs/mlmd.md)."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Standard:
    """The client of ml_metadata on a port; notes which calls it made."""

    def __init__(self, port: int) -> None:
        config = pb.MetadataStoreClientConfig(host="127.0.0.1", port=port)
        self.store: Any = metadata_store.MetadataStore(config)
        self.stub, self.called = self.store._metadata_store_stub, set[str]()
        self.store._metadata_store_stub = self

    def __getattr__(self, method: str) -> Any:
        self.called.add(method)
        return getattr(self.stub, method)


@pytest.fixture
def running(make_server: MakeServer) -> tuple[Server, Standard]:
    port = free_port()
    return make_server("--mlmd-port", str(port)), Standard(port)


def soon(look: Callable[[], Any]) -> Any:
    """What is found within a second; a machine that does much else may take longer."""
    deadline = time.monotonic() + 30
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def test_a_standard_client_makes_every_call_there_is(running: tuple[Server, Standard]) -> None:
    """All 49 calls that the library can answer, each at least once, each answered rightly."""
    _, client = running
    _types(client)
    _nodes(client)
    _contexts(client)
    _lookups(client)
    methods = rpc.DESCRIPTOR.services_by_name["MetadataStoreService"].methods
    assert client.called == {method.name for method in methods} - MISSING
    assert len(client.called) == 49
    for method in sorted(MISSING):
        with pytest.raises(grpc.RpcError) as caught:
            getattr(client.stub, method)(getattr(rpc, f"{method}Request")())
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def _types(client: Standard) -> None:
    store = client.store
    data = pb.ArtifactType(name="data", external_id="t/a", properties={"day": pb.INT})
    ids = [
        store.put_artifact_type(data),
        store.put_execution_type(pb.ExecutionType(name="step", external_id="t/e")),
        store.put_context_type(pb.ContextType(name="group", external_id="t/c")),
    ]
    more = rpc.PutTypesRequest(artifact_types=[pb.ArtifactType(name="more")])
    assert len(client.PutTypes(more).artifact_type_ids) == 1
    assert store.get_artifact_type("data").properties["day"] == pb.INT
    assert store.get_execution_type("step").id == ids[1]
    assert store.get_context_type("group").id == ids[2]
    for kind, id_, letter in zip(("artifact", "execution", "context"), ids, "aec", strict=True):
        assert [t.id for t in getattr(store, f"get_{kind}_types_by_id")([id_])] == [id_]
        assert id_ in [t.id for t in getattr(store, f"get_{kind}_types")()]
        named = getattr(store, f"get_{kind}_types_by_external_ids")([f"t/{letter}"])
        assert [t.id for t in named] == [id_]


def _nodes(client: Standard) -> None:
    store = client.store
    data, step = store.get_artifact_type("data").id, store.get_execution_type("step").id
    one = pb.Artifact(type_id=data, name="one", uri="gs://p/one", external_id="a/1")
    one.properties["day"].int_value = 3
    two = pb.Artifact(type_id=data, name="two", uri="gs://p/two")
    one.id, two_id = store.put_artifacts([one, two])
    (run,) = store.put_executions([pb.Execution(type_id=step, name="run", external_id="e/1")])
    store.put_events([neighbours.event(run, one.id, pb.Event.INPUT, "in")])
    again = pb.Execution(type_id=step, name="again", last_known_state=pb.Execution.COMPLETE)
    made = pb.Artifact(type_id=data, name="made", uri="gs://p/made")
    both = [(None, neighbours.event(0, 0, pb.Event.INPUT)), (made, pb.Event(type=pb.Event.OUTPUT))]
    both[0][1].artifact_id = two_id
    _, made_ids, _ = store.put_execution(again, both, [])
    assert made_ids[0] == two_id
    sub = pb.Execution(type_id=step, name="sub")
    edges = [(0, 0, pb.Event(type=pb.Event.OUTPUT))]
    store.put_lineage_subgraph([sub], [pb.Artifact(type_id=data, name="leaf")], [], edges)


def _contexts(client: Standard) -> None:
    store = client.store
    group = store.get_context_type("group").id
    outer, inner = store.put_contexts(
        [pb.Context(type_id=group, name="outer", external_id="c/1"),
         pb.Context(type_id=group, name="inner")]
    )  # fmt: skip
    store.put_parent_contexts([pb.ParentContext(child_id=inner, parent_id=outer)])
    (run,) = store.get_executions_by_external_ids(["e/1"])
    (one,) = store.get_artifacts_by_external_ids(["a/1"])
    store.put_attributions_and_associations(
        [pb.Attribution(context_id=inner, artifact_id=one.id)],
        [pb.Association(context_id=inner, execution_id=run.id)],
    )
    assert [c.name for c in store.get_parent_contexts_by_context(inner)] == ["outer"]
    assert [c.name for c in store.get_children_contexts_by_context(outer)] == ["inner"]
    assert [c.name for c in store.get_contexts_by_artifact(one.id)] == ["inner"]
    assert [c.name for c in store.get_contexts_by_execution(run.id)] == ["inner"]
    assert [a.name for a in store.get_artifacts_by_context(inner)] == ["one"]
    assert [e.name for e in store.get_executions_by_context(inner)] == ["run"]
    assert [c.id for c in store.get_contexts_by_external_ids(["c/1"])] == [outer]


def _lookups(client: Standard) -> None:
    store = client.store
    assert {a.name for a in store.get_artifacts()} == {"one", "two", "made", "leaf"}
    assert {e.name for e in store.get_executions()} == {"run", "again", "sub"}
    assert {c.name for c in store.get_contexts()} == {"outer", "inner"}
    for kind, type_, name in (("artifact", "data", "one"), ("execution", "step", "run"),
                              ("context", "group", "outer")):  # fmt: skip
        node = getattr(store, f"get_{kind}_by_type_and_name")(type_, name)
        assert [n.name for n in getattr(store, f"get_{kind}s_by_id")([node.id])] == [name]
        assert node.id in [n.id for n in getattr(store, f"get_{kind}s_by_type")(type_)]
    (one,) = store.get_artifacts_by_uri("gs://p/one")
    assert one.properties["day"].int_value == 3
    (event,) = store.get_events_by_artifact_ids([one.id])
    assert store.get_events_by_execution_ids([event.execution_id])[0].path.steps[0].key == "in"
    query = pb.LineageSubgraphQueryOptions(
        starting_artifacts=pb.LineageSubgraphQueryOptions.StartingNodes(filter_query="name='one'")
    )
    found = store.get_lineage_subgraph(query)
    assert [e.id for e in found.executions] == [event.execution_id]


def test_what_a_client_writes_is_there_within_a_second(running: tuple[Server, Standard]) -> None:
    """In the lists, in its graph, in the search, and told to whoever listens for events."""
    server, client = running
    heard: list[str] = []
    with server.client() as listener, server.client() as here:
        listening = threading.Thread(target=lambda: hear(listener, heard), daemon=True)
        listening.start()
        while not heard:  # until it listens
            here.record({"key": "m/1", "name": f"mark {time.monotonic()}", "type": "mark",
                         "controller": {"name": "marker"}})  # fmt: skip
            time.sleep(0.05)
        neighbours.Kfp(client.store, 2).write()
        listening.join(30)
        assert heard.count("evaluate") == 2
        found = soon(lambda: here.search("evaluate")["items"])
        assert {one["name"] for one in found} >= {"evaluate"}
        assert len([*here.actions(controller=neighbours.PIPELINE)]) == 2 * 5
        graph = here.lineage("prepared", direction="downstream")
        assert sum(n["name"] == "train" for n in graph["nodes"]) == 2


def hear(listener: Client, heard: list[str]) -> None:
    """The names of what is recorded, until both runs evaluated."""
    for _, action in listener.events():
        heard.append(action["name"])
        if heard.count("evaluate") == 2:
            return


def test_clients_and_recorders_write_one_store_and_meet(running: tuple[Server, Standard]) -> None:
    """Our deployer names the URI that KFP's training made: the way back leads to KFP's step."""
    server, client = running
    neighbours.Kfp(client.store, 1).write()
    (model,) = client.store.get_artifacts_by_type("system.Model")
    with server.client() as here:
        here.record({"key": "d/1", "type": "deploy", "controller": {"name": "deployer"},
                     "state": "complete", "started_at": "2099-01-01T00:00:00Z",
                     "inputs": [{"type": "Model", "uri": model.uri}]})  # fmt: skip
        graph = here.lineage("d/1", direction="upstream")
        assert {"train", "prepare", "importer"} <= {n["name"] for n in graph["nodes"]}
        assert "inferred" in {e["kind"] for e in graph["edges"]}
        both = [action["key"] for action in here.actions()]
        assert both[0] == "d/1" and len(both) == 6


def test_what_the_sdk_of_kubeflow_metadata_calls_is_answered(
    running: tuple[Server, Standard],
) -> None:
    """Its workspace, execution, data set, model and metrics: one graph, as in its explorer."""
    server, client = running
    neighbours.kubeflow_metadata(client.store)
    with server.client() as here:
        graph = here.lineage("gs://kubeflow/metrics.csv")
        assert {n["name"] for n in graph["nodes"]} == {
            "synthetic-data", "execution2020-07-10T23:10:31.249904",
            "xgboost-synthetic-traing-eval"}  # fmt: skip
        (action,) = here.actions(controller="xgboost-synthetic")
        assert action["type"] == "process"


def test_our_records_outlive_what_a_client_may_do_to_them(
    running: tuple[Server, Standard],
) -> None:
    """A client that puts our node without its properties wipes it, as MLMD allows; the next
    report heals it, and what the client added stays."""
    server, client = running
    action = {"key": "k/1", "type": "train", "controller": {"name": "trainer"},
              "state": "complete", "ended_at": "2020-01-01T00:00:00Z"}  # fmt: skip
    with server.client() as here:
        here.record(action)
        (node,) = client.store.get_executions()
        node.custom_properties.clear()
        node.custom_properties["note"].string_value = "mine"
        client.store.put_executions([node])
        assert [*here.actions()] == []
        here.record(action)
        assert here.action("k/1")["state"] == "complete"
    (node,) = client.store.get_executions()
    assert node.custom_properties["note"].string_value == "mine"


def test_the_port_comes_back_when_the_store_process_was_killed(
    running: tuple[Server, Standard],
) -> None:
    """Same port, same store: what was acknowledged to the client is there."""
    server, client = running
    client.store.put_execution_type(pb.ExecutionType(name="t"))
    children = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(server.process.pid)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    (pid,) = [int(line.split()[0]) for line in children.splitlines() if "store.process" in line]
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while True:
        try:
            assert client.store.get_execution_type("t").name == "t"
            return
        except errors.UnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_errors_of_mlmd_reach_the_client_as_they_are(running: tuple[Server, Standard]) -> None:
    """A standard client tells a missing type from a broken server by the error's class."""
    _, client = running
    with pytest.raises(errors.NotFoundError):
        client.store.get_artifact_type("nothing")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mlmd-port", "TAKEN"], "choose another with --mlmd-port"),
        (["--mlmd-port", "9", "--read-only"], "leave out --read-only"),
        (["--mlmd-port", "9", "--host", "0.0.0.0"], "add --insecure"),
    ],
)
def test_a_port_that_cannot_be_is_refused_with_a_remedy(
    tmp_path: Any, options: list[str], said: str
) -> None:
    """Taken, pointless, or open to the world: one line, and no server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options = [str(taken.getsockname()[1]) if o == "TAKEN" else o for o in options]
        done = subprocess.run(
            [*COMMAND, "serve", "--store", str(tmp_path / "x.db"), "--port", "0", *options],
            capture_output=True, text=True, timeout=60, env=clean_environment(), check=False,
        )  # fmt: skip
    assert done.returncode in (1, 2) and said in " ".join(done.stderr.split()).replace(" │ │ ", " ")
