"""Commits to a database into which other servers record too (docs/decisions/0011).

Two that read, join and write the same node at once would lose one of the joins. What is
created needs no care: ML Metadata takes an id once, and who comes second is refused and reads
again. What is *changed* is held (`lineage.store.locks`) before it is written, and read once
more: if it is no longer what was joined, everything is held first and then read. So reports of
different things do not wait for each other, whoever records them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import re
import time
from collections.abc import Iterable, Iterator, Sequence

from lineage.errors import StoreFull, StoreUnavailable
from lineage.model import Action
from lineage.store.commit import commit, failed, verdicts
from lineage.store.encode import Call, Encoder
from lineage.store.fit import fitting
from lineage.store.locks import HOLD, RELEASE
from lineage.store.lookup import Lookup
from lineage.store.mlmd import Mlmd
from lineage.store.plan import Plan, Planner
from lineage.store.ports import Verdict
from lineage.store.supervisor import StoreProcess, StoreRefused

log = logging.getLogger("lineage.store")

PATIENCE = 30.0
SLICE = 250
"""Reports of one transaction, so that none lasts long: others wait for it, and who follows the
changes looks back as far as one may last (`lineage.store.search.feed`)."""
_PASSING = {"ABORTED", "ALREADY_EXISTS"}
"""Deadlocks, and what another made first: as often as it takes."""
_REFUSALS = 3
"""The others may come of a connection that broke, or be meant."""


class Shared:
    """Plans and commits groups, one after the other. Not thread-safe."""

    def __init__(
        self, store: StoreProcess, planner: Planner, encoder: Encoder, mlmd: Mlmd, lookup: Lookup
    ) -> None:
        self._store = store
        self._planner = planner
        self._encoder = encoder
        self._mlmd = mlmd
        self._lookup = lookup
        self._fit = fitting(lookup.engine)

    def commit(self, actions: Sequence[Action]) -> list[Verdict]:
        slices = (actions[start : start + SLICE] for start in range(0, len(actions), SLICE))
        return [verdict for some in slices for verdict in self._slice(some)]

    def _slice(self, actions: Sequence[Action], refused: int = 0) -> list[Verdict]:
        deadline = time.monotonic() + PATIENCE
        careful = False
        why: StoreRefused | None = None
        first: Plan | None = None  # what it found was before these reports, so its outcomes stay
        while time.monotonic() < deadline:
            self._store.wait_ready(max(0.0, deadline - time.monotonic()))
            try:
                with self._holding(self._planner.ids(actions) if careful else ()):
                    plan = self._planner.plan(actions)
                    calls = self._encoder.encode(plan)
                    for call in calls:
                        self._fit(call.request)
                    if not careful and (changed := _changed(calls)):
                        with self._holding(changed):
                            if careful := self._moved(plan, changed):
                                continue
                            first = first or plan
                            commit(self._mlmd, calls)
                    else:
                        first = first or plan
                        commit(self._mlmd, calls)
                return verdicts(actions, first)
            except StoreUnavailable as error:
                log.warning("a commit failed and is tried again: %s", error)
                self._mlmd.forget()
                time.sleep(random.uniform(0.02, 0.1))  # noqa: S311
            except StoreFull as error:
                return [failed(action, error) for action in actions]
            except StoreRefused as error:
                careful = True
                why = error
                if error.code not in _PASSING:
                    refused += 1
                    self._mlmd.forget()
                if refused >= _REFUSALS:
                    if len(actions) == 1:
                        return [failed(actions[0], error)]
                    log.warning("MLMD refused a group (%s); its halves go alone", error.code)
                    half = len(actions) // 2
                    halves = actions[:half], actions[half:]
                    return [v for some in halves for v in self._slice(some, _REFUSALS - 1)]
                time.sleep(random.uniform(0.0, 0.02))  # noqa: S311
        if why is not None:
            at = re.search(r'constraint "?(\w+)', why.private)
            log.error("MLMD refused a group to the end: %s %s", why.code, at and at[1])
        late = StoreUnavailable(f"the store did not answer for {PATIENCE:.0f} s; try again")
        return [failed(action, late) for action in actions]

    def _moved(self, plan: Plan, changed: Iterable[str]) -> bool:
        """Whether any of these is not as it was joined."""
        ids = set(changed)
        for kind, before in plan.read.items():
            mine = ids & before.keys()
            now = {id_: one.record for id_, one in self._lookup.stored(kind, mine).items()}
            if any(before[id_] != now.get(id_) for id_ in mine):
                return True
        return False

    @contextlib.contextmanager
    def _holding(self, ids: Iterable[str]) -> Iterator[None]:
        """Hold these. Should they have been lost on the way, StoreUnavailable is raised in the
        end: what was written meanwhile may have been written over."""
        ids = list(ids)
        if not ids:
            yield
            return
        self._store.call(HOLD, json.dumps(ids).encode())
        try:
            yield
        except BaseException:
            with contextlib.suppress(StoreUnavailable):
                self._store.call(RELEASE, b"")
            raise
        self._store.call(RELEASE, b"")


def _changed(calls: Sequence[Call]) -> list[str]:
    """Ids of what these calls write and did not make."""
    return [
        node.state.id
        for call in calls
        for node in (*call.actions, *call.artifacts)
        if node.ident.mlmd_id is not None
    ]
