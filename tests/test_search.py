"""Search: what is recorded is found, the best first, whatever happens to the index."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage import findable
from lineage.client import Client
from lineage.errors import BadRequest, Forbidden
from lineage.findable import State, body, facets_of, terms, texts
from lineage.merge import report
from lineage.model import Action
from lineage.queries.matching import Rank, match, parse
from lineage.queries.search import search
from lineage.queries.stats import stats
from lineage.store.search.searcher import SqlSearcher, open_searcher

from .conftest import COMMAND, Server, clean_environment
from .memory import MemoryReader
from .strategies import actions
from .test_store import Store

COMMIT = "faeb65757214ac93259f417b81e9e2fedafaebda"
DIGEST = "c5" * 31 + "1f"
RECORD: dict[str, Any] = {
    "key": "tekton.dev/PipelineRun/8416892d-5897", "type": "train", "name": "Label bot, nightly",
    "controller": {"cluster": "prod", "namespace": "label-bot", "name": "modelsync/train"},
    "state": "complete", "started_at": "2020-07-23T17:45:27Z", "ended_at": "2020-07-23T19:02:11Z",
    "reported_at": "2020-07-23T19:02:12Z", "by": "system:serviceaccount:label-bot:default",
    "code": {"repo": "https://github.com/o/code-intelligence", "commit": COMMIT,
             "path": "notebooks/automl.ipynb"},
    "inputs": [{"type": "Dataset", "uri": "gs://issues/dataset.csv", "version": f"sha256:{DIGEST}"}],
    "outputs": [{"type": "Model", "uri": "projects/p/locations/us-central1/models/TCN4131",
                 "name": "Triage", "properties": {"area-jupyter.precision": 0.875}}],
    "params": {"max_age_days": "30", "warm": True},
}  # fmt: skip


def act(key: str, **fields: Any) -> dict[str, Any]:
    base = {"key": key, "type": "train", "controller": {"name": "t"}, "state": "complete",
            "started_at": "2020-07-01T00:00:00Z", "reported_at": "2020-07-01T00:00:00Z"}  # fmt: skip
    return {**base, **fields}


def names(answer: dict[str, Any]) -> list[str]:
    return [item.get("key") or item["uri"] for item in answer["items"]]


def indexed(client: Client, seconds: float = 30) -> dict[str, Any]:
    """Wait until the index is complete; the stats then."""
    deadline = time.monotonic() + seconds
    while (found := client.stats())["index"]["status"] != "ready":
        assert time.monotonic() < deadline, found["index"]
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server that has one training, known and indexed."""
    from .conftest import start_server

    running = start_server(tmp_path_factory.mktemp("search"))
    with running.client() as client:
        client.record(RECORD)
        yield client
    running.stop()


# -- what is found ----------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [True, False], ids=["just recorded", "indexed"])
@pytest.mark.parametrize(
    ("q", "field"),
    [
        ("tekton.dev/PipelineRun/8416892d-5897", "key"),
        ("8416892d", "key"),
        ("label BOT, nightly", "name"),
        ("ight", "name"),
        (COMMIT, "commit"),
        (COMMIT[:7], "commit"),
        ("notebooks/automl", "code"),
        ("max_age_days=30", "params"),
        ("max_age", "params"),
        ("30", "params"),
        ("warm=true", "params"),
        ("label-bot/modelsync", "controller"),
        ("serviceaccount:label-bot", "by"),
        ("us-central1", "uri"),
        ("TCN", "uri"),
        ("tcn41", "uri"),
        ("/models/", "uri"),
        ("Triage", "name"),
        ("gs://issues/dataset.csv", "uri"),
        ("csv", "uri"),
        (f"sha256:{DIGEST}", "version"),
        (DIGEST, "version"),
        (f"sha256:{DIGEST[:9]}", "version"),
        (DIGEST[:9], "version"),
        ("area-jupyter.precision=0.875", "properties"),
        ("0.875", "properties"),
    ],
)
def test_everything_recorded_is_found_at_once_and_later(
    client: Client, q: str, field: str, fresh: bool
) -> None:
    """By key, name, URI, commit, digest, parameter, property, controller, author; whole or a part,
    a moment after the 201 as well as from the index."""
    if fresh:
        client.record({**RECORD, "links": {"again": f"https://host/{random.random()}"}})
    else:
        indexed(client)
    found = client.search(q)
    assert field in {match["field"] for item in found["items"] for match in item["matches"]}
    for item in found["items"]:
        for one in item["matches"]:
            shown = [one["text"][a:b].lower() for a, b in one["spans"]]
            assert shown and all(part in q.lower() for part in shown)


def test_other_ways_to_write_a_name_find_it(client: Client) -> None:
    """A repository by its ssh address, a thing by its id."""
    repository = client.search("git@github.com:o/code-intelligence.git")["items"][0]
    assert (repository["type"], repository["version"]) == ("Code", COMMIT)
    assert client.search(repository["id"])["items"][0]["id"] == repository["id"]


def test_a_hit_says_what_a_page_needs(client: Client) -> None:
    """Kind, id, type, name, key or URI, version, time, state, and the matched places."""
    [hit] = client.search("nightly")["items"]
    assert hit == {
        "kind": "action", "id": hit["id"], "type": "train", "name": "Label bot, nightly",
        "key": RECORD["key"], "version": None, "state": "complete",
        "when": "2020-07-23T17:45:27Z",
        "matches": [{"field": "name", "text": "Label bot, nightly", "spans": [[11, 18]],
                     "cut": False}],
    }  # fmt: skip
    [hit] = client.search("type:Model")["items"]
    assert (hit["kind"], hit["state"], hit["matches"]) == ("artifact", None, [])


def test_the_middle_of_a_hash_is_not_found(client: Client) -> None:
    """Of 64 random digits every three would be found somewhere: only the beginning counts."""
    assert client.search(COMMIT[9:20])["items"] == []


# -- the best first ---------------------------------------------------------------------


def test_equal_then_whole_words_then_beginnings_then_parts(store: Searchable) -> None:
    """And of equals the latest first, whenever they were recorded."""
    keys = ["x/remodel", "x/models", "y/model/2", "model", "y/model/1"]
    for hour, key in enumerate(keys):
        store.record(act(key, started_at=f"2020-07-01T0{hour}:00:00Z"))
    best = ["model", "y/model/1", "y/model/2", "x/models", "x/remodel"]
    assert names(store.search("model")) == best
    store.index()
    assert names(store.search("model")) == best
    assert names(store.search("model", limit=2)) == best[:2]
    assert store.search("model", limit=2)["truncated"]


def test_what_is_not_indexed_yet_hides_nothing_better(store: Searchable) -> None:
    """A crowd of parts that has just come, and one whole word in the index."""
    store.record(act("x/model/1"))
    store.index()
    store.record(*(act(f"remodels/{n}") for n in range(100)))
    assert names(store.search("model", limit=5))[0] == "x/model/1"


def test_what_equals_is_found_behind_a_thousand_others(store: Searchable) -> None:
    """The bound on what is looked at never hides the one that was named."""
    store.record(act("first", name="model"))
    store.record(*(act(f"run/{n}/model") for n in range(1000)))
    store.index()
    found = store.search("model", limit=5)
    assert names(found)[0] == "first"
    assert found["truncated"]


def test_words_that_are_seldom_together_do_not_hold_a_search_up(
    store: Searchable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes too long is left, and the answer says that there may be more."""
    store.record(*(act(f"{'data' if n % 2 else 'model'}/{n}") for n in range(2000)))
    store.index()
    assert store.search("data model") == {"items": [], "truncated": False, "behind": 0}
    monkeypatch.setattr("lineage.store.search.lookup.PATIENCE", -1)
    assert store.search("data model") == {"items": [], "truncated": True, "behind": 0}
    assert names(store.search("data/77"))[0] == "data/77"


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("type:deploy", {"d/1"}),
        ("type:train state:failed", {"t/2"}),
        ("state:running", {"d/1"}),
        ("kind:action t", {"t/1", "t/2"}),
        ("controller:ns/*", {"d/1", "t/1"}),
        ("controller:ns/bot", {"t/1"}),
        ("namespace:ns", {"d/1", "t/1"}),
        ("kind:artifact", {"gs://b/x"}),
        ("kind:artifact state:failed", set()),
        ("kind:artifact kind:action", set()),
        ("TYPE:dataset", set()),
        ("type:dataset", {"gs://b/x"}),
    ],
)
def test_filters(store: Searchable, q: str, expected: set[str]) -> None:
    """type, state, kind, controller and namespace mean here what they mean in a selection."""
    store.record(
        act("t/1", controller={"namespace": "ns", "name": "bot"}),
        act("t/2", state="failed", inputs=[{"type": "Dataset", "uri": "gs://b/x"}]),
        act("d/1", type="deploy", state="running", controller={"namespace": "ns", "name": "cd"}),
    )
    assert set(names(store.search(q))) == expected
    store.index()
    assert set(names(store.search(q))) == expected


def test_a_past_moment_knows_nothing_of_what_came_later(client: Client) -> None:
    """as_of leaves out what did not exist, and shows states as they were."""
    assert client.search("nightly", as_of="2020-07-23T17:00:00Z")["items"] == []
    assert client.search("dataset.csv", as_of="2020-07-23T17:00:00Z")["items"] == []
    [then] = client.search("nightly state:running", as_of="2020-07-23T18:00:00Z")["items"]
    assert then["state"] == "running"
    assert client.search("TCN4131", as_of="2020-07-23T18:00:00Z")["items"] == []
    assert client.search("TCN4131", as_of="2020-07-24")["items"] != []


def test_the_past_is_found_under_all_that_came_later(store: Searchable) -> None:
    """More came since than is ever looked at."""
    for year in (2020, 2021):
        some = (act(f"{year}/run/{n}", started_at=f"{year}-07-01T00:00:00Z") for n in range(500))
        store.record(*some)
    store.index()
    at = 1_600_000_000_000_000
    assert len(names(store.search("run", at=at))) == 20
    assert all(key.startswith("2020") for key in names(store.search("run", at=at)))


# -- the same as looking at everything ------------------------------------------------------


HASH = re.compile(r"(?<![0-9a-z])[0-9a-f]{32,}(?![0-9a-z])")


def plainly(q: str, state: State) -> bool:
    """Every word stands somewhere, and does not begin inside a hash."""
    values = [text.value.lower() for text in texts(state)]

    def stands(word: str, value: str) -> bool:
        inside = [range(m.start() + 1, m.end()) for m in HASH.finditer(value)]
        places = (m.start() for m in re.finditer(f"(?={re.escape(word)})", value))
        return any(all(place not in span for span in inside) for place in places)

    return all(any(stands(word, value) for value in values) for word in q.lower().split())


def searchable(words: list[str]) -> bool:
    return bool(words) and all(re.search(r"[a-z0-9\x80-\uffff]{3}", w.lower()) for w in words)


class Searchable(Store):
    """A store with a search of its own, indexed when the test says so."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.searcher = open_searcher(self.engine, self.path, index=False)

    def record(self, *reports: Any) -> Any:
        return super().record(
            *(
                r if isinstance(r, Action) else Action.model_validate_json(json.dumps(r))
                for r in reports
            )
        )

    def index(self) -> None:
        """Bring the index up to date."""
        indexing = open_searcher(self.engine, self.path, index=True)
        deadline = time.monotonic() + 30
        while indexing.state().status != "ready":
            assert time.monotonic() < deadline, indexing.state()
            time.sleep(0.02)
        indexing.close()

    def search(self, q: str, **options: Any) -> dict[str, Any]:
        return search_json(self, self.searcher, q, **options)


def search_json(store: Store, searcher: SqlSearcher, q: str, **options: Any) -> dict[str, Any]:
    from lineage.queries.asof import AsOf

    at = options.get("at")
    reader: Any = store.reader if at is None else AsOf(store.reader, at)
    answer = search(reader, searcher, q, **options).json()
    return json.loads(json.dumps(answer))  # type: ignore[no-any-return]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Searchable]:
    opened = Searchable(tmp_path / "lineage.db")
    yield opened
    opened.searcher.close()
    opened.close()


@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(data=st.data())
def test_search_finds_what_a_look_at_everything_finds(
    store: Searchable, data: st.DataObject
) -> None:
    """Any part of three characters of any text of any node, fresh or indexed or in between."""
    oracle = store.__dict__.setdefault("oracle", MemoryReader())
    keys = st.sampled_from(["k/1", "k/2", "Key three/3"])
    reports = data.draw(st.lists(actions(keys), min_size=1, max_size=4))
    said: list[State] = []
    for one in reports:
        state, mentioned = report(one)
        said += [state, *mentioned]
    value = data.draw(st.sampled_from([text.value for state in said for text in texts(state)]))
    start = data.draw(st.integers(0, max(0, len(value) - 3)))
    q = value[start : start + data.draw(st.integers(3, 20))].replace('"', " ")
    indexed_now = data.draw(st.booleans())
    for one in reports:
        oracle.record(one)
    store.record(*reports)
    if indexed_now:
        store.index()
    if not searchable(q.split()):
        return
    everything: list[State] = [*oracle._actions.values(), *oracle._artifacts.values()]
    found = {item["id"] for item in store.search(q, limit=500)["items"]}
    # What is named exactly is also found where it is kept in another way: `python:3.11`.
    named = {
        state.id
        for kind in ("action", "artifact")
        for _, state in store.searcher.load(kind, store.searcher.named(kind, q.strip()))
    }
    assert found - named == {state.id for state in everything if plainly(q, state)} - named


@given(actions(), st.data())
def test_terms_never_miss(action: Action, data: st.DataObject) -> None:
    """Whatever matches a query has every term that the query asks the index for."""
    state, mentioned = report(action)
    nodes: list[State] = [state, *mentioned]
    for one in nodes:
        for text in texts(one):
            start = data.draw(st.integers(0, len(text.value) - 1))
            end = data.draw(st.integers(start + 1, len(text.value)))
            try:
                query = parse(text.value[start:end])
            except BadRequest:
                continue
            how = match(query, one)
            # What equals is found without an index.
            if how is not None and how[0] is not Rank.EQUAL:
                assert set(query.terms(Rank.PART)) <= terms(body(one))


# -- nothing breaks it -----------------------------------------------------------------------

NASTY = ['"', "'", '"a', "a*", "NEAR(a b)", "a NOT b", "a AND", "OR", "(", "^a", "a\x00b", "🚀",
         "🚀🚀🚀", "\u202eabc", "%", "_", "\\", "; DROP TABLE action_terms", "a:b", "type:", "kind:",
         "{a}: b", "-a", "+a", "=", "ß", "İstanbul", "ﬀ", "日本語", "x" * 5000, "a " * 2500,
         '" OR "1"="1', "sha256:", "://", "a/" * 2500]  # fmt: skip


@pytest.mark.parametrize("q", NASTY)
def test_no_query_is_more_than_text(client: Client, q: str) -> None:
    """Quotes, operators, NUL, emoji and 5,000 characters are answered, or refused with a remedy."""
    answer = httpx2.get(client.url + "/api/v1/search", params={"q": q})
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert answer.json()["detail"].startswith("q: ")
    assert client.search("nightly")["items"]


@pytest.mark.parametrize(
    "name", [n for n in NASTY if "\x00" not in n and len(n) < 200 and n.strip()]
)
def test_a_nasty_name_is_found_by_itself(client: Client, name: str) -> None:
    """Whatever can be recorded as a name can be searched for, if it has a letter or a digit."""
    key = f"nasty/{abs(hash(name))}"
    client.record(act(key, name=name))
    try:
        found = client.search(name, limit=500)
    except BadRequest:
        assert not re.search(r"[^\W_]", name) or name in ("type:", "kind:")
        return
    assert key in names(found)


def test_bad_requests_name_the_remedy(client: Client) -> None:
    """Nothing to look for, a kind that does not exist."""
    with pytest.raises(BadRequest, match="write a letter"):
        client.search("://")
    with pytest.raises(BadRequest, match="kind is action or artifact"):
        client.search("kind:banana")
    with pytest.raises(BadRequest):
        client.search("a" * 5001)


# -- the index comes and goes ----------------------------------------------------------------


def filled(make_server: Callable[..., Server], count: int = 3000) -> Server:
    server = make_server()
    with server.client() as client:
        lines = (json.dumps(act(f"run/{n}", params={"seed": n})).encode() for n in range(count))
        client.batch(b"\n".join(lines), verdicts="failed")
    return server


def damage_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = random.Random(1).randbytes(len(content) - 4096)
    path.write_bytes(content)


def other_format(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '0'")


@pytest.mark.parametrize(
    "harm",
    [Path.unlink, damage_bytes, lambda path: path.write_bytes(b"not a database"),
     lambda path: path.write_bytes(b""), other_format],
    ids=["deleted", "damaged", "another file", "empty", "another format"],
)  # fmt: skip
def test_an_index_that_is_lost_or_broken_is_built_again(
    make_server: Callable[..., Server], harm: Callable[[Path], None]
) -> None:
    """At the next start, and until then and after everything is found."""
    server = filled(make_server, 500)
    with server.client() as client:
        indexed(client)
    server.stop()
    path = Path(f"{server.store}.search.db")
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    harm(path)
    server = make_server(store=server.store)
    with server.client() as client:
        assert names(client.search("run/77"))[0] == "run/77"
        found = indexed(client)
        assert found["actions"] == {"total": 500, "types": {"train": {"complete": 500}}}
        assert names(client.search("seed=123"))[0] == "run/123"


def test_an_index_deleted_or_broken_while_it_is_used_is_built_again(
    make_server: Callable[..., Server],
) -> None:
    """The server notices by itself, and answers meanwhile."""
    server = filled(make_server, 500)
    path = Path(f"{server.store}.search.db")
    with server.client() as client:
        indexed(client)
        path.unlink()
        assert names(client.search("run/499"))[0] == "run/499"
        indexed(client)
        assert names(client.search("seed=123"))[0] == "run/123"
        assert path.exists()


def test_killed_while_it_indexes_it_goes_on_where_it_was(
    make_server: Callable[..., Server],
) -> None:
    """kill -9 at some moments of building: in the end the index is what a fresh one is."""
    server = filled(make_server)
    for pause in (0.05, 0.2, 0.4):
        time.sleep(pause)
        server.kill()
        server = make_server(store=server.store)
    with server.client() as client:
        found = indexed(client)
        assert found["actions"]["total"] == 3000
        for n in (0, 1234, 2999):
            assert names(client.search(f"seed={n}"))[0] == f"run/{n}"
    server.stop()
    assert numbers(server.store, "action") == set(range(1, 3001))


def numbers(store: Path, kind: str) -> set[int]:
    """What the index has under the term of every node of the kind here."""
    with sqlite3.connect(f"{store}.search.db") as db:
        term = findable.facet_term("type", "train")
        sql = f"SELECT rowid FROM {kind}_terms WHERE {kind}_terms MATCH ?"
        return {row[0] for row in db.execute(sql, (f'"{term}"',))}


def test_another_store_under_the_same_name_gets_an_index_of_its_own(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    """A backup is put back, or a store replaced: the index beside it is not its own."""
    server = filled(make_server, 300)
    with server.client() as client:
        indexed(client)
    server.stop()
    for end in ("", "-wal", "-shm"):
        Path(f"{server.store}{end}").unlink(missing_ok=True)
    server = make_server(store=server.store)
    with server.client() as client:
        client.record(act("new/1"))
        time.sleep(1)
        assert indexed(client)["actions"]["total"] == 1
        assert names(client.search("seed=123")) == []


@settings(max_examples=10, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(st.lists(st.lists(actions(), min_size=1, max_size=4), min_size=1, max_size=4))
def test_an_index_brought_up_to_date_is_the_one_built_at_once(
    store: Searchable, groups: list[list[Action]]
) -> None:
    """Whatever changed meanwhile: states, names, types. No term is left over, no count off."""
    oracle = store.__dict__.setdefault("oracle", MemoryReader())
    for group in groups:
        for one in group:
            oracle.record(one)
        store.record(*group)
        store.index()
    for kind, states in (("action", oracle._actions), ("artifact", oracle._artifacts)):
        bodies = [body(state) for state in states.values()]
        counted = Counter((f["type"], f.get("state", "")) for f in map(facets_of, bodies))
        assert store.searcher._index.tally(kind) == counted  # type: ignore[arg-type]
        wanted = Counter(term for text in bodies for term in terms(text))
        with sqlite3.connect(f"{store.path}.search.db") as db:
            db.execute(f"CREATE VIRTUAL TABLE temp.v USING fts5vocab(main, {kind}_terms, row)")
            assert dict(db.execute("SELECT term, doc FROM temp.v")) == wanted


def test_a_server_that_only_reads_uses_the_index_or_looks_through_the_latest(
    make_server: Callable[..., Server],
) -> None:
    """It never writes one; without one it says how much it did not look at."""
    server = filled(make_server, 6000)
    server.stop()
    for file in Path(server.store).parent.glob("*.search.db*"):
        file.unlink()
    reading = make_server("--read-only", store=server.store)
    with reading.client() as client:
        found = client.search("seed=5999")
        assert (names(found), found["behind"]) == (["run/5999"], 6000)
        assert client.search("seed=0") == {"items": [], "truncated": True, "behind": 6000}
        assert names(client.search("run/1"))[0] == "run/1"
        assert client.stats()["actions"]["types"] == {"train": {"complete": 6000}}
        with pytest.raises(Forbidden):
            client.reindex()
    assert not list(Path(server.store).parent.glob("*.search.db"))


# -- stats, and the command line ----------------------------------------------------------------


def test_stats_count_what_is_there_now(store: Searchable) -> None:
    """States move from one to another; whatever was said before is not counted twice."""
    store.record(act("a", state="running"), act("b"))
    store.index()
    store.record(act("a", state="failed", reported_at="2020-07-02T00:00:00Z"),
                 act("c", type="deploy", started_at="2020-08-01T00:00:00Z",
                     outputs=[{"type": "Deployment", "uri": "k8s://c/n/Deployment/d"}]))  # fmt: skip
    store.index()
    found = stats(store.reader, store.searcher)
    assert found["actions"] == {
        "total": 3,
        "types": {"deploy": {"complete": 1}, "train": {"complete": 1, "failed": 1}},
    }
    assert found["artifacts"] == {"total": 1, "types": {"Deployment": 1}}
    assert (found["controllers"], found["slots"]) == (1, 1)
    assert (found["first"], found["last"]) == ("2020-07-01T00:00:00Z", "2020-08-01T00:00:00Z")
    assert found["index"] | {"bytes": 0} == {
        "status": "ready", "behind": 0, "bytes": 0, "trouble": None
    }  # fmt: skip


def run(client: Client, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments, "--url", client.url], text=True, capture_output=True, check=False,
        env=clean_environment(),
    )  # fmt: skip


def test_the_command_line_asks_the_same(client: Client) -> None:
    """`search`, `stats` and `reindex` show what REST answers."""
    done = run(client, "search", "nightly", "--json")
    assert json.loads(done.stdout) == client.search("nightly")
    shown = run(client, "search", "label bot", "type:train").stdout
    assert "Label bot, nightly" in shown and "complete" in shown
    assert run(client, "search", "zzzz").stdout.startswith("Nothing found.")
    assert json.loads(run(client, "stats", "--json").stdout)["actions"] == client.stats()["actions"]
    assert "search index" in run(client, "stats").stdout
    done = run(client, "reindex")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Complete" in done.stdout
    assert names(client.search("nightly")) == [RECORD["key"]]


def test_a_record_cannot_move_the_cursor_of_a_terminal(client: Client) -> None:
    """Control characters of a name are shown as such."""
    client.record(act("escape/1", name="evil\x1b[2Jname"))
    shown = run(client, "search", "evil").stdout
    assert "\x1b" not in shown and "evil" in shown
