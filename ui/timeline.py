"""A slot's past as blocks on one line: width is time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lineage.queries.serving.timeline import Period
from ui import names, words

WIDTH, LEAST, GAP = 150.0, 2.0, 1.5
_MOST_OF_IT = 0.5
MOST = 24
"""Blocks drawn; of a longer past the latest, and the drawing's title says so."""


@dataclass(frozen=True, slots=True)
class Block:
    x: float
    width: float
    current: bool
    says: str


@dataclass(frozen=True, slots=True)
class Timeline:
    blocks: tuple[Block, ...]
    torn: bool
    """The present block is longer than there was room for; it is drawn with a torn end."""
    says: str


def timeline(past: Sequence[Period], now: int) -> Timeline:
    """The periods from the first known to `now`. Of those that shared the traffic each is
    drawn until the next began."""
    periods = sorted(past, key=lambda p: p.since)[-MOST:]
    if not periods:
        return Timeline((), False, "No history")
    ends = [p.until or now for p in periods]
    nexts = [*(p.since for p in periods[1:]), now]
    spans = [
        max(1, min(end, next_) - p.since)
        for p, end, next_ in zip(periods, ends, nexts, strict=True)
    ]
    before = sum(spans[:-1])
    # A model that has been live for years must not squeeze its predecessors to nothing.
    torn = len(spans) > 1 and spans[-1] > before * _MOST_OF_IT / (1 - _MOST_OF_IT)
    shares = [float(s) for s in spans]
    if torn:
        shares[-1] = before * _MOST_OF_IT / (1 - _MOST_OF_IT)
    room = WIDTH - (LEAST + GAP) * len(shares)
    blocks, x = [], 0.0
    for period, share in zip(periods, shares, strict=True):
        width = LEAST + room * share / sum(shares)
        what = ", ".join(names.short(m) for m in period.models) or "unknown model"
        end = "now" if period.until is None else words.day(period.until)
        length = words.span((now if period.until is None else period.until) - period.since)
        says = f"{what}: {words.day(period.since)} – {end}, {length}"
        blocks.append(Block(round(x, 1), round(width, 1), period is periods[-1], says))
        x += width + GAP
    says = words.count(len(periods), "period") + f" since {words.day(periods[0].since)}"
    says += "; older ones are not drawn" if len(periods) == MOST else ""
    says += "; the last block is cut short" if torn else ""
    return Timeline(tuple(blocks), torn, says)
