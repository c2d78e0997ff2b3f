"""What a store promises, on every database it may be in, through REST and by a real server.

The strongest test comes last: the same records, as hostile as `tests.hostile_texts` can make
them, are recorded in SQLite and in another database, and every question is asked of both.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.model import Action
from tests import databases, strategies
from tests.conftest import Server, start_server
from tests.every_question import API, NOT_COMPARED, answer, questions
from tests.hostile_texts import TEXTS, records

SERVERS = ("mariadb", "postgresql")
ENGINES = ("sqlite", *SERVERS)
EXAMPLES = sorted((Path(__file__).parent.parent / "examples" / "label_bot").glob("*.ndjson"))
numbers = itertools.count()


def new_store(engine: str, folder: Path) -> Path | str:
    """A store that nobody has used: a file's path, or a database's URL."""
    return folder / "lineage.db" if engine == "sqlite" else databases.shared(engine).create()


class Running:
    """A server and a client of it; `again` starts another one on the same store."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.store = new_store(engine, folder)
        self.begin()

    def begin(self) -> None:
        self.server: Server = start_server(self.folder, store=self.store)
        self.http = httpx2.Client(base_url=self.server.url, timeout=60)

    def again(self, kill: bool) -> None:
        self.server.kill() if kill else self.server.stop()
        self.http.close()
        self.begin()

    def close(self) -> None:
        self.http.close()
        if self.server.process.poll() is None:
            self.server.stop()

    def get(self, path: str, **query: Any) -> Any:
        found = self.http.get(API + path, params=query)
        assert found.status_code == 200, (path, query, found.text[:500])
        return found.json()

    def put(self, key: str, **fields: Any) -> httpx2.Response:
        body = {"type": "train", "controller": {"name": "contract"}, **fields}
        return self.http.put(f"{API}/actions/{quote(key, safe='')}", json=body)

    def batch(self, some: Sequence[Any]) -> Any:
        lines = b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in some)
        media = {"content-type": "application/x-ndjson"}
        found = self.http.post(f"{API}/actions/batch", content=lines, headers=media)
        assert found.status_code == 200, found.text[:500]
        return found.json()

    def record(self, some: Sequence[Any]) -> None:
        """A batch of which nothing is refused."""
        refused = [r for r in self.batch(some)["results"] if r["outcome"] is None]
        assert not refused, (len(refused), refused[:3])

    def all(self, path: str, limit: int, **query: Any) -> list[Any]:
        """The items of a list, page by page."""
        page = self.get(path, limit=limit, **query)
        items = page["items"]
        while page["cursor"]:
            assert len(page["items"]) == limit
            page = self.get(path, limit=limit, cursor=page["cursor"], **query)
            items += page["items"]
        return items

    def wait_for_the_index(self) -> None:
        deadline = time.monotonic() + 60
        while (index := self.get("/stats")["index"])["status"] != "ready" or index["behind"]:
            assert time.monotonic() < deadline, f"the search index does not catch up: {index}"
            time.sleep(0.05)

    def export(self) -> bytes:
        return self.http.get(f"{API}/export").content


@pytest.fixture(scope="module", params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:  # fmt: skip
    """A server on each database in turn, shared by this module: name things as nobody else."""
    running = Running(request.param, tmp_path_factory.mktemp(request.param))
    yield running
    running.close()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """SQLite, with the hostile records and the label bot's."""
    running = Running("sqlite", tmp_path_factory.mktemp("reference"))
    _fill(running)
    yield running
    running.close()


@pytest.fixture(scope="module", params=ENGINES)
def filled(
    request: pytest.FixtureRequest, reference: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """Each database with the same records."""
    if request.param == "sqlite":
        yield reference
        return
    running = Running(request.param, tmp_path_factory.mktemp("filled"))
    _fill(running)
    yield running
    running.close()


def _fill(running: Running) -> None:
    """One by one, so that MLMD numbers the nodes alike: some lists are in that order."""
    for one in [*map(json.loads, _lines()), *records()]:
        key = quote(one["key"], safe="")
        assert running.http.put(f"{API}/actions/{key}", json=one).status_code == 201
    running.wait_for_the_index()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    """`make(engine)`: a server on an empty store of one's own."""
    made: list[Running] = []

    def make(engine: str) -> Running:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Running(engine, folder))
        return made[-1]

    yield make
    for running in made:
        running.close()


# -- recording ------------------------------------------------------------------------


def test_put_creates_merges_and_changes_nothing(store: Running) -> None:
    """201 created, 200 merged, 200 unchanged; what was merged is what is read."""
    reports = [
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
    some = [
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
        mark = f"order{next(numbers)}"
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


def test_a_restart_keeps_everything(filled: Running) -> None:
    """Every byte of the export and what is live, whether the server ended in order or was killed;
    and it records again."""
    before = filled.export(), filled.get("/live")["slots"], filled.all("/controllers", 100)
    for kill in (False, True):
        filled.again(kill)
        found = filled.export(), filled.get("/live")["slots"], filled.all("/controllers", 100)
        assert found == before
    done = filled.batch([*_lines(), *records()])
    assert done["unchanged"] == done["received"]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_export_makes_the_same_store(reference: Running, make: Any, engine: str) -> None:
    """Export → import → export: byte for byte, from SQLite into each."""
    exported = reference.export()
    copy = make(engine)
    copy.record(exported.splitlines())
    assert copy.export() == exported


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


def _lines() -> list[bytes]:
    return [line for file in EXAMPLES for line in file.read_bytes().splitlines()]


# -- the same answers -----------------------------------------------------------------


@pytest.mark.parametrize("filled", SERVERS, indirect=True)
def test_every_question_has_the_same_answer_as_from_sqlite(
    reference: Running, filled: Running
) -> None:
    """Lists and their pages, nodes, graphs in every format, live, stale, flow, diff, search,
    export, at several moments: the same JSON, the same bytes."""
    wrong, answered = [], 0
    asked = list(questions(list(records())))
    for question in asked:
        expected, actual = answer(reference.http, question), answer(filled.http, question)
        answered += expected[0] == 200
        if expected != actual:
            wrong.append((question, *_difference(expected, actual)))
    shown = "\n".join(f"{q}\n  SQLite: {a}\n  {filled.engine}: {b}" for q, a, b in wrong[:20])
    assert answered > 0.9 * len(asked), "mostly errors: nothing was compared"
    assert not wrong, f"{len(wrong)} of {len(asked)} answers differ:\n{shown}"


def _difference(expected: Any, actual: Any) -> tuple[str, str]:
    """Where two answers first differ, and what is there."""
    one, two = (json.dumps(x, ensure_ascii=False, default=repr) for x in (expected, actual))
    pairs = enumerate(zip(one, two, strict=False))
    at = next((n for n, (a, b) in pairs if a != b), min(len(one), len(two)))
    return one[max(0, at - 80) : at + 120], two[max(0, at - 80) : at + 120]


def test_every_text_comes_back_from_every_field(filled: Running) -> None:
    """What was recorded is what is told, to the last blank."""
    for one in records():
        found = filled.get(f"/actions/{quote(one['key'], safe='')}")
        for field in ("key", "name", "by", "error", "params", "links", "trigger", "controller"):
            assert found[field] == one[field], (one["name"], field)


def test_no_question_is_forgotten(reference: Running) -> None:
    """Every GET of the API is asked above, or is named as one that no two servers answer alike."""
    paths = reference.http.get(f"{API}/openapi.json").json()["paths"]
    asked = {question.partition("?")[0] for question in questions(list(records()))}
    for path, operations in paths.items():
        if "get" not in operations or path in NOT_COMPARED:
            continue
        parts = path.split("/")
        assert any(_fits(parts, one.split("/")) for one in asked), f"{path} is never asked"


def _fits(pattern: Sequence[str], path: Sequence[str]) -> bool:
    return len(pattern) == len(path) and all(
        p.startswith("{") or p == q for p, q in zip(pattern, path, strict=True)
    )


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
