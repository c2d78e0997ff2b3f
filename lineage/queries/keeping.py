"""What must stay when old actions leave, so that what is left tells no lie.

Functions over a Reader, no I/O of their own; they hold ids, never the states of a whole
closure, since there may be a million. What leaves by age is the store's to know.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice

from lineage.identity import action_id
from lineage.merge import ActionState, ArtifactState
from lineage.queries.asof import AsOf
from lineage.queries.rules import bindings, copies
from lineage.queries.serving.deploys import KINDS, MOST
from lineage.queries.serving.present import CLAIMS, Present, present
from lineage.store.ports import Reader

CHUNK = 500
"""Nodes whose states are held at once."""
SLOTS = 200


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
        self.ended: list[str] = []
        """Slots (canonical URIs) in which nothing is live."""


def needed(reader: Reader, since: int, past: bool) -> Needed:
    """What is live now, by every kind of evidence, and what was at `since` (µs): that stays,
    and upstream of it what `roots` says: of what is live now; with `past` also of what was
    live at any moment since then."""
    out = Needed()
    for uris in _slots(reader):
        now, _ = present(reader, uris)
        then, _ = present(AsOf(reader, since), uris)
        for place in now:
            out.roots |= _held(place)
        for place in then if past else ():
            out.roots |= _held(place)
        out.stay |= {id_ for place in (*now, *then) for id_ in _told(place)}
        out.ended += sorted(set(uris) - {place.uri for place in now})
        if past:
            out.roots |= {a.id for a in _deploys(reader, uris) if (a.ended or 0) >= since}
    return out


def closings(reader: Reader, slots: Sequence[str], leaves: Callable[[str], bool]) -> set[str]:
    """Of slots in which nothing is live: the deploys that say so, where older ones stay. If
    they left, what was there before would seem to be live."""
    out: set[str] = set()
    for start in range(0, len(slots), SLOTS):
        for slot in slots[start : start + SLOTS]:
            deploys = sorted(_deploys(reader, [slot]), key=lambda a: a.ended or 0)
            first = next((n for n, a in enumerate(deploys) if not leaves(a.id)), len(deploys))
            out |= {action.id for action in deploys[first:]}
    return out


def bound(
    reader: Reader, names: Iterable[Sequence[str]], leaves: Callable[[str], bool]
) -> Iterator[set[str]]:
    """Actions that would leave, but made the version that is meant where one that stays read
    a name (chunks of ids in `names`) without a version. If they left, an older version would
    seem to be meant. What these read in turn counts too."""
    for chunk in names:
        readers = (a for some in reader.touching(chunk, "in").values() for a in some)
        waiting = {a.id: a for a in readers if not leaves(a.id)}
        seen = set(waiting)
        while waiting:
            some = dict(islice(waiting.items(), CHUNK))
            versions = {edge.source for edge in bindings(reader, some.values())}
            made = reader.touching(sorted(versions), "out").values() if versions else ()
            makers = {a.id: a for states in made for a in states}
            found = {id_: a for id_, a in makers.items() if id_ not in seen and leaves(id_)}
            seen |= found.keys()
            waiting = {id_: a for id_, a in waiting.items() if id_ not in some} | found
            if found:
                yield set(found)


def _slots(reader: Reader) -> Iterator[list[str]]:
    after: str | None = None
    while uris := reader.slots(None, SLOTS, after):
        yield uris
        after = uris[-1]


def _held(place: Present) -> Iterator[str] | set[str]:
    out: set[str] = set()
    for kind, said in place.kinds.items():
        told = said.track.deploys[:CLAIMS] if kind == "claimed" else ()
        for deploy in (*(term.deploy for term in said.terms), *told):
            # Whoever put the same version there before may have told of its model.
            out |= {deploy.action.id, deploy.deployment.id}
        out |= {term.cause.action.id for term in said.terms}
    return out


def _told(place: Present) -> Iterator[str]:
    return (d.action.id for said in place.kinds.values() for d in said.track.deploys)


def _deploys(reader: Reader, slots: Sequence[str]) -> Iterator[ActionState]:
    for kind in KINDS:
        for actions in reader.deploys(slots, kind, MOST).values():
            yield from actions
