"""How much one asker may ask: a bucket of tries that fills again. Pure; the clock is given.

Every process counts for itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

MOST = 10_000
"""Askers that are remembered, those that asked last."""


class Buckets:
    """`rate` tries a second for each asker, and `burst` at once. A bucket that is full again is
    as good as forgotten, so forgetting the oldest costs an attacker thousands of addresses."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, asker: str) -> float:
        """Take one; the seconds to wait if there is none (0 = there was)."""
        now = self._clock()
        left, at = self._left.pop(asker, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._left[asker] = (left if wait else left - 1, now)
        if len(self._left) > MOST:
            self._left.popitem(last=False)
        return wait
