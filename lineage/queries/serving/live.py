"""What is live: per slot, as far as the reader knows. Functions over a Reader, no I/O of their own.

A slot is the family of `Deployment` artifacts with one URI (`k8s://cluster/namespace/kind/name`).
Live is what the newest complete deploy that was more than a claim put there; what the cluster
showed (`observed`, or the action's own word) outranks what a git tree holds (`committed`).
A deployment that gets no `traffic` any more ends what was live; where several versions share
the traffic, each that has some is live. What it was before is `lineage.queries.serving.timeline`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lineage.errors import BadRequest
from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.merge import SLOT, ActionState, ArtifactState
from lineage.queries.serving.agreement import Agreement, agreeing, agreement
from lineage.queries.serving.brought import trainings
from lineage.queries.serving.present import CLAIMS, Present, claimed_models, present
from lineage.store.ports import Page, Reader
from lineage.times import iso

Status = Literal["agree", "disagree", "unknown origin"]
LIMIT = 1000
Order = tuple[int, str, float]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that says it deployed, and no more: a pull request's title, a parameter."""

    action: ActionNode
    at: int
    models: tuple[ArtifactNode, ...]
    agrees: bool


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
    """The latest two claims since then, newest first."""
    agreement: tuple[Agreement, ...] = ()
    """What each kind of evidence says is there, of those that say anything."""
    traffic: float | None = None
    """Percent of the requests, where several versions share the slot; None = all of them."""

    @property
    def status(self) -> Status:
        if any(not said.agrees for said in self.agreement):
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
            "agreement": [said.json() for said in self.agreement],
        }  # fmt: skip


_FIRST: tuple[Status, ...] = ("disagree", "unknown origin", "agree")


def live(reader: Reader, namespace: str | None = None, limit: int = LIMIT) -> list[Slot]:
    """What is live in the first `limit` slots, by name; what needs a look comes first."""
    return page(reader, namespace, None, limit).items


def page(reader: Reader, namespace: str | None, cursor: str | None, limit: int) -> Page[Slot]:
    """The same, so many slots at a time, and the cursor of the next ones.

    Raises:
        BadRequest: the cursor is none.
    """
    found = chosen(reader, namespace, cursor, limit)
    return Page(sorted(held(reader, found.items), key=order), found.cursor)


def chosen(reader: Reader, namespace: str | None, cursor: str | None, limit: int) -> Page[str]:
    """The slots of a page (canonical URIs).

    Raises:
        BadRequest: the cursor is none.
    """
    if cursor is not None and not cursor.startswith(SLOT):
        raise BadRequest("cursor: not one of ours; leave it out to begin at the first page")
    uris = reader.slots(namespace, limit + 1, cursor)
    return Page(uris[:limit], uris[limit - 1] if len(uris) > limit else None)


def order(slot: Slot) -> Order:
    """What needs a look comes first, then by name; of one slot what has the most traffic."""
    return _FIRST.index(slot.status), slot.uri, -(slot.traffic or 0)


def held(reader: Reader, uris: Sequence[str]) -> list[Slot]:
    """What is live in each of these slots. What is said of one depends on no other."""
    places, known = present(reader, uris)
    deploys = {
        (place.uri, n): (term.deploy, term.models)
        for place in places
        for n, term in enumerate(place.live.terms)
    }
    trained = trainings(reader, deploys, known)
    return [slot for place in places for slot in _of(place, known, trained)]


def _of(
    place: Present,
    known: Mapping[str, ArtifactState],
    trained: Mapping[tuple[str, int], list[ActionState]],
) -> Iterable[Slot]:
    """A row for each version that is live."""
    agreed = agreement(place)
    for number, (term, period) in enumerate(zip(place.live.terms, place.live.periods, strict=True)):
        yield Slot(
            place.uri,
            *location(place.uri),
            deployment=period.deployment,
            action=period.action,
            since=period.since,
            evidence=period.evidence,
            models=period.models,
            code=_code(term.deploy.action, known),
            trained_by=tuple(action_node(a) for a in trained[place.uri, number]),
            claims=tuple(_claims(place, term.since, known)),
            agreement=agreed,
            traffic=period.traffic,
        )


def _claims(place: Present, since: int, known: Mapping[str, ArtifactState]) -> Iterable[Claim]:
    said = place.kinds.get("claimed")
    for deploy in said.track.deploys[:CLAIMS] if said else ():
        models = [b.model for b in claimed_models(deploy, known)]
        agrees = agreeing(models, place.live)
        if deploy.ended > since or (deploy.ended == since and not agrees):
            yield Claim(action_node(deploy.action), deploy.ended, _nodes(models), agrees)


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


def location(uri: str) -> tuple[str, str, str, str]:
    """Cluster, namespace, kind and name; what a shorter URI does not say is empty."""
    *front, name = uri.partition("://")[2].split("/")
    cluster, namespace, *kind = [*front, "", ""][: max(len(front), 2)]
    return cluster, namespace, "/".join(kind), name
