"""The rules applied when a graph is read, never when it is written (docs/architecture.md).

What was reported stays as it was reported; what follows from it is worked out by each
reader, so that a late report mends every graph by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from lineage.graph import Edge, is_own
from lineage.identity import NODES, artifact_id, is_digest
from lineage.merge import ActionState, ArtifactState
from lineage.store.ports import Reader


class Production(NamedTuple):
    """Which version (artifact id) an action (id) produced: known at `at`, begun at `begun` (µs)."""

    at: int
    artifact: str
    by: str
    begun: int


Productions = dict[str, list[Production]]
"""Per family."""


def bindings(
    reader: Reader,
    actions: Iterable[ActionState],
    known: Mapping[str, ArtifactState] | None = None,
) -> set[Edge]:
    """For each input without a version, an edge from the version it must have been.

    That is the newest of its family that another action had produced (ended; started, if
    no end is known) at or before this one started. A name that is declared immutable stands
    for its one version, so there it is enough that the making had begun before this one
    ended: two that overlap, never one that came later. What an action read of a family at a
    version, in another of its reports, needs no inference. `known` saves asking for
    artifacts again.
    """
    actions = list(actions)
    inputs = _inputs(reader, actions, known or {})
    unversioned = {id_: a.uri for id_, a in inputs.items() if a.version is None}
    if not unversioned:
        return set()
    made = _productions(reader, set(unversioned.values()))
    if not made:
        return set()
    out: set[Edge] = set()
    for state in actions:
        recorded = {edge.artifact for edge in state.edges if edge.side == "in"}
        named = {inputs[id_].uri for id_ in recorded - unversioned.keys() if id_ in inputs}
        for edge in state.edges:
            uri = unversioned.get(edge.artifact)
            if edge.side != "in" or uri is None or uri in named:
                continue
            productions = made[uri]
            newest = _newest(productions, state)
            if newest is None and inputs[edge.artifact].properties.get("immutable") is True:
                newest = _only(productions, state)
            if newest is not None and newest not in recorded:
                out.add(Edge(newest, state.id, "inferred", edge.role))
    return out


def readers(reader: Reader, artifacts: Iterable[ArtifactState]) -> set[Edge]:
    """The same edges from the other end: who read these versions without naming them."""
    versions = {a.id: artifact_id(a.uri, None) for a in artifacts if a.version is not None}
    if not versions:
        return set()
    touching = reader.touching(sorted(set(versions.values())), "in")
    actions = {state.id: state for states in touching.values() for state in states}
    return {edge for edge in bindings(reader, actions.values()) if edge.source in versions}


def copies(reader: Reader, artifacts: Collection[ArtifactState]) -> set[Edge]:
    """Edges between artifacts that are one thing under several URIs.

    Those of one digest are joined to the first of them: an edge for every pair would make
    a thousand copies half a million edges.
    """
    if not artifacts:
        return set()
    # A store may leave out those it was asked about; they can be each other's copies too.
    return joined([*artifacts, *reader.same_content(list(artifacts))])


def joined(everything: Collection[ArtifactState]) -> set[Edge]:
    """The same edges among these alone."""
    contents: dict[str, dict[str, str]] = defaultdict(dict)
    named: dict[str, list[ArtifactState]] = defaultdict(list)
    for one in everything:
        if one.version is not None and is_digest(one.version):
            contents[one.version][one.id] = one.uri
        for alias in one.aliases:
            named[alias].append(one)
    out = {edge for copies in contents.values() for edge in _star(copies)}
    if any(one.id.startswith(NODES) for one in everything):
        out |= _twins(everything)
    for one in everything if named else ():
        for other in named.get(one.uri, ()):
            if _agree(one, other):
                out.add(_same(one.id, other.id))
    return out


def _twins(everything: Collection[ArtifactState]) -> set[Edge]:
    """Of ours there is one of each version; another tool may have a node for every mention."""
    mentions: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    for one in everything:
        mentions[one.uri, one.version].add(one.id)
    return {_same(min(ids), id_) for ids in mentions.values() for id_ in ids - {min(ids)}}


def _star(copies: Mapping[str, str]) -> Iterator[Edge]:
    first = min(copies)
    for id_, uri in copies.items():
        if uri != copies[first]:
            yield _same(first, id_)


def _same(a: str, b: str) -> Edge:
    return Edge(min(a, b), max(a, b), "same content")


def _agree(a: ArtifactState, b: ArtifactState) -> bool:
    """An alias names the thing, not a version of it: two that differ are two versions."""
    return a.uri != b.uri and (a.version is None or b.version is None or a.version == b.version)


def _inputs(
    reader: Reader, actions: Iterable[ActionState], known: Mapping[str, ArtifactState]
) -> dict[str, ArtifactState]:
    ids = {edge.artifact for state in actions for edge in state.edges if edge.side == "in"}
    found = {id_: known[id_] for id_ in ids if id_ in known}
    missing = sorted(ids - found.keys())
    return {**found, **reader.artifacts_by_id(missing)} if missing else found


def _productions(reader: Reader, uris: Collection[str]) -> Productions:
    families = reader.families(sorted(uris), several=True).values()
    known = [artifact for family in families for artifact in family if artifact.version is not None]
    versions = {artifact.id: artifact.uri for artifact in known}
    own = {artifact.id for artifact in known if is_own(artifact.version)}
    made = list(_producers(reader, versions))
    told = {(versions[id_], by.id) for id_, by in made if id_ not in own} if own else set()
    out: Productions = defaultdict(list)
    for artifact, producer in made:
        if artifact in own and (versions[artifact], producer.id) in told:
            continue
        moment = producer.started if producer.ended is None else producer.ended
        one = Production(moment, artifact, producer.id, producer.started)
        out[versions[artifact]].append(one)
    return out


def _producers(reader: Reader, ids: Iterable[str]) -> Iterator[tuple[str, ActionState]]:
    wanted = sorted(ids)
    for artifact, producers in (reader.touching(wanted, "out") if wanted else {}).items():
        for producer in producers:
            yield artifact, producer


def _newest(productions: list[Production], state: ActionState) -> str | None:
    """Equal times are told apart by id, so that the answer never depends on an order."""
    until = state.started
    fit = [(p.at, p.artifact) for p in productions if p.at <= until and p.by != state.id]
    return max(fit)[1] if fit else None


def _only(productions: list[Production], state: ActionState) -> str | None:
    """The one version there ever was, if its making can have come before the reading."""
    until = state.started if state.ended is None else state.ended
    versions = {p.artifact for p in productions}
    possible = any(p.begun <= until and p.by != state.id for p in productions)
    return versions.pop() if possible and len(versions) == 1 else None
