"""Chains of controllers, a → b → c: how far each thing that a made came. Pure.

A chain is a path through the graph of controllers that visits none twice and cannot be made
longer at either end, nor by a stop in between. Cycles are in the graph, never in a chain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lineage.merge import ArtifactState
from lineage.queries.flowing.acts import Act, Who, Window
from lineage.queries.flowing.passes import Link, Pass, State

MAX_CHAINS = 20
MAX_STEPS = 10_000
"""Steps of the search: there can be more paths than anyone has time for."""

Reached = State | Literal["made", "nothing"]
_WORST_FIRST = ("nothing", "skipped", "waiting", "failed", "running", "taken")


@dataclass(slots=True)
class Cell:
    """What a controller of a chain did with what came from the one before it.

    The first is `made`. `nothing` = the one before wrote nothing for it.
    `act` is None where it is missing, `artifacts` is what it passed on, `since` (µs) when
    what it took up, or should take up, was there.
    """

    state: Reached
    act: Act | None
    artifacts: tuple[ArtifactState, ...]
    since: int


@dataclass(slots=True)
class Chain:
    """`rows` newest first, one for each act of the first controller that was to be taken up."""

    controllers: tuple[Who, ...]
    rows: list[tuple[Cell, ...]]


def chains(
    links: Mapping[Link, Sequence[Pass]], windows: Mapping[Who, Window]
) -> tuple[list[Chain], bool]:
    """The chains, longest first, and whether there are more than were looked for."""
    near: dict[Who, set[Who]] = {who: set() for who in sorted(windows)}
    for link in links:
        if link.source != link.target:
            near[link.source].add(link.target)
    paths, truncated = _longest(near)
    rows = _Rows(links, windows)
    return [Chain(path, rows.of(path)) for path in paths[:MAX_CHAINS]], (
        truncated or len(paths) > MAX_CHAINS
    )


def _longest(near: Mapping[Who, set[Who]]) -> tuple[list[tuple[Who, ...]], bool]:
    before: dict[Who, set[Who]] = defaultdict(set)
    for source, targets in near.items():
        for target in targets:
            before[target].add(source)
    # Where most chains begin comes first, so that a search that is cut has found those.
    starts = sorted(near, key=lambda who: (len(before[who]), who))
    found: list[tuple[Who, ...]] = []
    steps = 0
    for path in _paths(near, starts):
        steps += 1
        if steps > MAX_STEPS:
            break
        whole = len(path) > 1 and not near[path[-1]] - set(path)
        if whole and not before[path[0]] - set(path):
            found.append(path)
    found.sort(key=lambda path: (-len(path), path))
    kept: list[tuple[Who, ...]] = []
    for path in found:
        if len(kept) <= MAX_CHAINS and not any(_within(path, longer) for longer in kept):
            kept.append(path)
    return kept, steps > MAX_STEPS


def _paths(near: Mapping[Who, set[Who]], starts: Iterable[Who]) -> Iterator[tuple[Who, ...]]:
    """Every path that visits no controller twice, depth first."""
    stack: list[tuple[Who, ...]] = [(start,) for start in reversed(list(starts))]
    while stack:
        path = stack.pop()
        yield path
        stack += [(*path, who) for who in sorted(near[path[-1]], reverse=True) if who not in path]


def _within(path: tuple[Who, ...], longer: tuple[Who, ...]) -> bool:
    """Whether the longer one makes the same stops in the same order, and others between."""
    rest = iter(longer)
    return all(who in rest for who in path)


class _Rows:
    def __init__(self, links: Mapping[Link, Sequence[Pass]], windows: Mapping[Who, Window]) -> None:
        self._since = {who: window.since for who, window in windows.items()}
        self._of: dict[tuple[Who, Who], dict[str, list[Pass]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for link, found in links.items():
            for one in found:
                for act in (one.maker, *one.again):
                    self._of[link.source, link.target][act.state.id].append(one)

    def of(self, path: tuple[Who, ...]) -> list[tuple[Cell, ...]]:
        makers = {
            one.maker.state.id: one.maker
            for found in self._of[path[0], path[1]].values()
            for one in found
        }
        rows = [self._row(act, path, 1, "made", act.state.started) for act in makers.values()]
        known = [row for row in rows if row is not None]
        return sorted(known, key=lambda row: _start(row[0]), reverse=True)

    def _row(
        self, act: Act, path: tuple[Who, ...], at: int, state: Reached, since: int
    ) -> tuple[Cell, ...] | None:
        """This act and what came of it, by the way that came furthest; None = further back
        than the next controller's window."""
        if at == len(path):
            return (Cell(state, act, (), since),)
        found = self._of[path[at - 1], path[at]].get(act.state.id, [])
        if not found:
            ended = act.state.started if act.state.ended is None else act.state.ended
            horizon = self._since[path[at]]
            if horizon is not None and ended < horizon:
                return None
            ends = [Cell("nothing", None, (), ended)] * (len(path) - at)
            return (Cell(state, act, (), since), *ends)
        ways = [
            (one, rest) for one in found for rest in self._rest(one, path, at) if rest is not None
        ]
        if not ways:
            return None
        one, rest = max(ways, key=lambda way: _reach(way[1]))
        return (Cell(state, act, one.artifacts, since), *rest)

    def _rest(self, one: Pass, path: tuple[Who, ...], at: int) -> Iterator[tuple[Cell, ...] | None]:
        if one.state == "taken":
            for taker in one.takers:
                yield self._row(taker, path, at + 1, one.state, one.at)
            return
        missing: State = "skipped" if one.over else "waiting"
        act = one.takers[0] if one.takers else None
        ends = [Cell(missing, None, (), one.at)] * (len(path) - at - 1)
        yield (Cell(one.state, act, (), one.at), *ends)


def _reach(cells: tuple[Cell, ...]) -> list[int]:
    return [_WORST_FIRST.index(cell.state) for cell in cells]


def _start(cell: Cell) -> tuple[int, str]:
    assert cell.act is not None
    return cell.act.order
