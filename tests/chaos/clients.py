"""Clients that behave badly, on plain sockets: one byte at a time, or gone in the middle."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from .ledger import Ledger, Report
from .reports import reports

if TYPE_CHECKING:
    from .rounds import Round

SLOW = 3
HALF = 8
PIECES = 100
TIMEOUT = 60.0


def slow(round_: Round, chance: random.Random) -> None:
    """They send a report in a hundred small pieces; each is acknowledged like any other."""
    ledger = Ledger(round_.ledger, f"slow{chance.random()}")
    made = reports(round_.seed, f"slow{chance.randrange(10**6)}", time.time)
    ways: list[tuple[socket.socket, bytes, str]] = []
    for _ in range(SLOW):
        id_, report = next(made)
        ledger.sent({id_: report})
        ways.append((_connect(round_), _request(report), id_))
    for piece in range(PIECES):
        for way, request, _ in ways:
            _send(
                way, request[piece * len(request) // PIECES : (piece + 1) * len(request) // PIECES]
            )
        time.sleep(0.005)
    for way, _, id_ in ways:
        status = _status(way)
        if status in (200, 201):
            ledger.acknowledged([id_])
        else:
            ledger.refused(f"{status} in a slow answer" if status else "unreachable", 0.0)
        way.close()


def half_open(round_: Round, chance: random.Random) -> None:
    """They go away in the middle of a report: by a reset, an end, or in silence. Such a report
    was not sent, so it stands in no ledger, and nothing may come of it."""
    made = reports(round_.seed, f"half{chance.randrange(10**6)}", time.time)
    silent = []
    for _ in range(HALF):
        request = _request(next(made)[1])
        way = _connect(round_)
        _send(way, request[: chance.randrange(1, len(request))])
        manner = chance.choice(("reset", "end", "silence"))
        if manner == "silence":
            silent.append(way)
            continue
        if manner == "reset":
            way.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        way.close()
    time.sleep(chance.uniform(0.1, 1.0))
    for way in silent:
        way.close()


def _connect(round_: Round) -> socket.socket:
    """Retried: the server may just be starting."""
    place = urlsplit(round_.system.apis[0].url)
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return socket.create_connection((place.hostname, place.port), TIMEOUT)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _request(report: Report) -> bytes:
    body = json.dumps(report).encode()
    head = (
        f"PUT /api/v1/actions/{quote(report['key'], safe='')} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _send(way: socket.socket, data: bytes) -> None:
    try:
        way.sendall(data)
    except OSError:
        return  # the server is gone, or has had enough: then there is no acknowledgement


def _status(way: socket.socket) -> int:
    """Of the answer; 0 = there was none."""
    try:
        return int(way.recv(65536).split(b" ", 2)[1])
    except (OSError, IndexError, ValueError):
        return 0
