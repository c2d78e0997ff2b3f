"""Merging: how reports of one action, in any order and any number, become one state.

A state is a join semilattice: `join` is commutative, associative and idempotent, so no
order of arrival and no repetition can matter. Pure; knows neither MLMD nor HTTP.

* A *register* is `(clock, value)` of one field; the later report wins, the larger
  canonical value breaks a tie. Of `state`, an end beats `running` whatever the clock.
* Edges (inputs, outputs) and aliases are sets; they only grow.

Nested fields are flattened (`params.max_age`), so each is its own register and an unset
one never overrides a set one. Where code came from (repository, commit, path, dirty) is
*one* register: half of one report and half of another would name code nobody ran.
An artifact called just `Artifact` says nothing of its type, so anything specific wins, and
so it does over an act of the type `process`.
What share of the traffic a deployment gets is said of a slot's version but is a fact of the
act: the next act gives another share to the same version (docs/decisions/0008).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from lineage.identity import Identity, action_id, artifact_id, identify
from lineage.model import GENERIC, GENERIC_ACT, TERMINAL, Action, Reference
from lineage.times import microseconds

Register = tuple[int, Any]
Fields = dict[str, Register]

DERIVED = {"code": "Code", "image": "Image"}
SOURCE = ("repo", "commit", "path", "dirty")
SLOT = "k8s://"
TRAFFIC = "traffic."
"""Followed by the artifact's id: the register of an act, given as the property `traffic`."""

_NONE: frozenset[Any] = frozenset()


class Edge(NamedTuple):
    """One end of an action: `side` is "in" or "out"; empty role or evidence = not said."""

    side: str
    artifact: str
    role: str
    evidence: str


@dataclass(slots=True)
class ArtifactState:
    """What all reports together say about one version of a thing."""

    id: str
    uri: str
    version: str | None
    fields: Fields
    aliases: frozenset[str] = frozenset()

    @property
    def type(self) -> str:
        return str(self.fields["type"][1]) if "type" in self.fields else GENERIC

    @property
    def name(self) -> str | None:
        name: str | None = _get(self.fields, "name")
        return name

    @property
    def properties(self) -> dict[str, Any]:
        return _nested(self.fields, "properties.")


@dataclass(slots=True)
class ActionState:
    """What all reports together say about one act."""

    key: str
    fields: Fields
    edges: frozenset[Edge] = field(default_factory=frozenset)
    id: str = field(default="", compare=False)
    slots: frozenset[tuple[str, str]] = _NONE
    """Of its outputs those that are versions of a slot: (artifact id, id of the slot)."""

    def __post_init__(self) -> None:
        self.id = self.id or action_id(self.key)

    def get(self, name: str) -> Any:
        """The value of a flattened field, or None."""
        return _get(self.fields, name)

    @property
    def clock(self) -> int:
        return max(clock for clock, _ in self.fields.values())

    @property
    def started(self) -> int:
        """When it began to exist, in µs: its start, else its end, else its last report."""
        for name in ("started_at", "ended_at"):
            if name in self.fields:
                return int(self.fields[name][1])
        return self.clock

    @property
    def ended(self) -> int | None:
        """When it ended, in µs; an end nobody dated is as old as the report of it."""
        if (moment := self.get("ended_at")) is not None:
            return int(moment)
        state = self.fields.get("state")
        return state[0] if state and state[1] in TERMINAL else None


def report(action: Action) -> tuple[ActionState, list[ArtifactState]]:
    """One report as the states it stands for, code and image among the inputs."""
    clock = action.clock
    fields: Fields = {
        "type": (clock, action.type),
        "controller": (
            clock,
            [action.controller.cluster, action.controller.namespace, action.controller.name],
        ),
    }
    for name in ("name", "state", "parent", "by", "error"):
        if (value := getattr(action, name)) is not None:
            fields[name] = (clock, value)
    for name in ("started_at", "ended_at"):
        if (moment := getattr(action, name)) is not None:
            fields[name] = (clock, microseconds(moment))
    if action.trigger is not None:
        for name, value in action.trigger:
            if value is not None:
                fields["trigger." + name] = (clock, value)
    if (code := action.code) is not None:
        source = {n: v for n in SOURCE if (v := getattr(code, n)) is not None}
        if source:
            fields["code.source"] = (clock, source)
        if code.image:
            fields["code.image"] = (clock, code.image)
    for prefix, mapping in (("params.", action.params), ("links.", action.links)):
        for name, value in mapping.items():
            fields[prefix + name] = (clock, value)
    edges: set[Edge] = set()
    slots: set[tuple[str, str]] = set()
    artifacts: list[ArtifactState] = []
    for side, references in (("in", action.inputs), ("out", action.outputs)):
        for reference in references:
            artifact = _artifact(reference, clock)
            artifacts.append(artifact)
            edges.add(Edge(side, artifact.id, reference.role or "", reference.evidence or ""))
            if artifact.uri.startswith(SLOT):
                traffic = artifact.fields.pop("properties.traffic", None)
                if traffic is not None:
                    fields = _join(fields, {TRAFFIC + artifact.id: traffic})
                if side == "out":
                    slots.add((artifact.id, artifact_id(artifact.uri, None)))
    if action.code is not None:
        for edge, artifact in code_edges(action.code.source(), action.code.container(), clock):
            edges.add(edge)
            artifacts.append(artifact)
    return ActionState(action.key, fields, frozenset(edges), slots=frozenset(slots)), artifacts


def join_actions(a: ActionState, b: ActionState) -> ActionState:
    fields = _join(a.fields, b.fields)
    return ActionState(a.key, fields, a.edges | b.edges, slots=a.slots | b.slots)


def join_artifacts(a: ArtifactState, b: ArtifactState) -> ArtifactState:
    fields = _join(a.fields, b.fields)
    return ArtifactState(a.id, a.uri, a.version, fields, a.aliases | b.aliases)


def dump_action(state: ActionState) -> bytes:
    """The state as canonical JSON: equal states give equal bytes."""
    base = {"k": state.key, "e": [tuple(edge) for edge in sorted(state.edges)]}
    if state.slots:
        base["s"] = sorted(state.slots)
    return _dump(state.fields, base)


def load_action(body: bytes | str, id: str = "") -> ActionState:
    """`id`, where it is known already, saves working it out."""
    raw = orjson.loads(body)
    slots = frozenset(map(tuple, raw["s"])) if "s" in raw else _NONE
    return ActionState(raw["k"], _load(raw), frozenset(map(Edge._make, raw["e"])), id, slots)


def dump_artifact(state: ArtifactState) -> bytes:
    return _dump(state.fields, {"u": state.uri, "n": state.version, "a": sorted(state.aliases)})


def load_artifact(body: bytes | str, id: str = "") -> ArtifactState:
    raw = orjson.loads(body)
    uri, version = raw["u"], raw["n"]
    id = id or artifact_id(uri, version)
    return ArtifactState(id, uri, version, _load(raw), frozenset(raw["a"]))


def _get(fields: Fields, name: str) -> Any:
    register = fields.get(name)
    return None if register is None else register[1]


def _nested(fields: Fields, prefix: str) -> dict[str, Any]:
    return {n[len(prefix) :]: v for n, (_, v) in fields.items() if n.startswith(prefix)}


def _join(a: Fields, b: Fields) -> Fields:
    out = dict(a)
    for name, new in b.items():
        old = out.get(name)
        if old is None or _order(name, new) > _order(name, old):
            out[name] = new
    return out


def _order(name: str, register: Register) -> tuple[bool, int, bytes]:
    clock, value = register
    telling = value in TERMINAL if name == "state" else name == "type" and value != GENERIC_ACT
    return telling, clock, _canonical(value)


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _dump(fields: Fields, base: dict[str, Any]) -> bytes:
    """Most fields share the latest clock, so it is written once and only others are named."""
    clocks = {clock for clock, _ in fields.values()}
    at = max(clocks, default=0)
    base["t"] = at
    base["v"] = {name: value for name, (_, value) in fields.items()}
    if len(clocks) > 1:
        base["c"] = {name: clock for name, (clock, _) in fields.items() if clock != at}
    return orjson.dumps(base, option=orjson.OPT_SORT_KEYS)


def _load(raw: dict[str, Any]) -> Fields:
    at, clocks = raw["t"], raw.get("c")
    if clocks is None:
        return {name: (at, value) for name, value in raw["v"].items()}
    return {name: (clocks.get(name, at), value) for name, value in raw["v"].items()}


def _artifact(reference: Reference, clock: int) -> ArtifactState:
    identity = reference.identity()
    fields: Fields = {}
    if reference.type != GENERIC:
        fields["type"] = (clock, reference.type)
    if reference.name is not None:
        fields["name"] = (clock, reference.name)
    for name, value in reference.properties.items():
        fields["properties." + name] = (clock, value)
    aliases = frozenset(identify(alias, None, reference.type).uri for alias in reference.aliases)
    return ArtifactState(identity.id, identity.uri, identity.version, fields, aliases)


def code_edges(
    source: Identity | None, container: Identity | None, clock: int
) -> Iterator[tuple[Edge, ArtifactState]]:
    """Code and image as inputs: what was built from a commit is a question about the graph."""
    for identity, role in ((source, "code"), (container, "image")):
        if identity is not None:
            type_ = DERIVED[role]
            artifact = ArtifactState(
                identity.id, identity.uri, identity.version, {"type": (clock, type_)}
            )
            yield Edge("in", identity.id, role, ""), artifact
