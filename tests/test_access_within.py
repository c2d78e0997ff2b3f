"""What a token of some namespaces sees: exactly what a store would tell in which nobody else
recorded."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.errors import Forbidden, LineageError
from lineage.model import Action, Controller, Reference
from lineage.queries.asof import AsOf
from lineage.queries.comparing.diff import diff
from lineage.queries.export import export
from lineage.queries.flowing.flow import flow
from lineage.queries.impact import impact
from lineage.queries.lineage import lineage
from lineage.queries.search import search
from lineage.queries.serving.live import page
from lineage.queries.staleness.reasons import Limits
from lineage.queries.staleness.stale import judged
from lineage.queries.within import Findable, Within
from lineage.records import view_artifact
from lineage.store.ports import ActionFilter, ArtifactFilter, Reader, Searcher
from lineage.store.search.searcher import open_searcher
from lineage.times import microseconds

from .memory import MemoryReader
from .strategies import EPOCH
from .test_store import Store

SLOT = "k8s://c/{}/Deployment/w"
SHA = "sha256:" + "ab" * 32
# Whoever names a thing describes it alike: what is said of it is one for all (decision 0012).
THINGS = [
    Reference(type="Dataset", uri="gs://b/x", version="1", name="x"),
    Reference(type="Dataset", uri="gs://b/x", version="2"),
    Reference(type="Dataset", uri="gs://b/x"),
    Reference(type="Dataset", uri="gs://b/y", version=SHA),
    Reference(type="Model", uri="s3://c/y", version=SHA, properties={"auc": 0.5}),
    Reference(type="Model", uri="models/m", version="1", aliases=("gs://b/x",)),
    Reference(type="Model", uri="models/m", version="2"),
    Reference(type="Deployment", uri=SLOT.format("mine"), version="1"),
    Reference(type="Deployment", uri=SLOT.format("mine"), version="2"),
    Reference(type="Deployment", uri=SLOT.format("theirs"), version="1"),
]
NAMESPACES = ("mine", "ours", "theirs", "")
SEEN = frozenset({"mine", "ours"})


@st.composite
def acts(draw: st.DrawFn) -> Action:
    start = EPOCH + timedelta(minutes=draw(st.integers(0, 50)))
    mentions = st.lists(st.sampled_from(THINGS), max_size=3, unique_by=str)
    namespace = draw(st.sampled_from(NAMESPACES))
    return Action(
        key=f"{namespace}/{draw(st.integers(0, 10**4))}",
        type=draw(st.sampled_from(["train", "deploy"])),
        controller=Controller(namespace=namespace, name=draw(st.sampled_from("ab"))),
        state=draw(st.sampled_from(["running", "complete", "failed"])),
        started_at=start,
        ended_at=start + timedelta(minutes=draw(st.integers(1, 9))),
        reported_at=EPOCH + timedelta(days=1),  # what is said last of a thing is said by all
        inputs=tuple(draw(mentions)),
        outputs=tuple(draw(mentions)),
        parent=draw(st.sampled_from([None, "mine/1", "theirs/1"])),
    )


def both(whole: Iterable[Action]) -> tuple[list[Action], list[Action]]:
    reports = list({one.key: one for one in whole}.values())
    return reports, [one for one in reports if one.controller.namespace in SEEN]


def paged(list_: Any, *asked: Any, limit: int) -> Iterator[list[Any]]:
    """Every page; each is full but for the last, and only that has no cursor."""
    cursor = None
    while True:
        found = list_(*asked, cursor, limit)
        yield found.items
        cursor = found.cursor
        if cursor is None:
            return
        assert len(found.items) == limit


def answers(reader: Reader, reports: list[Action]) -> dict[str, Any]:
    """What can be asked of a reader, through every question there is."""
    out: dict[str, Any] = {}
    filters = [
        ActionFilter(), ActionFilter(namespace="theirs"), ActionFilter(namespace="ours"),
        ActionFilter(controller="a"), ActionFilter(parent="theirs/1"), ActionFilter(q="1"),
    ]  # fmt: skip
    out["actions"] = [
        [[a.key for a in items] for items in paged(reader.actions, one, limit=2)] for one in filters
    ]
    out["artifacts"] = [
        sorted(a.id for items in paged(reader.artifacts, one, limit=2) for a in items)
        for one in (ArtifactFilter(), ArtifactFilter(type="Model"), ArtifactFilter(q="x"))
    ]
    out["pages"] = [len(items) for items in paged(reader.artifacts, ArtifactFilter(), limit=2)]
    out["controllers"] = list(paged(reader.controllers, limit=2))
    out["slots"] = [reader.slots(None, n) for n in (1, 9)] + [reader.slots("theirs", 9)]
    out["live"] = [slot.json() for slot in page(reader, None, None, 9).items]
    out["stale"] = [s.json() for s in judged(reader, page(reader, None, None, 9),
                    microseconds(EPOCH + timedelta(days=9)), Limits.parse("1d"))[0].items]  # fmt: skip
    out["flow"] = flow(reader, 3, None).json(5)
    out["export"] = b"".join(export(reader))
    for of in [f"{t.uri}@{t.version}" if t.version else t.uri for t in THINGS] + [
        one.key for one in reports
    ]:
        out[of] = asked(lambda of=of: lineage(reader, of).json())
        # Which of equally near nodes stay is not promised, only how many.
        out[of, 3] = asked(lambda of=of: size(lineage(reader, of, max_nodes=3).json()))
        out[of, "impact"] = asked(lambda of=of: impact(reader, of, 50).json())
        out[of, "diff"] = asked(lambda of=of: diff(reader, of, None, 50).json())
        identity = of if of in {r.key for r in reports} else None
        if identity is None:
            for family in reader.families([of.partition("@")[0]]).values():
                out[of, "facts"] = sorted(str(view_artifact(a)) for a in family)
    return out


def size(graph: dict[str, Any]) -> tuple[int, bool]:
    return len(graph["nodes"]), graph["truncated"]


def asked(question: Any) -> Any:
    try:
        return sorted_graph(question())
    except LineageError as error:
        return error.detail


def sorted_graph(answer: Any) -> Any:
    """Nodes and edges have no order that is promised."""
    if isinstance(answer, dict):
        return {k: sorted(v, key=str) if k in ("nodes", "edges") else v for k, v in answer.items()}
    return answer


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(acts(), max_size=9), st.none() | st.integers(0, 60))
def test_what_is_seen_is_what_would_be_there_without_the_others(
    reports: list[Action], minute: int | None
) -> None:
    """No list, cursor, count, graph, period or suggestion tells that others recorded."""
    whole, mine = both(reports)
    seen: Any = Within(MemoryReader.of(whole), SEEN)
    alone: Any = MemoryReader.of(mine)
    if minute is not None:
        at = microseconds(EPOCH + timedelta(minutes=minute))
        seen, alone = AsOf(seen, at), AsOf(alone, at)
    expected, actual = answers(alone, whole), answers(seen, whole)
    for question, answer in expected.items():
        assert actual[question] == answer, question


@contextmanager
def stored(folder: Path, reports: list[Action]) -> Iterator[tuple[Reader, Searcher]]:
    """A real store, with the search beside it; `reports` in groups of one."""
    store = Store(folder / "lineage.db")
    searcher = open_searcher(store.engine, store.path, index=True)
    try:
        for one in reports:
            (verdict,) = store.record(one)
            assert verdict.error is None
        wait(lambda: searcher.state().behind == 0)
        yield store.reader, searcher
    finally:
        searcher.close()
        store.close()


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def crowd() -> Iterator[tuple[Reader, Searcher, Reader, Searcher, list[Action]]]:
    """Two real stores: of everybody, and of those alone whose namespaces are seen."""
    chosen = random.Random(8)
    reports = [
        Action(
            key=f"{namespace}/{n}", type=chosen.choice(["train", "deploy"]),
            name=f"run {n}", params={"owner": namespace or "none"},
            controller=Controller(namespace=namespace, name=chosen.choice("ab")),
            state=chosen.choice(["running", "complete", "complete"]),
            started_at=EPOCH + timedelta(minutes=n), ended_at=EPOCH + timedelta(minutes=n + 5),
            reported_at=EPOCH + timedelta(days=1),
            inputs=tuple(chosen.sample(THINGS, 2)), outputs=tuple(chosen.sample(THINGS, 2)),
        )
        for n in range(60)
        for namespace in [chosen.choice(NAMESPACES)]
    ]  # fmt: skip
    whole, mine = both(reports)
    with (
        TemporaryDirectory() as one,
        TemporaryDirectory() as other,
        stored(Path(one), whole) as (reader, searcher),
        stored(Path(other), mine) as (alone, alone_searcher),
    ):
        within = Within(reader, SEEN)
        yield within, Findable(searcher, within), alone, alone_searcher, whole


def test_a_real_store_tells_no_more(crowd: Any) -> None:
    """The same law in SQL: cursors, closures and slots of the tables MLMD fills."""
    within, _, alone, _, whole = crowd
    expected, actual = answers(alone, whole), answers(within, whole)
    for question, answer in expected.items():
        assert actual[question] == answer, question


@pytest.mark.parametrize(
    "q", ["run", "owner=theirs", "theirs", "type:Deployment", "owner=mine", "kind:action 1",
          "namespace:theirs", "gs://b/x", "auc"],
)  # fmt: skip
def test_a_search_proposes_nothing_of_others(crowd: Any, q: str) -> None:
    """Hits, their order, whether there are more, and what the index lacks."""
    within, findable, alone, searcher, _ = crowd
    for limit in (1, 5, 100):
        expected = search(alone, searcher, q, None, None, limit).json()
        assert search(within, findable, q, None, None, limit).json() == expected


def test_what_cannot_be_divided_is_not_told(crowd: Any) -> None:
    """Figures of the whole store, and building its index anew."""
    _, findable, _, _, _ = crowd
    for question in (findable.counts, findable.rebuild):
        with pytest.raises(Forbidden):
            question()
