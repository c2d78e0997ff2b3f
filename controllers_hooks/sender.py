"""The thread that delivers, with patience. What only sending needs is imported here, on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controllers_hooks.outbox import Statistics
    from lineage.client import Client

LINGER = 0.05
BUSY = 0.2
LONGEST_PAUSE = 60.0

_log = logging.getLogger("lineage.hook")


class Sender:
    """A daemon thread that delivers whenever there is something to deliver."""

    def __init__(self, directory: Path, connect: Callable[[], Client], counts: Statistics) -> None:
        self._directory, self._connect, self._counts = directory, connect, counts
        self._work, self._hurry, self._lock = Event(), Event(), Lock()
        self._thread: Thread | None = None

    def again(self, counts: Statistics) -> Sender:
        """One for a forked child, which has no thread and must not use the parent's connection."""
        return Sender(self._directory, self._connect, counts)

    def start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._work.set()
                self._thread = Thread(target=self._run, name="lineage-outbox-send", daemon=True)
                self._thread.start()

    def notice(self) -> None:
        """There is something to deliver."""
        if not self._work.is_set():
            self._work.set()

    def hurry(self) -> None:
        """Somebody waits: no lingering, no pausing."""
        self.start()
        self._work.set()
        self._hurry.set()

    def _run(self) -> None:
        from controllers_hooks.delivery import Delivery

        delivery = Delivery(self._directory, self._connect(), self._counts)
        pauses: Iterator[float] | None = None
        while self._work.wait():
            self._hurry.wait(LINGER)  # so that what comes together goes together
            self._work.clear()
            self._hurry.clear()
            try:
                ours = delivery.drain(all=False)
            except Exception as error:  # whatever it is, the reports are safe and wait
                pauses = pauses or self._outage(error)
                self._hurry.wait(next(pauses))
                self._work.set()
                continue
            if pauses:
                _log.warning("the reports in %s are being delivered again", self._directory)
                pauses = self._counts.last_error = None
            if not ours:
                self._hurry.wait(BUSY)
                self._work.set()

    def _outage(self, error: Exception) -> Iterator[float]:
        self._counts.outages += 1
        self._counts.last_error = str(error)
        # Once an outage: a server that is away for a day must not fill the log.
        _log.warning("reports wait in %s: %s", self._directory, error)
        return _pauses()


def _pauses() -> Iterator[float]:
    """Seconds until the next attempt: doubled each time, and never the same for two of us."""
    import random

    pause = 0.5
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        pause = min(pause * 2, LONGEST_PAUSE)
