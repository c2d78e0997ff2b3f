"""Moments as records and questions write them: microseconds since 1970, and RFC 3339. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from lineage.errors import BadRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


_FIRST, _LAST = (microseconds(d.replace(tzinfo=UTC)) for d in (datetime.min, datetime.max))


def iso(micros: int) -> str:
    """`2020-07-23T17:45:27Z`, with a fraction only where there is one."""
    seconds, fraction = divmod(micros, 1_000_000)
    days, seconds = divmod(seconds, 86_400)
    minutes, seconds = divmod(seconds, 60)
    text = f"{_date(days)}T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    return text + (f".{fraction:06}".rstrip("0") if fraction else "") + "Z"


@lru_cache(maxsize=4096)
def _date(days: int) -> str:
    return (_EPOCH + timedelta(days)).date().isoformat()


def asked(place: str, text: str) -> int:
    """The moment somebody asks about, in µs; a bare date is its beginning, and UTC is meant.

    `place` names where it stood. In a query string an unescaped + arrives as a blank.
    """
    text = text.strip()
    try:
        found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError as error:
        raise BadRequest(
            f"{place}: not a time; write 2020-08-01 or 2020-08-01T12:00:00Z"
        ) from error
    micros = microseconds(found if found.tzinfo else found.replace(tzinfo=UTC))
    if not _FIRST <= micros <= _LAST:  # the zone leads over the edge of the calendar
        raise BadRequest(f"{place}: times lie between the years 1 and 9999")
    return micros
