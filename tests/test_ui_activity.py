"""The Activity page: every action in its place, and the bars count each exactly once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lineage.graph import ActionNode
from ui import words
from ui.histogram import BARS, bars, histogram

from .conftest import Server
from .viewing import EVIL, act, hour, page, record

moments = st.integers(0, 2_000_000_000_000_000)


def node(started: int, state: str = "complete") -> ActionNode:
    return ActionNode(str(started), "k", "t", "n", "", "", "who", state, started, None)


@given(st.lists(st.tuples(moments, st.sampled_from(["complete", "failed", "odd"])), min_size=1))
def test_every_action_is_counted_once(told: list[tuple[int, str]]) -> None:
    """Whatever the times, the bars lie side by side, are few, and hold all of them."""
    found = bars([node(*one) for one in told], None, None)
    assert sum(bar.height for bar in found) == len(told)
    assert len(found) <= BARS
    assert all(a.until == b.since for a, b in pairwise(found))
    assert found[0].since <= min(t for t, _ in told) and max(t for t, _ in told) < found[-1].until


@given(st.lists(moments, min_size=1, max_size=20), moments, moments)
def test_a_time_that_was_asked_for_is_what_is_shown(times: list[int], one: int, two: int) -> None:
    """The bars span it, so that an empty part of it is seen to be empty."""
    since, until = sorted((one, two + 1))
    found = bars([node(time) for time in times if since <= time < until], since, until)
    if found:
        assert found[0].since <= since
        assert found[-1].until >= until - 1


def test_a_failure_has_a_mark_of_its_own() -> None:
    """Colour alone says nothing: above what failed stands a cross."""
    found = bars([node(0), node(10 * words.DAY, "failed")], None, None)
    assert histogram(found, lambda a, b: "/").count("h-cross") == 1
    assert "1 failed" in histogram(found, lambda a, b: "/")


def test_the_page_filters_and_narrows(server: Server) -> None:
    """State, type, controller, namespace and time each narrow; a bar leads to its own time."""
    who = {"namespace": "active", "name": "busy"}
    record(
        server,
        act("active/1", 0, name="early-one", controller=who, type="train"),
        act("active/2", 50, name="late-one", controller=who, state="failed", error="out of memory"),
    )
    everything = page(server, "/activity", namespace="active")
    assert "early-one" in everything.text and "late-one" in everything.text
    assert "out of memory" in everything.text
    assert "2 actions by when they began" in everything.text
    queries: list[dict[str, Any]] = [{"state": "failed"}, {"since": hour(10)}, {"q": "late-one"}]
    for query in queries:
        text = page(server, "/activity", namespace="active", **query).text
        assert "late-one" in text and "early-one" not in text
    bar = next(link for link in everything.links if "until=" in link)
    narrowed = page(server, bar)
    assert "early-one" in narrowed.text and "late-one" not in narrowed.text


def test_pages_follow_each_other(server: Server) -> None:
    """Latest first, fifty a page, and none is left out or shown twice."""
    who = {"namespace": "paged", "name": "busy"}
    record(
        server, *[act(f"paged/{n}", n / 10, name=f"paged-{n}", controller=who) for n in range(60)]
    )
    first = page(server, "/activity", namespace="paged")
    after = next(link for link in first.links if "after=" in link)
    second = page(server, after)
    shown = [n for n in range(60) for p in (first, second) if f">paged-{n}<" in p.html]
    assert shown == list(range(60))
    assert "That is all." in second.text


def test_rows_are_known_by_their_id_and_the_page_follows(server: Server) -> None:
    """A live stream marks what is new by `data-id`, and is on unless somebody turned it off."""
    record(server, act("streamed/1", 0, controller={"namespace": "streamed", "name": "x"}))
    html = page(server, "/activity", namespace="streamed").html
    assert 'data-default="on"' in html
    assert html.count("<tr data-id=") == 1


def test_nothing_fits_and_bad_times_say_what_to_do(server: Server) -> None:
    """An empty list offers the way out, a wrong time the right form."""
    assert "No action fits these filters." in page(server, "/activity", q="no-such-thing").text
    assert "ince='tomorrow' is not a date" in page(server, "/activity", 400, since="tomorrow").text


def test_records_and_filters_cannot_speak_html(server: Server) -> None:
    """Neither what is recorded nor what is asked for becomes markup."""
    who = {"namespace": "evil-active", "name": EVIL}
    wrote = [{"type": "Model", "uri": "m/" + EVIL, "version": EVIL}]
    record(server, act("evil-active/1", 0, name=EVIL, controller=who, error=EVIL, state="failed",
                       outputs=wrote))  # fmt: skip
    assert "alert(1)" in page(server, "/activity", namespace="evil-active").text
    page(server, "/activity", controller=EVIL, q=EVIL, type=EVIL, state=EVIL)
