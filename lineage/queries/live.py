"""What is live: per slot, now or at any past moment. Functions over a Reader, no I/O of their own.

A slot is the family of `Deployment` artifacts with one URI (`k8s://cluster/namespace/kind/name`).
Live at T is the newest complete deploy that ended at or before T and was more than a claim;
what the cluster showed (`observed`, or the action's own word) outranks what a git tree holds
(`committed`). A deployment whose property `traffic` is 0 ends what was live; where several
versions share the traffic, each that has some is live, newest first until all of it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.merge import ActionState, ArtifactState
from lineage.model import iso
from lineage.queries.deploys import (
    Brought,
    Deploy,
    deploys,
    holding,
    models,
    named_models,
    standing,
    trainings,
)
from lineage.store.ports import Reader

Status = Literal["agree", "disagree", "unknown origin"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that says it deployed, and no more: a pull request's title, a parameter."""

    action: ActionNode
    at: int
    models: tuple[ArtifactNode, ...]
    agrees: bool


@dataclass(frozen=True, slots=True)
class Period:
    """One entry of a slot's past: what held it, from when to when (None = still)."""

    models: tuple[ArtifactNode, ...]
    deployment: ArtifactNode
    action: ActionNode
    since: int
    until: int | None


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where something is live. Times in µs since 1970 (UTC)."""

    uri: str
    cluster: str
    namespace: str
    kind: str
    name: str
    deployment: ArtifactNode
    action: ActionNode
    since: int
    evidence: str
    """How it is known: observed | committed | reported (the action's own word)."""
    models: tuple[ArtifactNode, ...]
    code: tuple[ArtifactNode, ...]
    """The code or configuration the deploying action ran from."""
    trained_by: tuple[ActionNode, ...]
    """The actions that produced `models`; empty = no record of a training."""
    claims: tuple[Claim, ...] = ()
    """Claims newer than `since`, newest first."""
    history: tuple[Period, ...] = field(default=())
    """Everything that was live until now (or T), oldest first, the present one last."""
    traffic: float | None = None
    """Percent of the requests, where several versions share the slot; None = all of them."""

    @property
    def status(self) -> Status:
        if any(not claim.agrees for claim in self.claims[:1]):
            return "disagree"
        return "agree" if self.trained_by else "unknown origin"

    def json(self) -> dict[str, Any]:
        return {
            "slot": self.uri, "cluster": self.cluster, "namespace": self.namespace,
            "kind": self.kind, "name": self.name, "status": self.status,
            "since": iso(self.since), "evidence": self.evidence, "traffic": self.traffic,
            "deployment": self.deployment.json(), "action": self.action.json(),
            "models": [m.json() for m in self.models],
            "code": [c.json() for c in self.code],
            "trained_by": [a.json() for a in self.trained_by],
            "claims": [
                {"at": iso(c.at), "agrees": c.agrees, "action": c.action.json(),
                 "models": [m.json() for m in c.models]}
                for c in self.claims
            ],
            "history": [
                {"since": iso(p.since), "until": None if p.until is None else iso(p.until),
                 "models": [m.json() for m in p.models], "action": p.action.json(),
                 "deployment": p.deployment.json()}
                for p in self.history
            ],
        }  # fmt: skip


_FIRST: tuple[Status, ...] = ("disagree", "unknown origin", "agree")


def live(
    reader: Reader, as_of: int | None = None, namespace: str | None = None, limit: int = 1000
) -> list[Slot]:
    """What is live in every slot at `as_of` (µs; None = now); what needs a look comes first."""
    found = deploys(reader, reader.families(reader.slots(namespace, limit)), as_of)
    held = {uri: holding(all_) for uri, all_ in found.items()}
    brought = models(reader, [d.action for all_ in held.values() for d in all_])
    terms = {uri: _terms(all_, brought) for uri, all_ in held.items()}
    now = {d.deployment.id: (uri, d) for uri, all_ in terms.items() for d in standing(all_)}
    trained = trainings(
        reader, {id_: (d, brought[d.action.id]) for id_, (_, d) in now.items()}, as_of
    )
    claims = {id_: _claims_since(found[uri], d.ended) for id_, (uri, d) in now.items()}
    said = [claim for all_ in claims.values() for claim in all_]
    acting = [d.action for d in (*(d for _, d in now.values()), *said)]
    inputs = {edge.artifact for action in acting for edge in action.edges if edge.side == "in"}
    known = reader.artifacts_by_id(sorted(inputs))
    slots = []
    for id_, (uri, deploy) in now.items():
        history = _history(terms[uri], brought)
        present = [period for period in history if period.deployment.id == id_][-1]
        slots.append(
            Slot(
                uri,
                *_place(uri),
                deployment=present.deployment,
                action=present.action,
                since=present.since,
                evidence=deploy.evidence,
                models=present.models,
                code=_code(deploy.action, known),
                trained_by=tuple(action_node(action) for action in trained[id_]),
                claims=_judged(claims[id_], brought[deploy.action.id], known),
                history=history,
                traffic=deploy.traffic,
            )
        )
    return sorted(
        slots, key=lambda slot: (_FIRST.index(slot.status), slot.uri, -(slot.traffic or 0))
    )


def _terms(held: Iterable[Deploy], brought: Mapping[str, list[Brought]]) -> list[Deploy]:
    """The first of each run of deploys that changed nothing: since then it has been so."""

    def content(deploy: Deploy) -> tuple[str, bool, list[str]]:
        return (
            deploy.deployment.id, deploy.seen, [b.model.id for b in brought[deploy.action.id]]
        )  # fmt: skip

    out: list[Deploy] = []
    for deploy in held:
        if not out or content(deploy) != content(out[-1]):
            out.append(deploy)
    return out


def _history(terms: Sequence[Deploy], brought: Mapping[str, list[Brought]]) -> tuple[Period, ...]:
    ends: list[int | None] = [deploy.ended for deploy in terms[1:]]
    return tuple(
        Period(
            _nodes(b.model for b in brought[deploy.action.id]),
            artifact_node(deploy.deployment),
            action_node(deploy.action),
            deploy.ended,
            until,
        )
        for deploy, until in zip(terms, [*ends, None], strict=True)
        if not deploy.removes
    )


def _claims_since(found: Iterable[Deploy], since: int) -> list[Deploy]:
    """Claims later than what is live, newest first, an action once."""
    newer = [d for d in found if d.claimed_only and d.ended > since]
    return list({d.action.id: d for d in reversed(newer)}.values())


def _judged(
    claims: Iterable[Deploy], brought: Iterable[Brought], known: Mapping[str, ArtifactState]
) -> tuple[Claim, ...]:
    held = {b.model.uri for b in brought}
    out = []
    for claim in claims:
        named = named_models(claim.action, known)
        # A claim that names no model contradicts nothing.
        agrees = not named or {model.uri for model in named} == held
        out.append(Claim(action_node(claim.action), claim.ended, _nodes(named), agrees))
    return tuple(out)


def _code(action: ActionState, known: Mapping[str, ArtifactState]) -> tuple[ArtifactNode, ...]:
    order: dict[str, tuple[bool, str, str, str]] = {}
    for edge in action.edges:
        artifact = known.get(edge.artifact)
        if edge.side == "in" and artifact and artifact.type in ("Code", "Config"):
            rank = (edge.role != "code", artifact.type, artifact.uri, artifact.id)
            order[edge.artifact] = min(rank, order.get(edge.artifact, rank))
    return _nodes(known[id_] for id_ in sorted(order, key=lambda id_: order[id_]))


def _nodes(artifacts: Iterable[ArtifactState]) -> tuple[ArtifactNode, ...]:
    return tuple(artifact_node(artifact) for artifact in artifacts)


def _place(uri: str) -> tuple[str, str, str, str]:
    """Cluster, namespace, kind and name; what a shorter URI does not say is empty."""
    *front, name = uri.partition("://")[2].split("/")
    cluster, namespace, *kind = [*front, "", ""][: max(len(front), 2)]
    return cluster, namespace, "/".join(kind), name
