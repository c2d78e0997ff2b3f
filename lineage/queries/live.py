"""What is live: per slot, now or at any past moment. Functions over a Reader, no I/O of their own.

A slot is the family of `Deployment` artifacts with one URI (`k8s://cluster/namespace/kind/name`).
Live at T is the newest complete deploy that ended at or before T and was more than a claim;
what the cluster showed (`observed`, or the action's own word) outranks what a git tree holds
(`committed`). A deployment whose property `traffic` is 0 ends what was live.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.merge import ActionState, ArtifactState
from lineage.model import iso
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

    @property
    def status(self) -> Status:
        if any(not claim.agrees for claim in self.claims[:1]):
            return "disagree"
        return "agree" if self.trained_by else "unknown origin"

    def json(self) -> dict[str, Any]:
        return {
            "slot": self.uri, "cluster": self.cluster, "namespace": self.namespace,
            "kind": self.kind, "name": self.name, "status": self.status,
            "since": iso(self.since), "evidence": self.evidence,
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
