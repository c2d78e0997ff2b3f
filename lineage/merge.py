"""Merging: how reports of one action, in any order and any number, become one state.

A state is a join semilattice: `join` is commutative, associative and idempotent, so no
order of arrival and no repetition can matter. Pure; knows neither MLMD nor HTTP.

* A *register* is `(clock, value)` of one field; the later report wins, the larger
  canonical value breaks a tie. Of `state`, an end beats `running` whatever the clock.
* Edges (inputs, outputs) and aliases are sets; they only grow.

Nested fields are flattened (`params.max_age`), so each is its own register and an unset
one never overrides a set one. Where code came from (repository, commit, path, dirty) is
*one* register: half of one report and half of another would name code nobody ran.
An artifact called just `Artifact` says nothing of its type, so anything specific wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from lineage.identity import Identity, action_id, artifact_id, identify
from lineage.model import (
    MAX_EDGES,
    MAX_LINKS,
    MAX_PARAMS,
    TERMINAL,
    Action,
    Reference,
    iso,
    microseconds,
)

Register = tuple[int, Any]
Fields = dict[str, Register]

GENERIC = "Artifact"
DERIVED = {"code": "Code", "image": "Image"}
SOURCE = ("repo", "commit", "path", "dirty")


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
    artifacts: list[ArtifactState] = []
    for side, references in (("in", action.inputs), ("out", action.outputs)):
        for reference in references:
            artifact = _artifact(reference, clock)
            artifacts.append(artifact)
            edges.add(Edge(side, artifact.id, reference.role or "", reference.evidence or ""))
    if action.code is not None:
        for edge, artifact in _code_edges(action.code.source(), action.code.container(), clock):
            edges.add(edge)
            artifacts.append(artifact)
    return ActionState(action.key, fields, frozenset(edges)), artifacts


def join_actions(a: ActionState, b: ActionState) -> ActionState:
    return ActionState(a.key, _join(a.fields, b.fields), a.edges | b.edges)


def join_artifacts(a: ArtifactState, b: ArtifactState) -> ArtifactState:
    fields = _join(a.fields, b.fields)
    return ArtifactState(a.id, a.uri, a.version, fields, a.aliases | b.aliases)


def dump_action(state: ActionState) -> bytes:
    """The state as canonical JSON: equal states give equal bytes."""
    return _dump(state.fields, {"k": state.key, "e": [tuple(edge) for edge in sorted(state.edges)]})


def load_action(body: bytes | str, id: str = "") -> ActionState:
    """`id`, where it is known already, saves working it out."""
    raw = orjson.loads(body)
    return ActionState(raw["k"], _load(raw), frozenset(map(Edge._make, raw["e"])), id)


def dump_artifact(state: ArtifactState) -> bytes:
    return _dump(state.fields, {"u": state.uri, "n": state.version, "a": sorted(state.aliases)})


def load_artifact(body: bytes | str, id: str = "") -> ArtifactState:
    raw = orjson.loads(body)
    uri, version = raw["u"], raw["n"]
    id = id or artifact_id(uri, version)
    return ArtifactState(id, uri, version, _load(raw), frozenset(raw["a"]))


def records(
    state: ActionState, artifacts: Mapping[str, ArtifactState], owned: Iterable[str] = ()
) -> Iterator[dict[str, Any]]:
    """The fewest reports that make this state again, oldest first: what `export` writes.

    A state is a join of reports, so it can be taken apart again: one record for each
    clock that still holds a field. `artifacts` are those on the edges; of those in
    `owned` the fields are given too. One action an artifact is enough, and it must be
    one that was reported no earlier than any field of the artifact.
    """
    owned = frozenset(owned)
    clocks = {clock for clock, _ in state.fields.values()}
    for id_ in owned:
        clocks |= {clock for clock, _ in artifacts[id_].fields.values()}
    for clock in sorted(clocks):
        values = {n: v for n, (c, v) in state.fields.items() if c == clock}
        yield from _within_bounds(_record(state, values, clock, artifacts, owned))


def view(state: ActionState, artifacts: Mapping[str, ArtifactState]) -> dict[str, Any]:
    """The whole action as one JSON-ready record, its references with what is known of them."""
    values = {n: v for n, (_, v) in state.fields.items()}
    base = _base(state, values)
    base["reported_at"] = iso(state.clock)
    for side, name in (("in", "inputs"), ("out", "outputs")):
        base[name] = [
            {"id": e.artifact, **_reference(artifacts[e.artifact], e, None)}
            for e in sorted(state.edges)
            if e.side == side and e.artifact in artifacts
        ]
    return base


def view_artifact(state: ArtifactState) -> dict[str, Any]:
    """An artifact as JSON-ready record."""
    return {
        "id": state.id,
        "type": state.type,
        "uri": state.uri,
        "version": state.version,
        "name": state.name,
        "properties": dict(sorted(state.properties.items())),
        "aliases": sorted(state.aliases),
    }


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
    return name == "state" and value in TERMINAL, clock, _canonical(value)


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


def _code_edges(
    source: Identity | None, container: Identity | None, clock: int
) -> Iterator[tuple[Edge, ArtifactState]]:
    for identity, role in ((source, "code"), (container, "image")):
        if identity is not None:
            type_ = DERIVED[role]
            artifact = ArtifactState(
                identity.id, identity.uri, identity.version, {"type": (clock, type_)}
            )
            yield Edge("in", identity.id, role, ""), artifact


def _base(state: ActionState, values: dict[str, Any]) -> dict[str, Any]:
    cluster, namespace, name = state.get("controller") or ("", "", "unknown")
    out: dict[str, Any] = {
        "key": state.key,
        "type": state.get("type"),
        "controller": {"cluster": cluster, "namespace": namespace, "name": name},
    }
    for field_ in ("name", "state", "parent", "by", "error"):
        if field_ in values:
            out[field_] = values[field_]
    for field_ in ("started_at", "ended_at"):
        if field_ in values:
            out[field_] = iso(values[field_])
    source = values.get("code.source", {})
    code = {name: source[name] for name in SOURCE if name in source}
    if image := values.get("code.image"):
        code["image"] = image
    if code:
        out["code"] = code
    for group in ("trigger", "params", "links"):
        prefix = group + "."
        if nested := {n[len(prefix) :]: values[n] for n in sorted(values) if n.startswith(prefix)}:
            out[group] = nested
    return out


def _reference(artifact: ArtifactState, edge: Edge, clock: int | None) -> dict[str, Any]:
    """A mention of an artifact; of its fields only those with this clock (None = all)."""
    wanted = {n: v for n, (c, v) in artifact.fields.items() if clock is None or c == clock}
    out: dict[str, Any] = {"type": wanted.get("type", GENERIC), "uri": artifact.uri}
    for name, value in (
        ("version", artifact.version),
        ("role", edge.role),
        ("name", wanted.get("name")),
        ("evidence", edge.evidence),
    ):
        if value:
            out[name] = value
    prefix = "properties."
    if properties := {n[len(prefix) :]: wanted[n] for n in sorted(wanted) if n.startswith(prefix)}:
        out["properties"] = properties
    if artifact.aliases:
        out["aliases"] = sorted(artifact.aliases)
    return out


def _record(
    state: ActionState,
    values: dict[str, Any],
    clock: int,
    artifacts: Mapping[str, ArtifactState],
    owned: frozenset[str],
) -> dict[str, Any]:
    """One elementary report: the fields of one clock; the edges in the latest one."""
    out = _base(state, values)
    out["reported_at"] = iso(clock)
    derived = _derived(out.get("code"))
    whole = clock == state.clock
    for side, name in (("in", "inputs"), ("out", "outputs")):
        references = []
        for edge in sorted(state.edges):
            if edge.side != side or edge.artifact not in artifacts:
                continue
            artifact = artifacts[edge.artifact]
            mine = artifact.fields.items() if edge.artifact in owned else ()
            given = {n: v for n, (c, v) in mine if c == clock}
            if edge in derived and given == {"type": DERIVED[edge.role]}:
                given = {}  # the code field says it already
            if given or (whole and (edge not in derived or artifact.aliases)):
                at = clock if edge.artifact in owned else -1
                references.append(_reference(artifact, edge, at))
        if references:
            out[name] = references
    return out


def _within_bounds(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same report in as many records as the bounds of the wire ask for."""
    bounds = {"inputs": MAX_EDGES, "outputs": MAX_EDGES, "params": MAX_PARAMS, "links": MAX_LINKS}
    early = record.get("ended_at", "~") < record.get("started_at", "")
    if not early and all(len(record.get(n, ())) <= most for n, most in bounds.items()):
        yield record
        return
    parts = [record]
    required = {n: record[n] for n in ("key", "type", "controller", "reported_at")}
    if early:  # two reports of one clock disagree: each was well-formed alone
        parts.append({**required, "ended_at": record.pop("ended_at")})
    for name, most in bounds.items():
        whole = record.get(name, ())
        for start in range(most, len(whole), most):
            piece = list(whole)[start : start + most]
            parts.append(
                {
                    **required,
                    name: {k: whole[k] for k in piece} if isinstance(whole, dict) else piece,
                }
            )
        if len(whole) > most:
            head = list(whole)[:most]
            record[name] = {k: whole[k] for k in head} if isinstance(whole, dict) else head
    yield from parts


def _derived(code: dict[str, Any] | None) -> set[Edge]:
    if not code:
        return set()
    repo, image = code.get("repo"), code.get("image")
    source = identify(repo, code.get("commit"), "Code") if repo else None
    container = identify(image, None, "Image") if image else None
    return {edge for edge, _ in _code_edges(source, container, 0)}
