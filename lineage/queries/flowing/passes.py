"""Passes between controllers: what one wrote, and whether another took it up. Pure.

A controller's outputs stand in *lanes*. A name that gets new versions is a lane of its own;
names that are used once (a model of every training run) share one, by type and role. A pass
is one change in a lane: writing the same again is no news.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lineage.merge import ArtifactState
from lineage.queries.flowing.acts import Act, Read, Who, Window, Write

State = Literal["taken", "running", "failed", "waiting", "skipped"]
"""`skipped`: a later one was taken; `waiting`: neither this nor a later one was."""

Lane = tuple[str, ...]
_NO_RESULT = ("running", "failed", "canceled")


class Link(NamedTuple):
    """What passes are counted by."""

    source: Who
    target: Who
    type: str
    role: str


@dataclass(slots=True)
class Pass:
    """One a[i] → b[i]: what `maker` wrote was there `at` (µs), and `takers` took it up
    (in this state; none when it is waiting or skipped). `over` = a later one was taken."""

    link: Link
    maker: Act
    again: tuple[Act, ...]
    """Later acts that wrote the same once more."""
    artifacts: tuple[ArtifactState, ...]
    at: int
    state: State
    takers: tuple[Act, ...]
    over: bool

    @property
    def order(self) -> tuple[int, str, tuple[str, ...]]:
        return self.at, self.maker.state.key, tuple(a.id for a in self.artifacts)


@dataclass(slots=True)
class _Change:
    """One change in a lane of one controller, and the acts of anyone that took it up."""

    acts: list[Act]
    writes: list[Write]
    takers: dict[Who, list[Act]]

    @property
    def at(self) -> int:
        return max(write.at for write in self.writes)

    @property
    def begun(self) -> int:
        return min(write.begun for write in self.writes)

    @property
    def order(self) -> tuple[int, str]:
        return self.at, self.acts[0].state.key

    @property
    def expected(self) -> bool:
        """What a failed or unfinished act wrote need not be taken up."""
        return any(act.state.get("state") not in _NO_RESULT for act in self.acts)


def passes(windows: Mapping[Who, Window]) -> dict[Link, list[Pass]]:
    """Every link between controllers (also from one to itself) with its passes, newest first."""
    acts = [act for window in windows.values() for act in window.acts]
    lanes = _lanes(acts)
    _take(acts, lanes)
    out: dict[Link, list[Pass]] = defaultdict(list)
    newest = _newest_taken(lanes)
    for (source, lane), changes in lanes.items():
        kind = changes[-1].writes[0]
        targets = sorted({target for change in changes for target in change.takers})
        for target in targets:
            link = Link(source, target, kind.artifact.type, kind.role)
            for change in changes:
                one = _judge(link, change, newest[target, lane], windows[target].since)
                if one is not None:
                    out[link].append(one)
    return {link: _gathered(out[link]) for link in sorted(out)}


def _lanes(acts: Iterable[Act]) -> dict[tuple[Who, Lane], list[_Change]]:
    acts = list(acts)
    changing = _changing(acts)
    written: dict[tuple[Who, Lane], list[tuple[Act, list[Write]]]] = defaultdict(list)
    for act in acts:
        mine: dict[Lane, list[Write]] = defaultdict(list)
        for write in act.writes:
            one = write.artifact
            named = one.uri in changing
            mine[(one.uri,) if named else (*act.who, one.type, write.role)].append(write)
        for lane, writes in mine.items():
            written[act.who, lane].append((act, writes))
    return {place: _changes(found) for place, found in sorted(written.items())}


def _changing(acts: Iterable[Act]) -> set[str]:
    """The URIs under which more than one thing was written."""
    contents: dict[str, set[str]] = defaultdict(set)
    for act in acts:
        for write in act.writes:
            rewritten = "" if write.settled else act.state.id
            contents[write.artifact.uri].add(write.content + rewritten)
    return {uri for uri, found in contents.items() if len(found) > 1}


def _changes(written: list[tuple[Act, list[Write]]]) -> list[_Change]:
    """Oldest first. The same again, one after the other, is one change."""
    out: list[_Change] = []
    for act, writes in sorted(written, key=lambda w: (max(x.at for x in w[1]), w[0].state.key)):
        same = out and {w.content for w in out[-1].writes} == {w.content for w in writes}
        if same and all(write.settled for write in writes):
            out[-1].acts.append(act)
        else:
            out.append(_Change([act], writes, {}))
    return out


def _take(acts: Iterable[Act], lanes: Mapping[tuple[Who, Lane], list[_Change]]) -> None:
    """Find for everything read the changes it can have come from: one of each lane, but of a
    name that is written over only the last of anyone."""
    holding: dict[str, dict[tuple[Who, Lane], list[_Change]]] = defaultdict(dict)
    settled: dict[str, bool] = {}
    for place, changes in lanes.items():
        for change in changes:
            for write in change.writes:
                holding[write.content].setdefault(place, []).append(change)
                settled[write.content] = write.settled
    for act in acts:
        for read in act.reads:
            groups = list(holding.get(read.content, {}).values())
            if groups and not settled[read.content]:
                groups = [[change for group in groups for change in group]]
            for group in groups:
                taken = _source([c for c in group if c.acts[0] is not act], read)
                if taken is not None and act not in taken.takers.setdefault(act.who, []):
                    taken.takers[act.who].append(act)


def _source(changes: Iterable[_Change], read: Read) -> _Change | None:
    """The newest that was there when the reading began, else one that overlaps with it."""
    changes = sorted(changes, key=lambda c: c.order)
    there = [c for c in changes if c.at <= read.began]
    overlapping = [c for c in changes if c.begun <= read.ended]
    return there[-1] if there else overlapping[0] if overlapping else None


def _newest_taken(
    lanes: Mapping[tuple[Who, Lane], list[_Change]],
) -> dict[tuple[Who, Lane], tuple[int, str]]:
    """Per (taker, lane) the order of the newest change that was taken, whoever made it."""
    out: dict[tuple[Who, Lane], tuple[int, str]] = defaultdict(lambda: (-1, ""))
    for (_, lane), changes in lanes.items():
        for change in changes:
            for target, takers in change.takers.items():
                if _state(takers) == "taken":
                    out[target, lane] = max(out[target, lane], change.order)
    return out


def _judge(link: Link, change: _Change, newest: tuple[int, str], since: int | None) -> Pass | None:
    """None = nothing that had to be taken, or too long ago to know whether it was."""
    takers = change.takers.get(link.target, [])
    over = change.order < newest
    if takers:
        state = _state(takers)
        takers = sorted((t for t in takers if _outcome(t) == state), key=lambda t: t.order)
    elif not change.expected or (since is not None and change.at < since):
        return None
    else:
        state = "skipped" if over else "waiting"
    maker, *again = change.acts
    things = tuple(write.artifact for write in change.writes)
    return Pass(link, maker, tuple(again), things, change.at, state, tuple(takers), over)


def _outcome(taker: Act) -> State:
    state = taker.state.get("state")
    return "running" if state == "running" else "failed" if state in _NO_RESULT else "taken"


def _state(takers: Iterable[Act]) -> State:
    """The best that became of it."""
    found = {_outcome(taker) for taker in takers}
    return "taken" if "taken" in found else "running" if "running" in found else "failed"


def _gathered(found: Iterable[Pass]) -> list[Pass]:
    """Newest first; what one act wrote and was taken together is one pass."""
    out: dict[object, Pass] = {}
    for one in sorted(found, key=lambda p: p.order):
        takers = tuple(taker.state.id for taker in one.takers)
        place = (one.maker.state.id, one.state, takers, one.over)
        if place in out:
            out[place].artifacts += one.artifacts
            out[place].again += one.again
        else:
            out[place] = one
    return sorted(out.values(), key=lambda p: p.order, reverse=True)
