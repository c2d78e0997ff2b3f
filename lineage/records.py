"""States as records again: what is shown of them, and the reports that would make them.

The other direction of `lineage.merge.report`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lineage.identity import identify
from lineage.merge import (
    DERIVED,
    SOURCE,
    TRAFFIC,
    ActionState,
    ArtifactState,
    Edge,
    code_edges,
)
from lineage.model import (
    GENERIC,
    GENERIC_ACT,
    MAX_ALIASES,
    MAX_EDGES,
    MAX_LINKS,
    MAX_PARAMS,
)
from lineage.times import iso


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
            {"id": e.artifact, **_reference(artifacts[e.artifact], e, None, values)}
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


def _reference(
    artifact: ArtifactState, edge: Edge, clock: int | None, values: Mapping[str, Any]
) -> dict[str, Any]:
    """A mention of an artifact; of its fields only those with this clock (None = all), and
    of the act's `values` what traffic it gave."""
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
    properties = {n[len(prefix) :]: wanted[n] for n in sorted(wanted) if n.startswith(prefix)}
    if (traffic := TRAFFIC + artifact.id) in values:
        properties["traffic"] = values[traffic]
    if properties:
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
    if clock > state.fields["type"][0]:
        out["type"] = GENERIC_ACT  # a later report did not know it, and must not seem to
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
            gives = TRAFFIC + edge.artifact in values
            if given or gives or (whole and (edge not in derived or artifact.aliases)):
                at = clock if edge.artifact in owned else -1
                references.append(_reference(artifact, edge, at, values))
        if references:
            out[name] = references
    return out


def _within_bounds(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same report in as many records as the bounds of the wire ask for."""
    required = {n: record[n] for n in ("key", "type", "controller", "reported_at")}
    if record.get("ended_at", "~") < record.get("started_at", ""):
        # Two reports of one clock disagree: each was well-formed alone.
        yield {**required, "ended_at": record.pop("ended_at")}
    for side in ("inputs", "outputs"):
        if side in record:
            record[side] = [part for one in record[side] for part in _mentions(one)]
    yield from _parts(record, required, _RECORD)


def _mentions(reference: dict[str, Any]) -> list[dict[str, Any]]:
    """An artifact has what all its reports said of it: that may be more than one may say."""
    named = ("type", "uri", "version", "role", "evidence")
    return _parts(reference, {n: reference[n] for n in named if n in reference}, _REFERENCE)


_RECORD = {"inputs": MAX_EDGES, "outputs": MAX_EDGES, "params": MAX_PARAMS, "links": MAX_LINKS}
_REFERENCE = {"aliases": MAX_ALIASES, "properties": MAX_PARAMS}


def _parts(
    whole: dict[str, Any], required: dict[str, Any], bounds: Mapping[str, int]
) -> list[dict[str, Any]]:
    """The same in as many as the bounds of its fields ask for, each with what is required."""
    parts = [whole]
    for name, most in bounds.items():
        if len(items := whole.get(name, ())) > most:
            first, *more = (_piece(items, at, at + most) for at in range(0, len(items), most))
            whole[name] = first
            parts += [{**required, name: piece} for piece in more]
    return parts


def _piece(items: Any, start: int, end: int) -> Any:
    names = list(items)[start:end]
    return {name: items[name] for name in names} if isinstance(items, dict) else names


def _derived(code: dict[str, Any] | None) -> set[Edge]:
    if not code:
        return set()
    repo, image = code.get("repo"), code.get("image")
    source = identify(repo, code.get("commit"), "Code") if repo else None
    container = identify(image, None, "Image") if image else None
    return {edge for edge, _ in code_edges(source, container, 0)}
