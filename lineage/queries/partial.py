"""A reader that shows a part of what another one knows: what of each action is decided by one
function, and an artifact is there if an action that is shown names it.

`lineage.queries.asof` shows what had happened by a moment, `lineage.queries.within` what some
namespaces did. Lists and whatever else has an order of its own is theirs to answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

from lineage.graph import Direction
from lineage.merge import ActionState, ArtifactState
from lineage.store.ports import Closure, Page, Reader

T = TypeVar("T")
_SIDES: Mapping[str, tuple[Literal["in", "out"], Literal["in", "out"]]] = {
    "upstream": ("in", "out"),
    "downstream": ("out", "in"),
}
_SCANS = 20
"""Pages looked at to fill one: most of what is listed may not be shown."""


class Partial(ABC):
    """The half of `lineage.store.ports.Reader` that follows from what is shown of an action."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._named: set[str] = set()
        """Artifacts that an action which is shown is known to name."""

    @abstractmethod
    def shown(self, state: ActionState) -> ActionState | None:
        """What of an action there is; None = nothing."""

    def action(self, id: str) -> ActionState | None:
        return self.actions_by_id([id]).get(id)

    def artifact(self, id: str) -> ArtifactState | None:
        return self.artifacts_by_id([id]).get(id)

    def actions_by_id(self, ids: Sequence[str]) -> dict[str, ActionState]:
        return {state.id: state for state in self._cut(self._reader.actions_by_id(ids).values())}

    def artifacts_by_id(self, ids: Sequence[str]) -> dict[str, ArtifactState]:
        return {one.id: one for one in self._existing(self._reader.artifacts_by_id(ids).values())}

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
        """Cut out of the whole closure. Where that is larger than the limit, what is shown may
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

    def _cut(self, states: Iterable[ActionState]) -> Iterator[ActionState]:
        for state in states:
            if (there := self.shown(state)) is not None:
                self._named.update(edge.artifact for edge in there.edges)
                yield there

    def _existing(self, artifacts: Iterable[ArtifactState]) -> Iterator[ArtifactState]:
        """Those that an action which is shown names. Writers are asked first: they are few."""
        everything = {one.id: one for one in artifacts}
        for side in ("out", "in"):
            unknown = sorted(everything.keys() - self._named)
            if unknown:
                self.touching(unknown, side)
        return (one for id_, one in everything.items() if id_ in self._named)


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


def filled(
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


def _touches(state: ActionState, artifact: str, side: str) -> bool:
    return any(edge.artifact == artifact and edge.side == side for edge in state.edges)
