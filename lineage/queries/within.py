"""A reader of what some namespaces did, for whom may know nothing of others.

Seen is an action of one of the namespaces, and an artifact that such an action names: what others
did with the same artifact is not, nor that they did. What is said of an artifact itself (its type,
name, properties, aliases) is one for all who name it, so it is seen whoever said it
(docs/decisions/0012). The law: a store in which only these namespaces recorded would answer the
same (tests/test_access_within.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from lineage.errors import Forbidden
from lineage.findable import State
from lineage.merge import ActionState, ArtifactState
from lineage.queries.partial import Partial
from lineage.store.ports import (
    ActionFilter,
    ArtifactFilter,
    ControllerCount,
    Counts,
    IndexState,
    Kind,
    Page,
    Reader,
    Recent,
    Searcher,
    share,
)

T = TypeVar("T")
_CHUNK, _ROWS = 500, 50
_MOST = 20_000
"""Rows of others that are passed over to fill one page; then it is short, and its cursor leads
on. Proposals of the search index that are, before it gives up and says that there may be more."""


class Within(Partial):
    """Implements `lineage.store.ports.Reader` over another one, for some namespaces."""

    def __init__(self, reader: Reader, namespaces: frozenset[str]) -> None:
        super().__init__(reader)
        self._namespaces = namespaces

    def shown(self, state: ActionState) -> ActionState | None:
        return state if state.get("controller")[1] in self._namespaces else None

    def seen(self, states: Iterable[State]) -> set[str]:
        """The ids of those that may be seen."""
        states = list(states)
        actions = {s.id for s in self._cut(s for s in states if isinstance(s, ActionState))}
        artifacts = self._existing(s for s in states if isinstance(s, ArtifactState))
        return actions | {one.id for one in artifacts}

    def state(self) -> object:
        """What is kept is kept for all, so nothing of this is."""
        return None

    def actions(self, filter: ActionFilter, cursor: str | None, limit: int) -> Page[ActionState]:
        if filter.namespace is None:
            filter = replace(filter, within=self._namespaces)
        elif filter.namespace not in self._namespaces:
            return Page([], None)
        page = self._reader.actions(filter, cursor, limit)
        return Page(list(self._cut(page.items)), page.cursor)

    def artifacts(
        self, filter: ArtifactFilter, cursor: str | None, limit: int
    ) -> Page[ArtifactState]:
        wider = replace(filter, within=self._namespaces)
        return _exact(
            lambda c, n: self._reader.artifacts(wider, c, n),
            lambda found: {one.id for one in self._existing(found)},
            lambda one: one.id,
            cursor,
            limit,
        )

    def controllers(
        self, cursor: str | None, limit: int, until: int | None = None
    ) -> Page[ControllerCount]:
        return _exact(
            lambda c, n: self._reader.controllers(c, n, until),
            lambda found: {one for one in found if one.namespace in self._namespaces},
            lambda one: one,
            cursor,
            limit,
        )

    def latest(
        self, each: int, namespace: str | None, until: int | None = None
    ) -> Mapping[tuple[str, str, str], Recent]:
        """Asked for one namespace after the other: others would take their share."""
        asked = self._namespaces if namespace is None else self._namespaces & {namespace}
        found = {
            who: recent
            for one in sorted(asked)
            for who, recent in self._reader.latest(each, one, until).items()
        }
        each = share(each, len(found))
        return {
            who: Recent(list(self._cut(some[:each])), more or len(some) > each)
            for who, (some, more) in found.items()
        }

    def slots(self, namespace: str | None, limit: int, after: str | None = None) -> list[str]:
        out: list[str] = []
        while len(out) < limit:
            uris = self._reader.slots(namespace, _CHUNK, after)
            families = self.families(uris) if uris else {}
            out += [u for u in uris if any(a.type == "Deployment" for a in families.get(u, ()))]
            if len(uris) < _CHUNK:
                break
            after = uris[-1]
        return out[:limit]

    def deploys(
        self, slots: Sequence[str], evidence: str, limit: int, until: int | None = None
    ) -> Mapping[str, list[ActionState]]:
        """Asked for more of a slot as long as others' deploys stand before those that are seen."""
        out: dict[str, list[ActionState]] = {}
        asked, missing = limit, list(slots)
        while missing:
            found = self._reader.deploys(missing, evidence, asked, until)
            for uri, all_ in found.items():
                out[uri] = list(self._cut(all_))[:limit]
            missing = [u for u in missing if len(found[u]) >= asked and len(out[u]) < limit]
            asked *= 4
        return out

    def owners(self, artifacts: Sequence[str]) -> Mapping[str, str]:
        last: dict[str, tuple[int, str]] = {}
        for side in ("in", "out"):
            for id_, states in self.touching(artifacts, side).items():
                ranks = [(state.clock, state.key) for state in states]
                last[id_] = max([*ranks, last.get(id_, (-1, ""))])
        return {id_: key for id_, (_, key) in last.items() if key}

    def walk(self) -> Iterator[tuple[list[ActionState], dict[str, ArtifactState]]]:
        for states, artifacts in self._reader.walk():
            mine = list(self._cut(states))
            if mine:
                named = {edge.artifact for state in mine for edge in state.edges}
                yield mine, {id_: one for id_, one in artifacts.items() if id_ in named}


class Findable:
    """Implements `lineage.store.ports.Searcher` over another one, for a `Within`."""

    def __init__(self, searcher: Searcher, reader: Within) -> None:
        self._searcher = searcher
        self._reader = reader

    def find(
        self, kind: Kind, terms: Sequence[str], below: int | None, limit: int
    ) -> tuple[Sequence[int], bool]:
        out: list[int] = []
        looked, chunk = 0, max(limit, _CHUNK)
        while len(out) < limit:
            numbers, all_ = self._searcher.find(kind, terms, below, chunk)
            out += self._seen(kind, numbers)
            looked += len(numbers)
            if not all_ or looked > _MOST:
                return out[:limit], False
            if len(numbers) < chunk:
                break
            below = numbers[-1]
        return out[:limit], True

    def named(self, kind: Kind, text: str) -> Sequence[int]:
        return self._seen(kind, self._searcher.named(kind, text))

    def unindexed(self, kind: Kind) -> tuple[Sequence[int], bool]:
        numbers, all_ = self._searcher.unindexed(kind)
        return self._seen(kind, numbers), all_

    def load(self, kind: Kind, numbers: Sequence[int]) -> Sequence[tuple[int, State]]:
        loaded = self._searcher.load(kind, numbers)
        seen = self._reader.seen(state for _, state in loaded)
        return [(number, state) for number, state in loaded if state.id in seen]

    def around(self, kind: Kind, at: int) -> int | None:
        return self._searcher.around(kind, at)

    def state(self) -> IndexState:
        """`behind` counts what may be seen, as far as it can be told."""
        kinds: tuple[Kind, ...] = ("action", "artifact")
        behind = sum(len(self.unindexed(kind)[0]) for kind in kinds)
        return IndexState(self._searcher.state().status, behind, 0)

    def counts(self) -> Counts:
        raise Forbidden("the figures are of the whole store")

    def rebuild(self) -> None:
        raise Forbidden("the index is of the whole store")

    def _seen(self, kind: Kind, numbers: Sequence[int]) -> list[int]:
        found = {number for number, _ in self.load(kind, numbers)}
        return [number for number in numbers if number in found]


def _exact(
    look: Callable[[str | None, int], Page[T]],
    seen: Callable[[Sequence[T]], set[T] | set[str]],
    name: Callable[[T], T | str],
    cursor: str | None,
    limit: int,
) -> Page[T]:
    """A page of what may be seen. Its cursor is there only if there is more of that, and names
    the place of its last item, not of others behind it."""
    items: list[T] = []
    last: tuple[str | None, int] = cursor, 0
    passed = 0
    while True:
        page = look(cursor, max(limit + 1, _ROWS))
        known = seen(page.items)
        for place, one in enumerate(page.items, 1):
            if name(one) not in known:
                continue
            if len(items) == limit:
                return Page(items, look(*last).cursor)
            items.append(one)
            last = cursor, place
        passed += len(page.items)
        if page.cursor is None or passed > _MOST:
            return Page(items, page.cursor)
        cursor = page.cursor
