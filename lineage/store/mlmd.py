"""The calls this product makes to MLMD, typed: types and contexts by name, and one commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message
from ml_metadata.proto import metadata_store_pb2 as pb
from ml_metadata.proto import metadata_store_service_pb2 as rpc

from lineage.store import codec
from lineage.store.supervisor import StoreRefused

M = TypeVar("M", bound=Message)
Contexts = tuple[tuple[str, str, str], ...]
Ids = tuple[list[int], list[int]]


class Caller(Protocol):
    def call(self, method: str, request: bytes, timeout: float = ...) -> bytes: ...
    def begin(self, method: str, request: bytes, timeout: float = ...) -> Callable[[], bytes]: ...


class Mlmd:
    """Remembers the ids of types and contexts, which never change as long as these are there."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._types: dict[tuple[str, str], int] = {}
        self._contexts: dict[tuple[str, str], pb.Context] = {}

    def execution_type(self, action_type: str) -> int:
        return self._type("Execution", action_type, codec.execution_type(action_type))

    def artifact_type(self, type_: str) -> int:
        return self._type("Artifact", type_, codec.artifact_type(type_))

    def contexts(self, wanted: Contexts) -> list[pb.Context]:
        """These contexts with their ids, made when missing, each the child of the one before.

        The outermost (the namespace) is left out of the answer: what is in a controller's
        context is in its namespace by the parent link.
        """
        out: list[pb.Context] = []
        for type_, name, display_name in wanted:
            known = self._contexts.get((type_, name))
            if known is None:
                known = self._context(type_, name, display_name, out[-1:] and out[-1].id)
                if len(self._contexts) > 10_000:
                    self._contexts.clear()
                self._contexts[type_, name] = known
            out.append(known)
        return out[1:]

    def forget(self) -> None:
        """Ask for contexts again: one that was left empty may have been removed."""
        self._contexts.clear()

    def begin(self, request: rpc.PutLineageSubgraphRequest) -> Callable[[], Ids]:
        """Send a write, one transaction; what is returned waits for it and gives the ids of
        its executions and artifacts, in its order."""
        wait = self._caller.begin("PutLineageSubgraph", request.SerializeToString())

        def ids() -> Ids:
            answer = rpc.PutLineageSubgraphResponse.FromString(wait())
            return list(answer.execution_ids), list(answer.artifact_ids)

        return ids

    def _call(self, method: str, request: Message, response: type[M]) -> M:
        return response.FromString(self._caller.call(method, request.SerializeToString()))

    def _type(self, kind: str, name: str, type_: Any) -> int:
        known = self._types.get((kind, name))
        if known is None:
            request = getattr(rpc, f"Put{kind}TypeRequest")(
                can_add_fields=True, can_omit_fields=True
            )
            getattr(request, f"{kind.lower()}_type").CopyFrom(type_)
            response = getattr(rpc, f"Put{kind}TypeResponse")
            known = int(self._call(f"Put{kind}Type", request, response).type_id)
            self._types[kind, name] = known
        return known

    def _context(self, type_: str, name: str, display: str, parent: Any) -> pb.Context:
        type_id = self._type("Context", type_, pb.ContextType(name=type_))
        node = codec.context(type_id, name, display)
        try:
            request = rpc.PutContextsRequest(contexts=[node])
            node.id = self._call("PutContexts", request, rpc.PutContextsResponse).context_ids[0]
        except StoreRefused as error:
            if error.code != "ALREADY_EXISTS":
                raise
            by_name = rpc.GetContextByTypeAndNameRequest(type_name=type_, context_name=name)
            answer = self._call(
                "GetContextByTypeAndName", by_name, rpc.GetContextByTypeAndNameResponse
            )
            node = pb.Context()
            node.CopyFrom(answer.context)
            for unwanted in ("create_time_since_epoch", "last_update_time_since_epoch", "type"):
                node.ClearField(unwanted)
        if parent:
            self._adopt(node.id, parent)
        return node

    def _adopt(self, child: int, parent: int) -> None:
        request = rpc.PutParentContextsRequest(
            parent_contexts=[pb.ParentContext(child_id=child, parent_id=parent)]
        )
        try:
            self._call("PutParentContexts", request, rpc.PutParentContextsResponse)
        except StoreRefused as error:
            if error.code != "ALREADY_EXISTS":
                raise
