"""SLSA provenance v0.2 and v1, the predicates, under one set of names. Pure.

Of Tekton Chains these are `slsa/v1` (which is SLSA v0.2) and `slsa/v2alpha4` (SLSA v1, where
what no `isBuildArtifact` flags lies among the by-products, as results of the run).
https://slsa.dev/spec/v0.2/provenance, https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lineage.formats.statements import Found, refuse

OWN = "lineage_action"
"""Among the internal parameters: what SLSA has no field for, when we wrote the statement."""
V02, V1 = "https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """What both versions of the predicate say, under one name each."""

    build_type: str
    builder: str
    invocation: str
    started: Any
    finished: Any
    labels: Record
    params: Record
    results: Record
    dependencies: list[Record]
    source: Record
    own: Record


def run_of(found: Found) -> Run:
    kind, predicate = found.body.get("predicateType"), found.body.get("predicate")
    if kind not in (V02, V1):
        refuse(f"{found.at}.predicateType", f"is neither {V02} nor {V1}")
    if not isinstance(predicate, dict):
        refuse(f"{found.at}.predicate", "is not an object")
    return _first(predicate) if kind == V1 else _second(predicate)


def _first(predicate: Record) -> Run:
    """SLSA v1."""
    definition, details = part(predicate, "buildDefinition"), part(predicate, "runDetails")
    meta, given = part(details, "metadata"), part(definition, "externalParameters")
    by_products = parts(details, "byproducts") or parts(details, "byProducts")
    results = dict(_results(by_products))
    params = part(given, "runSpec").get("params")
    return Run(
        build_type=word(definition.get("buildType")),
        builder=word(at(details, "builder.id")),
        invocation=word(meta.get("invocationId", meta.get("invocationID"))),
        started=meta.get("startedOn"),
        finished=meta.get("finishedOn"),
        labels=part(part(definition, "internalParameters"), "labels"),
        params=_params(_named(params) if isinstance(params, list) else given, results),
        results=results,
        dependencies=parts(definition, "resolvedDependencies"),
        source={},
        own=part(part(definition, "internalParameters"), OWN),
    )


def _second(predicate: Record) -> Run:
    """SLSA v0.2."""
    invocation, meta = part(predicate, "invocation"), part(predicate, "metadata")
    return Run(
        build_type=word(predicate.get("buildType")),
        builder=word(at(predicate, "builder.id")),
        invocation=word(meta.get("buildInvocationID", meta.get("buildInvocationId"))),
        started=meta.get("buildStartedOn"),
        finished=meta.get("buildFinishedOn"),
        labels=part(part(invocation, "environment"), "labels"),
        params=_params(part(invocation, "parameters"), {}),
        results={},
        dependencies=parts(predicate, "materials"),
        source=part(invocation, "configSource"),
        own={},
    )


def _results(by_products: Iterable[Record]) -> Iterator[tuple[str, Any]]:
    """The results of a run and its tasks by their own names; the run's own come last and win."""
    ordered = sorted(by_products, key=lambda b: word(b.get("name")).startswith("pipelineRun"))
    for one in ordered:
        where, _, name = word(one.get("name")).rpartition("/")
        if where.startswith(("pipelineRunResults/", "taskRunResults/")):
            try:
                yield name, json.loads(base64.b64decode(word(one.get("content"))))
            except (ValueError, RecursionError):
                continue  # no result: Chains writes JSON


def _params(given: Mapping[str, Any], results: Mapping[str, Any]) -> Record:
    """Parameters, and the results that are plain texts; lists and objects as JSON."""
    plain = {n: v for n, v in results.items() if isinstance(v, str) and v}
    both = {**given, **{n: v for n, v in plain.items() if not n.startswith("CHAINS-")}}
    return {
        name: value if isinstance(value, (str, bool, int, float)) else json.dumps(value)
        for name, value in both.items()
        if name and value is not None
    }


def _named(params: Iterable[Any]) -> Record:
    pairs = [one for one in params if isinstance(one, dict)]
    return {word(one.get("name")): one.get("value") for one in pairs}


def at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def part(document: Any, name: str) -> Record:
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def parts(document: Record, name: str) -> list[Record]:
    found = document.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
