"""What is stale: what is live although something newer is behind it, how far, and why.

Functions over a Reader; `now` is a parameter. What counts as newer: lineage.queries.staleness.reasons.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lineage.graph import ActionNode, ArtifactNode, action_node
from lineage.queries.serving.live import LIMIT, Slot, page
from lineage.queries.serving.timeline import timelines
from lineage.queries.staleness.behind import Behind
from lineage.queries.staleness.reasons import Later, Limits, Reason, why
from lineage.queries.staleness.trained import TRAIN, Made, alike, same, trainings, written
from lineage.store.ports import ActionFilter, Page, Reader
from lineage.times import iso

Status = Literal["fresh", "stale", "unknown"]
MOST_TRAININGS = 5_000
"""Trainings looked at for all slots together, the latest first."""
MOST_REASONS = 20
MOST_PAST = 100
"""Deploys of a slot that are looked at for a rollback, the latest first."""
_ORDER: tuple[Status, ...] = ("stale", "unknown", "fresh")


@dataclass(frozen=True, slots=True)
class Staleness:
    """One slot's answer. `unknown`: no training of its models is recorded, so nothing to compare."""

    slot: str
    models: tuple[ArtifactNode, ...]
    live_since: int
    trained_by: tuple[ActionNode, ...]
    reasons: tuple[Reason, ...]
    truncated: bool

    @property
    def status(self) -> Status:
        return "stale" if self.reasons else "fresh" if self.trained_by else "unknown"

    @property
    def since(self) -> int | None:
        return min((reason.since for reason in self.reasons), default=None)

    def json(self) -> dict[str, Any]:
        return {
            "slot": self.slot, "status": self.status,
            "since": None if self.since is None else iso(self.since),
            "live_since": iso(self.live_since), "truncated": self.truncated,
            "models": [model.json() for model in self.models],
            "trained_by": [action.json() for action in self.trained_by],
            "reasons": [reason.json() for reason in self.reasons],
        }  # fmt: skip


def stale(
    reader: Reader,
    now: int,
    namespace: str | None = None,
    limits: Limits | None = None,
    cursor: str | None = None,
    limit: int = LIMIT,
) -> tuple[Page[Staleness], bool]:
    """So many live slots, the stale ones first and of these the longest stale; and whether a
    bound left anything out of these.

    Raises:
        BadRequest: the cursor is none.
    """
    return judged(reader, page(reader, namespace, cursor, limit), now, limits)


def judged(
    reader: Reader, found: Page[Slot], now: int, limits: Limits | None = None
) -> tuple[Page[Staleness], bool]:
    """The same of a page of live slots."""
    out = staleness(reader, found.items, now, limits)
    return Page(out, found.cursor), any(one.truncated for one in out)


def staleness(
    reader: Reader, live: Sequence[Slot], now: int, limits: Limits | None = None
) -> list[Staleness]:
    """The same of these slots."""
    slots: dict[str, list[Slot]] = {}
    for entry in live:
        slots.setdefault(entry.uri, []).append(entry)
    used = _models(reader, slots)
    everything = [made for some in used.values() for made in some]
    trained, whole = later_trainings(reader, everything)
    later, behind = Later(trained), Behind(reader, [made.by for made in everything])
    present = {uri: _newest_of_each(some) for uri, some in used.items()}
    newer = {uri: [later.than(one, used[uri]) for one in some] for uri, some in present.items()}
    beaten = [uri for uri, some in newer.items() if any(some)]
    past = timelines(reader, beaten, MOST_PAST) if beaten else {}
    out = []
    for uri, entries in slots.items():
        periods = past[uri].periods if uri in past else ()
        reasons = [
            reason
            for made, models in zip(present[uri], newer[uri], strict=True)
            for reason in why(made, models, behind, periods, now, limits or Limits())
        ]
        cut = not whole or behind.truncated
        out.append(_slot(uri, entries, present[uri], reasons, cut))
    out.sort(key=lambda s: (_ORDER.index(s.status), s.since or 0, s.slot))
    return out


def later_trainings(reader: Reader, used: Sequence[Made]) -> tuple[list[Made], bool]:
    """The models trained since the oldest training of these; False = not all were looked at."""
    if not used:
        return [], True
    since = min(made.by.started for made in used)
    wanted = ActionFilter(type=TRAIN, state="complete", since=since)
    actions, whole = trainings(reader, wanted, MOST_TRAININGS)
    return written(reader, actions), whole


def _models(reader: Reader, slots: Mapping[str, Sequence[Slot]]) -> dict[str, list[Made]]:
    """The models live in each slot, as their trainings wrote them."""
    trainers = {a.id for entries in slots.values() for entry in entries for a in entry.trained_by}
    actions = reader.actions_by_id(sorted(trainers)) if trainers else {}
    made: dict[str, list[Made]] = defaultdict(list)
    for one in written(reader, actions.values()):
        made[one.by.id].append(one)
    return {
        uri: [
            one
            for by in dict.fromkeys(a.id for entry in entries for a in entry.trained_by)
            for one in made[by]
            if any(same(one.model, model) for entry in entries for model in entry.models)
        ]
        for uri, entries in slots.items()
    }


def _newest_of_each(used: Sequence[Made]) -> list[Made]:
    """Of each family the one trained last: while two share the traffic, the old one is going."""
    out: list[Made] = []
    for made in sorted(used, key=lambda m: m.order, reverse=True):
        if not any(alike(made, one) for one in out):
            out.append(made)
    return out


def _slot(
    uri: str, entries: Sequence[Slot], present: Sequence[Made], reasons: Sequence[Reason], cut: bool
) -> Staleness:
    held = {m.id: m for entry in entries for m in entry.models}
    return Staleness(
        uri,
        tuple(held.values()),
        max(entry.since for entry in entries),
        tuple(action_node(made.by) for made in present),
        tuple(reasons[:MOST_REASONS]),
        cut or len(reasons) > MOST_REASONS,
    )
