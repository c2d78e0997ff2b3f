"""SLSA provenance v0.2 and v1 as records: what an attestation says of the run it attests. Pure.

Of Tekton Chains it reads both `slsa/v1` (Statement v0.1, SLSA v0.2) and `slsa/v2alpha4`
(Statement v1, SLSA v1, where outputs that no `isBuildArtifact` flags lie among the
by-products). The run's uid joins it to what was observed of the same run, which knows
more; so a record made here is a microsecond older than the end of the run.
SLSA: https://slsa.dev/spec/v1.0/provenance, https://slsa.dev/spec/v0.2/provenance.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lineage.errors import MalformedIdentity
from lineage.formats.statements import Found, refuse, statements
from lineage.hints import digest, git, guess, hinted, reference
from lineage.identity import identify
from lineage.model import MAX_KEY

OWN = "lineage_action"
"""Among the internal parameters: what SLSA has no field for, when we wrote the statement."""
_V02, _V1 = "https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_MODEL = re.compile(r"projects/[^/]+/locations/[^/]+/models/[^/]+\Z")
_IMAGE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?/[a-z0-9._/-]+\Z")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Run:
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


def read(text: bytes) -> Iterator[Record]:
    """A record for each statement of a file (`lineage.formats.statements`).

    Raises:
        InvalidRecord: not a statement, or its predicate is not SLSA provenance v0.2 or v1.
    """
    for found in statements(text):
        yield record(found)


def record(found: Found) -> Record:
    """The record of one statement."""
    run, tekton = _run(found), None
    if "tekton.dev" in run.build_type or found.kind:
        tekton = found.kind or _kind(found, run)
    inputs, outputs, code = _facts(found, run)
    out: Record = {
        "key": _key(found, run, tekton),
        "type": _type(outputs, run, tekton),
        "name": _text(_at(found.around, "metadata.name")) or None,
        "controller": _controller(found, run, tekton),
        "state": _state(found, run, bool(outputs)),
        "started_at": run.started or None,
        "ended_at": run.finished or None,
        "reported_at": _just_before(run.finished or run.started),
        "code": code,
        "inputs": inputs,
        "outputs": outputs,
        "params": run.params,
        "parent": _parent(run, tekton),
        **run.own,
    }
    return {name: value for name, value in out.items() if value not in (None, [], {})}


def _run(found: Found) -> _Run:
    kind, predicate = found.body.get("predicateType"), found.body.get("predicate")
    if kind not in (_V02, _V1):
        refuse(f"{found.at}.predicateType", f"is neither {_V02} nor {_V1}")
    if not isinstance(predicate, dict):
        refuse(f"{found.at}.predicate", "is not an object")
    return _first(found, predicate) if kind == _V1 else _second(found, predicate)


def _first(found: Found, predicate: Record) -> _Run:
    """SLSA v1."""
    definition, details = _map(predicate, "buildDefinition"), _map(predicate, "runDetails")
    meta, given = _map(details, "metadata"), _map(definition, "externalParameters")
    by_products = _maps(details, "byproducts") or _maps(details, "byProducts")
    results = dict(_results(by_products))
    params = _map(given, "runSpec").get("params")
    return _Run(
        build_type=_text(definition.get("buildType")),
        builder=_text(_at(details, "builder.id")),
        invocation=_text(meta.get("invocationId", meta.get("invocationID"))),
        started=meta.get("startedOn"),
        finished=meta.get("finishedOn"),
        labels=_map(_map(definition, "internalParameters"), "labels"),
        params=_params(_named(params) if isinstance(params, list) else given, results),
        results=results,
        dependencies=_maps(definition, "resolvedDependencies"),
        source={},
        own=_map(_map(definition, "internalParameters"), OWN),
    )


def _second(found: Found, predicate: Record) -> _Run:
    """SLSA v0.2."""
    invocation, meta = _map(predicate, "invocation"), _map(predicate, "metadata")
    return _Run(
        build_type=_text(predicate.get("buildType")),
        builder=_text(_at(predicate, "builder.id")),
        invocation=_text(meta.get("buildInvocationID", meta.get("buildInvocationId"))),
        started=meta.get("buildStartedOn"),
        finished=meta.get("buildFinishedOn"),
        labels=_map(_map(invocation, "environment"), "labels"),
        params=_params(_map(invocation, "parameters"), {}),
        results={},
        dependencies=_maps(predicate, "materials"),
        source=_map(invocation, "configSource"),
        own={},
    )


def _facts(found: Found, run: _Run) -> tuple[list[Record], list[Record], Record | None]:
    """Inputs, outputs and code. What results name with a role is not named again without."""
    hints = hinted(run.results, frozenset())
    outputs, inputs = list(hints["outputs"]), list(hints["inputs"])
    code = git(run.results)
    for subject in _maps(found.body, "subject"):
        made = _reference(subject, "name")
        if made and not _among(made, outputs):
            outputs.append({"evidence": "observed", **made})
    sources = [run.source] if _text(run.source.get("uri")) else []
    for dependency in (*sources, *run.dependencies):
        used = _reference(dependency, "uri")
        if used is None or _among(used, inputs):
            continue
        if used["type"] == "Code" and code is None and not run.own:
            code = {"repo": used["uri"], "commit": used.get("version")}
            if dependency is run.source and (path := _text(run.source.get("entryPoint"))):
                code["path"] = path
        elif used["type"] != "Code" or not _is_code(used, code):
            inputs.append({"role": "image", **used} if used["type"] == "Image" else used)
    return inputs, outputs, code


def _reference(descriptor: Record, first: str) -> Record | None:
    """A resource descriptor as a mention; `first` is where its address usually stands."""
    places = (first, "uri", "name", "downloadLocation")
    uri = next((found for place in places if (found := _text(descriptor.get(place)))), "")
    digests, notes = _map(descriptor, "digest"), _map(descriptor, "annotations")
    hashed = {name: one for name, one in digests.items() if name not in ("gitCommit", "lineageId")}
    uri = uri or digest(hashed)
    if not uri:
        return None
    type_ = _text(notes.get("lineage_type")) or _type_of(uri)
    commit = digests.get("gitCommit") or (type_ == "Code" and digests.get("sha1"))
    version = notes.get("lineage_version") or commit or digest(hashed)
    said = {name: notes.get(f"lineage_{name}") for name in ("role", "name", "evidence")}
    return reference(type_, uri, _text(version), **{n: _text(v) for n, v in said.items()})


def _type_of(uri: str) -> str:
    if _MODEL.match(uri):
        return "Model"
    return "Image" if _IMAGE.match(uri) else guess("", uri)


def _among(one: Record, others: Iterable[Record]) -> bool:
    """Whether they name it already, perhaps more exactly: an image is not always called one."""
    if any(name in one for name in ("role", "evidence")):
        return False  # written by us: each mention counts
    mine = {_id(one, one["type"]), _id(one, "Image")} - {None}
    return any(_id(other, other["type"]) in mine for other in others)


def _is_code(used: Record, code: Record | None) -> bool:
    if code is None:
        return False
    named = reference("Code", code["repo"], code.get("commit"))
    return _id(used, "Code") == _id(named, "Code")


def _id(one: Record, type_: str) -> str | None:
    try:
        return identify(one["uri"], one.get("version"), type_).id
    except MalformedIdentity:
        return None


def _key(found: Found, run: _Run, tekton: str | None) -> str:
    uid = found.uid or run.invocation
    if tekton and _UUID.match(uid):
        return f"tekton.dev/{tekton}/{uid.lower()}"
    whole = run.invocation if "://" in run.invocation else f"{run.builder}#{run.invocation}"
    if run.invocation and len(whole) <= MAX_KEY:
        return whole
    text = json.dumps(found.body, sort_keys=True)
    return f"in-toto/sha256:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def _kind(found: Found, run: _Run) -> str:
    """PipelineRun or TaskRun, where nothing around the statement says so."""
    last = run.build_type.rpartition("/")[2]
    if last in ("PipelineRun", "TaskRun"):
        return last
    spec = _at(found.body, "predicate.buildDefinition.externalParameters.runSpec")
    alone = isinstance(spec, dict) and ("taskRef" in spec or "taskSpec" in spec)
    return "TaskRun" if alone else "PipelineRun"


def _controller(found: Found, run: _Run, tekton: str | None) -> Record:
    if tekton is None:
        return {"name": run.builder or "unknown"}
    spec = _map(_map(_map(found.body.get("predicate"), "buildDefinition"), "externalParameters"),
                "runSpec")  # fmt: skip
    labels = {**run.labels, **_map(_map(found.around, "metadata"), "labels")}
    pipeline = labels.get("tekton.dev/pipeline") or _at(spec, "pipelineRef.name")
    task = labels.get("tekton.dev/task") or _at(spec, "taskRef.name")
    kind, name = ("pipeline", pipeline) if pipeline else ("task", task)
    place = _text(_at(found.around, "metadata.namespace"))
    return {"namespace": place, "name": f"{kind}/{_text(name) or 'unknown'}"}


def _parent(run: _Run, tekton: str | None) -> str | None:
    uid = run.labels.get("tekton.dev/pipelineRunUID") if tekton == "TaskRun" else None
    return f"tekton.dev/PipelineRun/{uid}" if isinstance(uid, str) and uid else None


def _type(outputs: Iterable[Record], run: _Run, tekton: str | None) -> str:
    made = {one["type"] for one in outputs}
    if _parent(run, tekton):
        return "process"
    if "Model" in made:
        return "train"
    return "deploy" if made & {"PullRequest", "Deployment"} else "process"


def _state(found: Found, run: _Run, produced: bool) -> str | None:
    """Chains signs failed runs as well, and no statement says which: the object around it
    does. Without one, what produced something is taken to be complete."""
    conditions = _maps(_map(found.around, "status"), "conditions")
    status = next((c.get("status") for c in conditions if c.get("type") == "Succeeded"), None)
    if status in ("True", "False"):
        return "complete" if status == "True" else "failed"
    return "complete" if run.finished and produced else None


def _results(by_products: Iterable[Record]) -> Iterator[tuple[str, Any]]:
    """The results of a run and its tasks by their own names; the run's own come last and win."""
    ordered = sorted(by_products, key=lambda b: _text(b.get("name")).startswith("pipelineRun"))
    for one in ordered:
        where, _, name = _text(one.get("name")).rpartition("/")
        if where.startswith(("pipelineRunResults/", "taskRunResults/")):
            try:
                yield name, json.loads(base64.b64decode(_text(one.get("content"))))
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


def _just_before(time: Any) -> Any:
    try:
        return (datetime.fromisoformat(time) - timedelta(microseconds=1)).isoformat()
    except (TypeError, ValueError, OverflowError):
        return None


def _named(params: Iterable[Any]) -> Record:
    pairs = [one for one in params if isinstance(one, dict)]
    return {_text(one.get("name")): one.get("value") for one in pairs}


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _map(document: Any, name: str) -> Record:
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _maps(document: Record, name: str) -> list[Record]:
    found = document.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
