"""Timelines of slots: rollbacks, canaries, deletions and claims, told as a plain model tells them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.cli import main
from lineage.model import parse_action
from lineage.queries.asof import AsOf
from lineage.queries.serving.live import live
from lineage.queries.serving.timeline import Timeline, timelines
from lineage.store.ports import Reader
from lineage.times import iso

from .conftest import MakeServer
from .memory import MemoryReader
from .slot_stories import Step, reports, story, told

SLOTS = [f"k8s://prod/n{n % 7}/Deployment/w{n:04}" for n in range(1000)]


def recorded(stories: dict[str, list[Step]], seed: int) -> list[dict[str, Any]]:
    out = [one for slot, steps in stories.items() for step in steps for one in reports(slot, step)]
    random.Random(seed).shuffle(out)
    return out


def by(steps: list[Step], moment: int | None) -> list[Step]:
    return [step for step in steps if moment is None or step.at <= moment]


def flat(line: Timeline) -> list[dict[str, Any]]:
    """Periods and gaps as the model writes them."""
    gaps: list[dict[str, Any]] = [{"since": gap.since, "until": gap.until} for gap in line.gaps]
    return gaps + [
        {
            "since": one.since, "until": one.until, "version": one.deployment.version,
            "models": [m.uri for m in one.models], "traffic": one.traffic,
            "evidence": one.evidence, "rollback": one.back_to is not None, "back_to": one.back_to,
        }
        for one in line.periods
    ]  # fmt: skip


def sorted_(periods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(periods, key=lambda p: (p["since"], p.get("version", "")))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 25), st.data())
def test_history_is_what_happened_at_every_moment(seed: int, length: int, data: Any) -> None:
    """Periods, shares, rollbacks and gaps equal the model's, whatever the order of arrival."""
    stories = {slot: story(slot, seed, length) for slot in SLOTS[:2]}
    reader = MemoryReader.of(parse_action(orjson.dumps(r)) for r in recorded(stories, seed))
    moments = sorted({step.at for steps in stories.values() for step in steps})
    chosen = data.draw(st.lists(st.sampled_from(moments), max_size=4)) if moments else []
    for moment in [None, *chosen, *(m - 1 for m in chosen)]:
        past: Reader = reader if moment is None else AsOf(reader, moment)
        for slot, line in timelines(past, list(stories)).items():
            assert sorted_(flat(line)) == sorted_(told(by(stories[slot], moment)))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(0, 100))
def test_what_is_live_is_the_end_of_its_history(seed: int, length: int, share: int) -> None:
    """`live` looks at the latest deploys only, and says what the whole past says."""
    slot = SLOTS[0]
    steps = story(slot, seed, length)
    reader = MemoryReader.of(parse_action(orjson.dumps(r)) for r in recorded({slot: steps}, seed))
    moment = steps[len(steps) * share // 101].at if steps else 0
    past = AsOf(reader, moment)
    expected = [p for p in told(by(steps, moment)) if p["until"] is None and "version" in p]
    found = [
        (s.since, s.deployment.version, s.traffic, s.evidence, [m.uri for m in s.models])
        for s in live(past)
    ]
    assert sorted(found, key=str) == sorted(
        ((p["since"], p["version"], p["traffic"], p["evidence"], p["models"]) for p in expected),
        key=str,
    )


@pytest.fixture(scope="module")
def stories() -> dict[str, list[Step]]:
    return {slot: story(slot, 7, 3 + n % 9) for n, slot in enumerate(SLOTS)}


@pytest.fixture
def served(make_server: MakeServer, stories: dict[str, list[Step]]) -> Iterator[httpx2.Client]:
    """A server that knows all thousand stories."""
    server = make_server()
    lines = [orjson.dumps(record) for record in recorded(stories, 1)]
    with server.client() as client:
        for start in range(0, len(lines), 5000):
            assert client.batch(b"\n".join(lines[start : start + 5000]))["failed"] == 0
    with httpx2.Client(base_url=server.url + "/api/v1", timeout=60) as http:
        yield http


def test_a_thousand_slots_over_rest(served: httpx2.Client, stories: dict[str, list[Step]]) -> None:
    """`/live/{slot}/history` of a real store, now and at a moment of each slot's past, and
    `/live` at the same moments."""
    dice = random.Random(1)
    for slot, steps in stories.items():
        moment = dice.choice([None, *(step.at for step in steps)])
        assert history(served, slot, moment) == expected(steps, moment), slot
    for moment in (None, dice.choice(stories[SLOTS[5]]).at):
        found = asked(served, "/live", moment)
        assert not found["truncated"]
        assert {(s["slot"], s["deployment"]["version"], s["since"]) for s in found["slots"]} == {
            (slot, period["deployment"], period["since"])
            for slot, steps in stories.items()
            for period in expected(steps, moment)
            if period["until"] is None and period["deployment"] is not None
        }


def test_pages_of_a_history_and_of_the_slots(
    served: httpx2.Client, stories: dict[str, list[Step]]
) -> None:
    """Both are bounded, say so, and lead on without repeating or skipping anything."""
    slot = max(stories, key=lambda uri: len(told(stories[uri])))
    path = f"/live/{quote(slot, safe='')}/history"
    whole = served.get(path).json()["periods"]
    pages, cursor = list[Any](), None
    while True:
        answer = served.get(path, params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        page = answer.json()
        pages += page["periods"]
        cursor = page["cursor"]
        assert page["truncated"] == (cursor is not None)
        if cursor is None:
            break
    assert pages == whole
    slots, cursor = list[str](), None
    while True:
        more = f"&cursor={quote(cursor, safe='')}" if cursor else ""
        page = served.get(f"/live?limit=300{more}").json()
        slots += sorted({s["slot"] for s in page["slots"]})
        cursor = page["cursor"]
        if cursor is None:
            break
    assert slots == sorted({s["slot"] for s in served.get("/live").json()["slots"]})
    assert served.get("/live?cursor=x").status_code == 400
    assert served.get(f"{path}?cursor=x").status_code == 400
    never = served.get(f"/live/{quote('k8s://a/b/c/d', safe='')}/history")
    assert (never.status_code, "nothing was live" in never.json()["detail"]) == (404, True)


def asked(http: httpx2.Client, path: str, moment: int | None) -> Any:
    return http.get(path, params={} if moment is None else {"as_of": iso(moment)}).json()


def history(http: httpx2.Client, slot: str, moment: int | None) -> list[dict[str, Any]]:
    answer = asked(http, f"/live/{quote(slot, safe='')}/history", moment)
    found = [
        {
            **{n: p[n] for n in ("since", "until", "traffic", "evidence", "rollback", "back_to")},
            "deployment": p["deployment"] and p["deployment"]["version"],
            "models": [m["uri"] for m in p["models"]],
        }
        for p in answer.get("periods", ())
    ]
    return sorted(found, key=_order)


def expected(steps: list[Step], moment: int | None) -> list[dict[str, Any]]:
    return sorted((written(period) for period in told(by(steps, moment))), key=_order)


def written(period: dict[str, Any]) -> dict[str, Any]:
    back = period.get("back_to")
    return {
        "since": iso(period["since"]),
        "until": period["until"] and iso(period["until"]),
        "traffic": period.get("traffic"),
        "evidence": period.get("evidence"),
        "rollback": period.get("rollback", False),
        "deployment": period.get("version"),
        "models": period.get("models", []),
        "back_to": back and {"since": iso(back[0]), "until": iso(back[1])},
    }


def _order(period: dict[str, Any]) -> tuple[str, str]:
    return period["since"], str(period["deployment"])


def test_history_on_the_command_line(
    make_server: MakeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """A rollback, a deletion and shares of the traffic are told; `--as-of` is the past."""
    slot = "k8s://prod/shop/Deployment/ranker"
    acts = [("a", 1, "m/a", None), ("b", 2, "m/b", None), ("c", 3, "m/a", None), ("b", 4, "m/b", 5)]
    server = make_server()

    def run(*argv: str) -> str:
        with pytest.raises(SystemExit, match="0"):
            main(argv)
        return capfd.readouterr().out

    with server.client() as client:
        for number, (version, hour, uri, share) in enumerate(acts):
            output: dict[str, Any] = {"type": "Deployment", "uri": slot, "version": version}
            output |= {} if share is None else {"properties": {"traffic": share}}
            client.record(
                {"key": f"d/{number}", "type": "deploy", "controller": {"name": "me"},
                 "state": "complete", "ended_at": f"2026-01-01T{hour:02}:00:00Z",
                 "inputs": [{"type": "Model", "uri": uri}], "outputs": [output]}
            )  # fmt: skip
    shown = run("history", slot, "--url", server.url)
    assert "b 5 % (rollback to 2026-01-01T02:00:00Z)" in shown
    assert "a (rollback to 2026-01-01T01:00:00Z)" in shown and "a 95 %" in shown
    then = ("--url", server.url, "--as-of", "2026-01-01T02:30:00Z")
    told_then = orjson.loads(run("history", slot, *then, "--json"))["periods"]
    assert [(p["models"][0]["uri"], p["until"]) for p in told_then] == [
        ("m/b", None), ("m/a", "2026-01-01T02:00:00Z"),
    ]  # fmt: skip
    assert "rollback" not in run("show", slot, *then)
    assert "d/2" not in run("graph", slot, *then)


def test_what_is_kept_is_never_older_than_what_was_recorded(make_server: MakeServer) -> None:
    """`/live` is made once as long as nothing is recorded, and anew after any record."""
    server = make_server()
    with server.client() as client:
        for version in ("1", "2", "3"):
            for step in reports(SLOTS[0], Step(int(version), "roll", version, (),
                                               ((version, "m/a", None),), "observed")):  # fmt: skip
                client.record(step)
            for _ in range(2):
                (slot,) = client.live()["slots"]
                assert slot["deployment"]["version"] == version
