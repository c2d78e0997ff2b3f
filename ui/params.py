"""Query parameters of the pages, each with an error that says what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from lineage.errors import BadRequest
from lineage.graph import Direction
from lineage.times import microseconds


def moment(text: str, name: str = "as_of") -> int | None:
    """An ISO time; a bare date is its beginning, 00:00 UTC, as everywhere; empty = now."""
    text = text.strip()
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        parsed = parsed.astimezone(UTC)
        if parsed.year < 1970:
            raise ValueError("before 1970")
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"{name}={text[:40]!r} is not a date; write 2020-07-10 or 2020-07-10T12:00:00Z"
        ) from error
    return microseconds(parsed)


def direction(text: str) -> Direction:
    if text not in ("upstream", "downstream", "both"):
        raise BadRequest(f"direction={text[:40]!r} is none; write upstream, downstream or both")
    return text  # type: ignore[return-value]  # narrowed by the test above


def choice(text: str, name: str, of: Sequence[str]) -> str:
    """One of a few words."""
    if text not in of:
        raise BadRequest(f"{name}={text[:40]!r} is none of {', '.join(of)}")
    return text


def number(text: str, name: str, least: int, most: int) -> int | None:
    """A whole number within bounds; empty = not given."""
    text = text.strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
        raise BadRequest(f"{name}={text[:40]!r} must be a whole number from {least} to {most}")
    return int(text)
