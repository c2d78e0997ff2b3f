"""The audit log: who wrote what, when, from where, and what became of it; one JSON object a line.

Never a token, never the contents of a record. A line is at most `LONGEST` bytes: what is longer
is cut in its middle, and says so. Rotating the file is the operator's: it is opened again when
another has its name.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
from collections.abc import Iterable
from datetime import datetime

LONGEST = 4096
_TEXT, _EDGE = 800, 32


class Audit:
    """Appends to a file; `-` = standard output. Safe to share between threads."""

    def __init__(self, path: str) -> None:
        """
        Raises:
            OSError: the file cannot be written.
        """
        self._handler: logging.Handler = (
            logging.StreamHandler(sys.stdout)
            if path == "-"
            else logging.handlers.WatchedFileHandler(path, encoding="utf-8")
        )

    def write(self, lines: Iterable[str]) -> None:
        """What cannot be written is told on standard error; recording goes on."""
        text = "\n".join(lines)
        if text:
            self._handler.handle(logging.LogRecord("audit", 20, "", 0, text, None, None))

    def close(self) -> None:
        self._handler.close()


def line(
    at: datetime, who: str, address: str, did: str, key: str, outcome: str, status: int
) -> str:
    """One line. `did` = what was asked, `key` = of which action ("" = of none)."""
    return json.dumps(
        {
            "at": at.isoformat(timespec="milliseconds"),
            "who": _cut(who),
            "address": _cut(address),
            "did": _cut(did),
            "key": _cut(key),
            "outcome": outcome,
            "status": status,
        }
    )


def _cut(text: str) -> str:
    """Bounded as it is written, where a character may be twelve of JSON."""
    if len(json.dumps(text)) <= _TEXT:
        return text
    return f"{text[:_EDGE]}…{text[-_EDGE:]}"
