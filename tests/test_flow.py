"""The flow between controllers: a[i] → b[i] → c[i] as it happened, and what is missing of it."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from lineage.cli.flow_text import Picture, span
from lineage.client import Client
from lineage.errors import LineageError
from lineage.identity import action_id, is_digest
from lineage.merge import ActionState, ArtifactState
from lineage.model import Action, Reference
from lineage.queries.asof import AsOf, cut
from lineage.queries.flowing.flow import flow
from lineage.queries.rules import bindings, joined
from lineage.store import recent
from lineage.times import microseconds

from .conftest import start_server
from .memory import MemoryReader
from .strategies import actions
from .test_cli import Run, run  # noqa: F401
from .test_store import Store, store  # noqa: F401

ALL = 10_000
SLOT = "k8s://prod/flow/Deployment/worker"


def hour(n: float) -> datetime:
    return datetime(2020, 7, 1, tzinfo=UTC) + timedelta(hours=n)


def act(who: str, n: int, start: float, reads: Any = (), writes: Any = (), **more: Any) -> Action:
    """Act number n of a controller; half an hour long."""
    fields: dict[str, Any] = {
        "key": f"{who}/{n}", "type": "process", "name": f"{who}-{n}",
        "controller": {"cluster": "c", "namespace": "flow", "name": who},
        "state": "complete", "started_at": hour(start), "ended_at": hour(start + 0.5),
        "inputs": reads, "outputs": writes,
    }  # fmt: skip
    return Action.model_validate({**fields, **more})


def data(version: int | None, uri: str = "gs://flow/issues.csv", **more: Any) -> dict[str, Any]:
    version_ = {} if version is None else {"version": f"v{version}"}
    return {"type": "Dataset", "uri": uri, "role": "issues", **version_, **more}


def model(n: int, **more: Any) -> dict[str, Any]:
    return {"type": "Model", "uri": f"gs://flow/models/{n}", "role": "model", **more}


def deployed(n: int) -> dict[str, Any]:
    return {"type": "Deployment", "uri": SLOT, "version": str(n), "evidence": "observed"}


def story() -> list[Action]:
    """Eight datasets; trained from: 1, 2, 3, 5, 7, failed on 4, at work on 8; deployed: 1, 3, 5."""
    collected = [act("collector", n, 24 * n, (), [data(n)]) for n in range(1, 9)]
    trained = [act("trainer", n, 24 * n + 1, [data(n)], [model(n)]) for n in (1, 2, 3, 5, 7)]
    failed = act("trainer", 4, 97, [data(4)], state="failed", error="no labels")
    running = act("trainer", 8, 193, [data(8)], state="running", ended_at=None)
    put = [act("deployer", n, 24 * n + 3, [model(n)], [deployed(n)]) for n in (1, 3, 5)]
    return [*collected, *trained, failed, running, *put]


def asked(*reports: Action, window: int = 100, limit: int = ALL, **more: Any) -> dict[str, Any]:
    return flow(MemoryReader.of(reports), window, **more).json(limit)


def links(answer: Mapping[str, Any]) -> dict[tuple[str, str, str], dict[str, int]]:
    """(from, to, type) → the states that occur, counted."""
    return {
        (e["source"]["name"], e["target"]["name"], e["type"]): {
            state: count for state, count in e["counts"].items() if count
        }
        for e in answer["edges"]
    }


def rows(answer: Mapping[str, Any], chain: int = 0) -> list[str]:
    """`8 trainer-8:running waiting`, newest first."""
    return [
        " ".join(
            [str(row["index"])]
            + [
                f"{cell['action']['name']}:{cell['state']}" if cell["action"] else cell["state"]
                for cell in row["cells"][1:]
            ]
        )
        for row in answer["chains"][chain]["rows"]
    ]


# -- Fig. 4 --------------------------------------------------------------------------


def test_each_pass_of_a_chain_shows_how_far_it_came() -> None:
    """Taken, skipped for a later one, failed, at work, or missing: each is told apart."""
    answer = asked(*story())
    assert [who["name"] for who in answer["chains"][0]["controllers"]] == [
        "collector", "trainer", "deployer",
    ]  # fmt: skip
    assert rows(answer) == [
        "8 trainer-8:running waiting",
        "7 trainer-7:taken waiting",
        "6 skipped skipped",
        "5 trainer-5:taken deployer-5:taken",
        "4 trainer-4:failed skipped",
        "3 trainer-3:taken deployer-3:taken",
        "2 trainer-2:taken skipped",
        "1 trainer-1:taken deployer-1:taken",
    ]
    assert (answer["chains"][0]["passes"], answer["chains"][0]["arrived"]) == (8, 3)


def test_a_link_counts_its_passes_and_tells_the_usual_lag() -> None:
    """By type and role; what waits says since when."""
    answer = asked(*story())
    assert links(answer) == {
        ("collector", "trainer", "Dataset"): {"taken": 5, "running": 1, "failed": 1, "skipped": 1},
        ("trainer", "deployer", "Model"): {"taken": 3, "waiting": 1, "skipped": 1},
    }
    [_, models] = answer["edges"]
    assert (models["role"], models["lag_seconds"]) == ("model", 1.5 * 3600)
    assert models["waiting_since"] == "2020-07-08T01:30:00Z"
    assert models["last_taken"]["key"] == "deployer/5"


def test_a_controller_shows_its_rate_and_its_last_success_and_failure() -> None:
    """The rate is that from the first start to the last."""
    found = {c["controller"]["name"]: c for c in asked(*story())["controllers"]}
    trainer = found["trainer"]
    assert trainer["states"] == {"complete": 5, "failed": 1, "running": 1}
    assert trainer["types"] == {"process": 7}
    assert trainer["per_day"] == round(6 / 7, 3)
    assert trainer["last"]["key"] == "trainer/8"
    assert trainer["last_success"]["key"] == "trainer/7"
    assert trainer["last_failure"]["key"] == "trainer/4"
    assert found["deployer"]["last_failure"] is None


def test_the_newest_of_a_name_is_waiting_only_where_that_name_is_taken() -> None:
    """Of two names that one controller keeps writing, each consumer is expected to take its own."""
    reports = [
        act("trainer", n, n, (), [{"type": "Model", "uri": f"gs://m/{repo}", "version": str(n),
                                   "role": "model"}])
        for n, repo in enumerate(("one", "two", "one", "two", "one", "two"))
    ]  # fmt: skip
    takes = act("deployer-one", 0, 2.6, [{"type": "Model", "uri": "gs://m/one", "version": "2"}])
    answer = asked(*reports, takes)
    assert links(answer) == {
        ("trainer", "deployer-one", "Model"): {"taken": 1, "waiting": 1, "skipped": 1}
    }


def test_writing_the_same_again_is_no_news_and_going_back_is() -> None:
    """v1, v1, v2, v1 are three passes: the last is one that waits, though v1 was once taken."""
    written = [act("a", n, n, (), [data(v)]) for n, v in enumerate((1, 1, 2, 1))]
    taken = [act("b", 1, 0.6, [data(1)]), act("b", 2, 2.6, [data(2)])]
    answer = asked(*written, *taken)
    assert links(answer) == {("a", "b", "Dataset"): {"taken": 2, "waiting": 1}}
    assert answer["edges"][0]["waiting_since"] == "2020-07-01T03:30:00Z"


def test_a_name_without_versions_hands_on_what_was_written_last() -> None:
    """gs://…/latest is written over: each reading took the last writing before it, whoever's."""
    name = data(None, "gs://flow/latest")
    written = [act("a", n, 2 * n, (), [name]) for n in range(4)] + [act("x", 1, 5, (), [name])]
    answer = asked(*written, act("b", 1, 1, [name]), act("b", 2, 5.6, [name]))
    assert links(answer) == {
        ("a", "b", "Dataset"): {"taken": 1, "waiting": 1, "skipped": 2},
        ("x", "b", "Dataset"): {"taken": 1},
    }


def test_what_a_rule_infers_counts_like_what_was_recorded() -> None:
    """A reading without a version took the newest version there was; a copy is the same thing."""
    digest = "sha256:" + "ab" * 32
    written = [act("a", 1, 1, (), [data(1)]),
               act("a", 2, 2, (), [data(2), model(2, version=digest)])]  # fmt: skip
    reading = act("b", 1, 2.6, [data(None)])
    copy = act("c", 1, 3, [{"type": "Model", "uri": "s3://elsewhere/m", "version": digest}])
    assert links(asked(*written, reading, copy)) == {
        ("a", "b", "Dataset"): {"taken": 1, "skipped": 1},
        ("a", "c", "Model"): {"taken": 1},
    }


def test_claims_lead_nowhere() -> None:
    """A title that says it took a model is no taking."""
    claimed = act("b", 1, 2, [model(1, evidence="claimed")])
    assert links(asked(act("a", 1, 1, (), [model(1)]), claimed)) == {}


def test_what_failed_or_is_unfinished_need_not_be_taken() -> None:
    """Only what somebody took of it shows."""
    reports = [
        act("a", 1, 1, (), [model(1)]), act("b", 1, 2, [model(1)]),
        act("a", 2, 3, (), [model(2)], state="failed"),
        act("a", 3, 4, (), [model(3)], state="running", ended_at=None),
    ]  # fmt: skip
    assert links(asked(*reports)) == {("a", "b", "Model"): {"taken": 1}}


def test_what_was_there_the_moment_the_reading_began_was_read() -> None:
    """Of a name that is written over, the newest by then; a part's writing is there at its end."""
    name = data(None, "gs://flow/latest")
    whole = act("a", 9, 1, (), [name], ended_at=hour(9))
    part = act("a", 2, 1.5, (), [name], parent=whole.key)
    answer = asked(act("a", 1, 0, (), [name]), whole, part, act("b", 1, 2, [name]))
    [edge] = answer["edges"]
    assert [(p["from"]["key"], p["state"]) for p in edge["passes"]] == [
        ("a/9", "taken"), ("a/1", "skipped"),
    ]  # fmt: skip


# -- shapes of graphs ----------------------------------------------------------------


def test_a_part_is_counted_with_its_whole() -> None:
    """What TaskRuns read and wrote their PipelineRun did, also where it does not say so itself."""
    whole = act("pipeline", 1, 1, ended_at=hour(3))
    fetch = act("pipeline", 2, 1.1, [data(1)], [data(2, "gs://flow/tmp")], parent=whole.key)
    train = act("notebook", 3, 2, [data(2, "gs://flow/tmp")], [model(1)], parent=fetch.key)
    answer = asked(act("collector", 1, 0, (), [data(1)]), whole, fetch, train,
                   act("deployer", 1, 4, [model(1)]))  # fmt: skip
    assert links(answer) == {
        ("collector", "pipeline", "Dataset"): {"taken": 1},
        ("pipeline", "deployer", "Model"): {"taken": 1},
    }
    counted = {c["controller"]["name"]: (c["actions"], c["parts"]) for c in answer["controllers"]}
    assert (counted["pipeline"], counted["notebook"]) == ((1, 1), (0, 1))


def test_actions_that_are_parts_of_each_other_count_once() -> None:
    """A circle of parents is nonsense, and no reason to hang or to lose them."""
    answer = asked(act("a", 1, 1, parent="a/2"), act("a", 2, 2, parent="a/1"),
                   act("a", 3, 3, parent="a/3"))  # fmt: skip
    [only] = answer["controllers"]
    assert (only["actions"], only["parts"]) == (2, 1)


def test_a_controller_that_reads_its_own_outputs_has_a_link_to_itself_and_no_chain() -> None:
    """A trainer that starts from its last model."""
    reports = [act("t", n, n, [model(n - 1)] if n else (), [model(n)]) for n in range(4)]
    answer = asked(*reports)
    assert links(answer) == {("t", "t", "Model"): {"taken": 3, "waiting": 1}}
    assert answer["chains"] == []


def test_several_producers_and_consumers_each_have_their_link() -> None:
    """Two that made the same content, three that read it: six links."""
    made = [act(who, 1, 1, (), [data(1)]) for who in ("a1", "a2")]
    read = [act(who, 1, 2, [data(1)]) for who in ("b1", "b2", "b3")]
    assert links(asked(*made, *read)) == {
        (a, b, "Dataset"): {"taken": 1} for a in ("a1", "a2") for b in ("b1", "b2", "b3")
    }


def test_a_cycle_of_controllers_gives_chains_that_end() -> None:
    """a → b → c → a: each chain visits each controller once."""
    reports = [
        act(who, n, 3 * n + place, [data(3 * n + place)], [data(3 * n + place + 1)])
        for n in range(3) for place, who in enumerate("abc")
    ]  # fmt: skip
    chains = [[w["name"] for w in c["controllers"]] for c in asked(*reports)["chains"]]
    assert chains == [list("abc"), list("bca"), list("cab")]


def test_more_chains_than_anyone_reads_are_bounded_and_said_to_be() -> None:
    """Three layers of seven controllers, each feeding all of the next: 343 paths."""
    reports = [
        act(f"{layer}{n}", 1, layer, [data(1, f"gs://l/{layer}")], [data(1, f"gs://l/{layer + 1}")])
        for layer in range(3) for n in range(7)
    ]  # fmt: skip
    answer = asked(*reports)
    assert (len(answer["chains"]), answer["truncated"]) == (20, True)


# -- windows -------------------------------------------------------------------------


def test_a_noisy_controller_does_not_crowd_out_one_that_seldom_acts() -> None:
    """Each has a window of its own; what is older than a window is never called missing."""
    weekly = [act("trainer", n, 168 * n, (), [model(n)]) for n in range(3)]
    noisy = [act("syncer", n, 168 + n, [model(1 if n < 180 else 2)]) for n in range(1, 200)]
    answer = asked(*weekly, *noisy, window=10)
    found = {c["controller"]["name"]: c for c in answer["controllers"]}
    assert (found["trainer"]["actions"], found["trainer"]["truncated"]) == (3, False)
    assert (found["syncer"]["actions"], found["syncer"]["truncated"]) == (10, True)
    assert found["syncer"]["since"] == "2020-07-15T22:00:00Z"
    assert links(answer) == {("trainer", "syncer", "Model"): {"taken": 1}}
    assert answer["edges"][0]["lag_seconds"] is None  # the first to take it may lie before


def test_of_each_link_the_newest_passes_are_listed_and_the_rest_is_counted() -> None:
    """`truncated` says that there are more."""
    answer = asked(*story(), limit=2)
    [first, _] = answer["edges"]
    assert [p["index"] for p in first["passes"]] == [8, 7]
    assert first["truncated"] and sum(first["counts"].values()) == 8
    assert answer["chains"][0]["truncated"] and len(answer["chains"][0]["rows"]) == 2


def test_a_namespace_shows_its_controllers_only() -> None:
    """And what flows between them."""
    other = act("elsewhere", 1, 300, [model(7)], controller={"namespace": "other", "name": "e"})
    answer = asked(*story(), other, namespace="flow")
    assert {c["controller"]["namespace"] for c in answer["controllers"]} == {"flow"}
    assert asked(*story(), other, namespace="nowhere")["controllers"] == []


# -- asked as people ask -------------------------------------------------------------


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that knows `story`, and nothing else."""
    server = start_server(tmp_path_factory.mktemp("flow"))
    with server.client() as client:
        body = b"\n".join(r.model_dump_json(exclude_defaults=True).encode() for r in story())
        assert client.batch(body)["failed"] == 0
    yield server.url
    server.stop()


def test_rest_and_command_line_give_the_same_answer(told: str, run: Run) -> None:  # noqa: F811
    """Which is that of the query, also of a past moment."""
    for as_of, expected in ((None, story()), ("2020-07-06T02:30:00Z", None)):
        with Client(told) as client:
            rest = client.flow(as_of=as_of, namespace="flow", limit=10)
        past = ["--as-of", as_of] if as_of else []
        done = run("flow", "--namespace", "flow", "--json", "--url", told, *past)
        assert (done.code, json.loads(done.out)) == (0, rest)
        assert rest["as_of"] == as_of
        if expected:
            plain = asked(*expected, namespace="flow", limit=10)
            assert rest == {"as_of": None, "window": 100, **plain}
        else:
            assert rows(rest)[0] == "5 trainer-5:taken waiting"


def test_the_command_line_draws_a_line_for_each_pass(told: str, run: Run) -> None:  # noqa: F811
    """What is missing is told with its age, as seen from the moment asked about."""
    done = run("flow", "--namespace", "flow", "--as-of", "2020-07-09T04:00Z", "--url", told)
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "collector process 8 complete every 24 h last 4 h ago" in lines
    assert "trainer → deployer Model model ● 3 taken ○ 1 waiting – 1 skipped usually after 90 min" \
        in lines  # fmt: skip
    start = lines.index("a collector → b trainer → c deployer 3 of 8 arrived")
    assert lines[start + 1 : start + 6] == [
        "a[8] issues.csv@v8 4 h ago → b[8] ◐ trainer-8 running +30 min → c[8] ○ to come",
        "a[7] issues.csv@v7 28 h ago → b[7] ● trainer-7 +30 min → c[7] ○ missing for 26 h",
        "a[6] issues.csv@v6 2 d ago → b[6] – skipped → c[6] – skipped",
        "a[5] issues.csv@v5 3 d ago → b[5] ● trainer-5 +30 min → c[5] ● deployer-5 +90 min",
        "a[4] issues.csv@v4 4 d ago → b[4] ✗ trainer-4 failed +30 min → c[4] – skipped",
    ]


def test_the_example_of_the_documentation_is_what_is_printed(
    tmp_path: Path,
    run: Run,  # noqa: F811
) -> None:
    """docs/flow.md: the records give the picture."""
    page = (Path(__file__).parent.parent / "docs" / "flow.md").read_text()
    records, command, picture = re.findall(r"^```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    target = ["--store", tmp_path / "flow.db"]
    assert run("record", *target, stdin=records.encode()).code == 0
    done = run(*command.split()[1:], *target)
    assert [line.rstrip() for line in done.out.splitlines()] == picture.splitlines()


def test_few_lines_say_that_there_are_more(told: str, run: Run) -> None:  # noqa: F811
    """--limit and --window bound what is shown, and it shows."""
    done = run("flow", "--namespace", "flow", "--limit", 2, "--window", 5, "--url", told)
    assert "and 3 before; --limit shows more" in done.out
    assert "only the latest 5, since" in done.out


def test_nobody_there_is_said(told: str, run: Run) -> None:  # noqa: F811
    """Instead of an empty page."""
    done = run("flow", "--namespace", "nobody", "--url", told)
    assert (done.code, done.out) == (0, "No controller had acted yet.\n")
    alone = asked(act("a", 1, 1))
    assert "None has read what another wrote." in text(alone)


@pytest.mark.parametrize("query", ["window=0", "window=1001", "limit=0", "as_of=soon", "window=x"])
def test_what_makes_no_sense_is_refused(told: str, query: str) -> None:
    """400, with the place."""
    with pytest.raises(LineageError) as refused:
        Client(told).flow(**dict([query.split("=")]))
    assert query.split("=")[0] in str(refused.value)


def test_names_cannot_move_the_cursor() -> None:
    """Whoever chose a name: it is shown, not obeyed."""
    evil = "a\x1b[2J"
    who = {"controller": {"namespace": evil, "name": evil}, "name": evil}
    reports = [act("x", 1, 1, (), [data(1, name=evil)], **who), act("y", 2, 2, [data(1)])]
    assert "\x1b" not in text(asked(*reports))


def test_the_label_bot_of_2020_had_no_training_on_record() -> None:
    """What is known of it joins no two controllers: the trainings that are there came later."""
    folder = Path(__file__).parent.parent / "examples" / "label_bot"
    reports = [
        Action.model_validate_json(line)
        for file in ("history", "evaluation", "tekton")
        for line in (folder / f"{file}.ndjson").read_text().splitlines()
    ]
    answer = asked(*reports)
    found = {c["controller"]["name"]: (c["actions"], c["parts"]) for c in answer["controllers"]}
    assert found["modelsync/labelbot-train"] == (3, 6)
    assert found["git/kubeflow/code-intelligence"] == (7, 0)
    assert answer["edges"] == []


def test_a_span_is_told_in_one_unit() -> None:
    """The largest of which there are at least two."""
    seconds = (0, 119, 120, 7199, 7200, 86_400 * 2, 86_400 * 731)
    assert [span(s) for s in seconds] == ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d", "2 y"]


def text(answer: dict[str, Any]) -> str:
    out = Console(width=400, file=io.StringIO(), color_system=None)
    with out.capture() as captured:
        out.print(Picture({"as_of": None, **answer}, hour(300)).draw())
    return captured.get()


# -- laws ----------------------------------------------------------------------------

DIGESTS = ["sha256:" + 64 * c for c in "ab"]
mentions = st.builds(
    Reference,
    type=st.sampled_from(["Dataset", "Model"]),
    uri=st.sampled_from(["gs://f/x", "gs://f/y", "gs://f/1", "gs://f/2", "gs://f/3"]),
    version=st.sampled_from([None, "v1", "v2", "v1", "v2", *DIGESTS]),
    role=st.sampled_from([None, "in"]),
    evidence=st.sampled_from([None, None, None, "claimed"]),
    properties=st.sampled_from([{}, {}, {"immutable": True}]),
    aliases=st.sampled_from([(), (), (), ("gs://f/1",)]),
)


@st.composite
def busy(draw: st.DrawFn) -> Action:
    """An action of one of three controllers: mostly whole, complete, and of few things."""
    key = draw(st.sampled_from("abc")) + str(draw(st.integers(1, 6)))
    start = draw(st.integers(0, 6))
    state = draw(st.sampled_from(["complete"] * 6 + ["failed", "running", "canceled", None]))
    return act(
        key[0], int(key[1]), start, draw(st.lists(mentions, max_size=2)),
        draw(st.lists(mentions, max_size=2)), state=state, reported_at=hour(draw(st.integers(0, 6))),
        ended_at=None if state == "running" else hour(start + draw(st.integers(0, 2))),
        parent=draw(st.sampled_from([None] * 6 + ["a/1", "b/2"])),
    )  # fmt: skip


histories = st.lists(busy(), min_size=8, max_size=24) | st.lists(
    actions(st.sampled_from([*"12345678", "p"])), max_size=14
)


@settings(deadline=None)
@given(histories, st.sampled_from([2, 3, ALL]))
def test_the_flow_is_that_of_a_naive_computation(reports: list[Action], window: int) -> None:
    """Every pass, its state and who took it, by the definitions, one pair at a time."""
    reader = MemoryReader.of(reports)
    found = flow(reader, window)
    told = {
        (
            link.source, link.target, p.maker.state.key, artifact.id, p.state,
            frozenset(t.state.key for t in p.takers),
        )
        for link, some in found.links.items() for p in some for artifact in p.artifacts
    }  # fmt: skip
    assert told == naive(reader, window)


@settings(deadline=None, max_examples=50)
@given(histories, st.randoms())
def test_the_order_of_reports_does_not_matter(reports: list[Action], rng: random.Random) -> None:
    """Late, early, repeated: the same flow."""
    shuffled = [*reports, *reports[:3]]
    rng.shuffle(shuffled)
    assert asked(*shuffled, window=3) == asked(*reports, window=3)


@settings(deadline=None, max_examples=50)
@given(histories)
def test_every_action_is_counted_once(reports: list[Action]) -> None:
    """As an action of its controller, or as part of another."""
    answer = asked(*reports, window=ALL)
    counted = [(c["actions"], c["parts"]) for c in answer["controllers"]]
    assert sum(map(sum, counted)) == len({r.key for r in reports})
    for c in answer["controllers"]:
        assert sum(c["types"].values()) == sum(c["states"].values()) == c["actions"]
    for e in answer["edges"]:
        assert len(e["passes"]) == sum(e["counts"].values())
        assert any(p["by"] for p in e["passes"])


@settings(deadline=None, max_examples=100)
@given(histories, st.integers(-1, 6), st.sampled_from([2, ALL]))
def test_the_flow_of_a_moment_is_that_of_what_had_happened(
    reports: list[Action], hours: int, window: int
) -> None:
    """`as_of` equals a store that holds only what there was by then."""
    at = microseconds(hour(hours))
    reader = MemoryReader.of(reports)
    then = MemoryReader()
    everything = [s for chunk, _ in reader.walk() for s in chunk]
    then._actions = {s.id: there for s in everything if (there := cut(s, at)) is not None}
    named = {e.artifact for s in then._actions.values() for e in s.edges}
    then._artifacts = reader.artifacts_by_id(sorted(named))
    assert flow(AsOf(reader, at), window).json(ALL) == flow(then, window).json(ALL)


@settings(deadline=None, max_examples=100)
@given(histories)
def test_chains_are_the_longest_simple_paths(reports: list[Action]) -> None:
    """Every one that no other makes longer, and rows that begin with what the first wrote."""
    found = flow(MemoryReader.of(reports), ALL)
    graph: Any = nx.DiGraph()
    graph.add_edges_from((k.source, k.target) for k in found.links if k.source != k.target)
    paths = [
        path
        for a, b in permutations(graph, 2)
        for path in map(tuple, nx.all_simple_paths(graph, a, b))
    ]
    longest = {p for p in paths if not any(p != q and _inside(p, q) for q in paths)}
    assert {chain.controllers for chain in found.chains} == longest
    for chain in found.chains:
        makers = {
            p.maker.state.id for link, some in found.links.items() for p in some
            if (link.source, link.target) == chain.controllers[:2]
        }  # fmt: skip
        assert {row[0].act.state.id for row in chain.rows if row[0].act} == makers
        assert all(len(row) == len(chain.controllers) for row in chain.rows)


def _inside(path: tuple[Any, ...], longer: tuple[Any, ...]) -> bool:
    rest = iter(longer)
    return all(who in rest for who in path)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(busy(), min_size=10, max_size=24))
def test_windows_in_sql_are_those_in_memory(
    tmp_path_factory: pytest.TempPathFactory, reports: list[Action]
) -> None:
    """Of any size, of any moment, by either way of finding them."""
    opened = Store(tmp_path_factory.mktemp("flow") / "lineage.db")
    oracle = MemoryReader.of(reports)
    try:
        assert all(v.error is None for v in (opened.record(*reports) if reports else []))
        with pytest.MonkeyPatch.context() as patch:
            for walked in (0, 1, recent.WALKED):
                patch.setattr(recent, "WALKED", walked)
                for each in (1, 2, 5):
                    for until in (None, *(microseconds(hour(n)) for n in (-1, 2, 3))):
                        for namespace in (None, "flow", "n"):
                            # A key has one controller here: SQL remembers earlier ones.
                            wanted = oracle.latest(each, namespace, until)
                            assert opened.reader.latest(each, namespace, until) == wanted
        for window in (2, 100):
            assert flow(opened.reader, window).json(ALL) == flow(oracle, window).json(ALL)
    finally:
        opened.close()


def test_a_window_in_sql_that_ends_among_equal_starts_is_cut_by_id(store: Store) -> None:  # noqa: F811
    """Not by the order of arrival, which another store would not share."""
    reports = [act("a", n, 1) for n in range(12)]
    store.record(*reports)
    assert store.reader.latest(2, None) == MemoryReader.of(reports).latest(2, None)


# -- a computation that is slow and plain ----------------------------------------------


def naive(reader: MemoryReader, window: int) -> set[tuple[Any, ...]]:
    """(source, target, maker, artifact, state, takers) of every pass, straight from the words."""
    every = {s.id: s for chunk, _ in reader.walk() for s in chunk}
    by_who: dict[Any, list[ActionState]] = {}
    for s in every.values():
        by_who.setdefault(tuple(s.get("controller")), []).append(s)
    seen, since = {}, {}
    for who, mine in by_who.items():
        mine.sort(key=lambda s: (-s.started, s.id))
        since[who] = mine[window - 1].started if len(mine) > window else None
        seen.update({s.id: s for s in mine[:window]})
    solid = {
        i: ActionState(s.key, s.fields, frozenset(e for e in s.edges if e.evidence != "claimed"))
        for i, s in seen.items()
    }
    whole = {i: _whole(i, every) for i in seen}
    named = sorted({e.artifact for s in solid.values() for e in s.edges})
    things = reader.artifacts_by_id(named)
    bound = bindings(reader, solid.values(), things)
    twins = joined(things.values())
    outs: dict[str, dict[str, list[Any]]] = {}  # whole → artifact → [at, begun, role]
    ins: dict[str, dict[str, list[int]]] = {}  # whole → content → [began, ended]
    for i, s in solid.items():
        if whole[i] not in seen:
            continue
        end = s.started if s.ended is None else s.ended
        for e in s.edges:
            if e.side == "out":
                old = outs.setdefault(whole[i], {}).get(e.artifact, [end, s.started, ""])
                new = [min(old[0], end), min(old[1], s.started), max(old[2], e.role)]
                outs[whole[i]][e.artifact] = new
        read = {e.artifact for e in s.edges if e.side == "in"}
        read |= {b.source for b in bound if b.target == i and b.source in things}
        read |= {t.target for t in twins if t.source in read} | {
            t.source for t in twins if t.target in read
        }
        for content in {_content(things[a]) for a in read}:
            began, ended = ins.setdefault(whole[i], {}).get(content, [0, 0])
            ins[whole[i]][content] = [max(began, s.started), max(ended, end)]
    return _passes(seen, since, things, outs, ins)


def _passes(seen: Any, since: Any, things: Any, outs: Any, ins: Any) -> set[tuple[Any, ...]]:
    def who(i: str) -> Any:
        return tuple(seen[i].get("controller"))

    kinds: dict[str, set[str]] = {}
    for i, mine in outs.items():
        for a in mine:
            kinds.setdefault(things[a].uri, set()).add(
                _content(things[a]) + ("" if _settled(things[a]) else i)
            )
    lanes: dict[Any, dict[str, list[str]]] = {}
    for i, mine in outs.items():
        for a, (_, _, role) in mine.items():
            one = things[a]
            shared = ("uri", one.uri) if len(kinds[one.uri]) > 1 else (who(i), one.type, role)
            lanes.setdefault((who(i), shared), {}).setdefault(i, []).append(a)
    changes: list[dict[str, Any]] = []
    for (source, lane), mine in lanes.items():
        last: dict[str, Any] | None = None
        order = sorted(mine, key=lambda i: (max(outs[i][a][0] for a in mine[i]), seen[i].key))
        for i in order:
            contents = {_content(things[a]) for a in mine[i]}
            if last and last["contents"] == contents and all(_settled(things[a]) for a in mine[i]):
                last["acts"].append(i)
                continue
            last = {
                "source": source, "lane": lane, "acts": [i], "contents": contents,
                "artifacts": mine[i], "at": max(outs[i][a][0] for a in mine[i]),
                "begun": min(outs[i][a][1] for a in mine[i]), "takers": {},
            }  # fmt: skip
            last["order"] = (last["at"], seen[i].key)
            changes.append(last)
    settled = {_content(things[a]): _settled(things[a]) for m in outs.values() for a in m}
    for b, mine in ins.items():
        for content, (began, ended) in mine.items():
            others = [c for c in changes if content in c["contents"] and c["acts"][0] != b]
            places = {(c["source"], c["lane"]) for c in others}
            groups = [[c for c in others if (c["source"], c["lane"]) == p] for p in places]
            for group in groups if settled.get(content) else [others]:
                there = [c for c in group if c["at"] <= began]
                over = [c for c in group if c["begun"] <= ended]
                best = (
                    max(there, key=lambda c: c["order"]) if there
                    else min(over, key=lambda c: c["order"]) if over else None
                )  # fmt: skip
                if best is not None:
                    best["takers"].setdefault(who(b), set()).add(b)
    return _told(seen, since, changes)


def _told(seen: Any, since: Any, changes: Any) -> set[tuple[Any, ...]]:
    out = set()
    for target in {t for c in changes for t in c["takers"]}:
        for c in changes:
            lane = [d for d in changes if d["lane"] == c["lane"]]
            if not any(target in d["takers"] for d in lane if d["source"] == c["source"]):
                continue
            best, takers = _best(seen, c["takers"].get(target, ()))
            if best is None:
                finished = any(_outcome(seen[i]) == "taken" for i in c["acts"])
                unknown = since[target] is not None and c["at"] < since[target]
                if not finished or unknown:
                    continue
                later = [d for d in lane if d["order"] > c["order"]]
                taken = [_best(seen, d["takers"].get(target, ()))[0] == "taken" for d in later]
                best = "skipped" if any(taken) else "waiting"
            for artifact in c["artifacts"]:
                out.add((c["source"], target, seen[c["acts"][0]].key, artifact, best, takers))
    return out


def _best(seen: Any, takers: Iterable[str]) -> tuple[str | None, frozenset[str]]:
    for state in ("taken", "running", "failed"):
        if mine := {i for i in takers if _outcome(seen[i]) == state}:
            return state, frozenset(seen[i].key for i in mine)
    return None, frozenset()


def _outcome(state: ActionState) -> str:
    outcomes = {"running": "running", "failed": "failed", "canceled": "failed"}
    return outcomes.get(state.get("state"), "taken")


def _whole(id_: str, every: Mapping[str, ActionState]) -> str:
    path = [id_]
    while (parent := every[path[-1]].get("parent")) and action_id(parent) in every:
        if action_id(parent) in path:
            return min(path[path.index(action_id(parent)) :])
        path.append(action_id(parent))
    return path[-1]


def _content(artifact: ArtifactState) -> str:
    digest = artifact.version
    return digest if digest and is_digest(digest) else artifact.id


def _settled(artifact: ArtifactState) -> bool:
    return artifact.version is not None or artifact.properties.get("immutable") is True
