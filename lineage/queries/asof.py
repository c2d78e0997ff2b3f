"""A reader of what had happened by a moment: every question asked of it travels in time.

At T an action exists if it had started by T, and is running, with nothing written yet, if it
had not ended by T. An artifact exists once an action that exists names it. What is known of
either is what is known today: only what happened is cut, not what was learnt about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from lineage.graph import Direction
from lineage.merge import ActionState, ArtifactState
from lineage.store.ports import (
    ActionFilter,
    ArtifactFilter,
    Closure,
    ControllerCount,
    Page,
    Reader,
)

_AFTERWARDS = ("state", "ended_at", "error")


def cut(state: ActionState, at: int) -> ActionState | None:
    """The action as it stood at `at` (µs); None = it had not started."""
    if state.started > at:
        return None
    if state.ended is None or state.ended <= at:
        return state
    fields = {name: value for name, value in state.fields.items() if name not in _AFTERWARDS}
    fields["state"] = (state.started, "running")
    edges = frozenset(edge for edge in state.edges if edge.side == "in")
    return ActionState(state.key, fields, edges, state.id)


class AsOf:
    """Implements `lineage.store.ports.Reader` over another one, cut at a moment (µs)."""

    def __init__(self, reader: Reader, at: int) -> None:
        self._reader = reader
        self._at = at

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
        until = self._at if filter.until is None else min(filter.until, self._at)
        page = self._reader.actions(replace(filter, state=None, until=until), cursor, limit)
        found = self._cut(page.items)
        if filter.state is not None:
            found = (state for state in found if state.get("state") == filter.state)
        return Page(list(found), page.cursor)

    def artifacts(
        self, filter: ArtifactFilter, cursor: str | None, limit: int
    ) -> Page[ArtifactState]:
        page = self._reader.artifacts(filter, cursor, limit)
        return Page(list(self._existing(page.items)), page.cursor)

    def controllers(self, cursor: str | None, limit: int) -> Page[ControllerCount]:
        return self._reader.controllers(cursor, limit)

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
        raise NotImplementedError

    def slots(self, namespace: str | None, limit: int) -> list[str]:
        return self._reader.slots(namespace, limit)

    def owners(self, artifacts: Sequence[str]) -> Mapping[str, str]:
        return self._reader.owners(artifacts)

    def walk(self) -> Iterator[tuple[list[ActionState], dict[str, ArtifactState]]]:
        return self._reader.walk()

    def _cut(self, states: Iterable[ActionState]) -> Iterator[ActionState]:
        return (there for state in states if (there := cut(state, self._at)) is not None)

    def _existing(self, artifacts: Iterable[ArtifactState]) -> Iterator[ArtifactState]:
        """Those that an action which exists names."""
        everything = {one.id: one for one in artifacts}
        ids = sorted(everything)
        named = {i for side in ("in", "out") for i, s in self.touching(ids, side).items() if s}
        return (one for id_, one in everything.items() if id_ in named)


def _touches(state: ActionState, artifact: str, side: str) -> bool:
    return any(edge.artifact == artifact and edge.side == side for edge in state.edges)
