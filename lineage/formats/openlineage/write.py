"""Actions as OpenLineage run events (spec 2-0-2). Pure: states in, events as plain JSON out.

Other consumers read the standard facets. Two facets of ours, `lineage_action` on the run and
`lineage_artifact` on a dataset, carry what OpenLineage has no word for, so that what goes out
comes back under the same keys and URIs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lineage.formats.openlineage.names import INTEGRATION, NOWHERE, dataset_of, run_id_of
from lineage.formats.openlineage.read import UNTYPED
from lineage.identity import canonical_uri
from lineage.merge import ActionState, ArtifactState
from lineage.model import GENERIC, TERMINAL
from lineage.records import view
from lineage.times import iso

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
FACETS = "https://openlineage.io/spec/facets/"
PRODUCER = "https://pypi.org/project/lineage-without-dag/"
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+\Z")
_ENDS = {"complete": "COMPLETE", "failed": "FAIL", "canceled": "ABORT"}
_ELSEWHERE = ("state", "started_at", "ended_at", "reported_at", "error", "inputs", "outputs")
"""Fields of a record that events have places of their own for."""


def events(
    state: ActionState,
    artifacts: Mapping[str, ArtifactState],
    actions: Mapping[str, ActionState] | None = None,
) -> Iterator[dict[str, Any]]:
    """The events that tell of an action: its start, if known, and how it stands or ended.

    The last one names everything. `actions` are others that may be its parent: OpenLineage
    wants a parent's job, so of one that is not known only our facet speaks.
    """
    seen = view(state, artifacts)
    now = str(seen.get("state") or "")
    started = "started_at" in seen
    job, run = _job(seen), _run(seen, (actions or {}).get(str(seen.get("parent"))))
    whole = {
        "inputs": [_dataset(reference) for reference in seen["inputs"]],
        "outputs": [_dataset(reference) for reference in seen["outputs"]],
    }
    if now == "running":
        yield _event("START" if started else "RUNNING", state.started, run, job, whole)
        return
    if started:
        yield _event("START", state.started, run, job, {})
    last = state.ended if now in TERMINAL else None
    yield _event(_ENDS.get(now, "OTHER"), state.clock if last is None else last, run, job, whole)


def _event(kind: str, at: int, run: Any, job: Any, datasets: Mapping[str, Any]) -> dict[str, Any]:
    return {"eventType": kind, "eventTime": iso(at), "run": run, "job": job, **datasets,
            "producer": PRODUCER, "schemaURL": f"{SPEC}#/$defs/RunEvent"}  # fmt: skip


def _run(seen: Mapping[str, Any], parent: ActionState | None) -> dict[str, Any]:
    own = {name: value for name, value in seen.items() if name not in _ELSEWHERE and value}
    facets = {"lineage_action": _facet("BaseFacet", own, f"{SPEC}#/$defs/RunFacet")}
    if parent is not None:
        facets["parent"] = _facet(
            "1-0-1/ParentRunFacet",
            {"run": {"runId": run_id_of(parent.key)}, "job": _named(*parent.get("controller"))},
        )
    if error := seen.get("error"):
        said = {"message": error, "programmingLanguage": "unknown"}
        facets["errorMessage"] = _facet("1-0-1/ErrorMessageRunFacet", said)
    return {"runId": run_id_of(seen["key"]), "facets": facets}


def _job(seen: Mapping[str, Any]) -> dict[str, Any]:
    who, code = seen["controller"], seen.get("code", {})
    kind = {"processingType": "BATCH", "integration": INTEGRATION, "jobType": seen["type"].upper()}
    facets = {"jobType": _facet("2-0-3/JobTypeJobFacet", kind)}
    if url := _address(seen.get("links", {}).get("code"), code.get("repo")):
        said = {"type": "git", "url": url, "repoUrl": code["repo"]}
        said |= {"path": code["path"]} if "path" in code else {}
        said |= {"version": code["commit"]} if "commit" in code else {}
        facets["sourceCodeLocation"] = _facet("1-0-1/SourceCodeLocationJobFacet", said)
    return {**_named(who["cluster"], who["namespace"], who["name"]), "facets": facets}


def _address(link: str | None, repo: str | None) -> str | None:
    """Where code is: the facet wants a URI, which `git@host:o/r` is not. None = it has none."""
    where = repo and canonical_uri(repo, "Code").removeprefix("git+")
    return next((one for one in (link, where) if repo and one and _URI.match(one)), None)


def _named(cluster: str, namespace: str, name: str) -> dict[str, Any]:
    return {"namespace": "/".join(p for p in (cluster, namespace) if p) or NOWHERE, "name": name}


def _dataset(reference: Mapping[str, Any]) -> dict[str, Any]:
    namespace, name = dataset_of(reference["uri"])
    own = {name: value for name, value in reference.items() if name != "id"}
    facets = {
        "lineage_artifact": _facet("BaseFacet", own, f"{SPEC}#/$defs/DatasetFacet"),
    }
    kind = reference["type"].upper()
    if reference["type"] not in (GENERIC, UNTYPED):
        facets["datasetType"] = _facet("1-0-1/DatasetTypeDatasetFacet", {"datasetType": kind})
    if version := reference.get("version"):
        said = {"datasetVersion": version}
        facets["version"] = _facet("1-0-1/DatasetVersionDatasetFacet", said)
    if aliases := reference.get("aliases"):
        names = [dict(zip(("namespace", "name"), dataset_of(a), strict=True)) for a in aliases]
        said_ = {"identifiers": [{**one, "type": kind} for one in names]}
        facets["symlinks"] = _facet("1-0-1/SymlinksDatasetFacet", said_)
    return {"namespace": namespace, "name": name, "facets": facets}


def _facet(name: str, said: Mapping[str, Any], schema: str = "") -> dict[str, Any]:
    """A facet by its version and name, such as `1-0-1/ParentRunFacet`."""
    where = schema or f"{FACETS}{name}.json#/$defs/{name.partition('/')[2]}"
    return {"_producer": PRODUCER, "_schemaURL": where, **said}
