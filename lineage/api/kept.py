"""Answers that are kept as long as nothing is recorded: what is live is asked for all the time.

Knows questions as texts and answers as bytes, not what they mean.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from lineage.store.ports import Reader

MOST_BYTES = 16 * 1024 * 1024


class Kept:
    """The answers of one state of the store, the latest asked for last."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._lock = Lock()
        self._most = most
        self._state: object = None
        self._answers: OrderedDict[str, bytes] = OrderedDict()

    def answer(self, question: str, reader: Reader, make: Callable[[], bytes]) -> bytes:
        """The answer, made unless it is known. Who asks at the same time waits for it."""
        with self._lock:
            # Looked at before the answer is made: what is recorded meanwhile makes it void.
            state = reader.state()
            if state is None:
                return make()
            if state != self._state:
                self._state = state
                self._answers.clear()
            if question not in self._answers:
                self._answers[question] = make()
            self._answers.move_to_end(question)
            while len(self._answers) > 1 and sum(map(len, self._answers.values())) > self._most:
                self._answers.popitem(last=False)
            return self._answers[question]
