"""Delivers what waits in an outbox: in order, in batches, once. Knows no controller, no thread.

One process at a time delivers, whoever takes the lock first, and it delivers the segments
of all, those of dead processes too. What the server refuses for good is kept beside, with
its reason, and does not stop the rest.
"""

from __future__ import annotations

import heapq
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from controllers_hooks import segments
from controllers_hooks.segments import Frame
from lineage.errors import LineageError, StoreUnavailable

if TYPE_CHECKING:
    from controllers_hooks.outbox import Statistics
    from lineage.client import Client

MAX_LINES = 1_000
MAX_BYTES = 4 * 2**20
PATIENCE = 5
"""So often a record may fail (5xx) while others beside it pass, before it is put aside."""
OF_THE_BATCH = (400, 413, 422)
"""What a server answers when the batch itself is at fault; anything else may pass by."""
NO_ROOM = 507
"""The disk of the store is full, which says nothing about the record."""

_log = logging.getLogger("lineage.hook")


class Delivery:
    """Moves reports from one directory to one server; `counts` says how many."""

    def __init__(self, directory: Path, client: Client, counts: Statistics) -> None:
        self._directory = directory
        self._client = client
        self._counts = counts
        self._failures = 0

    def drain(self, all: bool = True) -> bool:
        """Deliver what waits; False when another process is at it. `all` = not only until
        a batch was not full.

        Raises:
            LineageError: the server is away or not well; what waits stays.
        """
        if not self._directory.exists():
            return True
        with segments.delivering(self._directory) as ours:
            frames: list[Frame] = []
            while ours and (frames := self._next()):
                self._deliver([frame for frame in frames if frame.payload is not None])
                self._aside([frame for frame in frames if frame.payload is None])
                for segment, end in {f.segment: f.end for f in frames}.items():
                    segment.advance(end)
                if not all and len(frames) < MAX_LINES:
                    break
            if ours:
                self._clean(nothing_left=not frames)
        return ours

    def _next(self) -> list[Frame]:
        """The oldest reports of all segments, in the order of their time."""
        # Reports written from now on wait for the next round: while one segment is read,
        # another may already hold a later report of the same action.
        now = time.time_ns()
        waiting = [s.frames() for s in segments.segments(self._directory) if s.waiting]
        out: list[Frame] = []
        size = 0
        for frame in heapq.merge(*waiting, key=lambda frame: frame.stamp):
            size += len(frame.line)
            # A minute ahead is no race but a clock that was set back.
            late = now < frame.stamp < now + 60 * 10**9
            if late or len(out) == MAX_LINES or (out and size > MAX_BYTES):
                break
            out.append(frame)
        return out

    def _deliver(self, frames: list[Frame]) -> None:
        if not frames:
            return
        try:
            answer = self._client.batch(b"\n".join(f.payload for f in frames if f.payload))
        except LineageError as error:
            if error.status not in OF_THE_BATCH:
                raise
            if len(frames) > 1:  # find the one at fault
                half = len(frames) // 2
                self._deliver(frames[:half])
                self._deliver(frames[half:])
            else:
                self._refuse([(frames[0], error.status, error.detail)])
            return
        refused = [
            (frames[result["index"]], int(result["status"]), str(result["error"].get("detail")))
            for result in (answer["results"] if answer["failed"] else ())
            if result.get("error")
        ]
        if any(status == NO_ROOM for _, status, _ in refused):
            raise StoreUnavailable(refused[0][2])
        if any(status >= 500 for _, status, _ in refused):
            self._failures += 1
            if len(refused) == len(frames) or self._failures < PATIENCE:
                raise StoreUnavailable(refused[0][2])
        self._failures = 0
        self._refuse(refused)
        self._counts.delivered += len(frames) - len(refused)

    def _refuse(self, refused: list[tuple[Frame, int, str]]) -> None:
        if not refused:
            return
        segments.keep_rejected(
            self._directory, [(f.payload or b"", n, why) for f, n, why in refused]
        )
        self._counts.rejected += len(refused)
        _log.error(
            "the server refused %d report(s), kept in %s; the first: %s",
            len(refused), self._directory / "rejected.ndjson", refused[0][2],
        )  # fmt: skip

    def _aside(self, frames: list[Frame]) -> None:
        if frames:
            segments.keep_corrupt(self._directory, [frame.line for frame in frames])
            self._counts.corrupt += len(frames)
            _log.error(
                "%d damaged line(s) are kept in %s", len(frames), self._directory / "corrupt"
            )

    def _clean(self, nothing_left: bool) -> None:
        for segment in segments.segments(self._directory):
            if (nothing_left or not segment.waiting) and segment.remove_if_abandoned():
                self._counts.torn += 1
                _log.warning("a report of %s was cut off by a crash", segment.path.name)
