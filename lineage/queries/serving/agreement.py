"""Whether what is claimed, committed and observed agree: of each what it says, since when, by whom. Pure.

A git tree and a cluster say something all the time, so they are held against what is live
whatever their age. A claim is said once: one that agrees always counts, one that does not
only if what is live was not there before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lineage.graph import ActionNode, ArtifactNode, action_node
from lineage.merge import ArtifactState
from lineage.queries.serving.deploys import KINDS
from lineage.queries.serving.present import Present, Said
from lineage.times import iso


@dataclass(frozen=True, slots=True)
class Agreement:
    """What one kind of evidence says is in a slot (`deployment` None = nothing), and whether
    that agrees with what is live."""

    evidence: str
    models: tuple[ArtifactNode, ...]
    deployment: ArtifactNode | None
    since: int
    action: ActionNode
    agrees: bool

    def json(self) -> dict[str, Any]:
        return {
            "evidence": self.evidence, "agrees": self.agrees, "since": iso(self.since),
            "models": [m.json() for m in self.models],
            "deployment": self.deployment and self.deployment.json(),
            "action": self.action.json(),
        }  # fmt: skip


def agreement(place: Present) -> tuple[Agreement, ...]:
    """One entry for each kind of evidence that says anything, the surest first."""
    found = [_entry(kind, place.kinds[kind], place.live) for kind in KINDS if kind in place.kinds]
    solid = [one for one in found if one.evidence != "claimed"]
    said_first = min((one.since for one in solid if one.agrees), default=0)
    return tuple(one for one in found if one in solid or one.agrees or one.since >= said_first)


def agreeing(models: Iterable[ArtifactState], live: Said) -> bool:
    """Whether these can be the models of a version that is live. Who names none contradicts
    nothing, and nothing can be said against what is not known."""
    said = list(models)
    held = [[b.model for b in term.models] for term in live.terms if term.models]
    return not said or not held or any(_same(said, one) for one in held)


def _entry(kind: str, said: Said, live: Said) -> Agreement:
    newest = max(said.periods, key=lambda period: period.since, default=None)
    models = {model.id: model for period in said.periods for model in period.models}
    named = ([b.model for b in term.models] for term in said.terms)
    agrees = said is live or all(agreeing(some, live) for some in named)
    return Agreement(
        kind,
        tuple(models.values()),
        newest.deployment if newest else None,
        said.since,
        newest.action if newest else action_node(said.track.deploys[0].action),
        newest is not None and agrees,
    )


def _same(a: Sequence[ArtifactState], b: Sequence[ArtifactState]) -> bool:
    """By name; the versions decide where both say one."""
    ours, theirs = ({m.uri: m.version for m in models} for models in (a, b))
    return ours.keys() == theirs.keys() and all(
        None in (version, theirs[uri]) or version == theirs[uri] for uri, version in ours.items()
    )
