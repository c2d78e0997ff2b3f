"""The oracle: a Reader over two dicts, so simple that it is obviously right.

Whatever a store answers must equal what this answers for the same reports.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

from lineage.graph import Direction
from lineage.identity import is_digest
from lineage.merge import ActionState, ArtifactState, join_actions, join_artifacts, report
from lineage.model import Action
from lineage.store.ports import (
    ActionFilter,
    ArtifactFilter,
    Closure,
    ControllerCount,
    Page,
    Recent,
    share,
)

T = TypeVar("T")
CHUNK = 100


class MemoryReader:
    """Holds merged states: actions and artifacts by id, in the order they first came."""

    def __init__(self) -> None:
        self._actions: dict[str, ActionState] = {}
        self._artifacts: dict[str, ArtifactState] = {}

    @classmethod
    def of(cls, reports: Iterable[Action]) -> MemoryReader:
        reader = cls()
        for one in reports:
            reader.record(one)
        return reader

    def record(self, action: Action) -> None:
        state, artifacts = report(action)
        known = self._actions.get(state.id)
        self._actions[state.id] = join_actions(known, state) if known else state
        for artifact in artifacts:
            seen = self._artifacts.get(artifact.id)
            self._artifacts[artifact.id] = join_artifacts(seen, artifact) if seen else artifact

    def state(self) -> None:
        return None

    def action(self, id: str) -> ActionState | None:
        return self._actions.get(id)

    def artifact(self, id: str) -> ArtifactState | None:
        return self._artifacts.get(id)

    def actions_by_id(self, ids: Sequence[str]) -> dict[str, ActionState]:
        return {id_: self._actions[id_] for id_ in ids if id_ in self._actions}

    def artifacts_by_id(self, ids: Sequence[str]) -> dict[str, ArtifactState]:
        return {id_: self._artifacts[id_] for id_ in ids if id_ in self._artifacts}

    def actions(self, filter: ActionFilter, cursor: str | None, limit: int) -> Page[ActionState]:
        found = [a for a in self._actions.values() if _action_matches(a, filter)]
        return _page(sorted(found, key=lambda a: (-a.started, a.id)), cursor, limit)

    def artifacts(
        self, filter: ArtifactFilter, cursor: str | None, limit: int
    ) -> Page[ArtifactState]:
        found = [a for a in self._artifacts.values() if _artifact_matches(a, filter)]
        return _page(found[::-1], cursor, limit)

    def controllers(
        self, cursor: str | None, limit: int, until: int | None = None
    ) -> Page[ControllerCount]:
        counts: dict[tuple[str, str, str], int] = {}
        for action in self._actions.values():
            if until is not None and action.started >= until:
                continue
            cluster, namespace, name = action.get("controller")
            key = (cluster, namespace, name)
            counts[key] = counts.get(key, 0) + 1
        return _page([ControllerCount(*key, counts[key]) for key in sorted(counts)], cursor, limit)

    def latest(
        self, each: int, namespace: str | None, until: int | None = None
    ) -> Mapping[tuple[str, str, str], Recent]:
        mine: dict[tuple[str, str, str], list[ActionState]] = {}
        for action in self._actions.values():
            who = tuple(action.get("controller"))
            if namespace in (None, who[1]) and (until is None or action.started <= until):
                mine.setdefault(who, []).append(action)
        each = share(each, len(mine))
        return {
            who: Recent(sorted(found, key=lambda a: (-a.started, a.id))[:each], len(found) > each)
            for who, found in mine.items()
        }

    def touching(
        self, artifacts: Sequence[str], side: Literal["in", "out"]
    ) -> Mapping[str, list[ActionState]]:
        return {id_: self._touching(id_, side) for id_ in artifacts}

    def owners(self, artifacts: Sequence[str]) -> Mapping[str, str]:
        last: dict[str, tuple[int, str]] = {}
        for state in self._actions.values():
            for edge in state.edges:
                if edge.artifact in artifacts:
                    rank = (state.clock, state.key)
                    last[edge.artifact] = max(rank, last.get(edge.artifact, rank))
        return {id_: key for id_, (_, key) in last.items()}

    def families(
        self, uris: Sequence[str], several: bool = False
    ) -> Mapping[str, list[ArtifactState]]:
        found = {uri: [a for a in self._artifacts.values() if a.uri == uri] for uri in uris}
        return {uri: all_ for uri, all_ in found.items() if len(all_) > 1 or not several}

    def same_content(self, artifacts: Sequence[ArtifactState]) -> list[ArtifactState]:
        return [
            other
            for other in self._artifacts.values()
            if any(same_content(other, one) for one in artifacts)
        ]

    def closure(
        self, starts: Sequence[str], direction: Direction, depth: int | None, max_nodes: int
    ) -> Closure:
        ways = ("upstream", "downstream") if direction == "both" else (direction,)
        known = [id_ for id_ in dict.fromkeys(starts) if self._exists(id_)]
        found = dict.fromkeys(known)
        layers = {way: set(known) for way in ways}
        seen = {way: set(known) for way in ways}
        level = 0
        while any(layers.values()) and (depth is None or level < depth):
            level += 1
            for way in ways:
                layers[way] = {n for id_ in layers[way] for n in self._next(id_, way)} - seen[way]
                seen[way] |= layers[way]
            found.update(dict.fromkeys(sorted(set().union(*layers.values()))))
        kept = list(found)[:max_nodes]
        return Closure(
            list(self.actions_by_id(kept).values()),
            list(self.artifacts_by_id(kept).values()),
            len(found) > max_nodes,
        )

    def slots(self, namespace: str | None, limit: int, after: str | None = None) -> list[str]:
        uris = {
            a.uri
            for a in self._artifacts.values()
            if a.type == "Deployment" and a.uri.startswith("k8s://")
        }
        wanted = [u for u in sorted(uris) if namespace is None or u.split("/")[3:4] == [namespace]]
        return [u for u in wanted if after is None or u > after][:limit]

    def deploys(
        self, slots: Sequence[str], evidence: str, limit: int, until: int | None = None
    ) -> Mapping[str, list[ActionState]]:
        out: dict[str, list[ActionState]] = {uri: [] for uri in slots}
        said = "" if evidence == "reported" else evidence
        for state in self._actions.values():
            if state.get("state") != "complete" or (until is not None and _ended(state) > until):
                continue
            wrote = {e.artifact for e in state.edges if e.side == "out" and e.evidence == said}
            for uri in {self._artifacts[id_].uri for id_ in wrote} & out.keys():
                out[uri].append(state)
        return {uri: sorted(found, key=_ended)[::-1][:limit] for uri, found in out.items()}

    def walk(self) -> Iterator[tuple[list[ActionState], dict[str, ArtifactState]]]:
        states = sorted(self._actions.values(), key=lambda a: a.key)
        for start in range(0, len(states), CHUNK):
            chunk = states[start : start + CHUNK]
            touched = sorted({edge.artifact for state in chunk for edge in state.edges})
            yield chunk, self.artifacts_by_id(touched)

    def _exists(self, id_: str) -> bool:
        return id_ in self._actions or id_ in self._artifacts

    def _touching(self, artifact: str, side: str) -> list[ActionState]:
        return [
            state
            for state in sorted(self._actions.values(), key=lambda a: a.key)
            if any(edge.artifact == artifact and edge.side == side for edge in state.edges)
        ]

    def _next(self, id_: str, way: str) -> Collection[str]:
        """The neighbours one recorded edge away."""
        if (action := self._actions.get(id_)) is not None:
            side = "in" if way == "upstream" else "out"
            return {edge.artifact for edge in action.edges if edge.side == side}
        side = "out" if way == "upstream" else "in"
        return {state.id for state in self._touching(id_, side)}


class MemoryWatch:
    """Knows nothing better than to have everything looked at again."""

    def news(self) -> None:
        return None


def _ended(state: ActionState) -> int:
    assert state.ended is not None
    return state.ended


def same_content(a: ArtifactState, b: ArtifactState) -> bool:
    """Another URI with the same digest, or one that the other declares as its alias."""
    if a.uri == b.uri:
        return False
    digest = is_digest(a.version) and a.version == b.version
    return digest or a.uri in b.aliases or b.uri in a.aliases


def _page(items: list[T], cursor: str | None, limit: int) -> Page[T]:
    start = int(cursor or 0)
    more = len(items) > start + limit
    return Page(items[start : start + limit], str(start + limit) if more else None)


def _has(q: str | None, *texts: str | None) -> bool:
    return q is None or any(q.casefold() in text.casefold() for text in texts if text)


def _action_matches(state: ActionState, f: ActionFilter) -> bool:
    _, namespace, controller = state.get("controller")
    return (
        (f.type is None or state.get("type") == f.type)
        and (f.state is None or state.get("state") == f.state)
        and (f.controller is None or controller == f.controller)
        and (f.namespace is None or namespace == f.namespace)
        and (f.within is None or namespace in f.within)
        and (f.since is None or state.started >= f.since)
        and (f.until is None or state.started < f.until)
        and (f.parent is None or state.get("parent") == f.parent)
        and _has(f.q, state.get("name"), state.key)
    )


def _artifact_matches(state: ArtifactState, f: ArtifactFilter) -> bool:
    return (
        (f.type is None or state.type == f.type)
        and (f.uri is None or state.uri == f.uri)
        and _has(f.q, state.name, state.uri)
    )
