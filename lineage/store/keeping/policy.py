"""Which actions leave by age: pure. What must stay for others' sake is not known here."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from lineage.merge import ActionState

RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Policy:
    """Actions that ended before `before` (µs) leave, if they are of these types and of these
    namespaces (empty = any). The `last` latest of each controller stay."""

    before: int
    last: int = 0
    types: Set[str] = frozenset()
    namespaces: Set[str] = frozenset()

    def leaves(self, state: ActionState) -> bool:
        """One that runs never leaves, however long it has. An end nobody told is as late as
        the last that was heard."""
        if state.get("state") == RUNNING:
            return False
        who = state.get("controller") or ("", "", "")
        asked = not self.types or state.get("type") in self.types
        asked &= not self.namespaces or who[1] in self.namespaces
        last = state.ended if state.ended is not None else max(state.started, state.clock)
        return bool(asked) and last < self.before
