"""The pipeline nobody declared: which controller feeds which, and what was not taken up.

Fig. 4 of "MLOps without a DAG": a[i] → b[i] → c[i], from what actions read and wrote alone.
Each controller is looked at through a window of its latest actions (`lineage.queries.flowing.acts`),
so that a noisy one does not crowd out one that acts once a week.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from lineage.graph import action_node, artifact_node
from lineage.merge import ArtifactState
from lineage.queries.flowing.acts import Act, Who, Window, windows
from lineage.queries.flowing.chains import Cell, Chain, chains
from lineage.queries.flowing.passes import Link, Pass, State, passes
from lineage.store.ports import Reader
from lineage.times import iso

_DAY = 86_400_000_000
STATES: tuple[State, ...] = ("taken", "running", "failed", "waiting", "skipped")


@dataclass(slots=True)
class Flow:
    """Controllers with their windows, the passes of each link (newest first), the chains.

    `truncated` = there are more chains.
    """

    windows: Mapping[Who, Window]
    links: Mapping[Link, Sequence[Pass]]
    chains: Sequence[Chain]
    truncated: bool

    def json(self, limit: int) -> dict[str, Any]:
        """Of each link and chain the `limit` newest passes."""
        return {
            "controllers": [_controller(*item) for item in sorted(self.windows.items())],
            "edges": [self._edge(link, found, limit) for link, found in self.links.items()],
            "chains": [_chain(chain, limit) for chain in self.chains],
            "truncated": self.truncated,
        }

    def _edge(self, link: Link, found: Sequence[Pass], limit: int) -> dict[str, Any]:
        counts = Counter(one.state for one in found)
        taken = [one.takers[0] for one in found if one.state == "taken"]
        waiting = [one.at for one in found if one.state == "waiting"]
        count = len(found)
        return {
            "source": _who(link.source), "target": _who(link.target),
            "type": link.type, "role": link.role,
            "counts": {state: counts[state] for state in STATES},
            "last_taken": _action(max(taken, key=lambda act: act.order, default=None)),
            "waiting_since": iso(min(waiting)) if waiting else None,
            "lag_seconds": lag(found, self.windows[link.target].since),
            "passes": [_pass(one, count - n) for n, one in enumerate(found[:limit])],
            "truncated": count > limit,
        }  # fmt: skip


def flow(reader: Reader, window: int = 100, namespace: str | None = None) -> Flow:
    """The flow between the controllers (of a namespace) by the `window` latest actions of each."""
    found = windows(reader, window, namespace)
    links = passes(found)
    some, more = chains(links, found)
    return Flow(found, links, some, more)


def _controller(who: Who, window: Window) -> dict[str, Any]:
    acts = window.acts
    states = Counter(str(act.state.get("state") or "unknown") for act in acts)
    return {
        "controller": _who(who),
        "actions": len(acts),
        "parts": window.parts,
        "types": dict(sorted(Counter(str(act.state.get("type")) for act in acts).items())),
        "states": dict(sorted(states.items())),
        "per_day": per_day(acts),
        "since": None if window.since is None else iso(window.since),
        "truncated": window.since is not None,
        "last": _action(acts[-1] if acts else None),
        "last_success": _action(last(acts, "complete")),
        "last_failure": _action(last(acts, "failed")),
    }


def last(acts: Sequence[Act], state: str) -> Act | None:
    return next((act for act in reversed(acts) if act.state.get("state") == state), None)


def per_day(acts: Sequence[Act]) -> float | None:
    """From the first start to the last; what has begun once, or at one moment, has no rate."""
    span = acts[-1].state.started - acts[0].state.started if acts else 0
    return round((len(acts) - 1) * _DAY / span, 3) if span else None


def lag(found: Sequence[Pass], since: int | None) -> float | None:
    """The median time from when a thing was there to when it was first taken up.

    Of what was there before the taker's window, the first to take it may lie before as well.
    """
    lags = [
        max(0, one.takers[0].state.started - one.at) / 1_000_000
        for one in found
        if one.state == "taken" and (since is None or one.at >= since)
    ]
    return round(median(lags), 3) if lags else None


def _pass(one: Pass, index: int) -> dict[str, Any]:
    return {
        "index": index,
        "state": one.state,
        "artifacts": _artifacts(one.artifacts),
        "at": iso(one.at),
        "from": _action(one.maker),
        "by": _action(one.takers[0] if one.takers else None),
    }


def _chain(chain: Chain, limit: int) -> dict[str, Any]:
    count = len(chain.rows)
    whole = sum(row[-1].state == "taken" for row in chain.rows)
    rows = [
        {"index": count - n, "cells": [_cell(cell) for cell in row]}
        for n, row in enumerate(chain.rows[:limit])
    ]
    return {
        "controllers": [_who(who) for who in chain.controllers],
        "passes": count,
        "arrived": whole,
        "rows": rows,
        "truncated": count > limit,
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "state": cell.state,
        "since": iso(cell.since),
        "action": _action(cell.act),
        "artifacts": _artifacts(cell.artifacts),
    }


def _who(who: Who) -> dict[str, str]:
    return {"cluster": who[0], "namespace": who[1], "name": who[2]}


def _action(act: Act | None) -> dict[str, Any] | None:
    return None if act is None else action_node(act.state).json()


def _artifacts(states: Sequence[ArtifactState]) -> list[dict[str, Any]]:
    return [artifact_node(state).json() for state in states]
