"""How values read: times, durations, versions, numbers. Pure; the clock is a parameter.

Times are microseconds since 1970 (UTC), as everywhere in this product.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
_MONTH, _YEAR = 30.44 * DAY, 365.25 * DAY
_STEPS = (
    (_YEAR, "year"),
    (_MONTH, "month"),
    (DAY, "day"),
    (HOUR, "hour"),
    (MINUTE, "minute"),
    (SECOND, "second"),
)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
# What XML 1.0 cannot hold in any form, lone surrogates, which no encoder takes, and the marks
# that turn the direction of what follows: they would turn our own words as well.
_UNSPEAKABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)


def clean(text: str) -> str:
    """The text as HTML, SVG and DOT can all carry it: one line, no control characters."""
    return _UNSPEAKABLE.sub("\ufffd", re.sub(r"\s+", " ", text)).strip()


def middle(text: str, most: int = 14) -> str:
    """Shortened in the middle, where ids differ least: `TCN4131…420416`."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[-tail:] if tail else ''}"


def version(value: str | None, most: int = 18) -> str:
    """A version as a chip shows it: `sha256:8be1…77`, the first 7 digits of a commit."""
    if not value:
        return ""
    algorithm, colon, digits = value.partition(":")
    if colon and len(digits) >= 32 and re.fullmatch("[0-9a-f]+", digits):
        return f"{algorithm}:{digits[:4]}…{digits[-2:]}"
    if _COMMIT.match(value):
        return value[:7]
    return middle(clean(value), most)


def count(number: int, noun: str) -> str:
    """`1 slot`, `4 slots`, `12,000 nodes`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(micros: float) -> str:
    """A length of time in its largest unit: `81 days`, `3 hours`."""
    for size, unit in _STEPS:
        # Two of a unit at least for the long ones: "14 months" says more than "1 year".
        if micros >= size * (2 if size >= _MONTH else 1):
            return count(int(micros / size), unit)
    return "under a second"


def ago(then: int, now: int) -> str:
    """`30 days ago`; also for a clock that runs ahead of ours."""
    if abs(now - then) < 5 * SECOND:
        return "just now"
    return f"{span(now - then)} ago" if now >= then else f"in {span(then - now)}"


def duration(micros: int) -> str:
    """`48 s`, `1 h 17 min`, `320 ms`: how long an action took."""
    if micros < SECOND:
        return f"{micros // 1000} ms"
    if micros < 2 * MINUTE:
        return f"{micros // SECOND} s"
    if micros < HOUR:
        return _two(micros, MINUTE, "min", SECOND, "s")
    if micros < 2 * DAY:
        return _two(micros, HOUR, "h", MINUTE, "min")
    return _two(micros, DAY, "d", HOUR, "h")


def _two(micros: int, large: int, word: str, small: int, rest: str) -> str:
    left = micros % large // small
    return f"{micros // large} {word}" + (f" {left} {rest}" if left else "")


def day(micros: int) -> str:
    """`5 Oct 2020`."""
    moment = _moment(micros)
    return f"{moment.day} {moment:%b} {moment.year}"


def utc(micros: int) -> str:
    """`5 Oct 2020, 18:24:06 UTC`: the exact time, for titles and details."""
    return f"{day(micros)}, {_moment(micros):%H:%M:%S} UTC"


def stamp(micros: int) -> str:
    """The machine-readable form for `<time datetime>`."""
    return _moment(micros).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def value(thing: Any) -> str:
    """A property or parameter: numbers short, truth in words."""
    if isinstance(thing, bool):
        return "yes" if thing else "no"
    if isinstance(thing, int):
        return f"{thing:,}" if abs(thing) >= 10_000 else str(thing)
    if isinstance(thing, float):
        return f"{thing:.4g}"
    return str(thing)


def initial(text: str) -> str:
    return text[:1].upper() + text[1:]


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // SECOND, UTC)
