"""The two ports of the store. Everything above depends on these, never on MLMD.

`Recorder` writes reports, `Reader` answers from what was committed. A time is an
integer of microseconds since 1970 (UTC); an id is 32 hex digits (`lineage.identity`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from lineage.errors import LineageError
from lineage.graph import Direction
from lineage.merge import ActionState, ArtifactState
from lineage.model import Action

T = TypeVar("T")
Outcome = Literal["created", "merged", "unchanged"]


class Verdict(NamedTuple):
    """What became of one report: an outcome once committed, or the error that kept it out."""

    id: str
    outcome: Outcome | None
    error: LineageError | None = None


class Recorder(Protocol):
    def submit(self, actions: Sequence[Action]) -> Future[list[Verdict]]:
        """Queue reports; the future resolves after their commit, one verdict each, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """At most `limit` items, and the cursor of the next page (None = this is the last)."""

    items: list[T]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Closure:
    """What a walk found. `truncated` = there is more than the limits let through."""

    actions: list[ActionState]
    artifacts: list[ArtifactState]
    truncated: bool


@dataclass(frozen=True, slots=True)
class ActionFilter:
    """None = any. `q` matches in name and key; `since`/`until` bound the start."""

    type: str | None = None
    state: str | None = None
    controller: str | None = None
    namespace: str | None = None
    q: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class ArtifactFilter:
    """None = any. `q` matches in URI and name, `uri` is the whole canonical URI."""

    type: str | None = None
    uri: str | None = None
    q: str | None = None


class ControllerCount(NamedTuple):
    cluster: str
    namespace: str
    name: str
    actions: int


class Reader(Protocol):
    def action(self, id: str) -> ActionState | None: ...
    def artifact(self, id: str) -> ArtifactState | None: ...
    def actions_by_id(self, ids: Sequence[str]) -> dict[str, ActionState]: ...
    def artifacts_by_id(self, ids: Sequence[str]) -> dict[str, ArtifactState]: ...

    def actions(self, filter: ActionFilter, cursor: str | None, limit: int) -> Page[ActionState]:
        """Latest start first."""
        ...

    def artifacts(
        self, filter: ArtifactFilter, cursor: str | None, limit: int
    ) -> Page[ArtifactState]:
        """Latest recorded first; every version of a URI when `filter.uri` is given."""
        ...

    def controllers(self, cursor: str | None, limit: int) -> Page[ControllerCount]: ...

    def touching(
        self, artifacts: Sequence[str], side: Literal["in", "out"]
    ) -> Mapping[str, list[ActionState]]:
        """For each artifact id, the actions that read (`in`) or wrote (`out`) it."""
        ...

    def families(
        self, uris: Sequence[str], several: bool = False
    ) -> Mapping[str, list[ArtifactState]]:
        """For each canonical URI, every version of it; `several` leaves out families of one."""
        ...

    def same_content(self, artifacts: Sequence[ArtifactState]) -> list[ArtifactState]:
        """Artifacts with another URI but the same digest, or joined by a declared alias."""
        ...

    def closure(
        self, starts: Sequence[str], direction: Direction, depth: int | None, max_nodes: int
    ) -> Closure:
        """Everything reachable over recorded edges; `starts` are action or artifact ids."""
        ...

    def slots(self, namespace: str | None, limit: int) -> list[str]:
        """The canonical URIs of Deployment artifacts (`k8s://…`), sorted, at most `limit`."""
        ...

    def owners(self, artifacts: Sequence[str]) -> Mapping[str, str]:
        """For each artifact id, the key of the action reported last of those that touch it."""
        ...

    def walk(self) -> Iterator[tuple[list[ActionState], dict[str, ArtifactState]]]:
        """Every action in the order of its key, in chunks, with the artifacts on its edges."""
        ...
