"""Who is alone in a store: a removal never runs while a group is planned or committed.

A plan names artifacts by MLMD's numbers, and MLMD takes an edge to a number that is gone
without a word (docs/mlmd.md, trap 7). So groups are *inside* from the look-up to the commit,
and whoever removes something is *alone* for one transaction. Between processes; a lock of
one that dies is released. Knows nothing of what is done inside.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from lineage.address import Address


class Gate(Protocol):
    def enter(self) -> None:
        """Be inside, with others; waits while somebody is alone, or wants to be."""
        ...

    def leave(self) -> None: ...


class NoGate:
    """Where nothing is ever removed."""

    def enter(self) -> None: ...

    def leave(self) -> None: ...

    def close(self) -> None: ...


def gate_of(store: str) -> NoGate | FileGate:
    """On a server nothing is removed yet."""
    return NoGate() if Address.parse(store) else FileGate(store)


class FileGate:
    """The gate of a SQLite store. Thread-safe.

    Two lock files: who wants to be alone takes the *turn*, which lets nobody new in, and then
    waits for the *room* to be empty. Groups overlap without end, so one lock would starve it.
    """

    def __init__(self, store: str) -> None:
        self._turn = os.open(store + ".turn", os.O_RDWR | os.O_CREAT, 0o600)
        self._room = os.open(store + ".room", os.O_RDWR | os.O_CREAT, 0o600)
        self._inside = 0
        self._counting = threading.Lock()

    def enter(self) -> None:
        # Outside the lock that `leave` needs: whoever is inside must be able to go.
        fcntl.flock(self._turn, fcntl.LOCK_SH)
        fcntl.flock(self._turn, fcntl.LOCK_UN)
        with self._counting:
            if not self._inside:
                fcntl.flock(self._room, fcntl.LOCK_SH)
            self._inside += 1

    def leave(self) -> None:
        with self._counting:
            self._inside -= 1
            if not self._inside:
                fcntl.flock(self._room, fcntl.LOCK_UN)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody is inside for as long as the block runs. Not for two threads of one object."""
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._room, fcntl.LOCK_UN)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._turn)
        os.close(self._room)
