"""Implements `lineage.store.ports.Changes`: the feed of the search index, for actions alone."""

from __future__ import annotations

from lineage.merge import ActionState
from lineage.store.ports import Position
from lineage.store.search.feed import Feed


class FeedChanges:
    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def newest(self) -> Position:
        return self._feed.newest("action")

    def changed(self, after: Position, limit: int) -> list[tuple[Position, ActionState]]:
        found = self._feed.news("action", after, limit)
        return [(i.position, i.state) for i in found if isinstance(i.state, ActionState)]
