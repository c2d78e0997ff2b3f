"""Delivers actions to the server until they are there. Knows no Kubernetes.

An observer may wait: what it has not delivered it still sees in the cluster.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from threading import Event as Flag

from lineage.client import Client
from lineage.errors import LineageError
from lineage.model import Action

_log = logging.getLogger("lineage.observe")
MOST = 500
PATIENCE = (0.2, 30.0)
"""Seconds before the first and before any later attempt, doubling in between."""


class Delivery:
    """`counts`: created, merged, unchanged, failed (refused by the server, and logged)."""

    def __init__(self, client: Client, stop: Flag) -> None:
        self.counts: Counter[str] = Counter()
        self._client = client
        self._stop = stop

    def deliver(self, actions: Sequence[Action]) -> bool:
        """Send them in order; True = the server has them (or refused some for good), False =
        told to stop before it answered."""
        parts = [actions[n : n + MOST] for n in range(0, len(actions), MOST)]
        return all(self._send(part) for part in parts)

    def _send(self, actions: Sequence[Action]) -> bool:
        lines = [a.model_dump_json(exclude_defaults=True).encode() + b"\n" for a in actions]
        pause, most = PATIENCE
        while True:
            try:
                answer = self._client.batch(b"".join(lines))
            except LineageError as error:
                if error.status == 413 and len(actions) > 1:
                    half = len(actions) // 2
                    return self._send(actions[:half]) and self._send(actions[half:])
                _log.warning("%d records wait: %s", len(actions), error)
                if self._stop.wait(pause * random.uniform(0.5, 1)):  # noqa: S311  spreads
                    return False
                pause = min(pause * 2, most)
                continue
            self._count(answer["results"])
            return True

    def _count(self, results: Sequence[dict[str, object]]) -> None:
        for one in results:
            self.counts[str(one.get("outcome") or "failed")] += 1
            if error := one.get("error"):
                _log.error("%s is refused: %s", one.get("key"), error)
