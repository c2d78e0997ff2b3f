"""What a group of reports will write: read, merge, encode. No writes here.

A `Plan` can be made while the group before it is still committing: nodes of groups in
flight are passed as `pending` and get their MLMD ids when those commit, so edges are
encoded last, by the writer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import any_pb2
from ml_metadata.proto import metadata_store_pb2 as pb

from lineage.merge import (
    ActionState,
    ArtifactState,
    Edge,
    dump_action,
    dump_artifact,
    join_actions,
    join_artifacts,
    load_action,
    load_artifact,
    report,
)
from lineage.model import Action
from lineage.store import codec
from lineage.store.lookup import Kind, Lookup
from lineage.store.mlmd import Contexts
from lineage.store.ports import Guarded, Outcome


@dataclass(slots=True)
class Ident:
    """A node's MLMD ids, None until it is committed. Shared by all versions of the node."""

    mlmd_id: int | None = None
    type_id: int | None = None


@dataclass(slots=True)
class Node:
    """An action or artifact on its way to the store."""

    state: Any
    ident: Ident
    record: bytes
    """As stored, or as it will be: equal bytes mean there is nothing to write."""
    edges: frozenset[Edge] = frozenset()
    """Those MLMD has already, or will have before this is written."""


@dataclass(slots=True)
class Batch:
    """One MLMD call: the actions of one set of contexts (contexts attach to every node)."""

    contexts: Contexts
    actions: list[Node] = field(default_factory=list)
    artifacts: list[Node] = field(default_factory=list)
    events: list[tuple[int, Edge, Node]] = field(default_factory=list)
    """(index in `actions`, the edge, its artifact)"""
    mentioned: dict[str, Node] = field(default_factory=dict)
    """Artifacts known before that these actions name: they too belong to the contexts."""


@dataclass(slots=True)
class Plan:
    """All batches of a group, and the outcome for each of its reports, in order: None = it was
    guarded, and its action is of another namespace."""

    batches: list[Batch] = field(default_factory=list)
    outcomes: list[Outcome | None] = field(default_factory=list)
    nodes: dict[str, Node] = field(default_factory=dict)
    read: dict[Kind, dict[str, bytes | None]] = field(default_factory=dict)
    """The records it rests on, as they were read."""


class Planner:
    """Merges reports into what is stored, reading through `lookup`."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def ids(self, group: Sequence[Action]) -> set[str]:
        """Of the actions of a group, and of all artifacts it names."""
        reports = [report(action) for action in group]
        return {s.id for s, _ in reports} | {a.id for _, found in reports for a in found}

    def plan(self, group: Sequence[Action], pending: Sequence[Plan] = ()) -> Plan:
        reports = [report(action) for action in group]
        plan = Plan()
        nodes = plan.nodes
        self._find("Execution", {state.id for state, _ in reports}, plan, pending)
        self._find("Artifact", {a.id for _, found in reports for a in found}, plan, pending)
        dirty: dict[str, Node] = {}
        batches: dict[Contexts, Batch] = {}
        first: dict[str, ActionState] = {}
        for action, (state, mentioned) in zip(group, reports, strict=True):
            if isinstance(action, Guarded) and _of_others(nodes.get(state.id), state):
                plan.outcomes.append(None)
                continue
            news = self._merge_artifacts(mentioned, nodes, dirty)
            plan.outcomes.append(self._merge_action(state, nodes, dirty, news))
            first.setdefault(state.id, state)
        touched = [
            nodes[id_]
            for id_ in first
            if id_ in dirty or any(e.artifact in dirty for e in nodes[id_].state.edges)
        ]
        for node in touched:
            contexts = codec.contexts(node.state)
            batches.setdefault(contexts, Batch(contexts)).actions.append(node)
        # Batch by batch, as they are committed: a new artifact must be in the first that names it.
        for batch in batches.values():
            self._fill(batch, nodes, dirty)
        plan.batches = list(batches.values())
        return plan

    def _find(self, kind: Kind, ids: set[str], plan: Plan, pending: Sequence[Plan]) -> None:
        missing = []
        for id_ in ids:
            for earlier in reversed(pending):
                if id_ in earlier.nodes:
                    node = earlier.nodes[id_]
                    edges = node.state.edges if kind == "Execution" else node.edges
                    plan.nodes[id_] = Node(node.state, node.ident, node.record, edges)
                    break
            else:
                missing.append(id_)
        load = load_action if kind == "Execution" else load_artifact
        stored = self._lookup.stored(kind, missing)
        plan.read[kind] = {id_: found.record for id_, found in stored.items()}
        for id_, found in stored.items():
            state: Any = load(found.record) if found.record else None
            edges = state.edges if kind == "Execution" and state else frozenset()
            ident = Ident(found.mlmd_id, found.type_id)
            plan.nodes[id_] = Node(state, ident, found.record or b"", edges)

    def _merge_artifacts(
        self, mentioned: list[ArtifactState], nodes: dict[str, Node], dirty: dict[str, Node]
    ) -> bool:
        changed = False
        for artifact in mentioned:
            node = nodes.get(artifact.id)
            if node is None:
                nodes[artifact.id] = dirty[artifact.id] = Node(
                    artifact, Ident(), dump_artifact(artifact)
                )
                changed = True
                continue
            joined = join_artifacts(node.state, artifact) if node.state else artifact
            record = dump_artifact(joined)
            if record != node.record:
                dirty[artifact.id] = nodes[artifact.id] = _successor(node, joined, record)
                changed = True
        return changed

    def _merge_action(
        self, state: ActionState, nodes: dict[str, Node], dirty: dict[str, Node], changed: bool
    ) -> Outcome:
        node = nodes.get(state.id)
        if node is None:
            nodes[state.id] = dirty[state.id] = Node(state, Ident(), dump_action(state))
            return "created"
        joined = join_actions(node.state, state) if node.state else state
        record = dump_action(joined)
        if record == node.record:
            return "merged" if changed else "unchanged"
        dirty[state.id] = nodes[state.id] = _successor(node, joined, record)
        return "merged"

    def _fill(self, batch: Batch, nodes: dict[str, Node], dirty: dict[str, Node]) -> None:
        actions, batch.actions = batch.actions, []
        for action in actions:
            changed = dirty.pop(action.state.id, None) is not None
            index = len(batch.actions)
            if changed:
                batch.actions.append(action)
            # One MLMD event for each (artifact, side), whatever its roles: its key there.
            done = {(edge.side, edge.artifact) for edge in action.edges}
            for edge in sorted(action.state.edges):
                artifact = nodes.get(edge.artifact)
                if artifact is None:
                    continue  # not mentioned by this group, so its event is stored already
                if dirty.pop(edge.artifact, None) is not None:
                    batch.artifacts.append(artifact)
                else:
                    batch.mentioned[edge.artifact] = artifact
                if changed and (edge.side, edge.artifact) not in done:
                    done.add((edge.side, edge.artifact))
                    batch.events.append((index, edge, artifact))


def _of_others(known: Node | None, state: ActionState) -> bool:
    """Whether the action is there, and of another namespace than the report."""
    if known is None or known.state is None:
        return False
    return bool(known.state.get("controller")[1] != state.get("controller")[1])


def _successor(node: Node, state: Any, record: bytes) -> Node:
    """A new Node: the old one may belong to a group that is committing it."""
    return Node(state, node.ident, record, node.edges)


def foreign_values(rows: Sequence[Any], own: set[str]) -> dict[str, pb.Value]:
    """Custom properties somebody else put on a node of ours, to be written back with it."""
    out: dict[str, pb.Value] = {}
    for name, int_, double, string, proto, bool_ in rows:
        if name in own or name.startswith("lineage."):
            continue
        value = out[name] = pb.Value()
        if int_ is not None:
            value.int_value = int_
        elif double is not None:
            value.double_value = double
        elif string is not None:
            value.string_value = string
        elif bool_ is not None:
            value.bool_value = bool(bool_)
        elif proto is not None:
            value.proto_value.CopyFrom(any_pb2.Any.FromString(codec.any_bytes(proto)))
    return out
