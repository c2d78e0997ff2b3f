"""Lengths of time as people write and read them: `24h`, `1h30m`, `2 d 3 h`. Pure; in µs."""

from __future__ import annotations

import re

from lineage.errors import BadRequest

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MOST = 36_500 * DAY

_UNITS = {"ms": SECOND // 1000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_PART = r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d|w)"


def parse(name: str, text: str) -> int:
    """The span that the parameter `name` gives, as Go writes durations, and with days and weeks.

    Raises:
        BadRequest: it is none, or over a hundred years.
    """
    text = text.strip()
    if not re.fullmatch(f"(?:{_PART})+", text):
        raise BadRequest(f"{name}: not a length of time; write 24h, 90m, 1h30m or 7d")
    span = sum(round(float(number) * _UNITS[unit]) for number, unit in re.findall(_PART, text))
    if span > MOST:
        raise BadRequest(f"{name}: at most a hundred years")
    return span


def words(span: int) -> str:
    """`48 s`, `17 min`, `25 h 3 min`, `8 d 2 h`: in its two largest units."""
    for size, name, part, short in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", SECOND, "s"),
    ):
        # Up to two days in hours: `25 h` is easier to compare with a limit of `24 h`.
        if span >= (2 * DAY if size == DAY else size):
            rest = span % size // part
            return f"{span // size} {name}" + (f" {rest} {short}" if rest else "")
    return f"{span // SECOND} s" if span >= SECOND else "under a second"
