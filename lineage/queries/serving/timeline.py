"""A slot's past: what held it, from when to when, what was taken back, and when nothing did.

A period is a time in which a version of a slot had the same share of its traffic. Once the
cluster was seen, only what was seen counts; before, what a git tree held. Functions over a
Reader, no I/O of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from lineage.errors import BadRequest
from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.merge import ActionState
from lineage.queries.serving.brought import Brought, Models, brought
from lineage.queries.serving.deploys import KINDS, MOST, SEEN, Deploy, Held, Track, Tracks, standing
from lineage.store.ports import Page, Reader
from lineage.times import iso


@dataclass(frozen=True, slots=True)
class Period:
    """What held a slot, from when to when (µs; None = still)."""

    models: tuple[ArtifactNode, ...]
    deployment: ArtifactNode
    action: ActionNode
    """What began it: it put this version there, or gave a share to another one."""
    since: int
    until: int | None
    evidence: str = ""
    traffic: float | None = None
    """Percent of the requests, where several versions share the slot; None = all of them."""
    back_to: tuple[int, int] | None = None
    """When it was live before, since and until; None = it was not, or nothing else was since."""

    def json(self) -> dict[str, Any]:
        back = self.back_to
        return {
            "since": iso(self.since), "until": None if self.until is None else iso(self.until),
            "deployment": self.deployment.json(), "models": [m.json() for m in self.models],
            "action": self.action.json(), "evidence": self.evidence, "traffic": self.traffic,
            "rollback": back is not None,
            "back_to": back and {"since": iso(back[0]), "until": iso(back[1])},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which nothing was live, after something had been."""

    action: ActionNode
    since: int
    until: int | None

    def json(self) -> dict[str, Any]:
        return {
            "since": iso(self.since), "until": None if self.until is None else iso(self.until),
            "deployment": None, "models": [], "action": self.action.json(), "evidence": None,
            "traffic": None, "rollback": False, "back_to": None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Timeline:
    """The oldest first, what is still live last. `truncated` = older deploys are left out."""

    periods: tuple[Period, ...]
    gaps: tuple[Gap, ...]
    truncated: bool

    def latest(self, cursor: str | None, limit: int) -> Page[Period | Gap]:
        """Everything, what began last first, page by page.

        Raises:
            BadRequest: the cursor is none.
        """
        places: dict[tuple[int, str], Period | Gap] = {_place(p): p for p in self.periods}
        places |= {_place(gap): gap for gap in self.gaps}
        after = (0, "") if cursor is None else _parsed(cursor)
        rest = sorted(place for place in places if cursor is None or place > after)
        kept = rest[:limit]
        more = f"{-kept[-1][0]}/{kept[-1][1]}" if len(rest) > limit else None
        return Page([places[place] for place in kept], more)


def timelines(reader: Reader, slots: Sequence[str], most: int = MOST) -> dict[str, Timeline]:
    """The past of each slot (canonical URI), from at most its `most` latest deploys."""
    tracks = Tracks(reader, slots, (*SEEN, "committed"), most)
    states: dict[str, list[State]] = {}
    whole: dict[str, bool] = {}
    for uri in slots:
        seen, tree = tracks.of(uri, SEEN), tracks.of(uri, ("committed",))
        whole[uri] = seen.whole and (tree.whole or not tree.deploys)
        first = seen.deploys[-1].ended if seen.deploys else None
        before = [s for s in moments(tree) if first is None or s.at < first] if seen.whole else []
        states[uri] = [*before, *moments(seen)]
    models = brought(reader, (h.deploy for all_ in states.values() for s in all_ for h in s.held))
    return {
        uri: Run(all_, models, whole[uri]).timeline(not whole[uri]) for uri, all_ in states.items()
    }


class State(NamedTuple):
    """What held a slot from a moment on, the deploy that made it so, and whether nothing
    older could make it something else."""

    at: int
    cause: Deploy
    held: list[Held]
    settled: bool


def moments(track: Track) -> Iterator[State]:
    """The state after each moment at which something was put there, oldest first."""
    deploys = track.deploys
    for n in reversed(range(len(deploys))):
        if n == 0 or deploys[n - 1].ended != deploys[n].ended:
            yield State(deploys[n].ended, deploys[n], *standing(track, n))


@dataclass(slots=True)
class Term:
    """A period while it is worked out. `sure` = it did not begin before `since`."""

    deploy: Deploy
    cause: Deploy
    since: int
    traffic: float | None
    models: tuple[Brought, ...]
    evidence: str
    sure: bool
    until: int | None = None
    back_to: Term | None = None

    @property
    def content(self) -> object:
        """What is the same when it comes back."""
        return frozenset(b.model.id for b in self.models) or self.deploy.deployment.id

    @property
    def action(self) -> ActionState:
        return (self.deploy if self.deploy.ended == self.since else self.cause).action

    def goes_on(self, held: Held, models: tuple[Brought, ...]) -> bool:
        """Whether this changed nothing. A resync often knows less than the deploy did."""
        same = {b.model.id for b in self.models} == {b.model.id for b in models}
        return self.traffic == held.traffic and (same or not (self.models and models))

    def period(self) -> Period:
        back = self.back_to
        return Period(
            tuple(artifact_node(b.model) for b in self.models),
            artifact_node(self.deploy.deployment),
            action_node(self.action),
            self.since,
            self.until,
            self.evidence,
            self.traffic,
            None if back is None else (back.since, back.until or self.since),
        )


class Run:
    """The states of a slot one after the other, as terms and gaps."""

    def __init__(self, states: Iterable[State], models: Models, whole: bool) -> None:
        self.terms: list[Term] = []
        self.gaps: list[Gap] = []
        self.open: dict[tuple[str, bool], Term] = {}
        """What is live after the last state."""
        self.settled = whole
        """Whether the last state, and since when it is so, depend on nothing older."""
        self._models = models
        self._sure = whole
        self._last: dict[object, tuple[int, Term]] = {}
        self._full = -1
        for number, state in enumerate(states):
            self._step(number, state)
        known = bool(whole or self.open or self.gaps)
        self.settled = self._sure and known and all(t.sure for t in self.open.values())

    def timeline(self, truncated: bool) -> Timeline:
        terms = [t for t in self.terms if t.sure or t.until is None]
        terms.sort(key=lambda t: (t.until is None, t.until, t.since, t.deploy.order))
        return Timeline(tuple(t.period() for t in terms), tuple(self.gaps), truncated)

    def _step(self, number: int, state: State) -> None:
        if not state.settled:  # so what came before cannot be told either
            self.terms, self.gaps, self.open, self._last = [], [], {}, {}
            self._full, self._sure = -1, False
            return
        before, self.open = self.open, {}
        for held in state.held:
            key = held.deploy.deployment.id, held.deploy.seen
            models = self._models.get((held.deploy.action.id, key[0]), ())
            term = before.get(key)
            if term is not None and term.goes_on(held, models):
                del before[key]
                term.models = term.models or models
                term.evidence = min(term.evidence, held.deploy.evidence, key=KINDS.index)
            else:
                term = self._begin(held, models, state)
            self.open[key] = term
        for term in before.values():
            term.until = state.at
        self._gap(state, bool(before))
        self._last |= {term.content: (number, term) for term in self.open.values()}
        self._full = number if self.open else self._full
        self._sure = True

    def _begin(self, held: Held, models: tuple[Brought, ...], state: State) -> Term:
        deploy, traffic = held
        sure = self._sure
        term = Term(deploy, state.cause, state.at, traffic, models, deploy.evidence, sure)
        number, earlier = self._last.get(term.content, (self._full, term))
        if number < self._full:
            term.back_to = earlier
        self.terms.append(term)
        return term

    def _gap(self, state: State, ends: bool) -> None:
        if self.gaps and self.gaps[-1].until is None and self.open:
            self.gaps[-1] = replace(self.gaps[-1], until=state.at)
        elif ends and not self.open:
            self.gaps.append(Gap(action_node(state.cause.action), state.at, None))


def _place(one: Period | Gap) -> tuple[int, str]:
    """By which it is ordered and found again."""
    return -one.since, one.deployment.id if isinstance(one, Period) else ""


def _parsed(cursor: str) -> tuple[int, str]:
    since, slash, name = cursor.partition("/")
    if not (since.isdecimal() and slash):
        raise BadRequest("cursor: not one of ours; leave it out to begin at the first page")
    return -int(since), name
