"""Puts together what lets old actions leave a store: what may, what must not, the removal.

Works on the database itself, beside a server or without one. Nobody else constructs this.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lineage.errors import StoreUnavailable
from lineage.queries.keeping import Upstream, needed, spare
from lineage.store.database import read_engine, whose
from lineage.store.keeping import choose
from lineage.store.keeping.policy import Policy
from lineage.store.keeping.sweep import Removed, Sweep
from lineage.store.keeping.writing import only_sqlite
from lineage.store.reader import SqlReader
from lineage.store.search.counts import size

Stage = Callable[[str, int | None], Callable[[int], None]]
"""Begins a stage (its name, how many steps); what is returned hears of steps taken."""


@dataclass(slots=True)
class Report:
    """What would leave, or has left. `bytes` is an estimate: the share of the rows."""

    store: str
    before: int
    counts: dict[str, choose.Count]
    bytes: int
    needed: int
    """Old actions that stay because something that stays needs them."""
    removed: Removed | None = None
    seconds: float = 0.0
    longest: float = 0.0
    """Seconds recorders had to wait at most, each time."""
    events: dict[str, int] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        from lineage.times import iso

        gone = self.removed
        return {
            "store": self.store, "before": iso(self.before), "applied": gone is not None,
            "leaving": {name: count.leaving for name, count in self.counts.items()},
            "total": {name: count.total for name, count in self.counts.items()},
            "bytes": self.bytes, "needed": self.needed, "events": self.events,
            "removed": gone and {"actions": gone.actions, "artifacts": gone.artifacts,
                                 "edges": gone.edges, "contexts": gone.contexts},
            "seconds": round(self.seconds, 3), "longest_wait": round(self.longest, 4),
        }  # fmt: skip


def prune(store: str, policy: Policy, past: bool, apply: bool, stage: Stage) -> Report:
    """Work out what leaves; with `apply` remove it. Interrupted, it is run again.

    `past` = what was live at any moment since `policy.before` keeps its upstream too.

    Raises:
        StoreUnavailable: there is no such store, or it is not ours.
    """
    begun = time.monotonic()
    only_sqlite(store, "nothing leaves yet")
    if whose(store) == "nobody":
        raise StoreUnavailable(f"{store} does not exist, or is no store; check the path")
    engine = read_engine(store)
    stays = Upstream(SqlReader(engine))
    sweep = Sweep(store, engine, stays) if apply else None
    try:
        if sweep is not None:
            sweep.begin()
        leaving, old = _leaving(engine, policy, past, stays, stage)
        order = leaving.order()
        stage("Counting what goes with them", None)
        counts = choose.count(engine, order, stays.ids)
        report = Report(store, policy.before, counts, _bytes(store, counts), old - len(order))
        if sweep is not None:
            report.removed = sweep.run(order, stage("Removing", len(order)))
            report.longest = sweep.longest
    finally:
        if sweep is not None:
            sweep.close()
        engine.dispose()
    report.seconds = time.monotonic() - begun
    return report


def _leaving(
    engine: Any, policy: Policy, past: bool, stays: Upstream, stage: Stage
) -> tuple[choose.Leaving, int]:
    """What leaves, and how many are old enough."""
    reader = SqlReader(engine)
    stage("Looking at what is live", None)
    slots = needed(reader, policy.before, past)
    stays.add(slots.roots)
    leaving = choose.old(engine, policy, stage("Looking for what is old", choose.size(engine)))
    old = len(leaving.numbers)
    stage("Looking at what is left", None)
    spare(reader, leaving, slots, stays, choose.names(engine))
    return leaving, old


def _bytes(store: str, counts: dict[str, choose.Count]) -> int:
    total = sum(count.total for count in counts.values())
    gone = sum(count.leaving for count in counts.values())
    return size(store) * gone // max(total, 1)
