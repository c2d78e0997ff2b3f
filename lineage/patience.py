"""How long the server waits for a client that is slow, on purpose or not. Knows no request.

uvicorn waits for ever for the head of a first request and for a body, and reads heads of any
length. Here a request has to come within a time, and a little more for each byte of it; a
client that takes nothing of its answer for a minute is let go. One look at all connections each
second: a request costs no timer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 * 1024
"""Bytes of a request's first line and headers, give or take what came with them."""
SLOWEST = 16 * 1024
"""Bytes a second that a large body has to come with."""
STALLED = 60.0
"""Seconds in which a client has to take something of its answer."""


class Patient(HttpToolsProtocol):
    """A connection that knows since when it waits."""

    _since = 0.0
    _got = 0
    _head = _reading = True
    _unsent, _unsent_since = 0, 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = time.monotonic()

    def data_received(self, data: bytes) -> None:
        self._got += len(data)
        super().data_received(data)
        if self._head and self._reading and self._got > MOST_HEAD:
            self._give_up(431, "Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._since, self._got = time.monotonic(), 0
        self._head = self._reading = True

    def on_headers_complete(self) -> None:
        self._head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._reading = False
        super().on_message_complete()

    def look(self, now: float, limit: float) -> None:
        """Give up what has lasted too long."""
        if self.transport.is_closing():
            return
        # While the server itself does not read, it is not the client who is slow.
        waiting = self._reading and not self.flow.read_paused
        if waiting and now - self._since > limit + self._got / SLOWEST:
            self._give_up(408, "Request Timeout")
            return
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > STALLED:
            self.transport.abort()

    def _give_up(self, status: int, reason: str) -> None:
        self._reading = False
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete
                                                or not self.cycle.response_started):  # fmt: skip
            head = f"HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            self.transport.write(head.encode())
        self.transport.close()


def look(connections: Iterable[Any], limit: float) -> None:
    """`limit` = seconds that a request without a body may take to come."""
    now = time.monotonic()
    for connection in list(connections):
        if isinstance(connection, Patient):
            connection.look(now, limit)
