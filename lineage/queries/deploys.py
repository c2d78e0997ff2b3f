"""Who says what was put where, how well each is known, and which models it brought.

The facts that `lineage.queries.live` judges. Functions over a Reader, no I/O of their own;
every question to it is asked once for all slots.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lineage.merge import ActionState, ArtifactState
from lineage.queries.rules import bindings
from lineage.store.ports import Reader

MAX_HOPS = 6
MAX_ACTIONS = 500
_CLAIM: frozenset[str] = frozenset({"claimed"})


@dataclass(frozen=True, slots=True)
class Deploy:
    """A complete action that says it put `deployment` into a slot. `ended` in µs."""

    action: ActionState
    deployment: ArtifactState
    said: frozenset[str]
    ended: int

    @property
    def claimed_only(self) -> bool:
        return self.said == _CLAIM

    @property
    def seen(self) -> bool:
        """Whether the cluster's status or the action itself says so, not just a git tree."""
        return bool(self.said & {"observed", ""})

    @property
    def evidence(self) -> str:
        if "observed" in self.said:
            return "observed"
        return "reported" if "" in self.said else "committed"

    @property
    def traffic(self) -> float | None:
        """Percent of the requests; None = nobody said, so all of them."""
        _, traffic = self.deployment.fields.get("properties.traffic", (0, None))
        split = isinstance(traffic, int | float) and not isinstance(traffic, bool)
        return traffic if split else None

    @property
    def removes(self) -> bool:
        return self.traffic == 0


class Brought(NamedTuple):
    """A model a deploy brought, and the action that read it: the deploy or one upstream."""

    model: ArtifactState
    read_by: ActionState


def deploys(
    reader: Reader, families: Mapping[str, Collection[ArtifactState]], until: int | None
) -> dict[str, list[Deploy]]:
    """Per slot everything complete by `until`, claims among it, oldest first."""
    versions = {a.id: a for family in families.values() for a in family}
    out: dict[str, list[Deploy]] = defaultdict(list)
    for id_, actions in reader.touching(sorted(versions), "out").items():
        for action in actions:
            ended = action.ended
            if action.get("state") != "complete" or ended is None:
                continue
            if until is None or ended <= until:
                said = frozenset(
                    e.evidence for e in action.edges if e.side == "out" and e.artifact == id_
                )
                out[versions[id_].uri].append(Deploy(action, versions[id_], said, ended))
    for found in out.values():
        # Of one rollout that names the old and the new revision, the new one comes last.
        found.sort(key=lambda d: (d.ended, d.action.key, not d.removes, d.deployment.id))
    return out


def holding(found: Iterable[Deploy]) -> list[Deploy]:
    """Those that once were live: what was seen outranks what a tree held from then on."""
    real = [d for d in found if not d.claimed_only]
    first_seen = min((d.ended for d in real if d.seen), default=None)
    return [d for d in real if d.seen or first_seen is None or d.ended < first_seen]


def standing(terms: Sequence[Deploy]) -> list[Deploy]:
    """The deploys that are live after these (oldest first): the last, or all that share the
    traffic. Traffic taken from one version of several leaves the others live; taken from the
    only one, it ends the slot."""
    out: list[Deploy] = []
    seen: set[str] = set()
    given, ended = 0.0, False
    for deploy in reversed(terms):
        id_ = deploy.deployment.id
        if id_ in seen:
            continue
        seen.add(id_)
        if deploy.removes:
            if (deploy.deployment.version or "").startswith(("deleted-", "uninstalled-")):
                break
            ended = True
        elif deploy.traffic is None:
            return out or ([] if ended else [deploy])
        else:
            out.append(deploy)
            given += deploy.traffic
            if given >= 100:
                break
    return out


def models(reader: Reader, actions: Sequence[ActionState]) -> dict[str, list[Brought]]:
    """Per action (id) the models nearest upstream: its own inputs, else those of the actions
    that made its inputs, and so on; at most 6 hops and 500 actions away. Claims lead nowhere.
    """
    out: dict[str, list[Brought]] = {action.id: [] for action in actions}
    begun = {action.id: action for action in actions}
    layers = {id_: [action] for id_, action in begun.items()}
    seen = {id_: {id_} for id_ in begun}
    for _ in range(MAX_HOPS + 1):
        everyone = {a.id: a for layer in layers.values() for a in layer}
        if not everyone:
            break
        inputs = {id_: _solid(action) for id_, action in everyone.items()}
        known = reader.artifacts_by_id(sorted(set().union(*inputs.values())))
        for start, layer in layers.items():
            out[start] = _models_among(layer, inputs, known)
        layers = {start: layer for start, layer in layers.items() if not out[start]}
        layers = _makers(reader, layers, inputs, begun, seen)
    return out


def named_models(action: ActionState, known: Mapping[str, ArtifactState]) -> list[ArtifactState]:
    """The models among an action's own inputs, however little is known of them."""
    ids = sorted({e.artifact for e in action.edges if e.side == "in"})
    return [known[id_] for id_ in ids if id_ in known and known[id_].type == "Model"]


def trainings(
    reader: Reader, brought: Mapping[str, tuple[Deploy, list[Brought]]], until: int | None
) -> dict[str, list[ActionState]]:
    """Per slot the actions that produced its models, the latest first; a run's own parts
    are left out where the run itself is there.

    A model without a version may have been trained again since, so of its family only what
    had ended when it was deployed counts.
    """
    read_by = {b.read_by.id: b.read_by for _, found in brought.values() for b in found}
    bound: dict[str, set[str]] = defaultdict(set)
    for edge in bindings(reader, read_by.values()):
        bound[edge.target].add(edge.source)
    versions = reader.artifacts_by_id(sorted(set().union(*bound.values())))
    ids = versions.keys() | {b.model.id for _, found in brought.values() for b in found}
    made = reader.touching(sorted(ids), "out")
    out: dict[str, list[ActionState]] = {}
    for slot, (deploy, found) in brought.items():
        runs: dict[str, ActionState] = {}
        for model, reading in found:
            versionless = model.version is None
            limit = deploy.ended if versionless else until
            same = [v for v in bound[reading.id] if versionless and versions[v].uri == model.uri]
            for id_ in (model.id, *same):
                runs |= {a.key: a for a in made.get(id_, ()) if _ended_by(a, limit)}
        whole = [a for a in runs.values() if a.get("parent") not in runs]
        out[slot] = sorted(whole, key=lambda a: (-(a.ended or 0), a.key))
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
