"""What each kind of evidence says is in a slot now: from its latest deploys, and no more.

Looks further back, slot by slot, only where these leave something open. Functions over a
Reader, no I/O of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lineage.merge import ArtifactState
from lineage.queries.serving.brought import Brought, Models, brought
from lineage.queries.serving.deploys import KINDS, MOST, SEEN, Deploy, Track, Tracks, standing
from lineage.queries.serving.timeline import Period, Run, Term, moments
from lineage.store.ports import Reader

LIVE = ("both", *SEEN, "committed")
"""What is live: of the kinds that say anything, the first of these."""
BOTH = LIVE[0]
CLAIMS = 2
"""Claims of a slot that are told, the latest first."""
FIRST = 3
"""Deploys looked at first: the latest, the one before it, and one that may be as old."""
FURTHER = 4


@dataclass(frozen=True, slots=True)
class Said:
    """What one kind of evidence says: its `terms`, what has the most traffic first, and these
    as `periods`; none = it says that nothing is there."""

    track: Track
    run: Run
    terms: list[Term]
    periods: list[Period]

    @property
    def since(self) -> int:
        """When the newest of it began, or when it went."""
        gone = self.run.gaps[-1].since if self.run.gaps else self.track.deploys[0].ended
        return max((term.since for term in self.terms), default=gone)


@dataclass(frozen=True, slots=True)
class Present:
    """All that is said of a slot. `live` is what is there; `kinds` by evidence, as far as
    any says something."""

    uri: str
    live: Said
    kinds: Mapping[str, Said]


def present(
    reader: Reader, slots: Sequence[str]
) -> tuple[list[Present], Mapping[str, ArtifactState]]:
    """What is said of those slots in which something is live, and what the deciding actions
    read."""
    out, known = told(reader, slots)
    return [place for place in out if place.live.terms], known


def told(reader: Reader, slots: Sequence[str]) -> tuple[list[Present], Mapping[str, ArtifactState]]:
    """The same of those of which anything more than a claim is said, and be it that nothing is
    there."""
    out: dict[str, Present] = {}
    known: dict[str, ArtifactState] = {}
    waiting, most = list(slots), FIRST
    while waiting:
        tracks = Tracks(reader, waiting, KINDS, most)
        by_kind = {uri: _by_kind(tracks, uri) for uri in waiting}
        deciding = [
            d for kinds in by_kind.values() for k, t in kinds.items() for d in _deciding(k, t)
        ]
        inputs = {e.artifact for d in deciding for e in d.action.edges if e.side == "in"}
        known |= reader.artifacts_by_id(sorted(inputs - known.keys()))
        models = brought(reader, (d for d in deciding if not d.claimed_only), known)
        waiting = []
        for uri, kinds in by_kind.items():
            said = {kind: _said(kind, track, models, known) for kind, track in kinds.items()}
            if most < MOST and not all(one.run.settled for one in said.values()):
                waiting.append(uri)
            elif live := next((said[kind] for kind in LIVE if kind in said), None):
                out[uri] = Present(uri, live, said)
        most = min(most * FURTHER, MOST)
    return [out[uri] for uri in slots if uri in out], known


def claimed_models(deploy: Deploy, known: Mapping[str, ArtifactState]) -> tuple[Brought, ...]:
    """The models a claim names. An act that is more than a claim may say of itself that it
    put another model there than it did."""
    named = {
        edge.artifact
        for edge in deploy.action.edges
        if edge.side == "in" and (deploy.claimed_only or edge.evidence == "claimed")
    }
    models = (known[id_] for id_ in sorted(named) if id_ in known and known[id_].type == "Model")
    return tuple(Brought(model, deploy.action) for model in models)


def _by_kind(tracks: Tracks, uri: str) -> dict[str, Track]:
    found = {kind: tracks.of(uri, (kind,)) for kind in tracks.kinds(uri)}
    if all(kind in found for kind in SEEN):
        found[BOTH] = tracks.of(uri, SEEN)
    return found


def _deciding(kind: str, track: Track) -> Iterable[Deploy]:
    """The deploys whose models matter: of the versions that are there, and the latest claims."""
    ids = {held.deploy.deployment.id for held in standing(track)[0]}
    told = CLAIMS if kind == "claimed" else 0
    return (d for n, d in enumerate(track.deploys) if n < told or d.deployment.id in ids)


def _said(kind: str, track: Track, models: Models, known: Mapping[str, ArtifactState]) -> Said:
    if kind == "claimed":
        key_of = {(d.action.id, d.deployment.id): d for d in track.deploys}
        models = {key: claimed_models(deploy, known) for key, deploy in key_of.items()}
    run = Run(moments(track), models, track.whole)
    terms = sorted(run.open.values(), key=lambda t: (-(t.traffic or 0), t.deploy.order))
    return Said(track, run, terms, [term.period() for term in terms])
