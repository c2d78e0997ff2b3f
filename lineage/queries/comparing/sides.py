"""What stands behind one thing, as one side of a comparison: everything upstream of it, and
what was measured of it. Who is compared with whom is `lineage.queries.comparing.pairs`.

Copies count as one thing, and a name stands for the version it was bound to. Code is a
thing for each path it was run from.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lineage.graph import ActionNode, ArtifactNode, Graph, action_node, artifact_node
from lineage.identity import identify, is_digest
from lineage.merge import ActionState, ArtifactState
from lineage.queries.lineage import around
from lineage.queries.measured import evaluations, metrics
from lineage.queries.reach import reach
from lineage.store.ports import Reader

MAX_MODELS = 100
"""Of so many models, the nearest, evaluations are looked for."""


class Near(NamedTuple):
    """A neighbour further from the start and its role; what is only claimed comes last."""

    claimed: bool
    role: str
    key: str


@dataclass(slots=True)
class Thing:
    """An artifact; `key` is equal where it is the same thing. `extra`: code's path and dirty."""

    key: str
    node: ArtifactNode
    extra: dict[str, Any] = field(default_factory=dict)
    distance: int = 0
    role: str = ""

    def json(self) -> dict[str, Any]:
        return {**self.node.json(), **self.extra}


@dataclass(slots=True)
class Act:
    key: str
    node: ActionNode
    state: ActionState
    distance: int = 0


@dataclass(slots=True)
class Side:
    """`near` leads from each act to its inputs and metrics, from each thing to its makers and
    to what measured it, by their keys."""

    start: str
    things: dict[str, Thing] = field(default_factory=dict)
    acts: dict[str, Act] = field(default_factory=dict)
    near: dict[str, list[Near]] = field(default_factory=lambda: defaultdict(list))
    truncated: bool = False


def side(reader: Reader, start: str, max_nodes: int) -> Side:
    """Everything upstream of the node with this id, at most `max_nodes`, the nearest first.

    Of an action it is also the models it made: what is asked of a training is how its model
    came out.
    """
    graph = around(reader, [start], "upstream", max_nodes=max_nodes)
    steps = reach(graph, [start], "upstream")
    graph.nodes = {id_: graph.nodes[id_] for id_ in steps}
    graph.edges = [e for e in graph.edges if e.source in steps and e.target in steps]
    keys = _keys(graph)
    out = Side(keys.get(start, start), truncated=graph.truncated)
    for id_ in sorted(keys, key=lambda i: (steps[i].distance, i)):
        node = graph.nodes[id_]
        if isinstance(node, ArtifactNode):
            out.things.setdefault(keys[id_], Thing(keys[id_], node))
    for state in reader.actions_by_id(sorted(steps.keys() - keys.keys())).values():
        out.acts[state.id] = Act(state.id, action_node(state), state)
    _connect(out, graph, keys)
    if start in out.acts:
        _add_models(reader, out, graph, keys)
    _measure(reader, out, graph, keys)
    _settle(out)
    return out


def _keys(graph: Graph) -> dict[str, str]:
    """For each artifact the key of the thing it is: its digest, else the first of its copies."""
    artifacts = [node for node in graph.nodes.values() if isinstance(node, ArtifactNode)]
    keys = {node.id: _key(node) for node in artifacts}
    for edge in graph.edges:
        if edge.kind == "same content" and keys[edge.source] != keys[edge.target]:
            pair = {keys[edge.source], keys[edge.target]}
            first = min(pair, key=lambda key: (not is_digest(key), key))
            keys = {id_: first if key in pair else key for id_, key in keys.items()}
    return keys


def _key(artifact: ArtifactNode | ArtifactState) -> str:
    """The same content is the same thing, wherever it lies."""
    version = artifact.version
    return version if version is not None and is_digest(version) else artifact.id


def _connect(out: Side, graph: Graph, keys: dict[str, str]) -> None:
    bound = {
        (e.target, graph.nodes[e.source].uri): keys[e.source]  # type: ignore[union-attr]
        for e in graph.edges
        if e.kind == "inferred"
    }
    for edge in graph.edges:
        if edge.source in out.acts:
            out.near[keys[edge.target]].append(Near(edge.claimed_only, "", edge.source))
    for edge in graph.edges:
        thing = graph.nodes[edge.source]
        if edge.target not in out.acts or not isinstance(thing, ArtifactNode):
            continue
        version = bound.get((edge.target, thing.uri))
        if version is not None and thing.version is None:
            # Who wrote the name wrote the version, though it may not have known which.
            out.near[version] += out.near[keys[thing.id]]
            continue
        key = _as_run(out, out.things[keys[thing.id]], out.acts[edge.target])
        out.near[edge.target].append(Near(edge.claimed_only, edge.role, key))


def _as_run(out: Side, code: Thing, act: Act) -> str:
    """The key of an input; code at a commit is another thing for each path it was run from."""
    source = act.state.get("code.source") or {}
    extra = {name: source[name] for name in ("path", "dirty") if source.get(name)}
    repo = source.get("repo")
    if not extra or not repo or identify(repo, source.get("commit"), "Code").id != code.node.id:
        return code.key
    key = " ".join([code.key, *(f"{name}={value}" for name, value in extra.items())])
    out.things.setdefault(key, Thing(key, code.node, extra))
    out.near[key] = out.near[code.key]
    return key


def _add_models(reader: Reader, out: Side, graph: Graph, keys: dict[str, str]) -> None:
    act = out.acts[out.start]
    written = sorted(edge for edge in act.state.edges if edge.side == "out")
    known = reader.artifacts_by_id(sorted({edge.artifact for edge in written}))
    for edge in written:
        if edge.artifact in known and known[edge.artifact].type == "Model":
            model = known[edge.artifact]
            _add(out, act, edge.role, model)
            graph.nodes.setdefault(model.id, artifact_node(model))
            keys.setdefault(model.id, _key(model))


def _measure(reader: Reader, out: Side, graph: Graph, keys: dict[str, str]) -> None:
    """Add what stands beside the acts, and the evaluations of the models.

    Other models that an evaluation measured along are not where this one came from.
    """
    models = [n for n in graph.nodes.values() if isinstance(n, ArtifactNode) and n.type == "Model"]
    out.truncated |= len(models) > MAX_MODELS
    judged = evaluations(reader, models[:MAX_MODELS]) if models else {}
    for id_, states in judged.items():
        for state in states:
            if state.id not in graph.nodes:
                out.acts[state.id] = Act(state.id, action_node(state), state)
                out.near[keys[id_]].append(Near(False, "measured", state.id))
    measuring = [act.state for act in out.acts.values()]
    for act_id, found in metrics(reader, measuring).items():
        for role, artifact in found:
            _add(out, out.acts[act_id], role, artifact)
    new = {s.id: s for states in judged.values() for s in states if s.id not in graph.nodes}
    read = [(s.id, e) for s in new.values() for e in sorted(s.edges) if e.side == "in"]
    known = reader.artifacts_by_id(sorted({edge.artifact for _, edge in read})) if read else {}
    for act_id, edge in read:
        if edge.artifact in known and known[edge.artifact].type != "Model":
            _add(out, out.acts[act_id], edge.role, known[edge.artifact])


def _add(out: Side, act: Act, role: str, artifact: ArtifactState) -> None:
    key = _key(artifact)
    thing = out.things.setdefault(key, Thing(key, artifact_node(artifact)))
    out.near[act.key].append(Near(False, role, _as_run(out, thing, act)))


def _settle(out: Side) -> None:
    """Put neighbours in a fixed order, and give each thing the distance and the role it has
    on its shortest way; leave out what no way leads to."""

    def rank(near: Near) -> tuple[Any, ...]:
        return (near.claimed, near.role, *order(out.acts.get(near.key) or out.things[near.key]))

    for key, found in out.near.items():
        out.near[key] = sorted(set(found), key=rank)
    distances, layer = {out.start: 0}, [out.start]
    while layer:
        after = [(key, near) for key in layer for near in out.near.get(key, ())]
        layer = []
        for key, near in after:
            if near.key not in distances:
                distances[near.key] = distances[key] + 1
                layer.append(near.key)
                if near.key in out.things:
                    out.things[near.key].role = near.role
    out.things = {key: thing for key, thing in out.things.items() if key in distances}
    out.acts = {key: act for key, act in out.acts.items() if key in distances}
    for thing in out.things.values():
        thing.distance = distances[thing.key]
    for act in out.acts.values():
        act.distance = distances[act.key]


def order(one: Thing | Act) -> tuple[Any, ...]:
    """Of equals the later act and the first name come first."""
    if isinstance(one, Act):
        return (0, -one.node.started, one.node.key)
    return (1, one.node.uri, one.node.version or "", one.key)
