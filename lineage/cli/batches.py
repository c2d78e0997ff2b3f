"""Many records to a server: whole lines in bounded batches, a few of them in flight.

The lines go as they are; only the server parses them. Several in flight, so that it
can read one while it commits another.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lineage.client import Client
from lineage.errors import (
    BadRequest,
    InvalidRecord,
    LineageError,
    StoreUnavailable,
    TooLarge,
)

MAX_LINES = 2_000
MAX_BYTES = 4 * 2**20
IN_FLIGHT = 3
PATIENCE = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts while the store is busy; a replay is harmless."""


class Batch(NamedTuple):
    """Lines of one file, with the number of each (from 1; blank lines are not sent)."""

    file: str
    numbers: list[int]
    body: bytes


class Failure(NamedTuple):
    file: str
    line: int
    message: str


@dataclass(slots=True)
class Tally:
    """What became of the records; `counts` by outcome: created, merged, unchanged, failed."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        names = ("created", "merged", "unchanged", "failed")
        return {
            "received": sum(self.counts.values()),
            **{name: self.counts[name] for name in names},
            "failures": [failure._asdict() for failure in self.failures],
        }


def batches(file: str, lines: Iterable[bytes]) -> Iterator[Batch]:
    """The lines in batches within the bounds; a longer line goes alone, for the server to judge."""
    numbers: list[int] = []
    kept: list[bytes] = []
    size = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if kept and (len(kept) == MAX_LINES or size + len(line) > MAX_BYTES):
            yield Batch(file, numbers, b"".join(kept))
            numbers, kept, size = [], [], 0
        numbers.append(number)
        kept.append(line if line.endswith(b"\n") else line + b"\n")
        size += len(line)
    if kept:
        yield Batch(file, numbers, b"".join(kept))


def send(
    client: Client, pieces: Iterable[Batch], done: Callable[[Batch], None] = lambda batch: None
) -> Tally:
    """Send them all. `done` is called after each.

    Raises:
        LineageError: the server is gone or keeps refusing; says what was not recorded.
    """
    tally = Tally()
    flying: deque[tuple[Batch, Future[dict[str, Any]]]] = deque()
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for batch in pieces:
            if len(flying) == IN_FLIGHT:
                _land(tally, *flying.popleft(), done)
            flying.append((batch, pool.submit(_deliver, client, batch)))
        while flying:
            _land(tally, *flying.popleft(), done)
    return tally


def _deliver(client: Client, batch: Batch) -> dict[str, Any]:
    for pause in PATIENCE:
        try:
            return client.batch(batch.body, verdicts="failed")
        except StoreUnavailable:
            time.sleep(pause)
    return client.batch(batch.body, verdicts="failed")


def _land(
    tally: Tally, batch: Batch, future: Future[dict[str, Any]], done: Callable[[Batch], None]
) -> None:
    try:
        answer = future.result()
    except (BadRequest, InvalidRecord, TooLarge) as error:
        # The batch as a whole was refused; others may still be fine.
        tally.counts["failed"] += len(batch.numbers)
        tally.failures += (Failure(batch.file, n, error.detail) for n in batch.numbers)
    except LineageError as error:
        raise type(error)(
            f"{error.detail} (stopped at {batch.file} line {batch.numbers[0]}; run the same "
            "command again to go on: what is recorded already stays as it is)"
        ) from error
    else:
        for outcome in ("created", "merged", "unchanged", "failed"):
            tally.counts[outcome] += answer[outcome]
        if answer["failed"]:
            tally.failures += _failures(batch, answer["results"])
    done(batch)


def _failures(batch: Batch, results: Iterable[dict[str, Any]]) -> Iterator[Failure]:
    for result in results:
        if error := result.get("error"):
            detail = str(error.get("detail", "refused"))
            yield Failure(batch.file, batch.numbers[result["index"]], detail)
