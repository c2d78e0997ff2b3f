"""Model ↔ ML Metadata: which node, type and property holds what (docs/architecture.md).

Each of our nodes carries its whole merged state as canonical JSON in one custom property,
`lineage.record`, a protobuf `Any`: MLMD indexes every string value, and long ones break
PostgreSQL. The flat properties beside it are for other readers of the store and for
filters. Pure: protobuf messages in and out, no calls.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from urllib.parse import unquote

from google.protobuf import any_pb2, wrappers_pb2
from ml_metadata.proto import metadata_store_pb2 as pb

from lineage.identity import action_id
from lineage.merge import ActionState, ArtifactState, Edge
from lineage.times import iso

RECORD = "lineage.record"
STARTED = "lineage.started_at"
CONTROLLER = "lineage.Controller"
"""The context type; the display name of such a context is `controller_path`."""
RUN = "lineage.Run"
"""The context type of what has parts; such a context is named by the id of the whole."""
TYPE = "lineage.type"
VERSION = "lineage.version"
ALIAS = "lineage.alias/"
LIVE = "lineage.live/"
"""Followed by a slot's id and the evidence: when a complete action put something there."""
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
    return pb.ExecutionType(name=type_name("Execution", action_type), base_type=base)


def artifact_type(type_: str) -> pb.ArtifactType:
    name = type_name("Artifact", type_)
    return pb.ArtifactType(name=name, base_type=_ARTIFACT_BASES.get(type_))


def type_name(kind: str, type_: str) -> str:
    """What a type of ours is called in MLMD."""
    return f"system.{type_}" if kind == "Artifact" and type_ in _SHARED else f"lineage.{type_}"


def fill_execution(
    node: pb.Execution, state: ActionState, record: bytes, foreign: dict[str, pb.Value], moved: bool
) -> None:
    """Everything but the ids. The whole node: a put with an id replaces all of it (docs/mlmd.md,
    trap 6), so what others added (`foreign`) goes back in. `record` is the dumped state.
    `moved`: its type is no longer the one MLMD fixed when the node was made."""
    node.name = bounded_name(state.key)
    node.external_id = state.id
    node.last_known_state = STATES.get(state.get("state"), pb.Execution.UNKNOWN)
    properties = node.custom_properties
    for name, value in foreign.items():
        properties[name].CopyFrom(value)
    namespace = state.get("controller")[1]
    properties["display_name"].string_value = state.get("name") or node.name
    if namespace:
        properties[NAMESPACE].string_value = namespace
    if image := state.get("code.image"):
        properties["image"].string_value = image[:MAX_NAME]
    if moved:
        properties[TYPE].string_value = state.get("type")
    properties[STARTED].string_value = sortable(state.started)
    for name in put_live(state):
        properties[name].string_value = sortable(state.ended or 0)
    _pack(properties[RECORD].proto_value, record)


def put_live(state: ActionState) -> set[str]:
    """The properties by which a slot's deploys are found, newest first, in one look-up."""
    if not state.slots or state.get("state") != "complete":
        return set()
    slots = dict(state.slots)
    return {
        live_name(slots[edge.artifact], edge.evidence)
        for edge in state.edges
        if edge.side == "out" and edge.artifact in slots
    }


def live_name(slot: str, evidence: str) -> str:
    return f"{LIVE}{slot}/{evidence or 'reported'}"


def fill_artifact(
    node: pb.Artifact,
    state: ArtifactState,
    record: bytes,
    foreign: dict[str, pb.Value],
    moved: bool,
) -> None:
    """Everything but the ids; scalar properties also flat, as KFP keeps metric values."""
    node.uri = state.uri
    node.external_id = state.id
    node.state = pb.Artifact.LIVE
    properties = node.custom_properties
    for name, value in foreign.items():
        properties[name].CopyFrom(value)
    for name, scalar in state.properties.items():
        if name != "display_name" and not name.startswith("lineage."):
            _put(properties[bounded_name(name)], scalar)
    if state.name:
        properties["display_name"].string_value = state.name
    if moved:
        properties[TYPE].string_value = state.type
    if state.version:
        properties[VERSION].string_value = state.version
    for index, alias in enumerate(sorted(state.aliases)):
        properties[f"{ALIAS}{index:03}"].string_value = alias
    _pack(properties[RECORD].proto_value, record)


def fill_event(event: pb.Event, edge: Edge, state: ActionState) -> None:
    """An edge as MLMD shows it: role, then evidence. MLMD writes an event once, so what is
    reported later is only in the record, which is the truth; an index among a set that still
    grows would depend on the order of arrival (docs/decisions/0003)."""
    incoming = edge.side == "in"
    moment = state.started if incoming else state.ended or state.started
    event.type = pb.Event.INPUT if incoming else pb.Event.OUTPUT
    event.milliseconds_since_epoch = moment // 1000
    steps = event.path.steps
    steps.add().key = edge.role or edge.side + "put"
    if edge.evidence:
        steps.add().key = edge.evidence


def contexts(state: ActionState) -> tuple[tuple[str, str, str], ...]:
    """(type, name, display name) of the contexts an action belongs to, outermost first."""
    who = state.get("controller")
    path = controller_path(*(part or "-" for part in who))
    out = [
        ("lineage.Namespace", bounded_name("/".join(path.split("/", 2)[:2])), who[1] or "-"),
        (CONTROLLER, bounded_name(path), controller_path(*who)),
    ]
    if parent := state.get("parent"):
        out.append((RUN, action_id(parent), bounded_name(parent)))
    return tuple(out)


def context(type_id: int, name: str, display_name: str) -> pb.Context:
    """A context of ours; `name` is what its display name ends in, for filters."""
    node = pb.Context(type_id=type_id, name=name)
    node.custom_properties["display_name"].string_value = display_name
    node.custom_properties["name"].string_value = display_name.split("/", 2)[-1]
    return node


def controller_path(cluster: str, namespace: str, name: str) -> str:
    """`cluster/namespace/name`; a slash in a cluster's name (an ARN has one) is encoded."""
    return "/".join((path_part(cluster), path_part(namespace), name))


def path_part(text: str) -> str:
    return text.replace("%", "%25").replace("/", "%2F")


def split_controller(path: str) -> tuple[str, str, str]:
    """What `controller_path` was made from."""
    cluster, namespace, name = path.split("/", 2)
    return unquote(cluster), unquote(namespace), name


def own_properties(state: ArtifactState | ActionState) -> set[str]:
    """The custom properties this module writes for a node; any other is foreign."""
    own = {"display_name", TYPE, RECORD}
    if isinstance(state, ArtifactState):
        aliases = {f"{ALIAS}{index:03}" for index in range(len(state.aliases))}
        return own | aliases | {VERSION, *map(bounded_name, state.properties)}
    return own | {NAMESPACE, "image", STARTED}


def unpack(stored: str | bytes) -> bytes:
    """The JSON inside a stored `lineage.record`.

    Read by hand, since a graph of 10,000 nodes does this 10,000 times: type URL (tag, length,
    text), value (tag, length), and in it the StringValue's one field (tag, length, JSON).
    """
    raw = any_bytes(stored)
    at = 2 + raw[1] + 1
    for _ in range(2):
        while raw[at] & 0x80:
            at += 1
        at += 2
    return raw[at - 1 :]


def any_bytes(stored: str | bytes) -> bytes:
    """A stored Any: on PostgreSQL as it is, which begins with a tag; else as base64."""
    return stored if isinstance(stored, bytes) and stored[:1] == b"\n" else b64decode(stored)


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


def _pack(into: any_pb2.Any, record: bytes) -> None:
    into.type_url = "type.googleapis.com/google.protobuf.StringValue"
    into.value = wrappers_pb2.StringValue(value=record.decode()).SerializeToString()


def _put(value: pb.Value, scalar: Any) -> None:
    if isinstance(scalar, bool):
        value.bool_value = scalar
    elif isinstance(scalar, int) and -_INT32 <= scalar < _INT32:
        value.int_value = scalar
    elif isinstance(scalar, float):
        value.double_value = scalar
    else:
        value.string_value = str(scalar)
