"""Model ↔ ML Metadata: which node, type and property holds what (docs/architecture.md).

Each of our nodes carries its whole merged state as canonical JSON in one custom property,
`lineage.record`, a protobuf `Any`: MLMD indexes every string value, and long ones break
PostgreSQL. The flat properties beside it are for other readers of the store and for
filters. Pure: protobuf messages in and out, no calls.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from typing import Any

from google.protobuf import any_pb2, wrappers_pb2
from ml_metadata.proto import metadata_store_pb2 as pb

from lineage.identity import action_id
from lineage.merge import ActionState, ArtifactState, Edge, dump_action, dump_artifact
from lineage.model import iso

RECORD = "lineage.record"
STARTED = "lineage.started_at"
CONTROLLER = "lineage.controller"
TYPE = "lineage.type"
VERSION = "lineage.version"
ALIAS = "lineage.alias/"
NAMESPACE = "namespace"

INPUTS = (pb.Event.INPUT, pb.Event.DECLARED_INPUT, pb.Event.INTERNAL_INPUT)
OUTPUTS = (
    pb.Event.OUTPUT,
    pb.Event.DECLARED_OUTPUT,
    pb.Event.INTERNAL_OUTPUT,
    pb.Event.PENDING_OUTPUT,
)
STATES = {
    "running": pb.Execution.RUNNING,
    "complete": pb.Execution.COMPLETE,
    "failed": pb.Execution.FAILED,
    "canceled": pb.Execution.CANCELED,
}
_EXECUTION_BASES = {
    "train": pb.ExecutionType.TRAIN,
    "transform": pb.ExecutionType.TRANSFORM,
    "evaluate": pb.ExecutionType.EVALUATE,
    "deploy": pb.ExecutionType.DEPLOY,
}
_ARTIFACT_BASES = {
    "Dataset": pb.ArtifactType.DATASET,
    "Model": pb.ArtifactType.MODEL,
    "Metrics": pb.ArtifactType.METRICS,
}
# KFP registers these without properties: declaring any would make its own calls fail.
_SHARED = {"Dataset", "Model", "Metrics", "Artifact"}
MAX_NAME = 255
_INT32 = 2**31


def execution_type(action_type: str) -> pb.ExecutionType:
    base = _EXECUTION_BASES.get(action_type, pb.ExecutionType.PROCESS)
    return pb.ExecutionType(name=f"lineage.{action_type}", base_type=base)


def artifact_type(type_: str) -> pb.ArtifactType:
    name = f"system.{type_}" if type_ in _SHARED else f"lineage.{type_}"
    return pb.ArtifactType(name=name, base_type=_ARTIFACT_BASES.get(type_))


def execution(
    state: ActionState, type_id: int, mlmd_id: int | None, foreign: dict[str, pb.Value]
) -> pb.Execution:
    """The whole node: a put with an id replaces all of it (MLMD.md, trap 6), so what
    others added (`foreign`) goes back in."""
    node = pb.Execution(
        id=mlmd_id,
        type_id=type_id,
        name=bounded_name(state.key),
        external_id=state.id,
        last_known_state=STATES.get(state.get("state"), pb.Execution.UNKNOWN),
    )
    properties = node.custom_properties
    for name, value in foreign.items():
        properties[name].CopyFrom(value)
    cluster, namespace, controller = state.get("controller")
    properties["display_name"].string_value = state.get("name") or node.name
    properties["task_name"].string_value = controller
    if namespace:
        properties[NAMESPACE].string_value = namespace
    if image := state.get("code.image"):
        properties["image"].string_value = image[:MAX_NAME]
    properties[TYPE].string_value = state.get("type")
    properties[CONTROLLER].string_value = f"{cluster}/{namespace}/{controller}"
    properties[STARTED].string_value = sortable(state.started)
    properties[RECORD].proto_value.CopyFrom(_packed(dump_action(state)))
    return node


def artifact(
    state: ArtifactState, type_id: int, mlmd_id: int | None, foreign: dict[str, pb.Value]
) -> pb.Artifact:
    """The whole node; scalar properties also flat, as KFP keeps metric values."""
    node = pb.Artifact(
        id=mlmd_id, type_id=type_id, uri=state.uri, external_id=state.id, state=pb.Artifact.LIVE
    )
    properties = node.custom_properties
    for name, value in foreign.items():
        properties[name].CopyFrom(value)
    for name, scalar in state.properties.items():
        if name != "display_name" and not name.startswith("lineage."):
            _put(properties[name], scalar)
    properties["display_name"].string_value = state.name or state.uri[-MAX_NAME:]
    properties[TYPE].string_value = state.type
    if state.version:
        properties[VERSION].string_value = state.version
    for index, alias in enumerate(sorted(state.aliases)):
        properties[f"{ALIAS}{index:03}"].string_value = alias
    properties[RECORD].proto_value.CopyFrom(_packed(dump_artifact(state)))
    return node


def event(edge: Edge, index: int, state: ActionState) -> pb.Event:
    """An edge as MLMD shows it. MLMD writes an event once, so a role or evidence reported
    later is only in the record, which is the truth (docs/decisions/0003)."""
    moment = state.started if edge.side == "in" else state.ended or state.started
    out = pb.Event(
        type=pb.Event.INPUT if edge.side == "in" else pb.Event.OUTPUT,
        milliseconds_since_epoch=moment // 1000,
    )
    steps = out.path.steps
    steps.add().key = edge.role or edge.side + "put"
    steps.add().index = index
    if edge.evidence:
        steps.add().key = edge.evidence
    return out


def contexts(state: ActionState) -> tuple[tuple[str, str, str], ...]:
    """(type, name, display name) of the contexts an action belongs to, outermost first."""
    cluster, namespace, controller = (part or "-" for part in state.get("controller"))
    space = f"{cluster}/{namespace}"
    out = [
        ("lineage.Namespace", bounded_name(space), namespace),
        ("lineage.Controller", bounded_name(f"{space}/{controller}"), controller),
    ]
    if parent := state.get("parent"):
        out.append(("lineage.Run", action_id(parent), bounded_name(parent)))
    return tuple(out)


def context(type_id: int, name: str, display_name: str, mlmd_id: int | None = None) -> pb.Context:
    node = pb.Context(id=mlmd_id, type_id=type_id, name=name)
    node.custom_properties["display_name"].string_value = display_name
    return node


def own_properties(state: ArtifactState | ActionState) -> set[str]:
    """The custom properties this module writes for a node; any other is foreign."""
    own = {"display_name", TYPE, RECORD}
    if isinstance(state, ArtifactState):
        aliases = {f"{ALIAS}{index:03}" for index in range(len(state.aliases))}
        return own | aliases | {VERSION, *state.properties}
    return own | {"task_name", NAMESPACE, "image", CONTROLLER, STARTED}


def unpack(stored: str | bytes) -> bytes:
    """The JSON inside a stored `lineage.record`: MLMD keeps an Any as base64 of its bytes."""
    value = any_pb2.Any.FromString(b64decode(stored)).value
    return wrappers_pb2.StringValue.FromString(value).value.encode()


def sortable(micros: int) -> str:
    """A time whose text order is its time order; MySQL's INT could not hold microseconds."""
    seconds, fraction = divmod(micros, 1_000_000)
    return f"{iso(seconds * 1_000_000)[:-1]}.{fraction:06}Z"


def bounded_name(text: str) -> str:
    """A name of at most 255 characters; a longer one ends in its hash, so it stays unique."""
    if len(text.encode()) <= MAX_NAME:
        return text
    short = text.encode()[: MAX_NAME - 33].decode(errors="ignore")
    return f"{short}~{action_id(text)}"


def _packed(record: bytes) -> any_pb2.Any:
    value = wrappers_pb2.StringValue(value=record.decode())
    return any_pb2.Any(
        type_url="type.googleapis.com/google.protobuf.StringValue", value=value.SerializeToString()
    )


def _put(value: pb.Value, scalar: Any) -> None:
    if isinstance(scalar, bool):
        value.bool_value = scalar
    elif isinstance(scalar, int) and -_INT32 <= scalar < _INT32:
        value.int_value = scalar
    elif isinstance(scalar, float):
        value.double_value = scalar
    else:
        value.string_value = str(scalar)


def numbered(edges: Iterable[Edge]) -> list[tuple[int, Edge]]:
    """Edges with their index among those of the same side, in canonical order."""
    counts = {"in": 0, "out": 0}
    out = []
    for edge in sorted(edges):
        out.append((counts[edge.side], edge))
        counts[edge.side] += 1
    return out
