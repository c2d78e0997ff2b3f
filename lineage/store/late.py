"""What was written into a store that several write to: commits appear in no order.

MLMD gives a node the time of its writing, some moments before its transaction commits, and each
server has a clock of its own. So a row may appear behind others that are later. Who follows
the changes looks back over `WINDOW` each time, at numbers and times alone, which an index
has, and loads only what is new there. A transaction that lasts longer, or a clock that is
further off, is heard of after `FORGET`, when everything is read anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from lineage.store.dialect import is_sqlite
from lineage.store.ports import Kind, Position
from lineage.store.search.feed import TABLES, Feed
from lineage.store.watch import MOST, FeedWatch, Read

WINDOW = 30_000
"""Milliseconds a transaction may last, with the difference of two servers' clocks."""
FORGET = 60.0
"""Seconds after which nothing that is kept is trusted."""


class Late:
    """The changes of one kind for one asker, each told once."""

    def __init__(self, feed: Feed, kind: Kind, wall: Callable[[], float] = time.time) -> None:
        self._feed = feed
        self._kind = kind
        self._wall = wall
        self._seen: dict[int, int] = {}
        self._newest: int | None = None

    def look(self) -> list[Position]:
        """What was written since the last look, the earliest first; the first time, what was in
        the last moments."""
        if self._newest is None:
            self._newest = self._feed.newest(self._kind).stamp
        since = min(self._newest, int(self._wall() * 1000)) - WINDOW
        rows = self._feed.written(self._kind, Position(since))
        before = self._seen
        self._seen = {row.number: row.stamp for row in rows}
        self._newest = max((row.stamp for row in rows), default=self._newest)
        return [row for row in rows if before.get(row.number) != row.stamp]


class SharedWatch(FeedWatch):
    """See `FeedWatch`: of a store that several write to."""

    def __init__(self, engine: Engine, steady: Callable[[], float] = time.monotonic) -> None:
        super().__init__(engine, steady=steady)
        self._late = {kind: Late(self._feed, kind) for kind in TABLES}
        self._forget_at = 0.0

    def _look(self, kind: Kind, before: Read, news: list[Any]) -> Read | None:
        fresh = self._late[kind].look()
        if len(fresh) > MOST:
            return None
        found = dict(self._feed.load(kind, [position.number for position in fresh]))
        news.extend(found.get(position.number) for position in fresh)
        return Read(max(fresh, default=before.at), {})

    def _doubtful(self, newest: int) -> bool:
        now = self._steady()
        doubtful = now >= self._forget_at
        if doubtful:
            self._forget_at = now + FORGET
        return doubtful


def watch_of(engine: Engine) -> FeedWatch:
    return FeedWatch(engine) if is_sqlite(engine) else SharedWatch(engine)
