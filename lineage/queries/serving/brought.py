"""Which models a deploy brought, and which trainings made those.

Functions over a Reader, no I/O of their own; every question to it is asked once for all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from lineage.merge import ActionState, ArtifactState
from lineage.queries.rules import bindings
from lineage.queries.serving.deploys import Deploy
from lineage.store.ports import Reader

K = TypeVar("K")
MAX_HOPS = 6
MAX_ACTIONS = 500


class Brought(NamedTuple):
    """A model a deploy brought, and the action that read it: the deploy or one upstream."""

    model: ArtifactState
    read_by: ActionState


Models = Mapping[tuple[str, str], tuple[Brought, ...]]
"""By (action id, deployment id)."""


def brought(
    reader: Reader, deploys: Iterable[Deploy], known: Mapping[str, ArtifactState] | None = None
) -> Models:
    """The models each deploy brought. One that read none put there what others had brought
    with the same version before, the last of them: a version does not change. `known` saves
    asking for artifacts again."""
    wanted = {(d.action.id, d.deployment.id): d for d in deploys}
    actions = {d.action.id: d.action for d in wanted.values()}
    found = models(reader, list(actions.values()), known)
    lacking = {key: d for key, d in wanted.items() if not found[d.action.id]}
    ids = sorted({d.deployment.id for d in lacking.values()})
    writers = reader.touching(ids, "out") if ids else {}
    more = {a.id: a for some in writers.values() for a in some if a.id not in found}
    found |= models(reader, list(more.values()))
    out = {key: tuple(found[d.action.id]) for key, d in wanted.items()}
    for key, deploy in lacking.items():
        id_ = deploy.deployment.id
        before = [a for a in writers[id_] if found[a.id] and _put(a, id_, deploy.ended)]
        if before:
            out[key] = tuple(found[max(before, key=lambda a: (a.ended or 0, a.key)).id])
    return out


def _put(action: ActionState, deployment: str, until: int) -> bool:
    """Whether the action is known to have put this version somewhere by then."""
    said = {e.evidence for e in action.edges if e.side == "out" and e.artifact == deployment}
    done = action.get("state") == "complete" and (action.ended or 0) <= until
    return done and said != {"claimed"}


def models(
    reader: Reader,
    actions: Sequence[ActionState],
    known: Mapping[str, ArtifactState] | None = None,
) -> dict[str, list[Brought]]:
    """Per action (id) the models nearest upstream: its own inputs, else those of the actions
    that made its inputs, and so on; at most 6 hops and 500 actions away. Claims lead nowhere.
    """
    out: dict[str, list[Brought]] = {action.id: [] for action in actions}
    known = known or {}
    begun = {action.id: action for action in actions}
    layers = {id_: [action] for id_, action in begun.items()}
    seen = {id_: {id_} for id_ in begun}
    for _ in range(MAX_HOPS + 1):
        everyone = {a.id: a for layer in layers.values() for a in layer}
        if not everyone:
            break
        inputs = {id_: _solid(action) for id_, action in everyone.items()}
        wanted = set().union(*inputs.values())
        here = reader.artifacts_by_id(sorted(wanted - known.keys())) if wanted else {}
        here = {**{id_: known[id_] for id_ in wanted & known.keys()}, **here}
        for start, layer in layers.items():
            out[start] = _models_among(layer, inputs, here)
        layers = {start: layer for start, layer in layers.items() if not out[start]}
        layers = _makers(reader, layers, inputs, begun, seen)
    return out


def trainings(
    reader: Reader,
    brought: Mapping[K, tuple[Deploy, Sequence[Brought]]],
    known: Mapping[str, ArtifactState] | None = None,
) -> dict[K, list[ActionState]]:
    """Per deploy the actions that produced its models, the latest first; a run's own parts
    are left out where the run itself is there.

    A model without a version may have been trained again since, so of its family only what
    had ended when it was deployed counts.
    """
    read_by = {b.read_by.id: b.read_by for _, found in brought.values() for b in found}
    bound: dict[str, set[str]] = defaultdict(set)
    for edge in bindings(reader, read_by.values(), known):
        bound[edge.target].add(edge.source)
    versions = reader.artifacts_by_id(sorted(set().union(*bound.values())))
    ids = versions.keys() | {b.model.id for _, found in brought.values() for b in found}
    made = reader.touching(sorted(ids), "out")
    out: dict[K, list[ActionState]] = {}
    for key, (deploy, found) in brought.items():
        runs: dict[str, ActionState] = {}
        for model, reading in found:
            versionless = model.version is None
            limit = deploy.ended if versionless else None
            same = [v for v in bound[reading.id] if versionless and versions[v].uri == model.uri]
            for id_ in (model.id, *same):
                runs |= {a.key: a for a in made.get(id_, ()) if _ended_by(a, limit)}
        whole = [a for a in runs.values() if a.get("parent") not in runs]
        out[key] = sorted(whole, key=lambda a: (-(a.ended or 0), a.key))
    return out


def _ended_by(action: ActionState, limit: int | None) -> bool:
    return action.ended is not None and (limit is None or action.ended <= limit)


def _solid(action: ActionState) -> set[str]:
    """The inputs that are more than claimed."""
    return {e.artifact for e in action.edges if e.side == "in" and e.evidence != "claimed"}


def _models_among(
    layer: Iterable[ActionState],
    inputs: Mapping[str, set[str]],
    known: Mapping[str, ArtifactState],
) -> list[Brought]:
    found = {
        id_: Brought(known[id_], action)
        for action in layer
        for id_ in inputs[action.id]
        if id_ in known and known[id_].type == "Model"
    }
    return [found[id_] for id_ in sorted(found, key=lambda i: (found[i].model.uri, i))]


def _makers(
    reader: Reader,
    layers: Mapping[str, list[ActionState]],
    inputs: Mapping[str, set[str]],
    begun: Mapping[str, ActionState],
    seen: Mapping[str, set[str]],
) -> dict[str, list[ActionState]]:
    """Per start the next layer: the actions that made the inputs of this one."""
    everyone = {a.id: a for layer in layers.values() for a in layer}
    sources = {id_: set(inputs[id_]) for id_ in everyone}
    for edge in bindings(reader, everyone.values()):
        sources[edge.target].add(edge.source)
    wanted = sorted(set().union(*sources.values()))
    made = reader.touching(wanted, "out") if wanted else {}
    out: dict[str, list[ActionState]] = {}
    for start, layer in layers.items():
        near = {a.id: a for one in layer for id_ in sources[one.id] for a in made.get(id_, ())}
        # What began after the deploy cannot be where it came from.
        fresh = sorted(
            i for i in near.keys() - seen[start] if near[i].started <= begun[start].started
        )[: MAX_ACTIONS - len(seen[start])]
        seen[start].update(fresh)
        if fresh:
            out[start] = [near[i] for i in fresh]
    return out
