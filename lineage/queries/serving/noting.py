"""What an answer depends on, so that it is known when it has to be made again. Pure.

Every question to the store is about a *name* (an artifact's id, a canonical URI), and whom it
is about stood in the answer to an earlier one. So all that one slot depends on is found by
following the names from it, although the questions were asked for many slots at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lineage.identity import artifact_id
from lineage.merge import ActionState, ArtifactState
from lineage.store.ports import Gone, Reader

State = ActionState | ArtifactState
Mark = tuple[str, str]
"""What was asked (id | uri | in | out | slot), of which name."""


News = Mapping[Mark, Sequence[State | Gone]]
"""What changed, by the questions whose answers may be others since."""


def news(changed: Iterable[State | Gone]) -> News:
    out: dict[Mark, list[State | Gone]] = defaultdict(list)
    for state in changed:
        for mark in _marks(state):
            out[mark].append(state)
    return out


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer rests on: what was asked for it, and the artifacts that were found (None =
    it changed meanwhile)."""

    marks: frozenset[Mark]
    artifacts: Mapping[str, ArtifactState | None]

    def stands(self, news: News) -> bool:
        """Whether the answer is still the same. Every mention of an artifact makes it younger,
        which changes no answer."""
        if self.marks.isdisjoint(news):
            return True
        hit = (state for mark in self.marks & news.keys() for state in news[mark])
        return all(isinstance(s, ArtifactState) and self._knows(s) for s in hit)

    def _knows(self, artifact: ArtifactState) -> bool:
        known = self.artifacts.get(artifact.id)
        return known is not None and _content(known) == _content(artifact)


class Noting:
    """A reader for `lineage.queries.serving.live.held` that notes what it is asked. It answers nothing
    else: what can be asked must be noted here first."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._asked: dict[str, set[Mark]] = defaultdict(set)
        self._leads: dict[str, set[str]] = defaultdict(set)
        self._artifacts: dict[str, ArtifactState | None] = {}

    def artifacts_by_id(self, ids: Sequence[str]) -> dict[str, ArtifactState]:
        found = self._reader.artifacts_by_id(ids)
        for id_ in ids:
            self._note("id", id_, [found[id_]] if id_ in found else ())
        return found

    def families(
        self, uris: Sequence[str], several: bool = False
    ) -> Mapping[str, list[ArtifactState]]:
        found = self._reader.families(uris, several)
        for uri in uris:
            self._note("uri", uri, found.get(uri, ()))
        return found

    def touching(
        self, artifacts: Sequence[str], side: Literal["in", "out"]
    ) -> Mapping[str, list[ActionState]]:
        found = self._reader.touching(artifacts, side)
        for id_ in artifacts:
            self._note(side, id_, found.get(id_, ()))
        return found

    def deploys(
        self, slots: Sequence[str], evidence: str, limit: int, until: int | None = None
    ) -> Mapping[str, list[ActionState]]:
        found = self._reader.deploys(slots, evidence, limit, until)
        for uri in slots:
            self._note("slot", artifact_id(uri, None), found[uri])
        return found

    def of(self, slot: str) -> Basis:
        """What the answer about a slot (canonical URI) rests on, or a little more."""
        start = artifact_id(slot, None)
        found, waiting = {start}, [start]
        while waiting:
            new = self._leads[waiting.pop()] - found
            found |= new
            waiting += (name for name in new if name in self._leads)
        return Basis(
            frozenset(mark for name in found & self._asked.keys() for mark in self._asked[name]),
            {name: self._artifacts[name] for name in found & self._artifacts.keys()},
        )

    def _note(self, what: str, name: str, said: Iterable[State]) -> None:
        asked, leads = self._asked[name], self._leads[name]
        asked.add((what, name))
        for state in said:
            asked.add(("id", state.id))
            if isinstance(state, ArtifactState):
                leads |= {state.id, state.uri}
                known = self._artifacts.setdefault(state.id, state)
                if known is not state and (known is None or _content(known) != _content(state)):
                    self._artifacts[state.id] = None
            else:
                leads.update(edge.artifact for edge in state.edges)


def _marks(changed: State | Gone) -> set[Mark]:
    if isinstance(changed, Gone):
        return {("id", changed.id)}
    if isinstance(changed, ArtifactState):
        return {("id", changed.id), ("uri", changed.uri)}
    found = {(edge.side, edge.artifact) for edge in changed.edges}
    return {("id", changed.id)} | found | {("slot", slot) for _, slot in changed.slots}


def _content(state: ArtifactState) -> tuple[object, ...]:
    values = {name: value for name, (_, value) in state.fields.items()}
    return state.uri, state.version, values, state.aliases
