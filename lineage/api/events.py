"""What was just recorded, as server-sent events: one look at the store serves all who listen.

The store is asked, not the writer, so that what other processes record is heard as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from lineage.api import answers
from lineage.api.examples import problems
from lineage.api.requests import get_access
from lineage.errors import StoreUnavailable
from lineage.graph import action_node
from lineage.merge import ActionState
from lineage.store.ports import Changes, Position

router = APIRouter(tags=["read"])

EVERY = 0.25
"""Seconds between two looks, while anybody listens."""
AT_ONCE = 1000
"""Changes of one look; a listener that many behind is told to load the page again."""
LISTENERS = 200
PING = 15
_log = logging.getLogger("lineage.events")

Queue = asyncio.Queue["ServerSentEvent | None"]
Namespaces = frozenset[str] | None


class Events:
    """Tells every listener of this process what changed, from when it began to listen."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._listeners: dict[Queue, Namespaces] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """Who listens now."""
        return len(self._listeners)

    def check(self) -> None:
        """
        Raises:
            StoreUnavailable: too many listen already.
        """
        if len(self._listeners) >= LISTENERS:
            raise StoreUnavailable(f"{LISTENERS} listen already; try again later")

    async def listen(
        self, last: str | None, of: Namespaces = None
    ) -> AsyncIterator[ServerSentEvent]:
        """Events from now on; `last` = the id of the last one heard, to go on after it; `of` =
        only of these namespaces."""
        queue: Queue = asyncio.Queue(AT_ONCE)
        self._listeners[queue] = of
        try:
            if self._idle:
                begun = await run_in_threadpool(self._begin)
                if self._idle:  # nobody else was faster
                    self._task = asyncio.create_task(self._watch(*begun))
            # Only now: what is recorded from here on is heard, so nothing falls between.
            for event in await run_in_threadpool(self._since, _position(last), of) if last else ():
                yield event
            while (heard := await queue.get()) is not None:
                yield heard
            yield ServerSentEvent("too much happened at once; load again", event="lost")
        finally:
            self._listeners.pop(queue, None)

    @property
    def _idle(self) -> bool:
        return self._task is None or self._task.done()

    def _begin(self) -> tuple[Position, dict[int, int]]:
        """Where the store is, and what of its last moments is no news."""
        at = self._changes.newest()
        return at, {position.number: position.stamp for position in self._overlapped(at)}

    async def _watch(self, at: Position, seen: dict[int, int]) -> None:
        while self._listeners:
            await asyncio.sleep(EVERY)
            try:
                fresh = await run_in_threadpool(self._look, at, seen)
            except Exception:  # the database is away: the probes say so
                _log.warning("what was recorded cannot be read; trying again", exc_info=True)
                continue
            for position, state in fresh:
                seen[position.number] = position.stamp
                at = max(at, position)
                self._tell(position, state)
            if len(seen) > 20 * AT_ONCE:
                seen = {n: s for n, s in seen.items() if s > at.stamp - self._changes.overlap}

    def _look(self, at: Position, seen: dict[int, int]) -> list[tuple[Position, ActionState]]:
        fresh = [p for p in self._overlapped(at) if seen.get(p.number) != p.stamp]
        return self._changes.load(fresh[: 2 * AT_ONCE])

    def _overlapped(self, at: Position) -> list[Position]:
        """Of the store's last moments: a commit may carry an earlier time than the last."""
        return self._changes.written(Position(at.stamp - self._changes.overlap))

    def _since(self, last: Position, of: Namespaces) -> list[ServerSentEvent]:
        found = self._changes.changed(last, AT_ONCE)
        return [event for p, s in found if (event := _event(p, s, of)) is not None]

    def _tell(self, position: Position, state: ActionState) -> None:
        events: dict[Namespaces, ServerSentEvent | None] = {}
        for queue, of in list(self._listeners.items()):
            if of not in events:
                events[of] = _event(position, state, of)
            if (event := events[of]) is None:
                continue
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._listeners.pop(queue, None)
                with suppress(asyncio.QueueEmpty):
                    queue.get_nowait()
                queue.put_nowait(None)


@router.get(
    "/events",
    response_class=Response,
    responses={
        200: {
            "description": "A stream without an end",
            "content": {"text/event-stream": {"schema": answers.EVENT}},
        },
        **problems(400, 503),
    },
)
async def get_events(
    request: Request,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
    after: Annotated[
        str | None, Query(max_length=64, description="the id of the last event heard")
    ] = None,
) -> Response:
    """What is recorded from now on, as server-sent events: `recorded`, an action as in lists."""
    events: Events = request.app.state.events
    events.check()
    of = get_access(request).namespaces
    return EventSourceResponse(events.listen(last_event_id or after, of), ping=PING)


def _event(position: Position, state: ActionState, of: Namespaces) -> ServerSentEvent | None:
    """None = it is of another namespace. Where that can be, the id holds no running number: how
    many others recorded could be counted. Who goes on after it hears its last moment again."""
    if of is not None and state.get("controller")[1] not in of:
        return None
    said: dict[str, Any] = action_node(state).json()
    id_ = f"{position.stamp}-{0 if of is not None else position.number}"
    return ServerSentEvent(orjson.dumps(said).decode(), event="recorded", id=id_)


def _position(text: str) -> Position:
    stamp, _, number = text.partition("-")
    known = all(part.isdecimal() and len(part) <= 18 for part in (stamp, number))
    return Position(int(stamp), int(number)) if known else Position()
