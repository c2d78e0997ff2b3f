"""Models in production, each trained again and again: what the viewer is measured and shown on.

For every version of a model three actions: data is fetched, a notebook at a commit trains the
model and measures it label by label, and it is deployed to the model's slot. The same records
each time; `until` is when the last of them ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any

Record = dict[str, Any]

NAMES = (
    "issue-triage", "label-suggest", "spam-filter", "doc-ranker", "churn-score",
    "image-tagger", "fraud-watch", "price-forecast", "intent-router", "reply-draft",
)  # fmt: skip
LABELS = ("area/docs", "area/jupyter", "area/katib", "kind/bug", "kind/feature", "platform/gcp")
EVERY = timedelta(hours=6)
UNTIL = datetime(2026, 1, 1, 12, tzinfo=UTC)


def fleet(models: int = 10, versions: int = 50, until: datetime = UNTIL) -> Iterator[Record]:
    """`3 * models * versions` actions, in the order in which they happened."""
    for version in range(versions):
        for number in range(models):
            age = (versions - 1 - version) * EVERY + (models - 1 - number) * timedelta(minutes=7)
            yield from release(number, version, until - age)


def release(number: int, version: int, done: datetime) -> Iterator[Record]:
    """One version of one model, deployed at `done`."""
    data = {"type": "Dataset", "uri": data_uri(number), "version": f"v{version + 1}"}
    model = {"type": "Model", "uri": model_uri(number), "version": f"m-{version + 1:04}",
             "name": label(number)}  # fmt: skip
    name, minutes = label(number), timedelta(minutes=1)
    yield _act("fetch", number, version, done - 60 * minutes, 6 * minutes,
               outputs=[{**data, "properties": {"rows": 9000 + 310 * version}}])  # fmt: skip
    code = {"repo": f"https://github.com/acme/{name}", "commit": commit(number, version)}
    yield _act("train", number, version, done - 50 * minutes, (18 + version % 9) * minutes,
               code={**code, "path": "train.ipynb"}, params={"epochs": 10, "seed": version},
               inputs=[{**data, "role": "issues"}],
               outputs=[{**model, "role": "model"}, _metrics(number, version)])  # fmt: skip
    slot = {"type": "Deployment", "uri": slot_uri(number), "version": str(version + 1)}
    yield _act("deploy", number, version, done - 2 * minutes, 2 * minutes,
               inputs=[model], outputs=[{**slot, "evidence": "observed"}])  # fmt: skip


def label(number: int) -> str:
    return NAMES[number] if number < len(NAMES) else f"model-{number}"


def slot_uri(number: int) -> str:
    return f"k8s://prod/{_team(number)}/Deployment/{label(number)}"


def model_uri(number: int) -> str:
    return f"gs://acme-models/{label(number)}"


def data_uri(number: int) -> str:
    return f"gs://acme-data/{label(number)}/examples"


def commit(number: int, version: int) -> str:
    """Some versions share a commit, as retraining on new data does."""
    return sha1(f"{number}/{version // 3}".encode(), usedforsecurity=False).hexdigest()


def lines(records: Iterator[Record]) -> bytes:
    """As NDJSON."""
    return "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in records).encode()


def _metrics(number: int, version: int) -> Record:
    measured = {}
    for n, name in enumerate(LABELS):
        drift = (7 * version + 3 * n + number) % 11 / 200
        measured[f"{name}.precision"] = round(min(0.98, 0.7 + version / 400 + drift), 3)
        measured[f"{name}.recall"] = round(min(0.97, 0.6 + version / 350 + drift), 3)
    uri = f"gs://acme-metrics/{label(number)}/{version + 1}"
    return {"type": "Metrics", "uri": uri, "name": "per label", "properties": measured}


def _act(
    type_: str, number: int, version: int, begin: datetime, took: timedelta, **more: Any
) -> Record:
    who = {"fetch": "arrivals", "train": "trainer", "deploy": "deployer"}[type_]
    return {
        "key": f"{type_}/{label(number)}/{version + 1}",
        "type": type_,
        "name": f"{label(number)}-{version + 1}",
        "controller": {"cluster": "prod", "namespace": _team(number), "name": who},
        "state": "complete",
        "started_at": f"{begin:%Y-%m-%dT%H:%M:%SZ}",
        "ended_at": f"{begin + took:%Y-%m-%dT%H:%M:%SZ}",
        **more,
    }


def _team(number: int) -> str:
    return ("triage", "search", "risk")[number % 3]
