"""What is live now, kept slot by slot: only what changed since it was last asked is made again.

Every process keeps its own; what others record is heard from the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple, cast

from fastapi import Request

from lineage.api.requests import get_reader, written
from lineage.queries.asof import AsOf
from lineage.queries.serving.live import LIMIT, Order, Slot, chosen, held, order, page
from lineage.queries.serving.noting import Basis, Noting, news
from lineage.queries.within import Within
from lineage.store.ports import Page, Reader, Watch

MOST_SLOTS = 5000
MOST_MARKS = 500_000
"""Beyond either everything is forgotten. 1,000 slots with a training each have 9,000 marks and
are 12 MB, the most of both some 120."""
_PAGES = 16
"""Whose slots are remembered for as long as nothing is recorded."""


class Row(NamedTuple):
    order: Order
    slot: Slot
    json: bytes


class Known(NamedTuple):
    """What is live in a slot, and what that rests on."""

    basis: Basis
    rows: list[Row]


class Now:
    """Answers as `lineage.queries.serving.live.page` would. Who asks at the same time waits."""

    def __init__(self, reader: Reader, watch: Watch) -> None:
        self._reader = reader
        self._watch = watch
        self._lock = Lock()
        self._state: object = None
        self._known: dict[str, Known] = {}
        self._pages: dict[tuple[str | None, str | None, int], Page[str]] = {}

    def page(self, namespace: str | None, cursor: str | None, limit: int) -> Page[Row]:
        """
        Raises:
            BadRequest: the cursor is none.
        """
        with self._lock:
            self._catch_up()
            asked = namespace, cursor, limit
            if asked not in self._pages:
                if len(self._pages) >= _PAGES:
                    self._pages.clear()
                self._pages[asked] = chosen(self._reader, *asked)
            found = self._pages[asked]
            self._complete(found.items)
            rows = [row for uri in found.items for row in self._known[uri].rows]
            if sum(len(one.basis.marks) for one in self._known.values()) > MOST_MARKS:
                self._known.clear()
        return Page(sorted(rows, key=lambda row: row.order), found.cursor)

    def _catch_up(self) -> None:
        # Looked at before anything is read: what is recorded meanwhile is news the next time.
        state = self._reader.state()
        if state is not None and state == self._state:
            return
        # What is told is told once: should anything be raised, all is forgotten.
        known, self._known, self._state = self._known, {}, None
        self._pages.clear()
        changed = self._watch.news()
        if changed is not None:
            new = news(changed)
            self._known = {uri: one for uri, one in known.items() if one.basis.stands(new)}
        self._state = state

    def _complete(self, uris: Sequence[str]) -> None:
        missing = [uri for uri in uris if uri not in self._known]
        if len(self._known) + len(missing) > MOST_SLOTS:
            self._known.clear()
            missing = list(uris)
        noting = Noting(self._reader)
        rows: dict[str, list[Row]] = {uri: [] for uri in missing}
        for slot in held(cast(Reader, noting), missing) if missing else ():
            rows[slot.uri].append(Row(order(slot), slot, written(slot.json())))
        self._known |= {uri: Known(noting.of(uri), some) for uri, some in rows.items()}


def keeps(reader: Reader) -> bool:
    """Whether what is kept is the answer: it is made for all to see."""
    return not isinstance(reader, Within)


def live_at(
    request: Request,
    at: int | None,
    namespace: str | None = None,
    cursor: str | None = None,
    limit: int = LIMIT,
) -> Page[Slot]:
    """What is live: at a moment (µs) as it is read, now (None) from what is kept."""
    reader = get_reader(request)
    if at is not None or not keeps(reader):
        return page(reader if at is None else AsOf(reader, at), namespace, cursor, limit)
    now: Now = request.app.state.now
    rows = now.page(namespace, cursor, limit)
    return Page([row.slot for row in rows.items], rows.cursor)
