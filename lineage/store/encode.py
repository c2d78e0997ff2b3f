"""A batch as the MLMD call that writes it, made ahead; what the group before decides is left open.

While one group commits, the next is encoded. Nodes that the group before creates have no
MLMD id yet, so `Call.close` fills these in at the last moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ml_metadata.proto import metadata_store_pb2 as pb
from ml_metadata.proto import metadata_store_service_pb2 as rpc

from lineage.store import codec
from lineage.store.lookup import Kind, Lookup
from lineage.store.mlmd import Mlmd
from lineage.store.plan import Batch, Ident, Node, Plan, foreign_values


@dataclass(slots=True)
class Call:
    """One `PutLineageSubgraph`, and the nodes its answer gives ids to, in order."""

    request: rpc.PutLineageSubgraphRequest
    actions: list[Node]
    artifacts: list[Node]
    open: list[tuple[pb.Execution | pb.Artifact, Ident]] = field(default_factory=list)
    """Nodes that the group before creates: to be updated, once they have an id."""
    open_events: list[tuple[pb.Event, Ident]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether something must be committed before this can be sent."""
        return bool(self.open or self.open_events)

    def close(self) -> None:
        """Fill in the ids that are known by now."""
        for node, ident in self.open:
            assert ident.mlmd_id is not None
            node.id, node.type_id = ident.mlmd_id, ident.type_id or node.type_id
        for event, ident in self.open_events:
            # MLMD takes an id that does not exist without a word (docs/mlmd.md, trap 7).
            assert ident.mlmd_id is not None
            event.artifact_id = ident.mlmd_id


class Encoder:
    def __init__(self, mlmd: Mlmd, lookup: Lookup) -> None:
        self._mlmd = mlmd
        self._lookup = lookup

    def encode(self, plan: Plan) -> list[Call]:
        """The calls of a plan, in the order they must be made."""
        return [call for batch in plan.batches if (call := self._call(batch)) is not None]

    def _call(self, batch: Batch) -> Call | None:
        """None when there is nothing to write."""
        contexts = self._mlmd.contexts(batch.contexts)
        artifacts = [*batch.artifacts, *self._unattributed(batch, contexts)]
        if not (batch.actions or artifacts):
            return None
        call = Call(rpc.PutLineageSubgraphRequest(contexts=contexts), batch.actions, artifacts)
        call.request.options.reuse_context_if_already_exist = True
        foreign = self._foreign("Execution", batch.actions)
        for node in batch.actions:
            type_id = self._mlmd.execution_type(node.state.get("type"))
            execution = call.request.executions.add()
            moved = self._identify(call, execution, node, type_id)
            codec.fill_execution(execution, node.state, node.record, foreign(node), moved)
        foreign = self._foreign("Artifact", artifacts)
        for node in artifacts:
            type_id = self._mlmd.artifact_type(node.state.type)
            artifact = call.request.artifacts.add()
            moved = self._identify(call, artifact, node, type_id)
            codec.fill_artifact(artifact, node.state, node.record, foreign(node), moved)
        self._events(call, batch)
        return call

    def _identify(
        self, call: Call, message: pb.Execution | pb.Artifact, node: Node, type_id: int
    ) -> bool:
        """Set the ids; returns whether the node has left the type it was made with."""
        ident = node.ident
        if ident.type_id is None:
            ident.type_id = type_id
        elif ident.mlmd_id is None:  # planned before, and on its way
            call.open.append((message, ident))
        if ident.mlmd_id is not None:
            message.id = ident.mlmd_id
        message.type_id = ident.type_id
        return ident.type_id != type_id

    def _events(self, call: Call, batch: Batch) -> None:
        places = {node.state.id: index for index, node in enumerate(call.artifacts)}
        for index, edge, target in batch.events:
            out = call.request.event_edges.add(execution_index=index)
            codec.fill_event(out.event, edge, batch.actions[index].state)
            if target.ident.mlmd_id is not None:
                # Linked by id: resending the node would blank what we leave out (trap 6).
                out.event.artifact_id = target.ident.mlmd_id
            elif (place := places.get(edge.artifact)) is not None:
                out.artifact_index = place
            else:
                call.open_events.append((out.event, target.ident))

    def _unattributed(self, batch: Batch, contexts: Sequence[pb.Context]) -> list[Node]:
        """Known artifacts that these contexts do not have yet: written again, whole."""
        own = {node.state.id for node in batch.artifacts}
        known: dict[int, Node] = {}
        under_way: list[Node] = []
        for id_, node in batch.mentioned.items():
            if (mlmd_id := node.ident.mlmd_id) is not None:
                known[mlmd_id] = node
            elif id_ not in own:
                under_way.append(node)
        missing: set[int] = set()
        for context in contexts:
            missing |= known.keys() - self._lookup.attributed(context.id, list(known))
        return [*(known[id_] for id_ in sorted(missing)), *under_way]

    def _foreign(self, kind: Kind, nodes: Sequence[Node]) -> Callable[[Node], dict[str, pb.Value]]:
        ids = [node.ident.mlmd_id for node in nodes if node.ident.mlmd_id is not None]
        rows = self._lookup.properties(kind, ids) if ids else {}

        def of(node: Node) -> dict[str, pb.Value]:
            found = rows.get(node.ident.mlmd_id or 0)
            return foreign_values(found, codec.own_properties(node.state)) if found else {}

        return of
