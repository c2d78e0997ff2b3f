"""What differs: only that, in everything behind the two, and the same seen from either end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from lineage.cli.diff_text import draw
from lineage.client import Client
from lineage.errors import BadRequest, LineageError, NotFound
from lineage.graph import build
from lineage.model import Action
from lineage.queries.comparing.diff import diff
from lineage.queries.comparing.forge import compare
from lineage.queries.reach import reach

from .conftest import Server
from .memory import MemoryReader
from .strategies import actions
from .test_cli import Run, run  # noqa: F401
from .two_models import COMMITS, DATA, DIGESTS, REPO, SLOT, at, step, world

SHA = "sha256:" + "ab" * 32
reported = st.lists(actions(st.sampled_from(["k/1", "k/2", "k/3", "k/4"])), min_size=2, max_size=6)


def of(answer: dict[str, Any], section: str) -> list[dict[str, Any]]:
    return next(s["items"] for s in answer["sections"] if s["section"] == section)


def same(answer: dict[str, Any], section: str) -> int:
    return int(next(s["same"] for s in answer["sections"] if s["section"] == section))


def values(answer: dict[str, Any], section: str) -> dict[str, tuple[Any, Any]]:
    return {item["name"]: (item["a"], item["b"]) for item in of(answer, section)}


def ask(reports: list[Action], a: str, b: str | None = None, **more: Any) -> dict[str, Any]:
    return diff(MemoryReader.of(reports), a, b, **more).json()


def train(key: str, hour: int, model: str, **more: Any) -> Action:
    made = {"type": "Model", "uri": model, "role": "model"}
    return step(key, hour, type="train", outputs=[made], **more)


def data(uri: str, version: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "Dataset", "uri": uri, "version": version, "role": "data", **more}


def test_two_live_models_differ_in_commit_data_and_precision_by_label() -> None:
    """Of a slot alone: the model that is live against the one before, in everything behind."""
    found = ask(world(), SLOT)
    assert [m["name"] for m in found["a"]["models"] + found["b"]["models"]] == [
        "triage-0", "triage-1",
    ]  # fmt: skip
    [code] = of(found, "code")
    assert (code["a"]["version"], code["b"]["version"]) == COMMITS
    assert code["a"]["path"] == "train.ipynb"
    assert code["link"] == f"{REPO}/compare/{COMMITS[0]}...{COMMITS[1]}"
    [issues] = of(found, "inputs")
    assert (issues["a"]["version"], issues["b"]["version"]) == ("v1", "v2")
    [rows] = issues["properties"]
    assert (rows["a"], rows["b"], rows["delta"], rows["relative"]) == (1000, 1250, 250, 0.25)
    assert [(i["name"], i.get("delta"), i.get("relative")) for i in of(found, "metrics")] == [
        ("area-jupyter.precision", 0.1, 0.125),
        ("area-katib.precision", -0.03, -0.04),
        ("model", None, None),
    ]
    assert same(found, "metrics") == 1  # platform-gcp
    assert values(found, "params") == {"epochs": (10, 11), "warm_start": (None, True)}
    [image] = of(found, "images")
    assert (image["a"]["version"], image["b"]["version"]) == DIGESTS
    assert values(found, "durations") == {"train": (7200, 10800)}
    assert (of(found, "actions"), same(found, "actions")) == ([], 4)


def test_past_of_a_slot_is_compared_as_it_was() -> None:
    """At a time a slot is what was live then, and its metrics what had been measured by then."""
    late = step("again", 24 * 20, type="evaluate", inputs=[data("x")], outputs=[])
    found = ask([*world(), late], f"{SLOT}@2020-07-10", f"{SLOT}@{at(15)}")
    assert [m["name"] for m in found["a"]["models"]] == ["triage-0"]
    assert (found["a"]["until"], found["b"]["since"]) == (None, "2020-07-14T00:00:00Z")
    assert of(found, "models")[0]["b"]["name"] == "triage-1"


@pytest.mark.parametrize("ref", ["models/triage-1", "train/1", f"{DATA}@v2", DATA, "triage-worker"])
def test_what_is_named_alone_is_compared_with_what_came_before(ref: str) -> None:
    """The model, run or version before: of its family, else what its maker made before."""
    found = ask(world(), ref)
    assert (found["same"], found["truncated"]) == (False, False)
    assert values(found, "inputs")["issues.csv"][0]["version"] == "v1"


@pytest.mark.parametrize("ref", ["models/triage-0", "train/0", f"{DATA}@v1", f"{SLOT}@2020-07-05"])
def test_first_of_its_kind_has_nothing_before_it(ref: str) -> None:
    """The answer says to name what to compare with."""
    with pytest.raises(NotFound, match="before"):
        ask(world(), ref)


def test_slot_that_was_empty_then_is_not_found() -> None:
    """Before the first deploy nothing was live, and the message says so."""
    with pytest.raises(NotFound, match="was not there at"):
        ask(world(), f"{SLOT}@2020-07-02", SLOT)
    with pytest.raises(BadRequest, match="not a time"):
        ask(world(), f"{SLOT}@2020-17-02", SLOT)


def test_version_that_looks_like_a_date_is_a_version() -> None:
    """`@2020-07-01` is a version where one is called so, a time elsewhere."""
    reports = [
        step("a", 1, type="fetch", outputs=[data("gs://b/x", "2020-07-01")]),
        step("b", 30, type="fetch", outputs=[data("gs://b/x", "2020-07-02")]),
    ]
    found = ask(reports, "gs://b/x@2020-07-01", "gs://b/x@2020-07-01T12:00Z")
    assert found["same"]
    assert not ask(reports, "gs://b/x@2020-07-01T12:00Z", "gs://b/x")["same"]


def test_same_content_elsewhere_is_the_same() -> None:
    """Data that was copied is no other data."""
    reports = [
        train("t1", 1, "m/1", inputs=[data("gs://b/x", SHA)]),
        train("t2", 2, "m/2", inputs=[data("s3://c/moved", SHA)]),
    ]
    found = ask(reports, "m/1", "m/2")
    assert (of(found, "inputs"), same(found, "inputs")) == ([], 1)


def test_name_stands_for_the_version_it_was_bound_to() -> None:
    """Two trainings that read `latest` differ by the versions that were the latest."""
    reports = [
        step("f1", 1, type="fetch", outputs=[data("gs://b/latest", "1")]),
        train("t1", 2, "m/1", inputs=[data("gs://b/latest")]),
        step("f2", 3, type="fetch", outputs=[data("gs://b/latest", "2")]),
        train("t2", 4, "m/2", inputs=[data("gs://b/latest")]),
    ]
    found = ask(reports, "m/1", "m/2")
    [item] = of(found, "inputs")
    assert (item["a"]["version"], item["b"]["version"]) == ("1", "2")


def test_roles_pair_what_has_a_new_name_each_time() -> None:
    """Data with a date in its URI is compared by the role it was read in."""
    reports = [
        train("t1", 1, "m/1", inputs=[data("gs://b/0701.csv"), data("gs://b/eval1", role="test")]),
        train("t2", 2, "m/2", inputs=[data("gs://b/0702.csv"), data("gs://b/eval2", role="test")]),
    ]
    found = ask(reports, "m/1", "m/2")
    assert {
        (i["name"], i["a"]["name"], i["b"]["name"]) for i in of(found, "inputs")
    } == {("data", "0701.csv", "0702.csv"), ("test", "eval1", "eval2")}  # fmt: skip


def test_incremental_training_is_compared_with_the_step_before() -> None:
    """Where each model grew out of the last, that it is behind the other changes nothing."""
    base = {"type": "Model", "role": "base"}
    reports = [train("t0", 0, "m/0", inputs=[data("gs://b/0")])]
    reports += [
        train(f"t{n}", n, f"m/{n}", inputs=[data(f"gs://b/{n}"), {**base, "uri": f"m/{n - 1}"}])
        for n in (1, 2, 3)
    ]
    found = ask(reports, "m/3")
    assert values(found, "inputs")["data"][0]["name"] == "2"
    assert [(i["a"]["name"], i["b"]["name"]) for i in of(found, "models")] == [
        ("2", "3"), ("1", "2"),
    ]  # fmt: skip
    assert len(of(found, "inputs")) == 1


def test_what_only_one_has_is_listed_with_nothing_beside_it() -> None:
    """An input more and an act more appear on their side alone."""
    extra = data("gs://b/more", "1", role="more")
    reports = [
        step("f", 0, type="fetch", outputs=[extra]),
        train("t1", 1, "m/1", inputs=[data("gs://b/x", "1")]),
        train("t2", 2, "m/2", inputs=[data("gs://b/x", "1"), extra]),
    ]
    found = ask(reports, "m/1", "m/2")
    [item] = of(found, "inputs")
    assert (item["a"], item["b"]["name"], item["refs"]["a"]) == (None, "more", None)
    [made] = of(found, "actions")
    assert (made["a"], made["b"]["key"]) == (None, "f")


def test_another_controller_is_named() -> None:
    """Who made it, and how, is compared although nothing of it has the same name."""
    reports = [
        train("t1", 1, "m/1", params={"seed": 1}),
        step("t2", 2, type="automl", by="someone", params={"seed": 2}, controller={"name": "hand"},
            outputs=[{"type": "Model", "uri": "m/2", "role": "model"}]),
    ]  # fmt: skip
    found = ask(reports, "m/1", "m/2")
    [item] = of(found, "actions")
    assert {p["name"]: (p["a"], p["b"]) for p in item["properties"]} == {
        "type": ("train", "automl"),
        "controller": ("deployer", "hand"),
        "by": (None, "someone"),
    }
    assert values(found, "params") == {"seed": (1, 2)}


def test_same_commit_run_from_another_path_differs() -> None:
    """Code is what was run: the path and whether it was changed count."""
    code = {"repo": REPO, "commit": COMMITS[0], "path": "a.ipynb"}
    reports = [
        train("t1", 1, "m/1", code=code),
        train("t2", 2, "m/2", code={**code, "path": "b.ipynb", "dirty": True}),
    ]
    [item] = of(ask(reports, "m/1", "m/2"), "code")
    assert (item["a"]["path"], item["b"]["path"], item["b"]["dirty"]) == (
        "a.ipynb", "b.ipynb", True,
    )  # fmt: skip


def test_latest_evaluation_of_a_controller_counts() -> None:
    """A model that was evaluated again is compared by the last one; another evaluator's stays."""

    def judge(key: str, hour: int, model: str, f1: float, who: str = "judge") -> Action:
        metrics = {"type": "Metrics", "uri": f"x/{key}", "role": who, "properties": {"f1": f1}}
        read = {"type": "Model", "uri": model}
        return step(key, hour, type="evaluate", controller={"name": who}, inputs=[read],
                   outputs=[metrics])  # fmt: skip

    reports = [
        train("t1", 1, "m/1"),
        train("t2", 1, "m/2"),
        judge("e1", 2, "m/1", 0.1),
        judge("e2", 3, "m/1", 0.5),
        judge("e3", 4, "m/2", 0.75),
        judge("o1", 2, "m/1", 0.9, "other"),
        judge("o2", 2, "m/2", 0.9, "other"),
    ]
    found = ask(reports, "m/1", "m/2")
    [item] = of(found, "metrics")
    assert (item["a"], item["b"], item["delta"]) == (0.5, 0.75, 0.25)
    assert same(found, "metrics") == 1


def test_later_training_under_the_same_name_is_not_behind_an_earlier_deploy() -> None:
    """A name that is trained again: behind each deploy is what was trained before it."""
    slot = {"type": "Deployment", "uri": SLOT}
    read = {"type": "Model", "uri": "m/x"}
    reports = [
        train("t1", 1, "m/x", params={"seed": 1}),
        step("d1", 2, inputs=[read], outputs=[{**slot, "version": "1"}]),
        train("t2", 3, "m/x", params={"seed": 2}),
    ]
    found = ask(reports, "d1", "d1")
    assert same(found, "params") == 1


def test_limit_says_that_it_cut() -> None:
    """Where more stands behind than was looked at, the answer says so."""
    assert ask(world(), SLOT, max_nodes=4)["truncated"]


@pytest.mark.parametrize(
    ("repo", "link"),
    [
        ("git+https://github.com/o/r", "https://github.com/o/r/compare/{0}...{1}"),
        ("git+https://gitlab.example.org/g/s/r", "https://gitlab.example.org/g/s/r/-/compare/{0}...{1}"),
        ("git+https://bitbucket.org/o/r", "https://bitbucket.org/o/r/branches/compare/{1}%0D{0}"),
        ("git+https://codeberg.org/o/r", "https://codeberg.org/o/r/compare/{0}...{1}"),
        ("git+https://host.example/o/r", None),
        ("git+file:///src/r", None),
    ],
)  # fmt: skip
def test_forges_have_their_own_addresses(repo: str, link: str | None) -> None:
    """A link leads to the comparison where the forge is known; elsewhere there is none."""
    assert compare(repo, *COMMITS) == (link and link.format(*COMMITS))
    assert compare(repo, "main", COMMITS[1]) is None


def mirrored(answer: dict[str, Any]) -> dict[str, Any]:
    sections = [
        {**section, "items": [_mirror(item) for item in section["items"]]}
        for section in answer["sections"]
    ]
    return {**answer, "a": answer["b"], "b": answer["a"], "sections": sections}


def _mirror(item: dict[str, Any]) -> dict[str, Any]:
    out = {**item, "a": item["b"], "b": item["a"]}
    out.pop("relative", None)
    if "delta" in item:
        out["delta"] = -item["delta"]
        if out["a"]:
            out["relative"] = float(f"{out['delta'] / abs(out['a']):.6g}")
    if "refs" in item:
        out["refs"] = {"a": item["refs"]["b"], "b": item["refs"]["a"]}
    if "link" in item:
        code = item["a"]["uri"], item["b"]["version"], item["a"]["version"]
        out["link"] = compare(*code)
    if "properties" in item:
        out["properties"] = [_mirror(part) for part in item["properties"]]
    return out


@settings(max_examples=100, deadline=None)
@given(reported)
def test_other_end_is_the_mirror(reports: list[Action]) -> None:
    """From b to a it is the answer from a to b with the sides exchanged."""
    reader = MemoryReader.of(reports)
    refs = [reports[0].key, reports[-1].key, *list(reader._artifacts)[:2]]
    for a in refs:
        for b in refs:
            assert diff(reader, b, a).json() == mirrored(diff(reader, a, b).json())


@settings(max_examples=100, deadline=None)
@given(reported)
def test_nothing_differs_from_itself(reports: list[Action]) -> None:
    """Of a thing and itself the answer says that they are the same, and counts the rest."""
    reader = MemoryReader.of(reports)
    for ref in (reports[0].key, *list(reader._artifacts)[:3]):
        found = diff(reader, ref, ref)
        assert found.same
        assert found.sections["durations"].same <= found.sections["actions"].same


@settings(max_examples=50, deadline=None)
@given(reported, st.randoms(use_true_random=False))
def test_order_of_reports_does_not_matter(reports: list[Action], random: Any) -> None:
    """Shuffled and repeated, the same reports give the same answer."""
    again = reports + reports[:2]
    random.shuffle(again)
    keys = reports[0].key, reports[-1].key
    assert ask(again, *keys) == ask(reports, *keys)


@settings(max_examples=100, deadline=None)
@given(reported)
def test_paths_in_time_exist_in_both_directions(reports: list[Action]) -> None:
    """What a thing reaches is what it is reached from, seen from the other end."""
    reader = MemoryReader.of(reports)
    graph = build(
        [], "both", None, reader._actions.values(), reader._artifacts.values()
    )  # fmt: skip
    down = {(a, b) for a in graph.nodes for b in reach(graph, [a], "downstream")}
    up = {(a, b) for b in graph.nodes for a in reach(graph, [b], "upstream")}
    assert down == up


@pytest.fixture(scope="module")
def two(server: Server) -> Client:
    """A client of a server that knows the two models."""
    client = server.client()
    lines = [one.model_dump_json(exclude_defaults=True).encode() + b"\n" for one in world()]
    assert client.batch(b"".join(lines))["failed"] == 0
    return client


def text(answer: dict[str, Any], width: int = 110) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(draw(answer))
    return captured.get()


def test_the_route_and_the_command_answer_alike(two: Client, run: Run) -> None:  # noqa: F811
    """What REST says is what `--json` prints, and both are what the query finds."""
    answer = two.diff(SLOT)
    assert answer == {"as_of": None, **ask(world(), SLOT)}
    assert (
        json.loads(run("diff", "triage-worker", "--json", "--url", two.url).out)["sections"]
        == (answer["sections"])
    )
    then = two.diff(SLOT, as_of="2020-07-14T12:00:00Z")
    assert (then["as_of"], of(then, "metrics")) == ("2020-07-14T12:00:00Z", of(answer, "metrics"))
    done = run("diff", f"{SLOT}@2020-07-10", SLOT, "--url", two.url)
    assert "triage/bot" in done.out and "compare/1111111...2222222" in done.out


def test_people_read_the_difference() -> None:
    """Each label in a line of its own: before, after, how much, and a bar."""
    shown = text(ask(world(), SLOT))
    assert "area-jupyter.precision      0.80  →  0.90      +0.10  +12.5\u00a0%  ██" in shown
    assert "area-katib.precision        0.75  →  0.72      −0.03     −4\u00a0%  ███▋" in shown
    assert "Metrics  1 the same" in shown
    assert "Took" in shown and "+1 h" in shown


def test_people_read_that_nothing_differs() -> None:
    """It says so, and what was compared."""
    assert "Nothing differs; compared: 1 model, 1 input" in text(ask(world(), SLOT, SLOT))


def test_terminal_is_safe_from_what_was_recorded() -> None:
    """A parameter cannot move the cursor."""
    reports = [train(f"t{n}", n, f"m/{n}", params={"x\x1b[2J": f"\x1b]0;{n}\x07"}) for n in (1, 2)]
    assert "\x1b" not in text(ask(reports, "m/1", "m/2"))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"a": "nowhere", "b": SLOT}, "nothing is called 'nowhere'"),
        ({"a": SLOT, "as_of": "then"}, "as_of: not a time"),
        ({"a": SLOT, "max_nodes": 10**9}, "max_nodes: at most"),
    ],
)
def test_bad_questions_are_answered_with_the_remedy(
    two: Client, query: dict[str, Any], told: str
) -> None:
    """The error names the place."""
    with pytest.raises(LineageError, match=told):
        two._json("GET", "/diff", params=query)
