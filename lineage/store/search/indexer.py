"""Keeps a search index up to date, in the background, out of the way of everything else.

Reads the feed and writes the index, nothing else does; a lock file says who. It never
stops the server: what goes wrong is logged, shown, and tried again.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from lineage import findable
from lineage.errors import StoreUnavailable
from lineage.store.late import Late
from lineage.store.ports import Kind, Position
from lineage.store.search.feed import Feed, Item
from lineage.store.search.index import KINDS, IndexWriter, may_pass

log = logging.getLogger("lineage.search")

BATCH = 500
POLL = 0.25
"""Seconds between looks at the feed."""
BUSY_SHARE = 0.1
"""Of the time that indexing takes while others write."""
RETRY = 5.0
LOOK_BACK = 2.0
"""Seconds between looks for what appeared late, where several write."""


class Indexer:
    """A thread that reads `feed` into the index at `path`."""

    def __init__(self, feed: Feed, path: str) -> None:
        self._feed = feed
        self._path = path
        self._index: IndexWriter | None = None
        self._late = {kind: Late(feed, kind) for kind in KINDS}
        self._look_back_at = dict.fromkeys(KINDS, 0.0)
        self._rebuild = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)
        self.trouble: str | None = None
        """Why the index cannot go on, if so."""

    def start(self) -> None:
        self._thread.start()

    def rebuild(self) -> None:
        """Begin again with an empty index, at the next look."""
        self._rebuild = True

    @property
    def rebuilding(self) -> bool:
        """Whether a new beginning was asked for and not made yet."""
        return self._rebuild

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        lock = self._lock()
        while lock is not None and not self._closing.is_set():
            try:
                self._look()
                self.trouble, pause = None, POLL
            except Exception as error:
                self._failed(error)
                pause = POLL if self._rebuild else RETRY
            self._closing.wait(pause)
        if self._index is not None:
            self._index.close()
        if lock is not None:
            os.close(lock)

    def _lock(self) -> int | None:
        """Wait until nobody else indexes this store; None = we are closing."""
        descriptor = os.open(self._path + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        while not self._closing.is_set():
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            self._closing.wait(RETRY)
        os.close(descriptor)
        return None

    def _look(self) -> None:
        """Bring the index up to date with the feed, the kinds by turns."""
        index = self._opened()
        self._remove(index)
        behind = list(KINDS)
        while behind and not (self._closing.is_set() or self._rebuild):
            begun = time.monotonic()
            behind = [kind for kind in behind if self._batch(index, kind)]
            if behind:
                # While others write, most of the time is theirs.
                took = time.monotonic() - begun
                self._closing.wait(took / BUSY_SHARE if self._feed.busy() else 0.001)

    def _batch(self, index: IndexWriter, kind: Kind) -> bool:
        """One step; whether there may be more."""
        position = self._feed.now(index.position(kind))
        news = self._feed.news(kind, position, BATCH)
        items = self._feed.again(kind, position) + news + self._appeared(kind, position)
        if items:
            index.put(kind, _bodies(items), max([position, *(item.position for item in news)]))
        return len(news) == BATCH

    def _appeared(self, kind: Kind, position: Position) -> list[Item]:
        """What others committed meanwhile behind the position."""
        if not self._feed.shared or time.monotonic() < self._look_back_at[kind]:
            return []
        self._look_back_at[kind] = time.monotonic() + LOOK_BACK
        late = [at for at in self._late[kind].look() if at <= position]
        states = dict(self._feed.load(kind, [at.number for at in late]))
        return [Item(at, states.get(at.number)) for at in late]

    def _remove(self, index: IndexWriter) -> None:
        """Before what is new is read: of that nothing is among these."""
        while news := self._feed.removed(index.removed(), BATCH):
            gone = {kind: [one.node for one in news if one.kind == kind] for kind in KINDS}
            index.remove(gone, news[-1].number)
            if self._closing.is_set():
                return
        if news is None:
            self._rebuild = True

    def _opened(self) -> IndexWriter:
        """The index of this very store, empty if it was another's."""
        if self._index is None:
            self._index = IndexWriter(self._path)
        index = self._index
        if self._rebuild or index.lost or self._foreign(index):
            log.info("building the search index %s anew", self._path)
            self._rebuild = False
            index.clear()
            index.remove({}, self._feed.newest_removal())
        if not index.origin() and (origin := self._feed.origin()):
            index.set_origin(origin)
        return index

    def _foreign(self, index: IndexWriter) -> bool:
        told = index.origin()
        moved = bool(told) and told != self._feed.origin()
        return moved or not all(self._feed.holds(kind, index.position(kind)) for kind in KINDS)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, sqlite3.DatabaseError):
            self._rebuild |= not may_pass(error)
        elif not isinstance(error, SQLAlchemyError | StoreUnavailable):
            log.exception("the search index stopped")
        if self.trouble is None:
            log.warning("the search index cannot go on: %s", error)
        self.trouble = str(getattr(error, "orig", error))


def _bodies(items: list[Item]) -> list[tuple[int, str]]:
    """A node that is not ours has an empty body, so that every node is counted."""
    latest = {item.number: item.state for item in items}
    return [(number, findable.body(s) if s is not None else "") for number, s in latest.items()]
