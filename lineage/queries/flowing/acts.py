"""What each controller did lately, in terms of who could have taken what from whom.

An action that is part of another (`parent`: a TaskRun of a PipelineRun) is not counted
beside it: what the part read and wrote, the whole did. Claims lead nowhere. Functions over a
Reader, no I/O of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lineage.identity import action_id, is_digest
from lineage.merge import ActionState, ArtifactState
from lineage.queries.rules import bindings, joined
from lineage.store.ports import Reader

Who = tuple[str, str, str]
"""A controller: cluster, namespace, name."""


@dataclass(slots=True)
class Write:
    """A thing an act made, known `at` (µs), begun at `begun`. Equal `content` = the same thing."""

    artifact: ArtifactState
    content: str
    role: str
    at: int
    begun: int

    @property
    def settled(self) -> bool:
        """Whether the name stands for one content for good, not for whatever is there now."""
        return self.artifact.version is not None or (
            self.artifact.properties.get("immutable") is True
        )


@dataclass(slots=True)
class Read:
    content: str
    began: int
    ended: int


@dataclass(slots=True)
class Act:
    """An action that is part of no other, with all that its parts read and wrote."""

    state: ActionState
    who: Who
    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)

    @property
    def order(self) -> tuple[int, str]:
        return self.state.started, self.state.key


@dataclass(slots=True)
class Window:
    """The latest acts of one controller, oldest first. `parts` belong to acts of its own or
    of others. `since` (µs) = nothing before it was looked at; None = that is everything."""

    acts: list[Act]
    parts: int
    since: int | None


def windows(reader: Reader, each: int, namespace: str | None) -> dict[Who, Window]:
    """The window of every controller: its `each` latest actions, parts among them."""
    recent = reader.latest(each, namespace)
    states = {s.id: s for found in recent.values() for s in found.actions}
    wholes = _wholes(reader, states)
    members: dict[str, list[ActionState]] = defaultdict(list)
    for id_, state in states.items():
        members[wholes[id_]].append(state)
    facts = _Facts(reader, states.values())
    out: dict[Who, Window] = {}
    for who, found in recent.items():
        acts = [
            Act(s, who, facts.writes(members[s.id]), facts.reads(members[s.id]))
            for s in found.actions
            if wholes[s.id] == s.id
        ]
        since = min(s.started for s in found.actions) if found.more else None
        out[who] = Window(
            sorted(acts, key=lambda act: act.order), len(found.actions) - len(acts), since
        )
    return out


def _wholes(reader: Reader, states: Mapping[str, ActionState]) -> dict[str, str]:
    """For each action the outermost recorded one it is part of, or itself."""
    above: dict[str, str] = {}
    known, fresh = set(states), list(states.values())
    while fresh:
        above |= {s.id: action_id(parent) for s in fresh if (parent := s.get("parent"))}
        missing = sorted({above[s.id] for s in fresh if s.id in above} - known)
        fresh = list(reader.actions_by_id(missing).values()) if missing else []
        known |= {state.id for state in fresh}
    return {id_: _outermost(id_, above, known) for id_ in states}


def _outermost(id_: str, above: Mapping[str, str], known: set[str]) -> str:
    path = [id_]
    while (parent := above.get(path[-1])) in known:
        if parent in path:  # parts of each other: one of them has to stand for all
            return min(path[path.index(parent) :])
        path.append(str(parent))
    return path[-1]


class _Facts:
    """What some actions read and wrote, completed by the rules."""

    def __init__(self, reader: Reader, states: Iterable[ActionState]) -> None:
        solid = [_without_claims(state) for state in states]
        self._edges = {state.id: state.edges for state in solid}
        ids = {edge.artifact for state in solid for edge in state.edges}
        self._artifacts = reader.artifacts_by_id(sorted(ids))
        self._bound: dict[str, set[str]] = defaultdict(set)
        for bound in bindings(reader, solid, self._artifacts):
            self._bound[bound.target].add(bound.source)
        self._twins: dict[str, set[str]] = defaultdict(set)
        for same in joined(self._artifacts.values()):
            self._twins[same.source].add(same.target)
            self._twins[same.target].add(same.source)

    def writes(self, states: Iterable[ActionState]) -> list[Write]:
        """Of several parts that wrote a thing the first, under the most telling role."""
        out: dict[str, Write] = {}
        for state in sorted(states, key=lambda s: s.key):
            at = state.started if state.ended is None else state.ended
            for edge in self._edges[state.id]:
                if edge.side == "out" and (one := self._artifacts.get(edge.artifact)):
                    seen = out.get(one.id)
                    if seen is None:
                        out[one.id] = Write(one, _content(one), edge.role, at, state.started)
                    else:
                        seen.role = max(seen.role, edge.role)
                        seen.at, seen.begun = min(seen.at, at), min(seen.begun, state.started)
        return [out[id_] for id_ in sorted(out)]

    def reads(self, states: Iterable[ActionState]) -> list[Read]:
        """Of several parts that read a thing the last."""
        out: dict[str, Read] = {}
        for state in states:
            ended = state.started if state.ended is None else state.ended
            for content in self._contents(state):
                seen = out.setdefault(content, Read(content, state.started, ended))
                seen.began, seen.ended = max(seen.began, state.started), max(seen.ended, ended)
        return [out[content] for content in sorted(out)]

    def _contents(self, state: ActionState) -> set[str]:
        read = {edge.artifact for edge in self._edges[state.id] if edge.side == "in"}
        read |= self._bound[state.id]
        read |= {twin for id_ in read for twin in self._twins[id_]}
        return {_content(self._artifacts[id_]) for id_ in read if id_ in self._artifacts}


def _without_claims(state: ActionState) -> ActionState:
    edges = frozenset(edge for edge in state.edges if edge.evidence != "claimed")
    return ActionState(state.key, state.fields, edges, state.id)


def _content(artifact: ArtifactState) -> str:
    version = artifact.version
    return version if version is not None and is_digest(version) else artifact.id
