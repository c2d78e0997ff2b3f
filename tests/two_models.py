"""A slot that served one model and then another: everything behind them differs a little.

Each training has a commit, a version of the data, parameters and a model of its own; each
model was evaluated, label by label.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from lineage.model import Action, parse_action

SLOT = "k8s://prod/triage/Deployment/triage-worker"
DATA = "gs://triage/issues.csv"
COMMITS = ("1" * 40, "2" * 40)
PRECISION = {"area-jupyter": (0.80, 0.90), "area-katib": (0.75, 0.72), "platform-gcp": (0.6, 0.6)}
DIGESTS = tuple("sha256:" + digit * 64 for digit in "ab")
REPO = "https://github.com/triage/bot"


def at(day: int, hour: int = 0) -> str:
    return (datetime(2020, 7, day, tzinfo=UTC) + timedelta(hours=hour)).isoformat()


def act(key: str, type_: str, start: str, end: str, **more: Any) -> Action:
    who = {"cluster": "prod", "namespace": "triage", "name": f"{type_}er"}
    times = {"started_at": start, "ended_at": end}
    record = {"key": key, "type": type_, "state": "complete", "controller": who, **times, **more}
    return parse_action(orjson.dumps(record))


def step(key: str, hour: int, **more: Any) -> Action:
    """An act of an hour's start, done at once."""
    when = at(1, hour)
    return parse_action(orjson.dumps({
        "key": key, "type": "deploy", "state": "complete", "controller": {"name": "deployer"},
        "started_at": when, "ended_at": when, "reported_at": when, **more,
    }))  # fmt: skip


def model(n: int) -> dict[str, Any]:
    return {"type": "Model", "uri": f"models/triage-{n}", "role": "model"}


def release(n: int) -> list[Action]:
    """The n-th round: fetch, train, evaluate, deploy; a day each, all done in ten days."""
    day = 1 + 10 * n
    issues = {"type": "Dataset", "uri": DATA, "version": f"v{n + 1}", "role": "issues"}
    rows = {"properties": {"rows": 1000 + 250 * n}}
    image = f"ghcr.io/triage/trainer@{DIGESTS[n]}"
    code = {"repo": REPO, "commit": COMMITS[n], "path": "train.ipynb", "image": image}
    params = {"epochs": 10 + n, "max_age_days": "30", **({"warm_start": True} if n else {})}
    measured = {
        f"{label}.precision": value[n] for label, value in PRECISION.items()
    } | {"model": f"triage-{n}"}  # fmt: skip
    metrics = {"type": "Metrics", "uri": f"gs://triage/runs/{n}/metrics", "role": "metrics"}
    slot = {"type": "Deployment", "uri": SLOT, "version": f"rev-{n + 1}", "evidence": "observed"}
    return [
        act(f"fetch/{n}", "fetch", at(day), at(day, 1), outputs=[{**issues, **rows}]),
        act(f"train/{n}", "train", at(day + 1), at(day + 1, 2 + n), code=code, params=params,
            inputs=[issues], outputs=[model(n)]),
        act(f"evaluate/{n}", "evaluate", at(day + 2), at(day + 2, 1), inputs=[model(n)],
            outputs=[{**metrics, "properties": measured}]),
        act(f"deploy/{n}", "deploy", at(day + 3), at(day + 3), inputs=[model(n)], outputs=[slot]),
    ]  # fmt: skip


def world() -> list[Action]:
    return [*release(0), *release(1)]
