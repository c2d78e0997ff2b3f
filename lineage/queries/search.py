"""Search: which actions and artifacts have a name, URI, commit, parameter… like this, best first.

The index only proposes: every hit is looked at as it is in the store. At most `LOOKED_AT`
proposals of a kind and a rank are, the latest first, so a search for a common word costs no
more than one for a rare one; what is left out shows as `truncated`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lineage.findable import State
from lineage.graph import action_node, artifact_node
from lineage.merge import ActionState
from lineage.queries.matching import Match, Query, Rank, match, parse, passes
from lineage.store.ports import Kind, Reader, Searcher
from lineage.times import iso

LOOKED_AT = 300


@dataclass(frozen=True, slots=True)
class Hit:
    """A node that matches, and where. `when`: an action's start, an artifact's last report."""

    state: State
    rank: Rank
    matches: tuple[Match, ...]

    @property
    def when(self) -> int | None:
        if isinstance(self.state, ActionState):
            return self.state.started
        return max((clock for clock, _ in self.state.fields.values()), default=None)

    @property
    def order(self) -> tuple[Any, ...]:
        return self.rank, -(self.when or 0), self.state.id

    def json(self) -> dict[str, Any]:
        when = None if self.when is None else iso(self.when)
        common = {"when": when, "matches": [m.json() for m in self.matches]}
        if not isinstance(self.state, ActionState):
            return {**artifact_node(self.state).json(), "state": None, **common}
        node = action_node(self.state)
        return {"kind": "action", "id": node.id, "type": node.type, "name": node.name,
                "key": node.key, "version": None, "state": node.state, **common}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """`behind`: nodes the index does not have yet; the latest of them were looked at."""

    hits: list[Hit]
    truncated: bool
    behind: int

    def json(self) -> dict[str, Any]:
        items = [hit.json() for hit in self.hits]
        return {"items": items, "truncated": self.truncated, "behind": self.behind}


def search(
    reader: Reader,
    searcher: Searcher,
    q: str,
    kind: Kind | None = None,
    type: str | None = None,
    limit: int = 20,
    at: int | None = None,
) -> Answer:
    """The best `limit` hits for a query (`lineage.queries.matching`).

    `reader` cuts what it returns to the moment `at` (µs), if one is given.

    Raises:
        BadRequest: see `lineage.queries.matching.parse`.
    """
    query = parse(q, kind, type)
    found = _Search(reader, searcher, query, limit, at)
    behind = searcher.state().behind
    found.unindexed()
    found.named()
    for rank in (Rank.WHOLE, Rank.BEGINNING, Rank.PART) if query.words else (Rank.WHOLE,):
        if found.better(rank) > limit:
            break
        found.indexed(rank)
    hits = sorted(found.hits.values(), key=lambda hit: hit.order)
    return Answer(hits[:limit], found.truncated or len(hits) > limit, behind)


@dataclass(slots=True)
class _Search:
    """Hits so far, by id; the numbers that were looked at; kinds that cost too much already."""

    reader: Reader
    searcher: Searcher
    query: Query
    limit: int
    at: int | None
    truncated: bool = False
    hits: dict[str, Hit] = field(default_factory=dict)
    seen: dict[Kind, set[int]] = field(default_factory=dict)
    given_up: set[Kind] = field(default_factory=set)

    def unindexed(self) -> None:
        for kind in self.query.kinds:
            numbers, all_ = self.searcher.unindexed(kind)
            self.truncated |= not all_
            self._look(kind, numbers)

    def named(self) -> None:
        for kind in self.query.kinds if self.query.text else ():
            self._look(kind, self.searcher.named(kind, self.query.text), Rank.EQUAL)

    def indexed(self, rank: Rank) -> None:
        terms = self.query.terms(rank, now=self.at is None)
        for kind in (kind for kind in self.query.kinds if kind not in self.given_up):
            # What had happened by a past moment stands behind all that came later.
            places = [None] if self.at is None else [self.searcher.around(kind, self.at), None]
            for below in dict.fromkeys(places):
                self._pages(kind, rank, terms, below)

    def better(self, rank: Rank) -> int:
        """Hits that come before any that is new at this rank."""
        return sum(hit.rank < rank for hit in self.hits.values())

    def _pages(self, kind: Kind, rank: Rank, terms: list[str], below: int | None) -> None:
        size, enough = self.limit + 1, self.better(Rank(rank + 1)) + self.limit
        left = max(LOOKED_AT, size)
        while left:
            asked = min(size, left)
            numbers, all_ = self.searcher.find(kind, terms, below, asked)
            self._look(kind, numbers)
            if not all_:
                self.given_up.add(kind)
                break
            if len(numbers) < asked:
                return
            if self.better(Rank(rank + 1)) > enough:
                break
            left, below, size = left - asked, numbers[-1], size * 2
        self.truncated = True

    def _look(self, kind: Kind, numbers: Iterable[int], known: Rank | None = None) -> None:
        """Take those that match, as they are in the store; `known`: they do, so well."""
        seen = self.seen.setdefault(kind, set())
        new = [number for number in numbers if number not in seen]
        seen.update(new)
        for state in self._then(kind, self.searcher.load(kind, new)):
            if not passes(self.query, state):
                continue
            how = match(self.query, state)
            if how is not None:
                self.hits[state.id] = Hit(state, how[0], tuple(how[1]))
            elif known is not None:
                # It was named in another way than it is kept, such as git@host:owner/name.
                self.hits[state.id] = Hit(state, known, ())

    def _then(self, kind: Kind, loaded: Iterable[tuple[int, State]]) -> Iterator[State]:
        states = [state for _, state in loaded]
        if self.at is None:
            return iter(states)
        ids = [state.id for state in states]
        if kind == "action":
            return iter(self.reader.actions_by_id(ids).values())
        return iter(self.reader.artifacts_by_id(ids).values())
