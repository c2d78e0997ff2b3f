"""What must stay when old actions leave, so that what is left tells no lie.

Functions over a Reader, no I/O of their own; they hold ids, never the states of a whole
closure, since there may be a million. What leaves by age is the store's to know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from lineage.identity import action_id, artifact_id
from lineage.merge import ActionState, ArtifactState
from lineage.queries.asof import AsOf
from lineage.queries.rules import bindings, copies
from lineage.queries.serving.deploys import KINDS, MOST
from lineage.queries.serving.present import CLAIMS, Present, told
from lineage.store.ports import Reader

CHUNK = 500
"""Nodes whose states are held at once."""
SLOTS = 200
NAMES = 50


class Upstream:
    """The ids of everything upstream of what was added: over recorded and inferred edges and
    equal content, and up to the actions of which these are parts."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.ids: set[str] = set()

    def add(self, starts: Iterable[str]) -> None:
        """`starts` themselves are looked at again although they are known: they may have new
        edges."""
        waiting = list(dict.fromkeys(starts))
        self.ids.update(waiting)
        while waiting:
            chunk, waiting = waiting[-CHUNK:], waiting[:-CHUNK]
            new = self._near(chunk) - self.ids
            self.ids |= new
            waiting += new

    def follow(self, changed: Sequence[str]) -> None:
        """Of what was written since, add what is upstream of these now: what was put into a
        slot, and whatever has become a part of what is known here."""
        actions = self._reader.actions_by_id(changed)
        named = {e.artifact for a in actions.values() for e in a.edges if e.side == "out"}
        artifacts = self._reader.artifacts_by_id(sorted(named.union(changed) - actions.keys()))
        starts = {a.id for a in actions.values() if a.slots or self._joins(a, artifacts)}
        for edge in copies(self._reader, artifacts.values()):
            if edge.source in self.ids or edge.target in self.ids:
                starts |= {edge.source, edge.target}
        self.add(starts)
        slots = {artifacts[id_].uri for a in actions.values() for id_, _ in a.slots
                 if id_ in artifacts}  # fmt: skip
        for place in told(self._reader, sorted(slots))[0] if slots else ():
            self.ids |= _said(place)

    def _joins(self, action: ActionState, artifacts: Mapping[str, ArtifactState]) -> bool:
        """Whether it is known, or made what is, or a version of what was read without one."""
        made = [artifacts[e.artifact] for e in action.edges
                if e.side == "out" and e.artifact in artifacts]  # fmt: skip
        ids = {action.id} | {one.id for one in made} | {artifact_id(one.uri, None) for one in made}
        return not ids.isdisjoint(self.ids)

    def _near(self, ids: Sequence[str]) -> set[str]:
        actions = self._reader.actions_by_id(ids)
        artifacts = self._reader.artifacts_by_id([id_ for id_ in ids if id_ not in actions])
        return _read(self._reader, actions.values()) | _made(self._reader, artifacts)


def _read(reader: Reader, actions: Collection[ActionState]) -> set[str]:
    found = {edge.artifact for state in actions for edge in state.edges if edge.side == "in"}
    found |= {action_id(parent) for state in actions if (parent := state.get("parent"))}
    return found | {edge.source for edge in bindings(reader, actions)}


def _made(reader: Reader, artifacts: dict[str, ArtifactState]) -> set[str]:
    if not artifacts:
        return set()
    by = reader.touching(list(artifacts), "out").values()
    same = copies(reader, artifacts.values())
    found = {state.id for states in by for state in states}
    return found | {end for edge in same for end in (edge.source, edge.target)}


class Needed:
    """What slots need. `roots` = all upstream of these stays; `stay` = these actions stay,
    since they say what is live, or that nothing is."""

    def __init__(self) -> None:
        self.roots: set[str] = set()
        self.stay: set[str] = set()
        self.ended: dict[str, set[str]] = {}
        """Slots (canonical URIs) in which nothing is live, and the actions that say so."""


def needed(reader: Reader, since: int, past: bool) -> Needed:
    """What is live now, by every kind of evidence, and what was at `since` (µs): that stays,
    and upstream of it what `roots` says: of what is live now; with `past` also of what was
    live at any moment since then."""
    out = Needed()
    for uris in _slots(reader):
        now, _ = told(reader, uris)
        then, _ = told(AsOf(reader, since), uris)
        for places, roots in ((now, True), (then, past)):
            for place in places:
                if not place.live.terms:
                    out.ended.setdefault(place.uri, set()).update(_said(place))
                    continue
                out.stay |= _said(place)
                out.roots |= _held(place) if roots else set()
        if past:
            out.roots |= {a.id for a in _deploys(reader, uris) if (a.ended or 0) >= since}
    return out


class Leaving(Protocol):
    """Actions (ids) that would leave."""

    def __contains__(self, id_: str) -> bool: ...
    def spare(self, ids: Collection[str]) -> None:
        """These stay."""
        ...


def spare(
    reader: Reader, leaving: Leaving, slots: Needed, stays: Upstream, names: Sequence[str]
) -> None:
    """Take out of `leaving` what must stay: what `slots` needs, what `stays` holds, and
    whatever else would make what is left tell a lie. `names` = artifacts (ids) that may have
    been read without a version."""
    leaving.spare(stays.ids | slots.stay)
    changed = True
    while changed:
        changed = False
        for found in (*_closings(reader, slots.ended, leaving), *_bound(reader, names, leaving)):
            leaving.spare(found)
            changed = True


def _closings(
    reader: Reader, slots: Mapping[str, set[str]], leaving: Leaving
) -> Iterator[set[str]]:
    """Of slots in which nothing is live: the deploys that say so, where others stay. If they
    left, something would seem to be live."""
    for slot, said in slots.items():
        found = {id_ for id_ in said if id_ in leaving}
        if found and any(action.id not in leaving for action in _deploys(reader, [slot])):
            yield found


def _bound(reader: Reader, names: Sequence[str], leaving: Leaving) -> Iterator[set[str]]:
    """Those that made the version which is meant where one that stays read a name without a
    version. If they left, an older version would seem to be meant."""
    seen: set[str] = set()
    for start in range(0, len(names), NAMES):
        touching = reader.touching(names[start : start + NAMES], "in")
        stay = {a.id: a for some in touching.values() for a in some if a.id not in leaving}
        waiting = [action for id_, action in stay.items() if id_ not in seen]
        seen |= stay.keys()
        while waiting:
            some, waiting = waiting[:CHUNK], waiting[CHUNK:]
            versions = sorted({edge.source for edge in bindings(reader, some)})
            made = reader.touching(versions, "out").values() if versions else ()
            makers = {a.id: a for states in made for a in states if a.id in leaving}
            if makers:
                yield set(makers)
            waiting += [action for id_, action in makers.items() if id_ not in seen]
            seen |= makers.keys()


def _slots(reader: Reader) -> Iterator[list[str]]:
    after: str | None = None
    while uris := reader.slots(None, SLOTS, after):
        yield uris
        after = uris[-1]


def _held(place: Present) -> set[str]:
    out: set[str] = set()
    for kind, said in place.kinds.items():
        claims = said.track.deploys[:CLAIMS] if kind == "claimed" else ()
        for deploy in (*(term.deploy for term in said.terms), *claims):
            # Whoever put the same version there before may have told of its model.
            out |= {deploy.action.id, deploy.deployment.id}
        out |= {term.cause.action.id for term in said.terms}
    return out


def _said(place: Present) -> set[str]:
    return {d.action.id for said in place.kinds.values() for d in said.track.deploys}


def _deploys(reader: Reader, slots: Sequence[str]) -> Iterator[ActionState]:
    for kind in KINDS:
        for actions in reader.deploys(slots, kind, MOST).values():
            yield from actions
