"""Which models are one family, and who trained them. Functions over a Reader, no I/O of their own.

A family is the models a trainer makes again and again. Often each has a URI of its own, so
two models are of one family if they share the URI, or come from one training controller, in
one role, and are not called by two names. Only complete actions of the type `train` count.
The later one is the one whose training *started* later: it saw the later data and code,
also where an older training took longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lineage.graph import ArtifactNode
from lineage.merge import ActionState, ArtifactState
from lineage.store.ports import ActionFilter, Reader

TRAIN = "train"
PAGE = 500


class Made(NamedTuple):
    """A model and a complete training that wrote it, in a role."""

    model: ArtifactState
    role: str
    by: ActionState

    @property
    def order(self) -> tuple[int, str, str]:
        return self.by.started, self.by.key, self.model.id

    @property
    def ended(self) -> int:
        return self.by.ended or self.by.started


def trainer(action: ActionState) -> tuple[str, str, str]:
    """The controller of an action: cluster, namespace, name."""
    cluster, namespace, name = action.get("controller") or ("", "", "unknown")
    return cluster, namespace, name


def alike(a: Made, b: Made) -> bool:
    """Whether two models are of one family."""
    if a.model.uri == b.model.uri:
        return True
    named = a.model.name is None or b.model.name is None or a.model.name == b.model.name
    return named and a.role == b.role and trainer(a.by) == trainer(b.by)


def same(a: ArtifactState | ArtifactNode, b: ArtifactState | ArtifactNode) -> bool:
    """Whether two mentions can mean one model: a name without a version stands for any."""
    return a.id == b.id or (a.uri == b.uri and (a.version is None or b.version is None))


def complete(action: ActionState) -> bool:
    return (action.get("type"), action.get("state")) == (TRAIN, "complete")


def outputs(action: ActionState) -> dict[str, str]:
    """What it wrote (id → role), claims left out."""
    written = (e for e in sorted(action.edges) if e.side == "out" and e.evidence != "claimed")
    return {edge.artifact: edge.role for edge in written}


def written(reader: Reader, actions: Iterable[ActionState]) -> list[Made]:
    """The models that these actions wrote."""
    actions = list(actions)
    ids = sorted({id_ for action in actions for id_ in outputs(action)})
    known = reader.artifacts_by_id(ids) if ids else {}
    return [
        Made(known[id_], role, action)
        for action in actions
        for id_, role in outputs(action).items()
        if id_ in known and known[id_].type == "Model"
    ]


def trained(reader: Reader, models: Sequence[ArtifactState]) -> list[Made]:
    """The complete trainings of these models."""
    known = {model.id: model for model in models}
    touching = reader.touching(sorted(known), "out") if known else {}
    return [
        Made(known[id_], outputs(action)[id_], action)
        for id_, actions in touching.items()
        for action in actions
        if complete(action) and id_ in outputs(action)
    ]


def trainings(reader: Reader, wanted: ActionFilter, most: int) -> tuple[list[ActionState], bool]:
    """At most about `most` trainings that pass, latest start first, and whether that is all."""
    out: list[ActionState] = []
    cursor = None
    while True:
        page = reader.actions(wanted, cursor, min(PAGE, most))
        out += page.items
        cursor = page.cursor
        if cursor is None or len(out) >= most:
            return out, cursor is None
