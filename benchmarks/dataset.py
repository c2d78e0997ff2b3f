"""The data of every measurement: the same actions each time, as many as asked for.

An action reads two artifacts and writes one. Most stand in chains of five, as a team's
daily runs do. Among them, evenly spread, are three families, whose last artifacts have an
upstream closure of about 10, 1,000 and 10,000 nodes, however large the store is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

Record = dict[str, Any]

FAMILIES = {"10": (2, 3), "1k": (16, 39), "10k": (50, 124)}
"""Name: (width, layers). Layer 0 holds the last action alone, layer k at most k + 1."""

CHAIN = 5
_START = datetime(2026, 1, 1, tzinfo=UTC)


def actions(count: int) -> Iterator[Record]:
    """`count` actions, in the order in which they happened."""
    families = list(chain.from_iterable(_family(*item) for item in FAMILIES.items()))
    if count < len(families):
        raise ValueError(f"at least {len(families)} actions are needed to hold the families")
    placed = 0
    for number in range(count):
        if placed * count < len(families) * (number + 1) and placed < len(families):
            name, inputs, output = families[placed]
            placed += 1
        else:
            name, inputs, output = _link(number)
        yield record(number, name, inputs, output)


def apex(family: str) -> str:
    """The URI of the family's last artifact."""
    return _uri(family, 0, 0)


def closure_size(family: str) -> int:
    """Nodes upstream of the apex, itself included: actions, their outputs, the sources."""
    width, layers = FAMILIES[family]
    return 2 * sum(min(k + 1, width) for k in range(layers)) + min(layers + 1, width)


def record(number: int, name: str, inputs: list[str], output: str) -> Record:
    """One action on the wire; what raw ml_metadata is given holds the same facts."""
    begin = _START + timedelta(seconds=number)
    return {
        "key": f"bench/{name}",
        "type": "train",
        "name": name,
        "controller": {
            "cluster": "prod",
            "namespace": f"team-{number // 100 % 8}",
            "name": "trainer",
        },
        "state": "complete",
        "started_at": f"{begin:%Y-%m-%dT%H:%M:%SZ}",
        "ended_at": f"{begin + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}",
        "inputs": [
            {"type": "Dataset", "uri": uri, "role": role}
            for uri, role in zip(inputs, ("data", "base"), strict=True)
        ],
        "outputs": [{"type": "Model", "uri": output, "role": "model"}],
        "params": {"epochs": 10, "learning_rate": 0.01, "seed": number},
    }


def write(path: Path, count: int) -> None:
    """The actions as NDJSON."""
    with path.open("w") as file:
        for one in actions(count):
            file.write(json.dumps(one, separators=(",", ":")) + "\n")


def stream(prefix: str) -> Iterator[Record]:
    """Endless chains of new actions, for measurements that end by the clock."""
    number = 0
    while True:
        name, inputs, output = _link(number, prefix)
        yield record(number, name, inputs, output)
        number += 1


def _link(number: int, prefix: str = "run") -> tuple[str, list[str], str]:
    source = f"gs://bench/{prefix}/{number}/data.csv"
    before = number - 1 if number % CHAIN else None
    base = f"gs://bench/{prefix}/{number}/base" if before is None else _model(prefix, before)
    return f"{prefix}-{number}", [source, base], _model(prefix, number)


def _model(prefix: str, number: int) -> str:
    return f"gs://bench/{prefix}/{number}/model"


def _family(name: str, shape: tuple[int, int]) -> Iterator[tuple[str, list[str], str]]:
    """A cone: each action reads two artifacts of the layer before it; oldest layer first."""
    width, layers = shape
    for layer in reversed(range(layers)):
        for place in range(min(layer + 1, width)):
            inputs = [_uri(name, layer + 1, (place + step) % width) for step in (0, 1)]
            yield f"family-{name}-{layer}-{place}", inputs, _uri(name, layer, place)


def _uri(family: str, layer: int, place: int) -> str:
    return f"gs://bench/family-{family}/{layer}/{place}"
