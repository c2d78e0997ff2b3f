"""Group commit: concurrent reports share a transaction; nobody hears before the commit.

Two threads. The *planner* takes what is queued, reads, merges and encodes it; the *committer*
sends each plan to the store process and tells the waiting. So one group is planned while the
one before it commits. Exactly one writer per file; a database on a server has several, and
then the committer does it all (`lineage.store.sharing`).

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
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from lineage.errors import LineageError, StoreError, StoreFull, StoreUnavailable
from lineage.model import Action
from lineage.store.commit import commit, failed, verdicts
from lineage.store.encode import Call, Encoder
from lineage.store.gate import Gate, NoGate
from lineage.store.intake import GROUP, Done, Intake, Ticket
from lineage.store.lookup import Lookup
from lineage.store.mlmd import Mlmd
from lineage.store.plan import Plan, Planner
from lineage.store.ports import Verdict
from lineage.store.sharing import Shared
from lineage.store.supervisor import StoreProcess, StoreRefused

log = logging.getLogger("lineage.store")

PATIENCE = 30.0
VOID = -1
"""The generation of a group that must be planned again."""
Committed = Callable[[Sequence[Action], Sequence[Verdict], float], None]
"""Hears of each group: what it held, what became of it, seconds until it was committed."""


class _Group(NamedTuple):
    tickets: list[Ticket]
    actions: list[Action]
    plan: Plan
    calls: list[Call]
    generation: int


class Writer:
    """Implements `lineage.store.ports.Recorder`."""

    def __init__(
        self,
        store: StoreProcess,
        lookup: Lookup,
        committed: Committed = lambda *_: None,
        gate: Gate | None = None,
    ) -> None:
        self._store = store
        self._gate = gate or NoGate()
        self._committed = committed
        self._planner = Planner(lookup)
        self._mlmd = Mlmd(store)
        self._encoder = Encoder(self._mlmd, lookup)
        self._shared = (
            Shared(store, self._planner, self._encoder, self._mlmd, lookup)
            if store.shared
            else None
        )
        self._intake = Intake()
        self._plans: queue.SimpleQueue[_Group | None] = queue.SimpleQueue()
        self._in_flight: deque[_Group] = deque()
        self._planning = threading.Lock()  # held while planning, and while recovering
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
            self._gate.enter()  # from the look-up to the commit
            group = self._plan(tickets, actions)
            if group is not None:
                self._plans.put(group)
            else:
                self._gate.leave()
                self._intake.finished(len(actions))
        self._plans.put(None)

    def _plan(self, tickets: list[Ticket], actions: list[Action]) -> _Group | None:
        if self._shared is not None:  # what is planned ahead, others may change
            return _Group(tickets, actions, Plan(), [], VOID)
        with self._planning:
            generation = self._generation
            in_flight = list(self._in_flight)
            if any(group.generation != generation for group in in_flight):
                generation = VOID  # rests on a plan that failed
            try:
                plan = self._planner.plan(actions, [group.plan for group in in_flight])
                calls = self._encoder.encode(plan)
            except StoreError:  # a type or context could not be made: the committer waits
                plan, calls, generation = Plan(), [], VOID
            except Exception as error:
                log.exception("a group could not be planned")
                _tell(tickets, [failed(action, _safe(error)) for action in actions])
                return None
            group = _Group(tickets, actions, plan, calls, generation)
            self._in_flight.append(group)
            return group

    # -- committer thread -----------------------------------------------------------

    def _commit_all(self) -> None:
        while (group := self._plans.get()) is not None:
            began = time.monotonic()
            try:
                verdicts = self._commit_group(group)
            except Exception as error:
                log.exception("a group could not be committed")
                verdicts = [failed(action, _safe(error)) for action in group.actions]
            if self._in_flight:
                self._in_flight.popleft()
            self._gate.leave()
            self._intake.finished(len(group.actions))
            _tell(group.tickets, verdicts)
            self._committed(group.actions, verdicts, time.monotonic() - began)

    def _commit_group(self, group: _Group) -> list[Verdict]:
        if self._shared is not None:
            return self._shared.commit(group.actions)
        if group.generation == self._generation:
            try:
                commit(self._mlmd, group.calls)
                return verdicts(group.actions, group.plan)
            except LineageError as error:
                log.warning("a commit failed and is tried again: %s", error)
        with self._planning:
            self._generation += 1
            return self._recover(group.actions, group.plan)

    def _recover(self, actions: list[Action], first: Plan) -> list[Verdict]:
        """Commit a group whose plan is void, from what the database holds now.

        The outcomes of the `first` plan stay true: what it found was before these reports.
        """
        deadline = time.monotonic() + PATIENCE
        self._mlmd.forget()
        while time.monotonic() < deadline:
            self._store.wait_ready(max(0.0, deadline - time.monotonic()))
            try:
                plan = self._planner.plan(actions)
                commit(self._mlmd, self._encoder.encode(plan))
                return verdicts(actions, first if first.outcomes else plan)
            except StoreUnavailable:
                time.sleep(0.05)
            except StoreFull as error:
                return [failed(action, error) for action in actions]
            except StoreRefused as error:
                if error.code == "ABORTED":  # another process had the write lock
                    time.sleep(0.05)
                    continue
                if len(actions) == 1:
                    return [failed(actions[0], error)]
                log.warning("MLMD refused a group (%s); its reports go one by one", error.code)
                return [v for action in actions for v in self._recover([action], Plan())]
        late = StoreUnavailable(f"the store did not answer for {PATIENCE:.0f} s; try again")
        return [failed(action, late) for action in actions]


def _settle(future: asyncio.Future[list[Verdict]], verdicts: list[Verdict]) -> None:
    if not future.done():  # the client may have gone
        future.set_result(verdicts)


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
    for done, told in parts:
        done(told)
