"""The slider over the recorded past: the moments at which something changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lineage.graph import ActionNode
from ui import words

MOST = 200
"""Steps of the slider; where more happened, several changes share one."""
_TALL = frozenset({"deploy", "sync"})


@dataclass(frozen=True, slots=True)
class Moment:
    """A step: the page as it was from `at` (µs) on, and what happened since the step before."""

    at: int
    says: str
    tall: bool

    @property
    def text(self) -> str:
        return words.stamp(self.at + 999_999)  # no moment before it, with whole seconds


@dataclass(frozen=True, slots=True)
class Clock:
    """`chosen` is the step the page shows; one behind the last moment it is now."""

    moments: tuple[Moment, ...]
    chosen: int


def clock(actions: Iterable[ActionNode], as_of: int | None) -> Clock | None:
    """From the ends of these actions; None where there is no past to look at."""
    ended = sorted((a for a in actions if a.ended is not None), key=lambda a: (a.ended, a.id))
    if len({action.ended for action in ended}) < 2:
        return None
    size = -(-len(ended) // MOST)
    steps = [ended[n : n + size] for n in range(0, len(ended), size)]
    moments = tuple(_moment(step) for step in steps)
    passed = len(moments) if as_of is None else sum(m.at <= as_of for m in moments) - 1
    return Clock(moments, max(passed, 0))


def _moment(step: list[ActionNode]) -> Moment:
    last = step[-1]
    at = last.ended or last.started
    says = f"{words.day(at)}: {last.type} {words.middle(words.clean(last.name), 60)}"
    more = f" and {len(step) - 1} more" if len(step) > 1 else ""
    return Moment(at, says + more, any(action.type in _TALL for action in step))
