"""What another tool wrote, as our states: the conventions of MLMD's other users. Pure.

Nodes without `lineage.record` were written by Kubeflow Pipelines, Kubeflow Metadata, TFX or
any other client. They say who they are in MLMD's columns, in properties and by the names of
their types and contexts (docs/other-stores.md). They have no key, so they are called by their
number in the store. Each artifact node is one version of its URI: MLMD means it so. Knows no
database; `lineage.store.foreign.rows` fetches the rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from lineage.errors import MalformedIdentity
from lineage.identity import NODE, identify, node_id
from lineage.merge import ActionState, ArtifactState, Edge, Fields
from lineage.model import GENERIC, GENERIC_ACT, REDACTED, looks_secret

OURS = "lineage."
"""What the names of our types begin with."""
DAG = "system.DAGExecution"
"""A group of steps, which reads and writes what they do: left out, its parts say it all."""
CONTROLLERS = ("system.Pipeline", "pipeline", "kubeflow.org/alpha/workspace")
RUNS = ("system.PipelineRun", "pipeline_run", "run", "KfpRun")
"""Types of contexts: what acts, and its runs."""
RUN_PROPERTIES = ("__kf_run__", "run_id")
NAMES = ("display_name", "task_name", "component_id", "name")
PARENT = f"{NODE}run/"
"""Followed by a run's name: the key of what its steps are parts of. Nothing has this key."""

_ACTIONS = {"mlmd.Train": "train", "mlmd.Transform": "transform", "mlmd.Process": "process",
            "mlmd.Evaluate": "evaluate", "mlmd.Deploy": "deploy"}  # fmt: skip
_ARTIFACTS = {"mlmd.Dataset": "Dataset", "mlmd.Model": "Model", "mlmd.Metrics": "Metrics",
              "kubeflow.org/alpha/data_set": "Dataset", "kubeflow.org/alpha/model": "Model",
              "kubeflow.org/alpha/metrics": "Metrics", "google.BQTable": "Dataset"}  # fmt: skip
_KINDS = ("Dataset", "Model", "Metrics")
_ARTIFACT_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,127}\Z")
STATES = {1: "running", 2: "running", 3: "complete", 4: "failed", 5: "complete", 6: "canceled"}
_CACHED = 5
_ENDED = (3, 4, 5, 6)
_GONE = {3: "marked for deletion", 4: "deleted", 5: "abandoned"}
_EXTERNAL = re.compile(r"(?!0{16})[0-9a-f]{32}\Z")
_TELLING = {*NAMES, "namespace", "image", "inputs", "outputs", "pipeline_name", "uri",
            "__kf_workspace__", "__kf_run__", "__ALL_META__"}  # fmt: skip
_OF_NAMESPACE = re.compile(r"(?:namespace/([^/]+)/)?pipeline/(.+)\Z")

_secret = lru_cache(4096)(looks_secret)
"""The same few names stand in every node."""

Values = Mapping[str, Any]
"""Properties of a node, declared and custom; struct values as Python ones."""


class Node(NamedTuple):
    """A row of Execution or Artifact; times in ms. `base` names the type's parent, `mlmd.Train`."""

    number: int
    type: str
    base: str | None
    name: str | None
    external: str | None
    state: int | None
    created: int
    updated: int
    uri: str | None = None


class Member(NamedTuple):
    """A context of an action."""

    type: str
    name: str
    namespace: str | None


class Touch(NamedTuple):
    """An event of an action: the artifact's number and external id, and the port it came by."""

    side: str
    artifact: int
    external: str | None
    role: str | None


def action(
    node: Node, values: Values, members: Iterable[Member], touches: Iterable[Touch]
) -> ActionState:
    members = list(members)
    at = node.updated * 1000
    said: dict[str, Any] = {
        "type": action_type(node.type, node.base),
        "controller": ["", _namespace(values, members), _controller(node, values, members)],
        "started_at": node.created * 1000,
    }
    if state := STATES.get(node.state or 0):
        said["state"] = state
    if node.state in _ENDED:
        said["ended_at"] = max(node.updated, node.created) * 1000
    if name := _name(values) or _node_name(node):
        said["name"] = f"{name} (cached)" if node.state == _CACHED else name
    if (run := _run(values, members)) is not None:
        said["parent"] = PARENT + run
    if image := _image(values.get("image")):
        said["code.image"] = image
    for name, value in _parameters(values):
        said[f"params.{name}"] = REDACTED if _secret(name) else value
    if cached := values.get("cached_execution_id"):
        said["trigger.reason"] = f"cached: took over what {NODE}execution/{cached} made"
    edges = {Edge(t.side, artifact_key(t.artifact, t.external), t.role or "", "") for t in touches}
    fields: Fields = {name: (at, value) for name, value in said.items()}
    return ActionState(f"{NODE}execution/{node.number}", fields, frozenset(edges))


def artifact(node: Node, values: Values) -> ArtifactState:
    """Where the URI is missing or cannot be one, the node's own name stands for it."""
    at = node.updated * 1000
    type_ = artifact_type(node.type, node.base)
    fields: Fields = {}
    uri, version = _identity(node, values.get("version"), type_)
    if node.uri and uri.startswith(NODE):
        fields["properties.uri"] = (at, node.uri)
    if type_ != GENERIC:
        fields["type"] = (at, type_)
    if name := _name(values) or node.name:
        fields["name"] = (at, name)
    if node.state in _GONE:
        fields["properties.mlmd.state"] = (at, _GONE[node.state or 0])
    for name, value in _properties(values):
        fields[f"properties.{name}"] = (at, REDACTED if _secret(name) else value)
    key = artifact_key(node.number, node.external)
    return ArtifactState(key, uri, version or f"mlmd:{node.number}", fields)


def _identity(node: Node, declared: Any, type_: str) -> tuple[str, str | None]:
    version = str(declared) if isinstance(declared, str | int) and declared != "" else None
    for mention in ((node.uri or "", version), (node.uri or "", None)):
        try:
            return identify(*mention, type_)[:2]
        except MalformedIdentity:
            continue
    return f"{NODE}artifact/{node.number}", None


def artifact_key(number: int, external: str | None) -> str:
    """The id: one of ours stays what it is, even where the node lost its record."""
    return external if external and _EXTERNAL.match(external) else node_id("artifact", number)


def action_type(name: str, base: str | None) -> str:
    if name == DAG:
        return "dag"
    if name.lower().endswith(("importer", "importerexecution")):
        return "import"
    return _ACTIONS.get(base or "", GENERIC_ACT)


def artifact_type(name: str, base: str | None) -> str:
    """Ours where there is one (`google.VertexModel` is a Model), else the tool's own word."""
    if known := _ARTIFACTS.get(name) or _ARTIFACTS.get(base or ""):
        return known
    short = name.removeprefix("system.").removeprefix("google.")
    for kind in _KINDS:
        if short.endswith(kind):
            return kind
    return short if _ARTIFACT_TYPE.match(short) else GENERIC


def states_of(state: str) -> list[int]:
    """What MLMD calls one of our states."""
    return [number for number, name in STATES.items() if name == state]


def controller_name(raw: str) -> str:
    """KFP names a pipeline of a namespace `namespace/team-a/pipeline/train`."""
    return match[2] if (match := _OF_NAMESPACE.match(raw)) else raw


def controller_namespace(raw: str) -> str:
    return match[1] or "" if (match := _OF_NAMESPACE.match(raw)) else ""


def _controller(node: Node, values: Values, members: list[Member]) -> str:
    """The pipeline or workspace; where there is none, the type tells best who acted."""
    pipeline = _pipeline(values, members)
    return controller_name(pipeline) if pipeline else node.type


def _pipeline(values: Values, members: list[Member]) -> str | None:
    names = [m.name for m in members if m.type in CONTROLLERS]
    return min(names) if names else values.get("pipeline_name")


def _namespace(values: Values, members: list[Member]) -> str:
    told = sorted(m.namespace for m in members if m.namespace)
    raw = _pipeline(values, members)
    own = str(values.get("namespace") or "")
    return (told[0] if told else own) or controller_namespace(raw or "")


def _run(values: Values, members: list[Member]) -> str | None:
    names = [m.name for m in members if m.type in RUNS]
    if names:
        return min(names)
    return next((str(v) for name in RUN_PROPERTIES if (v := values.get(name))), None)


def _name(values: Values) -> str | None:
    return next((v for name in NAMES if isinstance(v := values.get(name), str) and v), None)


def _node_name(node: Node) -> str | None:
    """KFP 1 has the component in the type: `components.train@sha256=…`."""
    if node.type.startswith("components."):
        return node.type.removeprefix("components.").partition("@")[0]
    return node.name


def _image(image: Any) -> str | None:
    try:
        return image if isinstance(image, str) and identify(image, None, "Image") else None
    except MalformedIdentity:
        return None


def _parameters(values: Values) -> Iterator[tuple[str, Any]]:
    """KFP 2 keeps what a step was given in the struct `inputs`, earlier ones in `input:name`."""
    yield from _flat("", values.get("inputs"))
    yield from _flat("outputs.", values.get("outputs"))
    for name, value in values.items():
        if name not in _TELLING and name != "store_session_info":
            plain = name.removeprefix("input:").replace("output:", "outputs.", 1)
            yield from _flat("", {plain: value})


def _properties(values: Values) -> Iterator[tuple[str, Any]]:
    """Metric values are custom properties; Kubeflow Metadata keeps its own in one JSON text."""
    for name, value in _meta(values.get("__ALL_META__")).items():
        if name in ("values", "labels", "kwargs"):
            yield from _flat("", value)
        elif name not in (*NAMES, "uri", "version", "workspace", "run", "id", "create_time"):
            yield from _flat("", {name: value})
    for name, value in values.items():
        if name not in (*NAMES, "version", "store_session_info", "__ALL_META__"):
            yield from _flat("", {name.replace("__kf_", "").removesuffix("__"): value})


def _meta(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Scalars by their path, lists as JSON. `{"struct": …}` and `{"list": …}` are wrappings."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict) and len(inner) == 1 and next(iter(inner)) in ("struct", "list"):
            inner = next(iter(inner.values()))
        if isinstance(inner, dict):
            yield from _flat(f"{prefix}{name}.", inner)
        elif isinstance(inner, list):
            yield prefix + name, json.dumps(inner, ensure_ascii=False)
        elif inner not in (None, ""):
            yield prefix + name, inner
