"""Time travel: what is told of a moment is what a store knew that had only heard of it so far."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lineage.errors import NotFound
from lineage.identity import action_id
from lineage.merge import dump_action, dump_artifact
from lineage.model import Action, Controller, Reference
from lineage.queries.asof import AsOf
from lineage.queries.lineage import lineage
from lineage.store.ports import ActionFilter, ArtifactFilter, Reader
from lineage.times import microseconds

from .memory import MemoryReader
from .strategies import EPOCH
from .test_live import act, at, micros, model
from .test_store import Store

SLOT = "k8s://c/n/Deployment/w"
SHA = "sha256:" + "ab" * 32
# Whoever names a thing describes it alike, so all is known of it from its first mention on.
THINGS = [
    Reference(type="Dataset", uri="gs://b/x", version="1", name="x"),
    Reference(type="Dataset", uri="gs://b/x", version="2"),
    Reference(type="Dataset", uri="gs://b/x"),
    Reference(type="Dataset", uri="gs://b/y", version=SHA),
    Reference(type="Model", uri="s3://c/y", version=SHA, properties={"auc": 0.5}),
    Reference(type="Model", uri="models/m", version="1", aliases=("gs://b/x",)),
    Reference(type="Model", uri="models/n", properties={"immutable": True}),
    Reference(type="Model", uri="models/n", version="7"),
    Reference(type="Deployment", uri=SLOT, version="1"),
]
MINUTES = 60


@st.composite
def recorded(draw: st.DrawFn) -> list[Action]:
    """What one level-triggered recorder sends of one act: at its start what it is and reads,
    then again as often as it likes, and finally its end with what it wrote."""
    number = draw(st.integers(0, 10**6))
    start = draw(st.integers(0, MINUTES))
    length = draw(st.none() | st.integers(0, MINUTES))
    mentions = st.lists(st.sampled_from(THINGS), max_size=3, unique_by=lambda one: str(one))
    first = Action(
        key=f"run/{number}",
        type=draw(st.sampled_from(["train", "deploy"])),
        controller=Controller(namespace="n", name=draw(st.sampled_from(["a", "b"]))),
        state="running",
        started_at=EPOCH + timedelta(minutes=start),
        reported_at=EPOCH + timedelta(minutes=start),
        inputs=tuple(draw(mentions)),
    )
    until = start + (MINUTES if length is None else length)
    again = [
        first.model_copy(update={"reported_at": EPOCH + timedelta(minutes=minute)})
        for minute in draw(st.lists(st.integers(start, until), max_size=3))
    ]
    if length is None:
        return [first, *again]
    ended = EPOCH + timedelta(minutes=until)
    state = draw(st.sampled_from(["complete", "complete", "failed"]))
    last = {"state": state, "ended_at": ended, "reported_at": ended, "error": None}
    last["outputs"] = tuple(draw(mentions))
    return [first, *again, first.model_copy(update=last)]


worlds = st.lists(recorded(), min_size=1, max_size=8, unique_by=lambda some: some[0].key)
moments = st.integers(-1, 2 * MINUTES + 1).map(lambda m: EPOCH + timedelta(minutes=m, seconds=1))


def known(reports: list[Action], moment: Any) -> list[Action]:
    """What had been recorded by then."""
    return [one for one in reports if one.reported_at is not None and one.reported_at <= moment]


def flat(world: list[list[Action]], seed: int) -> list[Action]:
    reports = [one for some in world for one in some]
    random.Random(seed).shuffle(reports)
    return reports


@settings(max_examples=300, deadline=None)
@given(worlds, moments, st.integers(0, 9), st.sampled_from([2, 5, 2000]))
def test_a_graph_of_the_past_is_that_of_a_store_that_stopped_listening(
    world: list[list[Action]], moment: Any, seed: int, most: int
) -> None:
    """`lineage?as_of=T` equals the graph of a fresh store given only the records up to T, from
    every node, whole and truncated; what came later is not found."""
    reports = flat(world, seed)
    past = AsOf(MemoryReader.of(reports), microseconds(moment))
    fresh = MemoryReader.of(known(reports, moment))
    for id_ in nodes(MemoryReader.of(reports)):
        assert asked(past, id_, most) == asked(fresh, id_, most)


@settings(max_examples=100, deadline=None)
@given(worlds, moments, st.integers(0, 9))
def test_every_answer_of_the_past_is_that_of_such_a_store(
    world: list[list[Action]], moment: Any, seed: int
) -> None:
    """Not only graphs: a reader cut at T is a reader of that store."""
    reports = flat(world, seed)
    compare(
        AsOf(MemoryReader.of(reports), microseconds(moment)),
        MemoryReader.of(known(reports, moment)),
        nodes(MemoryReader.of(reports)),
    )


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.reuse, Phase.generate],
)
@given(worlds, moments, st.integers(0, 9))
def test_the_past_of_a_real_store(
    tmp_path_factory: pytest.TempPathFactory, world: list[list[Action]], moment: Any, seed: int
) -> None:
    """The same over SQL."""
    reports = flat(world, seed)
    opened = Store(tmp_path_factory.mktemp("store") / "lineage.db")
    try:
        assert all(verdict.error is None for verdict in opened.record(*reports))
        past = AsOf(opened.reader, microseconds(moment))
        fresh = MemoryReader.of(known(reports, moment))
        ids = nodes(MemoryReader.of(reports))
        compare(past, fresh, ids)
        for id_ in ids:
            assert asked(past, id_, 2000) == asked(fresh, id_, 2000)
    finally:
        opened.close()


def nodes(reader: MemoryReader) -> list[str]:
    chunks = list(reader.walk())
    return [state.id for states, _ in chunks for state in states] + [
        id_ for _, artifacts in chunks for id_ in artifacts
    ]


def asked(reader: Reader, of: str, most: int) -> Any:
    try:
        return lineage(reader, of, max_nodes=most).json()
    except NotFound:
        return None


def compare(past: Reader, fresh: MemoryReader, ids: list[str]) -> None:
    assert {k: dump_action(v) for k, v in actions_of(past, ids).items()} == {
        k: dump_action(v) for k, v in actions_of(fresh, ids).items()
    }
    assert {k: dump_artifact(v) for k, v in things_of(past, ids).items()} == {
        k: dump_artifact(v) for k, v in things_of(fresh, ids).items()
    }
    things = list(things_of(fresh, ids).values())
    uris = sorted({thing.uri for thing in things})
    for several in (False, True):
        assert ids_of(past.families(uris, several)) == ids_of(fresh.families(uris, several))
    for thing in things:
        assert {a.id for a in past.same_content([thing])} == {
            a.id for a in fresh.same_content([thing])
        }
    for state in (None, "running", "complete", "failed"):
        wanted = ActionFilter(state=state)
        found = pages(lambda c, w=wanted: past.actions(w, c, 2))
        # Equal starts have an order of their own in each store.
        expected = fresh.actions(wanted, None, 500).items
        assert sorted((-a.started, a.id) for a in found) == [(-a.started, a.id) for a in expected]
    found = pages(lambda c: past.artifacts(ArtifactFilter(), c, 2))
    assert sorted(a.id for a in found) == sorted(thing.id for thing in things)
    assert past.controllers(None, 10) == fresh.controllers(None, 10)
    for evidence in ("reported", "observed"):
        put = fresh.deploys([SLOT], evidence, 10)
        assert ids_of(past.deploys([SLOT], evidence, 10)) == ids_of(put)


def ids_of(found: Mapping[str, Any]) -> dict[str, set[str]]:
    return {uri: {one.id for one in some} for uri, some in found.items()}


def actions_of(reader: Reader, ids: list[str]) -> dict[str, Any]:
    """Without the clocks: a later report of the same thing is known to have been made."""
    return {id_: timeless(state) for id_, state in reader.actions_by_id(ids).items()}


def things_of(reader: Reader, ids: list[str]) -> dict[str, Any]:
    return {id_: timeless(state) for id_, state in reader.artifacts_by_id(ids).items()}


def timeless(state: Any) -> Any:
    return replace(state, fields={name: (0, value) for name, (_, value) in state.fields.items()})


def pages(look: Any) -> Iterator[Any]:
    cursor = None
    while True:
        page = look(cursor)
        yield from page.items
        if (cursor := page.cursor) is None:
            return


def test_what_comes_later_says_when() -> None:
    """A name of today, asked for in the past, is not found; the message says since when it is."""
    reader = MemoryReader.of([act("t", 2, ended_at=at(3), type="train", outputs=[model()])])
    for ref, moment, appears in (("t", 1, 2), ("gs://m/a", 2, 3), (action_id("t"), 1, 2)):
        with pytest.raises(NotFound, match=f"appears at 2020-07-01T0{appears}:00:00Z"):
            lineage(AsOf(reader, micros(moment)), ref)
        assert lineage(AsOf(reader, micros(appears)), ref).nodes
    with pytest.raises(NotFound, match="nothing is called 'nowhere'"):
        lineage(AsOf(reader, micros(1)), "nowhere")


def test_what_still_runs_has_written_what_was_reported_by_then() -> None:
    """An act without an end keeps the outputs it reported in time, whatever it was called."""
    running = act("t", 1, state="running", ended_at=None, reported_at=at(3), outputs=[model()])
    reader = MemoryReader.of([running])
    assert len(lineage(AsOf(reader, micros(2)), "t").nodes) == 1
    assert lineage(AsOf(reader, micros(3)), "t").json() == lineage(reader, "t").json()


def test_every_read_travels(tmp_path: Path) -> None:
    """`as_of` on each route that reads: before anything happened there is nothing."""
    from lineage.embedded import embedded

    with embedded(tmp_path / "lineage.db") as client:
        client.record(act("t", 2, ended_at=at(3), type="train", outputs=[model()]))
        then = {"as_of": "2020-07-01T02:30:00Z"}
        assert [a["state"] for a in client.actions(**then)] == ["running"]
        assert client._json("GET", "/actions/t", then)["outputs"] == []
        assert list(client.artifacts(**then)) == []
        assert [c["actions"] for c in client._pages("/controllers", then)] == [1]
        assert list(client._pages("/controllers", {"as_of": "2020-07-01"})) == []
        assert len(client.lineage("t", **then)["nodes"]) == 1
        (thing,) = client.artifacts()
        with pytest.raises(NotFound, match="appears at 2020-07-01T03:00:00Z"):
            client._json("GET", f"/artifacts/{thing['id']}/versions", then)
