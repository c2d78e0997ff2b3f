"""What is recorded: reports of keys of one's own, and of keys that several recorders share.

A shared key is merged from all of them: each adds an input and a parameter of its own, and
says a `state` that the others may contradict. Pure but for the clock it is given.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

SHARED = 12
"""Keys that all recorders of a round report about."""
TEXTS = ("plain", "", "naïve ☃", "back\\slash", "a 'quoted' \"one\"", "%s {} $1 --", "line\nline")


def reports(
    seed: int, recorder: str, clock: Callable[[], float]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Without end: (id, report). `clock` gives seconds since 1970."""
    chance = random.Random(f"{seed}/{recorder}")
    number = 0
    while True:
        draw = chance.random()
        if draw < 0.3:
            key = f"chaos/{seed}/shared/{chance.randrange(SHARED)}"
        elif draw < 0.45 and number:  # an earlier one once more
            key = f"chaos/{seed}/{recorder}/{chance.randrange(number)}"
        else:
            key = f"chaos/{seed}/{recorder}/{number}"
        yield f"{recorder}:{number}", _report(chance, seed, recorder, number, key, clock())
        number += 1


def _report(
    chance: random.Random, seed: int, recorder: str, number: int, key: str, now: float
) -> dict[str, Any]:
    at = datetime.fromtimestamp(now, UTC).isoformat()
    base = f"gs://chaos/{seed}"
    return {
        "key": key,
        "type": chance.choice(("train", "train", "process")),
        "controller": {"namespace": "chaos", "name": recorder.partition(".")[0]},
        "state": chance.choice(("running", "complete", "failed")),
        "reported_at": at,
        "started_at": at,
        "inputs": [
            {"type": "Dataset", "uri": f"{base}/shared/{chance.randrange(SHARED)}", "version": "1",
             "properties": {recorder: number}},
            {"type": "Dataset", "uri": f"{base}/in/{recorder}/{number}"},
        ],
        "outputs": [{"type": "Model", "uri": f"{base}/out/{key}", "version": str(number % 3)}],
        "params": {recorder: number, "text": chance.choice(TEXTS)},
    }  # fmt: skip
