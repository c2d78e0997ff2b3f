"""Implements `lineage.store.ports.Watch`: what was written or removed since it was last asked.

MLMD gives a node the time (ms) of each write, and one process writes, one transaction after
the other, so later commits carry later times, unless the clock is set back: then, and when
another tool wrote what has no feed, it cannot be told what changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Engine, text

from lineage.merge import ActionState, ArtifactState
from lineage.store import codec
from lineage.store.foreign.rows import types
from lineage.store.keeping import gone
from lineage.store.ports import Gone, Kind, Position
from lineage.store.search.feed import TABLES, Feed

State = ActionState | ArtifactState
MOST = 2000
"""Actions, and artifacts, written since the last time: of more it is not told which."""
OVERLAP = 250
"""Milliseconds that are looked at again, for clocks that were set back by less than half."""
LONGEST = 60_000
"""Milliseconds that a transaction may last."""


class Read(NamedTuple):
    """How far the feed was read, and how the nodes of its last moments were then: one that is
    written twice in a millisecond changes without a new time."""

    at: Position
    states: dict[int, State | None]


class _Links(NamedTuple):
    """How far the tables were read that have no feed of their own."""

    event: int = 0
    association: int = 0
    context: int = 0


class FeedWatch:
    """For one asker, who asks from one thread at a time."""

    def __init__(
        self,
        engine: Engine,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._feed = Feed(engine)
        self._gone = gone.Gone(engine)
        self._removed: int | None = None
        self._wall, self._steady = wall, steady
        self._read: dict[Kind, Read] = {}
        self._links: _Links | None = None
        self._ahead, self._doubt_until, self._doubted = 0, 0, False

    def news(self) -> Sequence[State | Gone] | None:
        # If anything is raised in between, nothing is known to have been read.
        before, self._read = self._read, {}
        removed = self._removals()
        lost = self._others_linked() | (removed is None)
        read: dict[Kind, Read] = {}
        news: list[State | None] = []
        for kind in TABLES:
            if before and (found := self._look(kind, before[kind], news)) is not None:
                read[kind] = found
            else:
                begun = Read(self._feed.newest(kind), {})
                read[kind], lost = self._look(kind, begun, []) or begun, True
        self._read = read
        lost |= self._doubtful(max(found.at.stamp for found in read.values()))
        known = [state for state in news if state is not None]
        return None if lost or len(known) < len(news) else [*known, *(removed or ())]

    def _look(self, kind: Kind, before: Read, news: list[State | None]) -> Read | None:
        since = Position(before.at.stamp - OVERLAP)
        items = self._feed.news(kind, since, MOST + 1)
        if len(items) > MOST:
            return None
        for item in items:
            if item.number not in before.states or before.states[item.number] != item.state:
                news.append(item.state)
        at = max((item.position for item in items), default=before.at)
        return Read(max(at, before.at), {item.number: item.state for item in items})

    def _removals(self) -> list[Gone] | None:
        before, self._removed = self._removed, None
        found = None if before is None else self._gone.since(before, MOST + 1)
        if before is None or found is None or len(found) > MOST:
            self._removed = self._gone.newest()
            return None
        self._removed = found[-1].number if found else before
        return [Gone(one.id) for one in found]

    def _doubtful(self, newest: int) -> bool:
        """Whether something may have been written at an earlier time than was read before."""
        wall = int(self._wall() * 1000)
        ahead = wall - int(self._steady() * 1000)
        if newest > wall or ahead < self._ahead - OVERLAP // 2:
            self._doubt_until, self._ahead = newest + LONGEST, ahead
        self._ahead = max(self._ahead, ahead)
        before, self._doubted = self._doubted, wall < self._doubt_until
        return before or self._doubted

    def _others_linked(self) -> bool:
        """Whether nodes of other tools got edges or contexts, which does not change the nodes."""
        before, self._links = self._links, None
        with self._engine.connect() as db:
            known = types(db)
            if not known.actions:
                return False
            row = db.execute(text(_LINKS), (before or _Links())._asdict()).one()
        self._links = _Links(*(number or 0 for number in row[:3]))
        return before is None or bool(row[3])


_OF_OTHERS = f"""NOT EXISTS (SELECT 1 FROM ExecutionProperty r
  WHERE r.execution_id = l.execution_id AND r.name = '{codec.RECORD}' AND r.is_custom_property = 1)
"""
_LINKS = f"""
SELECT (SELECT MAX(id) FROM Event), (SELECT MAX(id) FROM Association),
  (SELECT MAX(last_update_time_since_epoch) FROM Context),
  EXISTS (SELECT 1 FROM Event l WHERE l.id > :event AND {_OF_OTHERS})
  OR EXISTS (SELECT 1 FROM Association l WHERE l.id > :association AND {_OF_OTHERS})
  OR EXISTS (SELECT 1 FROM Context c JOIN Type t ON t.id = c.type_id
    WHERE c.last_update_time_since_epoch > :context AND t.name NOT LIKE 'lineage.%')
"""
