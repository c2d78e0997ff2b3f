"""What is stale: how far, since when, why; by REST, by the command line, and as laws."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import BadRequest
from lineage.model import Action
from lineage.queries.asof import AsOf
from lineage.queries.staleness.reasons import Limits
from lineage.queries.staleness.spans import DAY, HOUR, MINUTE, SECOND, parse, words
from lineage.queries.staleness.stale import Staleness, stale

from . import test_cli
from .conftest import Server
from .memory import MemoryReader
from .strategies import actions
from .test_cli import Run
from .test_lambdas import SLOT, arrival, code, data, deploy, going, micros, reader, train
from .test_lambdas import act as act_

run = test_cli.run


def answers(
    *reports: dict[str, Any],
    hour: float = 10,
    limits: str | None = None,
    as_of: float | None = None,
) -> list[Staleness]:
    known: Any = reader(reports)
    known = known if as_of is None else AsOf(known, micros(as_of))
    found, truncated = stale(known, micros(as_of or hour), limits=Limits.parse(limits))
    assert not truncated
    return found.items


def only(*reports: dict[str, Any], **options: Any) -> Staleness:
    [found] = answers(*reports, **options)
    return found


def kinds(found: Staleness) -> list[tuple[str, int]]:
    return [(reason.kind, reason.versions) for reason in found.reasons]


LIVE = [
    arrival("v1", 0),
    train("a", 1, inputs=[data("v1")], code=code("a")),
    deploy("d", 2, "models/a"),
]


def test_what_has_nothing_newer_behind_it_is_fresh() -> None:
    """And says what it was trained by."""
    found = only(*LIVE)
    assert (found.status, found.since, kinds(found)) == ("fresh", None, [])
    assert [action.key for action in found.trained_by] == ["a"]


def test_what_nobody_is_known_to_have_trained_is_unknown() -> None:
    """There is nothing to compare it with, and fresh it is not known to be."""
    assert only(deploy("d", 2, "models/x")).status == "unknown"


def test_newer_models_of_the_family_are_counted() -> None:
    """Complete ones only; since when, which is the newest, and by which action."""
    found = only(
        *LIVE, train("b", 3), train("c", 4), train("d1", 5, state="failed"), going("d2", 6),
        train("x", 7, controller_name="somebody"),
    )  # fmt: skip
    assert found.status == "stale"
    [reason] = found.reasons
    assert (reason.kind, reason.versions, reason.since) == ("model", 2, micros(3.5))
    assert (reason.used.uri, reason.newest.uri, reason.by.key) == ("models/a", "models/c", "c")
    assert reason.text == "2 newer models of its family; the newest, c, was trained 5 h 30 min ago"


def test_newer_data_and_newer_code_are_reasons() -> None:
    """Of the live model's training, even while nothing new was trained."""
    found = only(*LIVE, arrival("v2", 3), act_("e", 4, "evaluate", "tester", code=code("b")))
    assert kinds(found) == [("data", 1), ("code", 1)]
    assert found.since == micros(3.5)
    assert [r.text for r in found.reasons] == [
        "orders.csv has 1 newer version than the model was trained with; the newest came "
        "6 h 30 min ago by data-v2-3",
        "models has 1 newer commit than the model was trained with; the newest was first seen "
        "6 h ago by e",
    ]


def test_data_left_unread_counts_here() -> None:
    """A training pinned to old data is behind, though training again would not help."""
    pinned = [arrival("v1", 0), arrival("v2", 0.6), train("a", 2, inputs=[data("v1")])]
    assert kinds(only(*pinned, deploy("d", 3, "models/a"))) == [("data", 1)]


def test_data_that_nobody_wrote_is_as_old_as_its_first_reading() -> None:
    """Data from outside: a version that another action read later is newer."""
    first = [train("a", 1, inputs=[data("v1")]), deploy("d", 2, "models/a")]
    other = act_("e", 3, "evaluate", "tester", inputs=[data("v2")])
    again = act_("f", 3, "evaluate", "tester", inputs=[data("v0")])
    before = act_("g", 0, "evaluate", "tester", inputs=[data("v0")])
    assert kinds(only(*first, other)) == [("data", 1)]
    assert kinds(only(*first, before, again)) == []


def test_the_same_name_trained_again_is_a_newer_model() -> None:
    """Without versions, what was deployed is what had been trained by then."""
    first = [train("a", 1, "models/m"), deploy("d", 2, "models/m")]
    assert kinds(only(*first, train("b", 3, "models/m"))) == [("model", 1)]
    assert kinds(only(*first, train("b", 3, "models/m"), deploy("e", 4, "models/m"))) == []


def test_a_model_trained_by_several_runs_is_one_model() -> None:
    """The same version again is nothing newer."""

    def same(key: str, hour: float) -> dict[str, Any]:
        output = {"type": "Model", "uri": "models/m", "version": "v1", "role": "model"}
        return train(key, hour, outputs=[output])

    held = deploy("d", 2, "models/m", version="v1")
    assert kinds(only(same("a", 1), held, same("b", 3))) == []


def test_a_rollback_is_told() -> None:
    """The newer model that was live already is still newer, and marked."""
    back = [*LIVE, train("b", 3), deploy("e", 4, "models/b"), deploy("f", 5, "models/a")]
    [reason] = only(*back).reasons
    assert reason.rolled_back
    assert reason.text.endswith("was live already, before it was rolled back")


def test_of_two_that_share_the_traffic_the_newer_counts() -> None:
    """A canary with the newest model is no stale slot."""

    def share(key: str, hour: float, model: str, percent: int) -> dict[str, Any]:
        one = deploy(key, hour, model, "observed")
        one["outputs"][0]["properties"] = {"traffic": percent}
        return one

    found = only(train("a", 0), share("r1", 1, "models/a", 90), train("b", 2),
                 share("r2", 3, "models/b", 10))  # fmt: skip
    assert (found.status, len(found.models)) == ("fresh", 2)


def test_a_limit_of_age_may_differ_by_trainer() -> None:
    """Strictly older than the limit; a trainer's own goes before the one for all."""
    assert kinds(only(*LIVE, limits="8h")) == [("age", 0)]
    assert kinds(only(*LIVE, limits="8h30m")) == []
    assert kinds(only(*LIVE, limits="8h,trainer=7d")) == []
    assert kinds(only(*LIVE, limits="7d,trainer=1h")) == [("age", 0)]
    for wrong in ("soon", "1h,2h", "trainer=", "1h;2h"):
        with pytest.raises(BadRequest, match="max_age"):
            Limits.parse(wrong)


def test_the_past_is_as_it_was() -> None:
    """As of a moment, only what had happened; ages count from then."""
    reports = [*LIVE, arrival("v2", 3), train("b", 4, inputs=[data("v2")])]
    assert kinds(only(*reports, as_of=3.2)) == []
    assert kinds(only(*reports, as_of=3.8)) == [("data", 1)]
    assert kinds(only(*reports, as_of=4.6)) == [("model", 1), ("data", 1)]
    assert answers(*reports, as_of=1.9) == []


@given(st.lists(actions(st.sampled_from(["k/1", "k/2", "k/3", "k/4"])), max_size=6))
def test_every_slot_gets_an_answer_in_any_order(reports: list[Action]) -> None:
    """Whatever the records are: nothing breaks, and the order of arrival decides nothing."""
    one, _ = stale(MemoryReader.of(reports), micros(100))
    other, _ = stale(MemoryReader.of(reversed(reports)), micros(100))
    assert [slot.json() for slot in one.items] == [slot.json() for slot in other.items]
    for slot in one.items:
        assert (slot.status == "stale") == bool(slot.reasons)


def test_rest_and_command_line_agree(server: Server, run: Run) -> None:
    """One answer, asked in both ways, also of the past."""
    slot = SLOT + "-stale"
    for one in (
        arrival("stale-1", 0) | {"outputs": [data("v1", uri="gs://stale/x")]},
        train("stale-a", 1, inputs=[data("v1", uri="gs://stale/x")], controller_name="stale-t"),
        deploy("stale-d", 2, "models/stale-a", slot=slot.replace("/shop/", "/stale/")),
        train("stale-b", 3, controller_name="stale-t"),
    ):
        server.client().record(one)
    answer = server.client().stale(namespace="stale", as_of="2020-07-01T09:30:00Z")
    assert (answer["as_of"], answer["truncated"], answer["cursor"]) == (
        "2020-07-01T09:30:00Z", False, None,
    )  # fmt: skip
    [found] = answer["slots"]
    assert (found["status"], found["since"]) == ("stale", "2020-07-01T03:30:00Z")
    told = run("--url", server.url, "stale", "--namespace", "stale", "--json",
               "--as-of", "2020-07-01T09:30:00Z")  # fmt: skip
    assert json.loads(told.out) == answer
    table = run("--url", server.url, "stale", "--namespace", "stale", "--max-age", "1h").out
    assert (
        "stale" in table and "1 newer model of its family" in table and "the limit is 1 h" in table
    )
    assert run("--url", server.url, "stale", "--namespace", "none").out == "Nothing is live.\n"
    assert run("--url", server.url, "stale", "--max-age", "soon").code == 1


@pytest.mark.parametrize(("text", "span"), [
    ("24h", 24 * HOUR), ("1h30m", 90 * MINUTE), ("7d", 7 * DAY), ("0.5s", SECOND // 2),
    ("2w", 14 * DAY), ("0s", 0),
])  # fmt: skip
def test_spans_are_written_as_in_go(text: str, span: int) -> None:
    """And with days and weeks; anything else is refused."""
    assert parse("x", text) == span
    for wrong in ("", "24", "-1h", "1y", "h", "1h 30m", "99999999w"):
        with pytest.raises(BadRequest, match="x: "):
            parse("x", wrong)


@pytest.mark.parametrize(("span", "text"), [
    (0, "under a second"), (SECOND, "1 s"), (90 * SECOND, "1 min 30 s"), (25 * HOUR, "25 h"),
    (48 * HOUR - 1, "47 h 59 min"), (50 * HOUR, "2 d 2 h"), (-HOUR, "under a second"),
])  # fmt: skip
def test_spans_are_told_in_two_units(span: int, text: str) -> None:
    """As large as they need be."""
    assert words(span) == text
