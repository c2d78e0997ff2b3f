"""The graph of actions and artifacts: plain nodes and edges over networkx. Pure.

Edges point the way things flow: input artifact → action → output artifact, so upstream
(`nx.ancestors`) is where a thing came from and downstream what it reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import networkx as nx

from lineage.merge import ActionState, ArtifactState
from lineage.model import OWN
from lineage.times import iso

# Nodes and edges are never changed. `frozen` would say so at three times the cost of making
# one, and a large answer makes 25,000.
Direction = Literal["upstream", "downstream", "both"]
EdgeKind = Literal["recorded", "inferred", "same content"]


@dataclass(slots=True, unsafe_hash=True)
class ArtifactNode:
    id: str
    type: str
    uri: str
    version: str | None
    name: str | None = None
    properties: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        """The last telling part of the URI, or the name somebody gave it."""
        if self.name:
            return self.name
        path = self.uri.partition("#")[2] or self.uri.partition("?")[0]
        return path.rstrip("/").rpartition("/")[2] or self.uri

    def json(self) -> dict[str, Any]:
        return {"kind": "artifact", "id": self.id, "type": self.type, "name": self.label,
                "uri": self.uri, "version": self.version}  # fmt: skip


@dataclass(slots=True, unsafe_hash=True)
class ActionNode:
    """`started` and `ended` in µs since 1970 (UTC); `ended` None = not known to have ended."""

    id: str
    key: str
    type: str
    name: str
    cluster: str
    namespace: str
    controller: str
    state: str
    started: int
    ended: int | None
    error: str | None = None

    def json(self) -> dict[str, Any]:
        return {"kind": "action", "id": self.id, "key": self.key, "type": self.type,
                "name": self.name,
                "controller": {"cluster": self.cluster, "namespace": self.namespace,
                               "name": self.controller},
                "state": self.state, "started_at": iso(self.started),
                "ended_at": None if self.ended is None else iso(self.ended)}  # fmt: skip


Node = ArtifactNode | ActionNode


@dataclass(slots=True, unsafe_hash=True)
class Edge:
    """`evidence` sorted; empty = the action's own report. `role` may be empty."""

    source: str
    target: str
    kind: EdgeKind = "recorded"
    role: str = ""
    evidence: tuple[str, ...] = ()

    @property
    def claimed_only(self) -> bool:
        return self.evidence == ("claimed",)

    def json(self) -> dict[str, Any]:
        return {"source": self.source, "target": self.target, "kind": self.kind,
                "role": self.role, "evidence": list(self.evidence)}  # fmt: skip


@dataclass(slots=True)
class Graph:
    """An answer: the nodes asked about, what was found around them, and whether that is all."""

    of: tuple[str, ...]
    direction: Direction
    depth: int | None
    nodes: dict[str, Node]
    edges: list[Edge]
    truncated: bool = False

    def network(self) -> Any:
        """The same as a networkx graph (node attribute `node`, edge attribute `edge`)."""
        out: Any = nx.DiGraph()
        out.add_nodes_from((id_, {"node": node}) for id_, node in self.nodes.items())
        out.add_edges_from((e.source, e.target, {"edge": e}) for e in self.edges)
        return out

    def json(self) -> dict[str, Any]:
        return {
            "of": list(self.of),
            "direction": self.direction,
            "depth": self.depth,
            "truncated": self.truncated,
            "nodes": [node.json() for node in self.nodes.values()],
            "edges": [edge.json() for edge in self.edges],
        }


def artifact_node(state: ArtifactState) -> ArtifactNode:
    return ArtifactNode(
        state.id, state.type, state.uri, state.version, state.name, state.properties
    )


def action_node(state: ActionState) -> ActionNode:
    cluster, namespace, controller = state.get("controller") or ("", "", "unknown")
    return ActionNode(
        state.id,
        state.key,
        state.get("type") or "process",
        state.get("name") or state.key.rstrip("/").rpartition("/")[2] or state.key,
        cluster,
        namespace,
        controller,
        state.get("state") or "unknown",
        state.started,
        state.ended,
        state.get("error"),
    )


def edges_of(state: ActionState) -> list[Edge]:
    """An action's edges, one for each (side, artifact, role), evidence gathered."""
    out: list[Edge] = []
    here, last = state.id, None
    for side, artifact, role, said in sorted(state.edges):
        place = (side, artifact, role)
        if place != last:
            source, target = (artifact, here) if side == "in" else (here, artifact)
            out.append(Edge(source, target, "recorded", role, (said,) if said else ()))
            last = place
        elif out[-1].evidence:
            # A report without evidence is the action's own word; it sorts first and stays.
            evidence = (*out[-1].evidence, said)
            out[-1] = Edge(out[-1].source, out[-1].target, "recorded", role, evidence)
    return out


def build(
    of: Iterable[str],
    direction: Direction,
    depth: int | None,
    actions: Iterable[ActionState],
    artifacts: Iterable[ArtifactState],
    inferred: Iterable[Edge] = (),
    truncated: bool = False,
) -> Graph:
    """A graph of these nodes and every edge that has both ends among them. What an act wrote
    is drawn at the version it named, not also as its `OWN`."""
    of = tuple(of)
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    states = sorted(actions, key=lambda a: a.key)
    known = sorted(artifacts, key=lambda a: a.id)
    outdone = _outdone(states, known) - set(of)
    for artifact in known:
        if artifact.id not in outdone:
            nodes[artifact.id] = artifact_node(artifact)
    for state in states:
        nodes[state.id] = action_node(state)
    for state in states:
        edges += (e for e in edges_of(state) if e.source in nodes and e.target in nodes)
    edges += (e for e in inferred if e.source in nodes and e.target in nodes)
    return Graph(of, direction, depth, nodes, edges, truncated)


def is_own(version: str | None) -> bool:
    return version is not None and version.startswith(OWN)


def _outdone(states: Iterable[ActionState], artifacts: Iterable[ArtifactState]) -> set[str]:
    """Own versions of acts that name another version of the same thing."""
    artifacts = list(artifacts)
    own = {a.id: a.uri for a in artifacts if is_own(a.version)}
    if not own:
        return set()
    uris = {a.id: a.uri for a in artifacts if a.id not in own}
    out: set[str] = set()
    for state in states:
        written = [edge.artifact for edge in state.edges if edge.side == "out"]
        named = {uris[id_] for id_ in written if id_ in uris}
        out.update(id_ for id_ in written if own.get(id_) in named)
    return out
