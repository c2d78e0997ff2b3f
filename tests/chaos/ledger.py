"""The ledger: what was sent, and what was acknowledged, kept outside of the server.

One append-only file a process, so that a recorder killed in the middle of a line spoils no
other's. A report is written down as sent before it is, as acknowledged after it was.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Report = dict[str, Any]


class Ledger:
    """The file of one process; safe to share between its threads."""

    def __init__(self, folder: Path, name: str) -> None:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        self._file = os.open(folder / f"{name}-{os.getpid()}.ndjson", flags)

    def sent(self, reports: Mapping[str, Report]) -> None:
        self._write({"sent": dict(reports)})

    def acknowledged(self, ids: Iterable[str], seconds: float = 0.0) -> None:
        self._write({"acknowledged": list(ids), "seconds": seconds})

    def refused(self, why: str, seconds: float) -> None:
        """An answer that is none: the HTTP status of a problem, or what else there was."""
        self._write({"refused": why, "seconds": seconds})

    def damaged(self, ids: Iterable[str]) -> None:
        """Reports whose line on disk was spoilt: nobody can deliver these."""
        self._write({"damaged": list(ids)})

    def counted(self, counts: Mapping[str, int]) -> None:
        """What an outbox counted itself."""
        self._write({"counted": dict(counts)})

    def _write(self, entry: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(entry).encode() + b"\n")


@dataclass
class Book:
    """All ledgers of a round. A report is known by `<recorder>:<number>`."""

    sent: dict[str, Report] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    """Seconds of the answer that took longest."""

    @property
    def owed(self) -> dict[str, Report]:
        """What the store must hold."""
        return {id_: self.sent[id_] for id_ in sorted(self.acknowledged - self.damaged)}


def read(folder: Path) -> Book:
    book = Book()
    for path in sorted(folder.glob("*.ndjson")):
        for line in path.read_bytes().split(b"\n")[:-1]:  # the last may be torn
            entry = json.loads(line)
            book.sent.update(entry.get("sent", {}))
            book.acknowledged.update(entry.get("acknowledged", ()))
            book.damaged.update(entry.get("damaged", ()))
            book.counted.update(entry.get("counted", {}))
            book.slowest = max(book.slowest, entry.get("seconds", 0.0))
            if "refused" in entry:
                book.refused[entry["refused"]] += 1
    return book
