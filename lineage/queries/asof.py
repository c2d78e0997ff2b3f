"""A reader of what had happened by a moment: every question asked of it travels in time.

At T an action exists if it had started by T, and is running, with nothing written yet, if it
had not ended by T. An artifact exists once an action that exists names it. What is known of
either is what is known today: only what happened is cut, not what was learnt about it
(docs/decisions/0007).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol, TypeVar

from lineage.errors import NotFound
from lineage.graph import Direction
from lineage.merge import ActionState, ArtifactState
from lineage.model import TERMINAL
from lineage.store.ports import (
    ActionFilter,
    ArtifactFilter,
    Closure,
    ControllerCount,
    Page,
    Reader,
    Recent,
)
from lineage.times import iso

T = TypeVar("T")
Find = Callable[[Reader], Sequence[str]]
_AFTERWARDS = ("state", "ended_at", "error")
_SIDES: Mapping[str, tuple[Literal["in", "out"], Literal["in", "out"]]] = {
    "upstream": ("in", "out"),
    "downstream": ("out", "in"),
}
_SCANS = 20
"""Pages looked at to fill one: most of what is listed may not have happened yet."""


def cut(state: ActionState, at: int) -> ActionState | None:
    """The action as it stood at `at` (µs); None = it had not started.

    What it wrote is there since it ended, or, of one whose end nobody knows, since all that
    is known of it was reported.
    """
    if state.started > at:
        return None
    if (state.clock if state.ended is None else state.ended) <= at:
        return state
    fields = state.fields
    if state.ended is not None:
        fields = {name: value for name, value in fields.items() if name not in _AFTERWARDS}
        fields["state"] = (state.started, "running")
    edges = frozenset(edge for edge in state.edges if edge.side == "in")
    return ActionState(state.key, fields, edges, state.id)


class AsOf:
    """Implements `lineage.store.ports.Reader` over another one, cut at a moment (µs)."""

    def __init__(self, reader: Reader, at: int) -> None:
        self._reader = reader
        self._at = at
        self._named: set[str] = set()
        """Artifacts that an action which exists is known to name."""

    def raise_later(self, ref: str, find: Find) -> None:
        """See the function of this name."""
        ids = find(self._reader)
        since = [state.started for state in self._reader.actions_by_id(ids).values()]
        for side in ("in", "out"):
            for found in self._reader.touching(ids, side).values():
                since += (_since(state, side) for state in found)
        if since:
            then, first = iso(self._at), iso(min(since))
            raise NotFound(f"{ref!r} was not there at {then}; it appears at {first}")

    def state(self) -> object:
        return self._reader.state()

    def action(self, id: str) -> ActionState | None:
        return self.actions_by_id([id]).get(id)

    def artifact(self, id: str) -> ArtifactState | None:
        return self.artifacts_by_id([id]).get(id)

    def actions_by_id(self, ids: Sequence[str]) -> dict[str, ActionState]:
        return {state.id: state for state in self._cut(self._reader.actions_by_id(ids).values())}

    def artifacts_by_id(self, ids: Sequence[str]) -> dict[str, ArtifactState]:
        return {one.id: one for one in self._existing(self._reader.artifacts_by_id(ids).values())}

    def actions(self, filter: ActionFilter, cursor: str | None, limit: int) -> Page[ActionState]:
        """A page may be short where actions had another state then; the cursor leads on."""
        until = min(self._at + 1, self._at + 1 if filter.until is None else filter.until)
        # What had ended so by then has ended so today; what ran may have any state by now.
        ended = filter.state if filter.state in TERMINAL else None
        wider = replace(filter, state=ended, until=until)

        def then(found: Iterable[ActionState]) -> Iterator[ActionState]:
            for state in self._cut(found):
                if filter.state is None or state.get("state") == filter.state:
                    yield state

        return _filled(lambda c, n: self._reader.actions(wider, c, n), then, cursor, limit)

    def artifacts(
        self, filter: ArtifactFilter, cursor: str | None, limit: int
    ) -> Page[ArtifactState]:
        """A page may be short where the store learnt of much since then."""
        return _filled(
            lambda c, n: self._reader.artifacts(filter, c, n), self._existing, cursor, limit
        )

    def controllers(
        self, cursor: str | None, limit: int, until: int | None = None
    ) -> Page[ControllerCount]:
        until = min(self._at + 1, self._at + 1 if until is None else until)
        return self._reader.controllers(cursor, limit, until)

    def latest(
        self, each: int, namespace: str | None, until: int | None = None
    ) -> Mapping[tuple[str, str, str], Recent]:
        until = self._at if until is None else min(until, self._at)
        found = self._reader.latest(each, namespace, until)
        return {who: Recent(list(self._cut(some)), more) for who, (some, more) in found.items()}

    def touching(
        self, artifacts: Sequence[str], side: Literal["in", "out"]
    ) -> Mapping[str, list[ActionState]]:
        found = self._reader.touching(artifacts, side)
        return {
            id_: [s for s in self._cut(states) if _touches(s, id_, side)]
            for id_, states in found.items()
        }

    def families(
        self, uris: Sequence[str], several: bool = False
    ) -> Mapping[str, list[ArtifactState]]:
        found = self._reader.families(uris, several)
        existing = {uri: list(self._existing(family)) for uri, family in found.items()}
        return {u: family for u, family in existing.items() if len(family) > 1 or not several}

    def same_content(self, artifacts: Sequence[ArtifactState]) -> list[ArtifactState]:
        return list(self._existing(self._reader.same_content(artifacts)))

    def closure(
        self, starts: Sequence[str], direction: Direction, depth: int | None, max_nodes: int
    ) -> Closure:
        """Cut out of the whole closure. Where that is larger than the limit, what existed may
        be anywhere in it, so it is walked anew, level by level."""
        whole = self._reader.closure(starts, direction, depth, max_nodes)
        source: Source = self if whole.truncated else _Known(self._cut(whole.actions), whole)
        ways = [way for way in ("upstream", "downstream") if direction in (way, "both")]
        begin = [*self.actions_by_id(starts), *self.artifacts_by_id(starts)]
        found: dict[str, None] = {}
        for way in ways:
            found |= _walk(source, begin, way, depth, max_nodes)
        kept = list(found)[:max_nodes]
        return Closure(
            list(source.actions_by_id(kept).values()),
            list(source.artifacts_by_id(kept).values()),
            len(found) > max_nodes,
        )

    def slots(self, namespace: str | None, limit: int, after: str | None = None) -> list[str]:
        """Slots that came later are among them: what was put there by then is nothing."""
        return self._reader.slots(namespace, limit, after)

    def deploys(
        self, slots: Sequence[str], evidence: str, limit: int, until: int | None = None
    ) -> Mapping[str, list[ActionState]]:
        until = self._at if until is None else min(until, self._at)
        return self._reader.deploys(slots, evidence, limit, until)

    def owners(self, artifacts: Sequence[str]) -> Mapping[str, str]:
        return self._reader.owners(artifacts)

    def walk(self) -> Iterator[tuple[list[ActionState], dict[str, ArtifactState]]]:
        return self._reader.walk()

    def _cut(self, states: Iterable[ActionState]) -> Iterator[ActionState]:
        for state in states:
            if (there := cut(state, self._at)) is not None:
                self._named.update(edge.artifact for edge in there.edges)
                yield there

    def _existing(self, artifacts: Iterable[ArtifactState]) -> Iterator[ArtifactState]:
        """Those that an action which exists names. Writers are asked first: they are few."""
        everything = {one.id: one for one in artifacts}
        for side in ("out", "in"):
            unknown = sorted(everything.keys() - self._named)
            if unknown:
                self.touching(unknown, side)
        return (one for id_, one in everything.items() if id_ in self._named)


def raise_later(reader: Reader, ref: str, find: Find) -> None:
    """To be asked when nothing of this name was found: if the reader is cut at a moment, and
    there is something by now (its ids are what `find` gives), say when it appears.

    Raises:
        NotFound: it appears later.
    """
    if isinstance(reader, AsOf):
        reader.raise_later(ref, find)


class Source(Protocol):
    """What a walk asks."""

    def actions_by_id(self, ids: Sequence[str]) -> dict[str, ActionState]: ...
    def artifacts_by_id(self, ids: Sequence[str]) -> dict[str, ArtifactState]: ...
    def touching(
        self, artifacts: Sequence[str], side: Literal["in", "out"]
    ) -> Mapping[str, list[ActionState]]: ...


class _Known:
    """A source of what was found already."""

    def __init__(self, actions: Iterable[ActionState], found: Closure) -> None:
        self._actions = {state.id: state for state in actions}
        self._artifacts = {one.id: one for one in found.artifacts}
        self._touching: dict[tuple[str, str], dict[str, ActionState]] = defaultdict(dict)
        for state in self._actions.values():
            for edge in state.edges:
                self._touching[edge.artifact, edge.side][state.id] = state

    def actions_by_id(self, ids: Sequence[str]) -> dict[str, ActionState]:
        return {id_: self._actions[id_] for id_ in ids if id_ in self._actions}

    def artifacts_by_id(self, ids: Sequence[str]) -> dict[str, ArtifactState]:
        return {id_: self._artifacts[id_] for id_ in ids if id_ in self._artifacts}

    def touching(
        self, artifacts: Sequence[str], side: Literal["in", "out"]
    ) -> Mapping[str, list[ActionState]]:
        return {id_: list(self._touching.get((id_, side), {}).values()) for id_ in artifacts}


def _walk(
    source: Source, starts: Sequence[str], way: str, depth: int | None, most: int
) -> dict[str, None]:
    """The ids reached over recorded edges, nearest first, and no further than `most`."""
    near, far = _SIDES[way]
    found = dict.fromkeys(starts)
    layer, taken = list(starts), 0
    while layer and taken != depth and len(found) <= most:
        actions = source.actions_by_id(layer).values()
        next_ = {edge.artifact for a in actions for edge in a.edges if edge.side == near}
        touching = source.touching(layer, far)
        next_ |= {state.id for states in touching.values() for state in states}
        layer = sorted(next_ - found.keys())
        found |= dict.fromkeys(layer)
        taken += 1
    return found


def _filled(
    look: Callable[[str | None, int], Page[T]],
    keep: Callable[[Iterable[T]], Iterable[T]],
    cursor: str | None,
    limit: int,
) -> Page[T]:
    """A page of what is kept, asked for until it is full, at most `_SCANS` times."""
    items: list[T] = []
    for _ in range(_SCANS):
        page = look(cursor, limit - len(items))
        items += keep(page.items)
        cursor = page.cursor
        if cursor is None or len(items) == limit:
            break
    return Page(items, cursor)


def _since(state: ActionState, side: str) -> int:
    """When an action's edges of this side appear (see `cut`)."""
    if side == "in":
        return state.started
    return max(state.started, state.clock if state.ended is None else state.ended)


def _touches(state: ActionState, artifact: str, side: str) -> bool:
    return any(edge.artifact == artifact and edge.side == side for edge in state.edges)
