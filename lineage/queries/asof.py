"""A reader of what had happened by a moment: every question asked of it travels in time.

At T an action exists if it had started by T, and is running, with nothing written yet, if it
had not ended by T. An artifact exists once an action that exists names it. What is known of
either is what is known today: only what happened is cut, not what was learnt about it
(docs/decisions/0007).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from lineage.errors import NotFound
from lineage.merge import ActionState, ArtifactState
from lineage.model import TERMINAL
from lineage.queries.partial import Partial, filled
from lineage.store.ports import (
    ActionFilter,
    ArtifactFilter,
    ControllerCount,
    Page,
    Reader,
    Recent,
)
from lineage.times import iso

Find = Callable[[Reader], Sequence[str]]
_AFTERWARDS = ("state", "ended_at", "error")


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


class AsOf(Partial):
    """Implements `lineage.store.ports.Reader` over another one, cut at a moment (µs)."""

    def __init__(self, reader: Reader, at: int) -> None:
        super().__init__(reader)
        self._at = at

    def shown(self, state: ActionState) -> ActionState | None:
        return cut(state, self._at)

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

        return filled(lambda c, n: self._reader.actions(wider, c, n), then, cursor, limit)

    def artifacts(
        self, filter: ArtifactFilter, cursor: str | None, limit: int
    ) -> Page[ArtifactState]:
        """A page may be short where the store learnt of much since then."""
        return filled(
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


def raise_later(reader: Reader, ref: str, find: Find) -> None:
    """To be asked when nothing of this name was found: if the reader is cut at a moment, and
    there is something by now (its ids are what `find` gives), say when it appears.

    Raises:
        NotFound: it appears later.
    """
    if isinstance(reader, AsOf):
        reader.raise_later(ref, find)


def _since(state: ActionState, side: str) -> int:
    """When an action's edges of this side appear (see `cut`)."""
    if side == "in":
        return state.started
    return max(state.started, state.clock if state.ended is None else state.ended)
