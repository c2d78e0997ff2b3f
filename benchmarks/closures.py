"""Upstream closures over REST and through ml_metadata alone, on the same store."""

from __future__ import annotations

from statistics import quantiles
from time import perf_counter
from typing import NamedTuple

import httpx2

from benchmarks import dataset
from lineage.identity import identify


class Latency(NamedTuple):
    """Seconds of a request, and the nodes in its answer."""

    p50: float
    p99: float
    nodes: int


def artifact_id(family: str) -> str:
    """The id of the family's last artifact, which is its external_id in MLMD too."""
    return identify(dataset.apex(family), None, "Model").id


def upstream(url: str, family: str, times: int) -> Latency:
    """The whole closure as JSON, so many times one after the other."""
    params = {"of": artifact_id(family), "direction": "upstream", "max_nodes": "20000"}
    taken = []
    with httpx2.Client(base_url=url + "/api/v1", timeout=120) as http:
        for _ in range(times):
            start = perf_counter()
            answer = http.get("/lineage", params=params)
            taken.append(perf_counter() - start)
            answer.raise_for_status()
    graph = answer.json()
    nodes = len(graph["nodes"])
    assert not graph["truncated"], "the answer was cut"
    assert nodes == dataset.closure_size(family), f"{nodes} nodes of {dataset.closure_size(family)}"
    cuts = quantiles(taken, n=100, method="inclusive")
    return Latency(cuts[49], cuts[98], nodes)
