"""The outbox of a hook for Prometheus. Import it only where prometheus_client is installed.

from controllers_hooks.metrics import register
register(hook)
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector, CollectorRegistry

from controllers_hooks.hook import Hook

FATES = ("recorded", "delivered", "refused", "dropped", "rejected", "corrupt", "torn")


class OutboxCollector(Collector):
    """Reads the statistics of one hook when Prometheus asks."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook

    def collect(self) -> Iterator[Metric]:
        statistics = self._hook.statistics()
        reports = CounterMetricFamily(
            "lineage_hook_reports", "Reports of this process, by what became of them.",
            labels=["fate"],
        )  # fmt: skip
        for fate in FATES:
            reports.add_metric([fate], getattr(statistics, fate))
        reports.add_metric(["invalid"], self._hook.failed - statistics.refused - statistics.dropped)
        yield reports
        yield CounterMetricFamily(
            "lineage_hook_outages", "Times the server went away.", value=statistics.outages
        )
        yield GaugeMetricFamily(
            "lineage_hook_waiting_bytes", "Bytes that wait in the outbox, of all its processes.",
            value=statistics.waiting_bytes,
        )  # fmt: skip


def register(hook: Hook, registry: CollectorRegistry = REGISTRY) -> None:
    """Once for each hook; two hooks of one process want registries of their own."""
    registry.register(OutboxCollector(hook))
