"""Group commit: concurrent reports share a transaction; nobody hears before the commit.

Two threads. The *planner* takes what is queued, reads and merges it (`lineage.store.plan`);
the *committer* sends each plan to the store process and tells the waiting. So one group is
planned while the one before it commits. Exactly one writer per database.

When the store process dies in a call, nobody knows whether the call was committed. Then,
and whenever MLMD refuses, the group is planned again from what the database holds; merging
makes that harmless. Only after `PATIENCE` seconds are the reports given back with an error.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from ml_metadata.proto import metadata_store_pb2 as pb
from ml_metadata.proto import metadata_store_service_pb2 as rpc

from lineage.errors import LineageError, StoreUnavailable
from lineage.identity import action_id
from lineage.model import Action
from lineage.store import codec
from lineage.store.intake import GROUP, Done, Intake, Ticket
from lineage.store.lookup import Kind, Lookup
from lineage.store.mlmd import Mlmd
from lineage.store.plan import Batch, Node, Plan, Planner, foreign_values
from lineage.store.ports import Verdict
from lineage.store.supervisor import StoreProcess, StoreRefused

log = logging.getLogger("lineage.store")

PATIENCE = 30.0


class _Group(NamedTuple):
    tickets: list[Ticket]
    actions: list[Action]
    plan: Plan
    generation: int


class Writer:
    """Implements `lineage.store.ports.Recorder`."""

    def __init__(self, store: StoreProcess, lookup: Lookup) -> None:
        self._store = store
        self._lookup = lookup
        self._planner = Planner(lookup)
        self._mlmd = Mlmd(store)
        self._intake = Intake()
        self._plans: queue.SimpleQueue[_Group | None] = queue.SimpleQueue()
        self._in_flight: list[_Group] = []
        self._lock = threading.Lock()  # planning against recovery
        self._generation = 0
        self._threads = [
            threading.Thread(target=self._plan_all, name="planner", daemon=True),
            threading.Thread(target=self._commit_all, name="committer", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, actions: Sequence[Action]) -> Future[list[Verdict]]:
        future: Future[list[Verdict]] = Future()
        self._intake.put(Ticket(actions, future.set_result, None))
        return future

    async def record(self, actions: Sequence[Action]) -> list[Verdict]:
        """`submit` for an event loop, which is woken once a group and not once a report."""
        loop = asyncio.get_running_loop()
        futures = []
        for start in range(0, len(actions), GROUP):
            future: asyncio.Future[list[Verdict]] = loop.create_future()
            done = functools.partial(_settle, future)
            self._intake.put(Ticket(actions[start : start + GROUP], done, loop))
            futures.append(future)
        return [verdict for future in futures for verdict in await future]

    def close(self) -> None:
        """Commit what is queued, then end the threads."""
        self._intake.close()
        for thread in self._threads:
            thread.join()

    @property
    def depth(self) -> int:
        """Reports queued and not yet planned."""
        return self._intake.depth

    # -- planner thread -------------------------------------------------------------

    def _plan_all(self) -> None:
        while tickets := self._intake.take():
            actions = [action for ticket in tickets for action in ticket.actions]
            group = self._plan(tickets, actions)
            if group is not None:
                self._plans.put(group)
            else:
                self._intake.finished()
        self._plans.put(None)

    def _plan(self, tickets: list[Ticket], actions: list[Action]) -> _Group | None:
        with self._lock:
            generation = self._generation
            pending = [group.plan.nodes for group in self._in_flight]
            if any(group.generation != generation for group in self._in_flight):
                generation = -1  # rests on a plan that failed: to be planned again
            try:
                plan = self._planner.plan(actions, pending)
            except Exception as error:
                log.exception("a group could not be planned")
                _tell(tickets, [_failed(action, _safe(error)) for action in actions])
                return None
            group = _Group(tickets, actions, plan, generation)
            self._in_flight.append(group)
            return group

    # -- committer thread -----------------------------------------------------------

    def _commit_all(self) -> None:
        while (group := self._plans.get()) is not None:
            try:
                verdicts = self._commit_group(group)
            except Exception as error:
                log.exception("a group could not be committed")
                verdicts = [_failed(action, _safe(error)) for action in group.actions]
            with self._lock:
                self._in_flight.remove(group)
            self._intake.finished()
            _tell(group.tickets, verdicts)

    def _commit_group(self, group: _Group) -> list[Verdict]:
        if group.generation == self._generation:
            try:
                self._commit(group.plan)
                return _verdicts(group.actions, group.plan)
            except LineageError as error:
                log.warning("a commit failed and is tried again: %s", error)
        with self._lock:
            self._generation += 1
            return self._recover(group)

    def _recover(self, group: _Group) -> list[Verdict]:
        """Commit a group whose plan is void, from what the database holds now."""
        deadline = time.monotonic() + PATIENCE
        refused: LineageError | None = None
        while time.monotonic() < deadline and refused is None:
            self._store.wait_ready(max(0.0, deadline - time.monotonic()))
            try:
                self._commit(self._planner.plan(group.actions))
                return _verdicts(group.actions, group.plan)
            except StoreUnavailable:
                time.sleep(0.05)
            except StoreRefused as error:
                log.warning("MLMD refused a group (%s); its reports go one by one", error.code)
                refused = error
        if refused is None:
            late = StoreUnavailable(f"the store did not answer for {PATIENCE:.0f} s; try again")
            return [_failed(action, late) for action in group.actions]
        if len(group.actions) == 1:
            return [_failed(group.actions[0], refused)]
        singles = [
            _Group([], [a], Plan([], [o], {}), -1)
            for a, o in zip(group.actions, group.plan.outcomes, strict=True)
        ]
        return [self._recover(single)[0] for single in singles]

    def _commit(self, plan: Plan) -> None:
        for batch in plan.batches:
            self._commit_batch(batch)

    def _commit_batch(self, batch: Batch) -> None:
        contexts = self._mlmd.contexts(batch.contexts)
        artifacts = [*batch.artifacts, *self._unattributed(batch, contexts)]
        if not (batch.actions or artifacts):
            return
        request = rpc.PutLineageSubgraphRequest(contexts=contexts)
        self._fill(request, batch, artifacts)
        execution_ids, artifact_ids = self._mlmd.commit(request)
        for node, id_ in zip(batch.actions, execution_ids, strict=True):
            node.ident.mlmd_id = id_
        for node, id_ in zip(artifacts, artifact_ids, strict=True):
            node.ident.mlmd_id = id_

    def _fill(
        self, request: rpc.PutLineageSubgraphRequest, batch: Batch, artifacts: Sequence[Node]
    ) -> None:
        foreign = self._foreign("Execution", batch.actions)
        for node in batch.actions:
            type_id = self._mlmd.execution_type(node.state.get("type"))
            ident = node.ident.typed(type_id)
            execution = request.executions.add(id=ident.mlmd_id, type_id=ident.type_id)
            moved = ident.type_id != type_id
            codec.fill_execution(execution, node.state, node.record, foreign(node), moved)
        foreign = self._foreign("Artifact", artifacts)
        for node in artifacts:
            type_id = self._mlmd.artifact_type(node.state.type)
            ident = node.ident.typed(type_id)
            artifact = request.artifacts.add(id=ident.mlmd_id, type_id=ident.type_id)
            moved = ident.type_id != type_id
            codec.fill_artifact(artifact, node.state, node.record, foreign(node), moved)
        places = {node.state.id: index for index, node in enumerate(artifacts)}
        for index, number, edge, target in batch.events:
            out = request.event_edges.add(execution_index=index)
            codec.fill_event(out.event, edge, number, batch.actions[index].state)
            if target.ident.mlmd_id is not None:
                # Linked by id: resending the node would blank what we leave out (trap 6).
                out.event.artifact_id = target.ident.mlmd_id
            else:
                # It is in this call, or MLMD would take a dangling edge without a word (trap 7).
                out.artifact_index = places[edge.artifact]

    def _unattributed(self, batch: Batch, contexts: Sequence[pb.Context]) -> list[Node]:
        """Known artifacts that these contexts do not have yet: written again, whole."""
        known = {n.ident.mlmd_id: n for n in batch.mentioned.values() if n.ident.mlmd_id}
        missing: set[int] = set()
        for context in contexts[1:]:
            missing |= known.keys() - self._lookup.attributed(context.id, list(known))
        return [known[id_] for id_ in sorted(missing)]

    def _foreign(self, kind: Kind, nodes: Sequence[Node]) -> Callable[[Node], dict[str, pb.Value]]:
        ids = [node.ident.mlmd_id for node in nodes if node.ident.mlmd_id is not None]
        rows = self._lookup.properties(kind, ids) if ids else {}

        def of(node: Node) -> dict[str, pb.Value]:
            found = rows.get(node.ident.mlmd_id or 0)
            return foreign_values(found, codec.own_properties(node.state)) if found else {}

        return of


def _settle(future: asyncio.Future[list[Verdict]], verdicts: list[Verdict]) -> None:
    if not future.done():  # the client may have gone
        future.set_result(verdicts)


def _verdicts(actions: Sequence[Action], plan: Plan) -> list[Verdict]:
    pairs = zip(actions, plan.outcomes, strict=True)
    return [Verdict(action_id(action.key), outcome) for action, outcome in pairs]


def _failed(action: Action, error: LineageError) -> Verdict:
    return Verdict(action_id(action.key), None, error)


def _safe(error: Exception) -> LineageError:
    """Foreign messages may carry whole nodes, so they stay in the log."""
    if isinstance(error, LineageError):
        return error
    return StoreUnavailable("the store failed; nothing is known to be recorded, so send it again")


def _tell(tickets: Sequence[Ticket], verdicts: list[Verdict]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Done, list[Verdict]]]] = {}
    start = 0
    for ticket in tickets:
        part = verdicts[start : start + len(ticket.actions)]
        start += len(ticket.actions)
        if ticket.loop is None:
            ticket.done(part)
        else:
            loops.setdefault(ticket.loop, []).append((ticket.done, part))
    for loop, parts in loops.items():
        try:
            loop.call_soon_threadsafe(_tell_all, parts)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("a loop closed before its reports were told")


def _tell_all(parts: list[tuple[Done, list[Verdict]]]) -> None:
    for done, verdicts in parts:
        done(verdicts)
