"""What a store promises, on every database it may be in, through REST and by a real server."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from lineage.model import Action
from tests import databases, strategies
from tests.conftest import start_server
from tests.database_server import children
from tests.every_question import API
from tests.hostile_texts import TEXTS
from tests.running import ENGINES, SERVERS, Running

pytestmark = pytest.mark.timeout(300)  # three servers start in some, and CI is slow

marks = itertools.count()


@pytest.fixture(scope="module", params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:  # fmt: skip
    """A server on each database in turn, shared by this module: name things as nobody else."""
    running = Running(request.param, tmp_path_factory.mktemp(request.param))
    yield running
    running.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    """`make(engine)`: a server on an empty store of one's own, or on the given one."""
    made: list[Running] = []

    def make(engine: str, *options: str, store: Path | str = "") -> Running:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Running(engine, folder, *options, store=store))
        return made[-1]

    yield make
    for running in made:
        running.close()


# -- recording ------------------------------------------------------------------------


def test_put_creates_merges_and_changes_nothing(store: Running) -> None:
    """201 created, 200 merged, 200 unchanged; what was merged is what is read."""
    reports: list[dict[str, Any]] = [
        {"state": "running", "started_at": "2020-07-01T00:00:00Z"},
        {"state": "complete", "ended_at": "2020-07-01T01:00:00Z", "params": {"a": "b", "n": 1}},
    ]
    answers = [store.put("contract/one", **r) for r in (*reports, *reports)]
    assert [(a.status_code, a.json()["outcome"]) for a in answers] == [
        (201, "created"), (200, "merged"), (200, "unchanged"), (200, "unchanged"),
    ]  # fmt: skip
    found = store.get("/actions/contract%2Fone")
    assert (found["state"], found["started_at"]) == ("complete", "2020-07-01T00:00:00Z")
    assert found["params"] == {"a": "b", "n": 1}
    assert store.get(f"/actions/{found['id']}") == found


def test_a_batch_has_a_verdict_for_each_and_keeps_the_good_ones(store: Running) -> None:
    """A record that breaks a rule, and a line that is no JSON, do not keep the others out."""
    good = {"key": "contract/batch", "type": "train", "controller": {"name": "contract"}}
    done = store.batch([good, {**good, "key": "", "type": "?"}, b"{", good])
    assert [item["status"] for item in done["results"]] == [201, 422, 422, 200]
    assert (done["received"], done["created"], done["unchanged"], done["failed"]) == (4, 1, 1, 2)
    assert store.get("/actions/contract%2Fbatch")["key"] == "contract/batch"


def test_a_large_batch_is_recorded_whole(store: Running) -> None:
    """1,500 actions of many controllers and shared artifacts: each once, none lost."""
    some: list[dict[str, Any]] = [
        {"key": f"large/{n}", "type": "train", "controller": {"name": f"large-{n % 7}"},
         "started_at": f"2020-01-01T{n % 24:02}:00:00Z",
         "inputs": [{"type": "Dataset", "uri": f"gs://large/{n % 11}"}],
         "outputs": [{"type": "Model", "uri": f"gs://large/model/{n}"}]}
        for n in range(1500)
    ]  # fmt: skip
    assert store.batch(some)["created"] == 1500
    assert store.batch(some)["unchanged"] == 1500
    found = [
        a["key"] for n in range(7) for a in store.all("/actions", 499, controller=f"large-{n}")
    ]
    assert sorted(found) == sorted(a["key"] for a in some)
    graph = store.get("/lineage", of="gs://large/3", direction="downstream", depth=2)
    assert sum(node["kind"] == "artifact" for node in graph["nodes"]) == 1 + len(range(3, 1500, 11))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(strategies.actions(), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_no_order_no_repetition_and_no_grouping_changes_the_graph(
    store: Running, reports: list[Action], chance: random.Random
) -> None:
    """The same reports, shuffled and doubled, in batches or one by one, are the same actions."""
    seen = []
    for _ in range(2):
        mark = f"order{next(marks)}"
        chance.shuffle(reports)
        some = [_elsewhere(one, mark) for one in reports + reports[: len(reports) // 2]]
        size = chance.randint(1, len(some))
        for begin in range(0, len(some), size):
            store.record(some[begin : begin + size])
        found = [store.get(f"/actions/{quote(key, safe='')}") for key in {r["key"] for r in some}]
        for action in found:
            action.pop("id")
        text = json.dumps(sorted(found, key=lambda action: action["key"]))
        seen.append(text.replace(mark, "ORDER"))
    assert seen[0] == seen[1]


def _elsewhere(action: Action, mark: str) -> dict[str, Any]:
    """The same report of another act."""
    record = action.model_dump(mode="json", exclude_none=True)
    parent = {"parent": f"{mark}/{action.parent}"} if action.parent else {}
    return {**record, "key": f"{mark}/{action.key}", **parent}


# -- asking ---------------------------------------------------------------------------


def chain(name: str) -> list[dict[str, Any]]:
    """prepare → train → deploy, an hour each."""
    data, model = f"gs://{name}/data.csv", f"models/{name}"
    slot = f"k8s://{name}/prod/Deployment/worker"
    steps = [
        ("transform", [], [("Dataset", data, "v1")]),
        ("train", [("Dataset", data, "v1")], [("Model", model, "m1")]),
        ("deploy", [("Model", model, "m1")], [("Deployment", slot, "1")]),
    ]
    return [
        {"key": f"{name}/{type_}", "type": type_, "state": "complete",
         "controller": {"cluster": name, "namespace": name, "name": f"{type_}er"},
         "started_at": f"2020-07-01T{hour:02}:00:00Z", "ended_at": f"2020-07-01T{hour:02}:30:00Z",
         "inputs": [{"type": t, "uri": u, "version": v} for t, u, v in reads],
         "outputs": [{"type": t, "uri": u, "version": v} for t, u, v in writes]}
        for hour, (type_, reads, writes) in enumerate(steps)
    ]  # fmt: skip


def test_the_whole_depth_is_found_from_both_ends(store: Running) -> None:
    """Upstream of a deployment is everything; downstream of the data, all but who wrote it."""
    store.record(chain("closure"))
    slot = "k8s://closure/prod/Deployment/worker"
    up = store.get("/lineage", of=slot, direction="upstream")
    down = store.get("/lineage", of="gs://closure/data.csv@v1", direction="downstream")
    assert len(up["nodes"]) == 6 and not up["truncated"]
    apart = {node["id"] for node in up["nodes"]} ^ {node["id"] for node in down["nodes"]}
    assert apart == {store.get("/actions/closure%2Ftransform")["id"]}
    near = store.get("/lineage", of=slot, direction="upstream", depth=1)
    assert len(near["nodes"]) == 2
    assert store.get("/lineage", of=slot, direction="upstream", max_nodes=3)["truncated"]


def test_the_past_is_told_as_it_was(store: Running) -> None:
    """As of a moment between two acts only the first has happened, and nothing is live."""
    store.record(chain("past"))
    then = {"as_of": "2020-07-01T01:15:00Z", "namespace": "past"}
    assert [a["key"] for a in store.get("/actions", **then)["items"]] == [
        "past/train", "past/transform",
    ]  # fmt: skip
    assert store.get("/actions/past%2Ftrain", as_of=then["as_of"])["state"] == "running"
    assert store.get("/live", **then)["slots"] == []
    missing = store.http.get(f"{API}/actions/past%2Fdeploy", params=then)
    assert missing.status_code == 404


def test_what_is_live_stale_different_and_flowing(store: Running) -> None:
    """A newer model that is not deployed makes the slot stale; deployed, it makes a difference."""
    store.record(chain("ask"))
    mine = [
        s for s in store.get("/live")["slots"] if s["slot"] == "k8s://ask/prod/Deployment/worker"
    ]
    assert [m["version"] for m in mine[0]["models"]] == ["m1"]
    train, deploy = chain("ask")[1:]
    later = {"started_at": "2020-07-02T00:00:00Z", "ended_at": "2020-07-02T01:00:00Z"}
    newer = [{"type": "Model", "uri": "models/ask", "version": "m2"}]
    store.batch([{**train, **later, "key": "ask/train2", "outputs": newer}])
    stale = {s["slot"]: s for s in store.get("/stale", limit=1000)["slots"]}
    assert stale[mine[0]["slot"]]["status"] == "stale"
    at_slot = [{"type": "Deployment", "uri": mine[0]["slot"], "version": "2"}]
    again = {"started_at": "2020-07-03T00:00:00Z", "ended_at": "2020-07-03T01:00:00Z"}
    store.batch([{**deploy, **again, "key": "ask/deploy2", "inputs": newer, "outputs": at_slot}])
    differing = store.get("/diff", a=mine[0]["slot"])
    assert not differing["same"]
    edges = store.get("/flow", namespace="ask")["edges"]
    assert {(e["source"]["name"], e["target"]["name"]) for e in edges} == {
        ("transformer", "trainer"), ("trainer", "deployer"),
    }  # fmt: skip
    assert store.get("/impact", of="gs://ask/data.csv@v1")["slots"][0]["serving"]


def test_search_finds_by_words_and_parts(store: Running) -> None:
    """A name, a part of a URI, a parameter's value."""
    store.put(
        "seek/1", name="Zebra training", params={"animal": "okapi"},
        outputs=[{"type": "Model", "uri": "models/gnu-catoblepas", "version": "7"}],
    )  # fmt: skip
    for q in ("zebra", "okapi", "gnu-catoblepas", "seek/1"):
        assert store.get("/search", q=q)["items"], q


def test_lists_by_cursor_neither_skip_nor_repeat(store: Running) -> None:
    """Whatever the size of a page, also among equal times, also while others record."""
    some = [
        {"key": f"page/{n}", "type": "train", "controller": {"name": f"pager {n % 5}", "namespace": "page"},
         "started_at": f"2020-01-01T00:00:{n // 10:02}Z",
         "outputs": [{"type": "Model", "uri": "models/paged", "version": f"v{n}"}]}
        for n in range(60)
    ]  # fmt: skip
    assert store.batch(some)["created"] == 60
    for limit in (1, 7, 60):
        keys = [a["key"] for a in store.all("/actions", limit, namespace="page")]
        assert len(keys) == len(set(keys)) == 60
        versions = [a["version"] for a in store.all("/artifacts", limit, uri="models/paged")]
        assert sorted(versions) == sorted(f"v{n}" for n in range(60))
    who = [c for c in store.all("/controllers", 2) if c["namespace"] == "page"]
    assert [(c["name"], c["actions"]) for c in who] == [(f"pager {n}", 12) for n in range(5)]


# -- keeping --------------------------------------------------------------------------


def test_openlineage_events_are_kept_and_recorded_once(store: Running) -> None:
    """The raw event comes back as it was sent; sent again it changes nothing."""
    event = {
        "eventType": "COMPLETE", "eventTime": "2020-07-23T18:00:00Z",
        "producer": "https://example.org/producer",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "0190a0a0-0000-7000-8000-000000000001"},
        "job": {"namespace": "contract \\ 😀", "name": "job's \\"},
        "inputs": [{"namespace": "s3://bucket", "name": "a\\b"}],
        "outputs": [{"namespace": "postgres://host:5432", "name": "db.schema.\u05d0"}],
    }  # fmt: skip
    before = store.export()
    assert store.http.post(f"{API}/lineage", json=event).status_code == 201
    after = store.export()
    assert len(after.splitlines()) > len(before.splitlines())
    assert store.http.post(f"{API}/lineage", json=event).status_code == 201
    assert store.export() == after
    kept = store.get("/lineage/events")["items"]
    assert [e for e in kept if e["run"] == event["run"]] == [event]


@pytest.mark.parametrize("engine", SERVERS)
def test_servers_of_one_database_see_each_other_at_once(make: Any, engine: str) -> None:
    """What one acknowledged the other tells, also of what it had been asked before; a third only
    reads; and no process, log or error message of theirs shows the password."""
    first = make(engine)
    second, reader = make(engine, store=first.store), make(engine, "--read-only", store=first.store)
    prepare, train, deploy = chain("pair")
    for one in (second, reader):
        assert one.get("/live")["slots"] == []
    first.record([prepare, train, deploy])
    for one in (first, second, reader):
        (slot,) = one.get("/live")["slots"]
        assert [model["version"] for model in slot["models"]] == ["m1"]
    second.record([{**train, "reported_at": "2021-01-01T00:00:00Z", "by": "somebody"}])
    assert first.batch([prepare, train])["unchanged"] == 2
    for one in (first, second, reader):
        assert one.get("/actions/pair%2Ftrain")["by"] == "somebody"
        assert one.export() == first.export()
    assert reader.put("pair/refused").status_code == 403
    shown = [log.read_bytes() for log in first.folder.parent.glob("*/serve.log")]
    for one in (first, second, reader):
        pid = one.server.process.pid
        shown += [Path(f"/proc/{n}/cmdline").read_bytes() for n in (pid, *children(pid))]
    assert len(shown) == 3 + 5 and not [x for x in shown if b"p@ss" in x or b"p%40ss" in x]


@pytest.mark.parametrize("wrong", [{"port": 9}, {"database": "nowhere"}, {"password": "wr@ng"}])
@pytest.mark.parametrize("engine", SERVERS)
def test_a_database_that_is_not_there_is_said_without_its_password(
    tmp_path: Path, engine: str, wrong: dict[str, Any]
) -> None:
    """A wrong port, database or password: a reason to act on, and no secret, no traceback."""
    asked = make_url(databases.shared(engine).create()).set(**wrong)
    with pytest.raises(AssertionError, match="did not start") as caught:
        start_server(tmp_path, store=asked.render_as_string(hide_password=False))
    said = str(caught.value)
    assert not [part for part in ("p@ss", "p%40ss", "wr@ng", "Traceback") if part in said], said
    assert "127.0.0.1" in said, said


def test_texts_that_a_collation_thinks_equal_stay_apart(store: Running) -> None:
    """Names that differ in case, accents or trailing blanks name different things: as actions,
    artifacts, controllers, properties."""
    names = ["twin", "Twin", "TWIN", "twín", "twin ", "twi\u0301n", "tẇin", "ｔｗｉｎ"]
    for name in names:
        properties = {name: name, name.upper(): 1}
        artifact = {"type": "Dataset", "uri": f"twin/{name}/x", "properties": properties}
        store.put(
            f"twin/{name}", controller={"name": name, "namespace": "twin"}, outputs=[artifact]
        )
    who = [c["name"] for c in store.all("/controllers", 100) if c["namespace"] == "twin"]
    assert sorted(who) == sorted(names)
    for name in names:
        (action,) = store.get("/actions", controller=name, namespace="twin")["items"]
        assert action["key"] == f"twin/{name}"
        (found,) = store.get("/artifacts", uri=f"twin/{name}/x")["items"]
        assert found["properties"] == {name: name, name.upper(): 1}


def test_a_list_filtered_by_a_text_holds_what_has_it(store: Running) -> None:
    """The filters compare exactly; `q` finds a part of a name. Whatever the text."""
    for text in TEXTS:
        who = {"controller": text, "namespace": f"f {text}"[:256]}
        key = f"filter/{text}"[:512]
        store.put(key, name=text, controller={"name": text, "namespace": who["namespace"]})
        assert [a["key"] for a in store.get("/actions", **who)["items"]] == [key]
        named = store.all("/actions", 500, q=text) if text.strip() else [{"key": key}]
        assert key in {action["key"] for action in named}
