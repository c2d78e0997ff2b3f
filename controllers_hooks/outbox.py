"""The outbox: reports are on disk before the controller goes on, and leave from there.

`Outbox.put` is what a controller pays for a report: one frame, one write. The kernel has
it then, so the death of the process loses nothing. Everything slow happens on two daemon
threads: one writes through to the disk (`fsync`), one delivers (`controllers_hooks.sender`).
Knows no record and no HTTP.
"""

from __future__ import annotations

import atexit
import logging
import os
import time
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from controllers_hooks import segments

if TYPE_CHECKING:
    from controllers_hooks.sender import Sender

SEGMENT = 4 * 2**20
MAX_RECORD = 4 * 2**20
RESERVED = 0.2
"""This part of the bound only the last report of an action may use."""
SYNC_EVERY = 0.05
HURRY_EVERY = 0.2
AT_EXIT = 5.0

_log = logging.getLogger("lineage.hook")


@dataclass(slots=True)
class Statistics:
    """What became of the reports of this process, and what waits in the directory.

    `refused` are `running` reports that met a full outbox, `dropped` are last ones;
    `rejected` were not taken by the server and are kept, `corrupt` and `torn` are lines
    that a crash damaged.
    """

    recorded: int = 0
    refused: int = 0
    dropped: int = 0
    delivered: int = 0
    rejected: int = 0
    corrupt: int = 0
    torn: int = 0
    outages: int = 0
    waiting_bytes: int = 0
    last_error: str | None = None

    def json(self) -> dict[str, Any]:
        return asdict(self)


class Outbox:
    """One directory, shared by all threads and processes of a controller."""

    def __init__(self, directory: Path, limit: int = 256 * 2**20) -> None:
        """`limit`: the most bytes that may wait. Touches no disk before the first report."""
        self.directory = directory
        self.limit = limit
        self.counts = Statistics()
        self._others = 0
        self._sender: Sender | None = None
        self._fresh()
        _outboxes.add(self)

    def _fresh(self) -> None:
        """Nothing open, no thread: at the start, and in a forked child."""
        self._lock, self._closing = Lock(), Lock()
        self._descriptor: int | None = None
        self._written = 0
        self._last = 0
        self._old: list[int] = []
        self._unsynced = Event()
        self._full = False
        self._syncing = False

    def deliver_with(self, sender: Sender) -> None:
        """Let this sender deliver, from the first report on (or now, if some were left)."""
        self._sender = sender
        if segments.segments(self.directory):
            sender.start()

    def put(self, payload: bytes, last: bool) -> bool:
        """Keep one report; False when there was no room. `last` = it ends its action.

        Raises:
            OSError: the disk refused it.
        """
        with self._lock:
            if room := self._room(len(payload), last):
                # Times only grow, so that the reports of one process stay in order.
                self._last = max(time.time_ns(), self._last + 1)
                self._write(segments.frame(self._last, payload))
                self.counts.recorded += 1
        if not self._unsynced.is_set():  # also when it is full: there may be room by now
            self._unsynced.set()
            if not self._syncing:
                self._start()
        if self._sender is not None:
            self._sender.notice()
        return room

    def statistics(self) -> Statistics:
        """A copy, with what waits in the directory now."""
        self.counts.waiting_bytes = segments.waiting(self.directory)
        return Statistics(**asdict(self.counts))

    def flush(self, timeout: float) -> bool:
        """Wait until all that is there now was answered by the server; False if it was not."""
        deadline = time.monotonic() + timeout
        goals = [(s, s.size) for s in segments.segments(self.directory)]
        hurried = 0.0
        while goals := [(s, end) for s, end in goals if s.size and s.delivered < end]:
            now = time.monotonic()
            if self._sender is None or now >= deadline:
                return False
            if now - hurried >= HURRY_EVERY:  # not all the time: the server may be away
                self._sender.hurry()
                hurried = now
            time.sleep(0.005)
        return True

    def close(self) -> None:
        """Let go of the segment, and remove it if all of it is delivered."""
        with self._lock:
            self._retire()
        self._sync()
        for segment in segments.segments(self.directory):
            if not segment.waiting:
                segment.remove_if_abandoned()

    def _room(self, length: int, last: bool) -> bool:
        bound = self.limit if last else self.limit * (1 - RESERVED)
        room = length <= MAX_RECORD and self._others + self._written + length <= bound
        if not room:
            self.counts.dropped += last
            self.counts.refused += not last
            if not self._full:  # once, until there is room again
                _log.error(
                    "the outbox %s is full (%d bytes may wait): reports are being lost; "
                    "check LINEAGE_URL or raise LINEAGE_OUTBOX_SIZE", self.directory, self.limit,
                )  # fmt: skip
        self._full = not room
        return room

    def _write(self, line: bytes) -> None:
        if self._descriptor is None or self._written + len(line) > SEGMENT:
            self._retire()
            self._descriptor = segments.create(self.directory)
        try:
            whole = os.write(self._descriptor, line) == len(line)
        except OSError:
            self._retire()
            raise
        if not whole:  # the disk is full: the torn line ends this segment
            self._retire()
            raise OSError(28, "No space left on device")
        self._written += len(line)

    def _retire(self) -> None:
        if self._descriptor is not None:
            self._old.append(self._descriptor)
            self._others += self._written
        self._descriptor, self._written = None, 0

    def _start(self) -> None:
        self._syncing = True
        Thread(target=self._keep_synced, name="lineage-outbox-sync", daemon=True).start()
        if self._sender is not None:
            self._sender.start()

    def _keep_synced(self) -> None:
        unsynced = self._unsynced
        while unsynced.wait():
            unsynced.clear()
            try:
                self._sync()
            except Exception as error:
                _log.warning("the outbox %s cannot be synced: %s", self.directory, error)
            time.sleep(SYNC_EVERY)

    def _sync(self) -> None:
        """Write through to the disk, and see how much waits. Only this closes descriptors."""
        with self._closing:
            with self._lock:
                old, self._old = self._old, []
                current = self._descriptor
            for descriptor in old:
                try:
                    os.fsync(descriptor)
                finally:
                    segments.close(descriptor)
            if current is not None:
                os.fsync(current)
                if os.fstat(current).st_nlink == 0:
                    self._removed(current)
        # What all processes left there, less what `_written` counts as it is written.
        all_ = segments.waiting(self.directory)
        with self._lock:
            self._others = all_ - self._written

    def _removed(self, descriptor: int) -> None:
        _log.error("somebody removed a segment of %s: its reports are lost", self.directory)
        with self._lock:
            if self._descriptor == descriptor:
                self._retire()

    def _after_fork(self) -> None:
        """A child writes a segment of its own, and delivers on a connection of its own."""
        self._fresh()
        self.counts = Statistics()
        if self._sender is not None:
            self._sender = self._sender.again(self.counts)


_outboxes: weakref.WeakSet[Outbox] = weakref.WeakSet()


def _forked() -> None:
    for outbox in list(_outboxes):
        outbox._after_fork()


os.register_at_fork(after_in_child=_forked)


@atexit.register
def _flush_all() -> None:
    """A short job may be all that ever runs on this disk: give its reports a moment."""
    deadline = time.monotonic() + AT_EXIT
    for outbox in list(_outboxes):
        try:
            if outbox.counts.recorded:
                outbox.flush(max(deadline - time.monotonic(), 0.0))
            outbox.close()
        except Exception as error:
            _log.warning("the outbox %s could not be closed: %s", outbox.directory, error)
