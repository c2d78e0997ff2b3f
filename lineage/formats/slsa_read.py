"""Attestations as records: what SLSA provenance says of the run it attests. Pure.

The uid of a Tekton run joins its attestation to what was observed of the same run, which
knows more; so a record made here is a microsecond older than the end of the run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from lineage.errors import MalformedIdentity
from lineage.formats.descriptors import mention
from lineage.formats.predicates import Record, Run, at, part, parts, run_of, word
from lineage.formats.statements import Found, statements
from lineage.hints import git, hinted, reference
from lineage.identity import identify
from lineage.model import MAX_KEY

_RUN_SPEC = "predicate.buildDefinition.externalParameters.runSpec"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)


def read(text: bytes) -> Iterator[Record]:
    """A record for each statement of a file (`lineage.formats.statements`).

    Raises:
        InvalidRecord: not a statement, or its predicate is not SLSA provenance v0.2 or v1.
    """
    for found in statements(text):
        yield record(found)


def record(found: Found) -> Record:
    """The record of one statement."""
    run = run_of(found)
    times = {"started_at": run.started or None, "ended_at": run.finished or None}
    inputs, outputs, code = _facts(found, run)
    facts = {"code": code, "inputs": inputs, "outputs": outputs, "params": run.params}
    said = run.own or _said(found, run, outputs)
    return {n: v for n, v in {**times, **facts, **said}.items() if v not in (None, [], {})}


def _said(found: Found, run: Run, outputs: Sequence[Record]) -> Record:
    """Who did what when, as far as others say."""
    tekton = None
    if found.kind or "tekton.dev" in run.build_type:
        tekton = found.kind or _kind(found, run)
    return {
        "key": _key(found, run, tekton),
        "type": _type(outputs, run, tekton),
        "name": word(at(found.around, "metadata.name")) or None,
        "controller": _controller(found, run, tekton),
        "state": _state(found, run, bool(outputs)),
        "reported_at": _just_before(run.finished or run.started),
        "parent": _parent(run, tekton),
    }


def _facts(found: Found, run: Run) -> tuple[list[Record], list[Record], Record | None]:
    """Inputs, outputs and code. What results name with a role is not named again without."""
    subjects = _mentions(parts(found.body, "subject"), "name")
    used = _mentions(run.dependencies, "uri")
    if run.own:
        return used, subjects, None
    hints, code = hinted(run.results, frozenset()), _code(run, used)
    inputs, outputs = hints["inputs"], hints["outputs"]
    outputs += [{**one, "evidence": "observed"} for one in subjects if not _among(one, outputs)]
    for one in used:
        if not _among(one, inputs) and not (code and _same(one, code)):
            inputs.append({**one, "role": "image"} if one["type"] == "Image" else one)
    return inputs, outputs, code


def _mentions(descriptors: Iterable[Record], first: str) -> list[Record]:
    return [made for one in descriptors if (made := mention(one, first))]


def _code(run: Run, used: Iterable[Record]) -> Record | None:
    """What a result names, else the source of the configuration, else the first repository."""
    if code := git(run.results):
        return code
    source = mention(run.source, "uri")
    entry = word(run.source.get("entryPoint")) if source else ""
    found = source or next((one for one in used if one["type"] == "Code"), None)
    if found is None:
        return None
    code = {"repo": found["uri"], "commit": found.get("version")}
    return {**code, "path": entry} if entry else code


def _among(one: Record, others: Iterable[Record]) -> bool:
    """Whether they name it already, perhaps more exactly: an image is not always called one."""
    mine = {_id(one, one["type"]), _id(one, "Image")} - {None}
    return any(_id(other, other["type"]) in mine for other in others)


def _same(used: Record, code: Record) -> bool:
    named = reference("Code", code["repo"], code.get("commit"))
    return used["type"] == "Code" and _id(used, "Code") == _id(named, "Code")


def _id(one: Record, type_: str) -> str | None:
    try:
        return identify(one["uri"], one.get("version"), type_).id
    except MalformedIdentity:
        return None


def _key(found: Found, run: Run, tekton: str | None) -> str:
    uid = found.uid or run.invocation
    if tekton and _UUID.match(uid):
        return f"tekton.dev/{tekton}/{uid.lower()}"
    whole = run.invocation if "://" in run.invocation else f"{run.builder}#{run.invocation}"
    if run.invocation and len(whole) <= MAX_KEY:
        return whole
    text = json.dumps(found.body, sort_keys=True)
    return f"in-toto/sha256:{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def _kind(found: Found, run: Run) -> str:
    """PipelineRun or TaskRun, where nothing around the statement says so."""
    last = run.build_type.rpartition("/")[2]
    if last in ("PipelineRun", "TaskRun"):
        return last
    spec = at(found.body, _RUN_SPEC)
    alone = isinstance(spec, dict) and ("taskRef" in spec or "taskSpec" in spec)
    return "TaskRun" if alone else "PipelineRun"


def _controller(found: Found, run: Run, tekton: str | None) -> Record:
    if tekton is None:
        return {"name": run.builder or "unknown"}
    spec = at(found.body, _RUN_SPEC)
    labels = {**run.labels, **part(part(found.around, "metadata"), "labels")}
    pipeline = labels.get("tekton.dev/pipeline") or at(spec, "pipelineRef.name")
    task = labels.get("tekton.dev/task") or at(spec, "taskRef.name")
    kind, name = ("pipeline", pipeline) if pipeline else ("task", task)
    place = word(at(found.around, "metadata.namespace"))
    return {"namespace": place, "name": f"{kind}/{word(name) or 'unknown'}"}


def _parent(run: Run, tekton: str | None) -> str | None:
    uid = run.labels.get("tekton.dev/pipelineRunUID") if tekton == "TaskRun" else None
    return f"tekton.dev/PipelineRun/{uid}" if isinstance(uid, str) and uid else None


def _type(outputs: Iterable[Record], run: Run, tekton: str | None) -> str:
    made = {one["type"] for one in outputs}
    if _parent(run, tekton):
        return "process"
    if "Model" in made:
        return "train"
    return "deploy" if made & {"PullRequest", "Deployment"} else "process"


def _state(found: Found, run: Run, produced: bool) -> str | None:
    """Chains signs failed runs as well, and no statement says which: the object around it
    does. Without one, what produced something is taken to be complete."""
    conditions = parts(part(found.around, "status"), "conditions")
    status = next((c.get("status") for c in conditions if c.get("type") == "Succeeded"), None)
    if status in ("True", "False"):
        return "complete" if status == "True" else "failed"
    return "complete" if run.finished and produced else None


def _just_before(time: Any) -> Any:
    try:
        return (datetime.fromisoformat(time) - timedelta(microseconds=1)).isoformat()
    except (TypeError, ValueError, OverflowError):
        return None
