"""What the server measures of itself: the one table of its metrics, and `GET /metrics`.

A registry an application, so several in one process stay apart. What the store knows anyway
is asked when somebody looks; the rest is counted as it happens. No label can hold what a
client chose, so the number of series is bounded by the code.
"""

from __future__ import annotations

import time
from collections import Counter as tally
from collections.abc import Callable, Iterator, Sequence

from fastapi import APIRouter, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from lineage import __version__
from lineage.model import Action
from lineage.store.ports import Verdict

router = APIRouter(tags=["probe"])

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
_LAGS = (0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 3600, 86_400)

Sample = Callable[[], float | None]
disable_created_metrics()  # type: ignore[no-untyped-call]  # half as many series


class Measures:
    """The metrics of one application. Thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        info = GaugeMetricFamily("lineage_info", "1; the version that runs.", labels=("version",))
        info.add_metric((__version__,), 1)
        self._info = info
        self._sampled: list[tuple[type[Metric], str, str, Sample]] = []
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.requests = Histogram(
            "lineage_request_seconds", "Time until a request was answered whole.",
            ("method", "route", "status"), registry=self.registry, buckets=_FAST,
        )  # fmt: skip
        self._reports = Counter(
            "lineage_reports", "Reports taken in, by outcome: created, merged, unchanged, failed.",
            ("outcome",), registry=self.registry,
        )  # fmt: skip
        self._commits = Histogram(
            "lineage_commit_seconds", "Time from a group being planned to its commit, fsync included.",
            registry=self.registry, buckets=_FAST,
        )  # fmt: skip
        self._groups = Histogram(
            "lineage_commit_reports", "Reports committed as one group.",
            registry=self.registry, buckets=_SIZES,
        )  # fmt: skip
        self._lag = Histogram(
            "lineage_ingest_lag_seconds",
            "Age of a report (its reported_at) when it was committed: outages of recorders "
            "show here, and imports of old records.",
            registry=self.registry, buckets=_LAGS,
        )  # fmt: skip
        for outcome in ("created", "merged", "unchanged", "failed"):
            self._reports.labels(outcome)  # a series is there before it first counts

    def gauge(self, name: str, says: str, sample: Sample) -> None:
        """A value that is asked for when somebody looks; None = not known now."""
        self._sampled.append((GaugeMetricFamily, name, says, sample))

    def counter(self, name: str, says: str, sample: Sample) -> None:
        """The same of something that only grows."""
        self._sampled.append((CounterMetricFamily, name, says, sample))

    def collect(self) -> Iterator[Metric]:
        """What was given by `gauge` and `counter`, as prometheus_client asks for it."""
        yield self._info
        for kind, name, says, sample in self._sampled:
            value = sample()
            if value is not None:
                yield kind(name, says, value=value)  # type: ignore[call-arg]

    def committed(
        self, actions: Sequence[Action], verdicts: Sequence[Verdict], seconds: float
    ) -> None:
        """A group was answered: what it held, what became of it, and how long it took."""
        now = time.time()
        self._commits.observe(seconds)
        self._groups.observe(len(actions))
        for outcome, count in tally(verdict.outcome or "failed" for verdict in verdicts).items():
            self._reports.labels(outcome).inc(count)
        for action, verdict in zip(actions, verdicts, strict=True):
            if action.reported_at is not None and verdict.outcome is not None:
                self._lag.observe(max(0.0, now - action.reported_at.timestamp()))


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus' text format",
                     "content": {"text/plain": {"schema": {"type": "string"}}}}},
)  # fmt: skip
def get_metrics(request: Request) -> Response:
    """Measures of this process, for Prometheus (docs/monitoring.md lists them)."""
    measures: Measures = request.app.state.measures
    return Response(generate_latest(measures.registry), media_type=CONTENT_TYPE_LATEST)
