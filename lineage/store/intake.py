"""The queue before the writer: when the next group begins, and how large it is."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lineage.errors import StoreUnavailable
from lineage.model import Action
from lineage.store.ports import Verdict

GROUP = 2000
"""Reports in one group; a submission is never larger."""
AHEAD = 500
"""While a group commits, the next is planned as soon as it would be as large, or this large.
Smaller ones wait: the commit under way makes them larger, and each costs an fsync."""
SPLIT = 8
"""From so many waiting, two groups that take turns beat one."""
BOUND = 50_000
"""Reports waiting at most; more are refused as unavailable, so memory stays bounded."""

Done = Callable[[list[Verdict]], None]


class Ticket(NamedTuple):
    """One submission: `done` gets its verdicts, on `loop` when there is one."""

    actions: Sequence[Action]
    done: Done
    loop: asyncio.AbstractEventLoop | None


class Intake:
    """Tickets in, groups of tickets out. At most two groups are out at once."""

    def __init__(self) -> None:
        self._tickets: deque[Ticket] = deque()
        self._waiting = 0
        self._out: deque[int] = deque()
        self._closing = False
        self._changed = threading.Condition()

    @property
    def depth(self) -> int:
        """Reports waiting."""
        return self._waiting

    def put(self, ticket: Ticket) -> None:
        """Raises StoreUnavailable when too many wait already."""
        with self._changed:
            if self._waiting + len(ticket.actions) > BOUND:
                raise StoreUnavailable(f"{BOUND:,} reports are waiting; try again shortly")
            self._tickets.append(ticket)
            self._waiting += len(ticket.actions)
            if self._ready():
                self._changed.notify_all()

    def take(self) -> list[Ticket]:
        """The next group, when it is time for it; empty = closed and nothing is left."""
        with self._changed:
            while not self._ready():
                if self._closing and not self._tickets:
                    return []
                self._changed.wait()
            group: list[Ticket] = []
            size, most = 0, self._most()
            while self._tickets and (not group or size + len(self._tickets[0].actions) <= most):
                group.append(self._tickets.popleft())
                size += len(group[-1].actions)
            self._waiting -= size
            self._out.append(size)
            return group

    def finished(self, size: int) -> None:
        """A group of this size is committed, or given back."""
        with self._changed:
            self._out.remove(size)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def _most(self) -> int:
        """All that wait, or half of them when nothing is under way: recorders that all wait for
        one group all come back at once, and the store would idle until the last is back."""
        alone = not self._out and SPLIT <= self._waiting < AHEAD
        return (self._waiting + 1) // 2 if alone else GROUP

    def _ready(self) -> bool:
        if not self._tickets or len(self._out) > 1:
            return False
        return not self._out or self._waiting >= min(AHEAD, self._out[0])
