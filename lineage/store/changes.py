"""Implements `lineage.store.ports.Changes`: the feed of the search index, for actions alone."""

from __future__ import annotations

from collections.abc import Sequence

from lineage.merge import ActionState
from lineage.store.late import WINDOW
from lineage.store.ports import Position
from lineage.store.search.feed import Feed

OVERLAP = 2000


class FeedChanges:
    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.overlap = WINDOW if feed.shared else OVERLAP

    def newest(self) -> Position:
        return self._feed.newest("action")

    def changed(self, after: Position, limit: int) -> list[tuple[Position, ActionState]]:
        found = self._feed.news("action", after, limit)
        return [(i.position, i.state) for i in found if isinstance(i.state, ActionState)]

    def written(self, after: Position) -> list[Position]:
        return self._feed.written("action", after)

    def load(self, positions: Sequence[Position]) -> list[tuple[Position, ActionState]]:
        found = dict(self._feed.load("action", [position.number for position in positions]))
        loaded = ((position, found.get(position.number)) for position in positions)
        return [(at, state) for at, state in loaded if isinstance(state, ActionState)]
