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
Kind = Literal["action", "artifact"]


class Verdict(NamedTuple):
    """What became of one report: an outcome once committed, or the error that kept it out."""

    id: str
    outcome: Outcome | None
    error: LineageError | None = None


class Guarded(Action):
    """A report that must not merge into an action of another namespace: it is refused then, with
    Forbidden. Said with the report, since only who writes knows what is there at that moment."""

    @classmethod
    def of(cls, action: Action) -> Guarded:
        return cls.model_construct(action.model_fields_set, **dict(action))


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
    """None = any. `q` matches in name and key; `since`/`until` bound the start; `parent` is the
    key of what they are parts of; `within` are namespaces."""

    type: str | None = None
    state: str | None = None
    controller: str | None = None
    namespace: str | None = None
    q: str | None = None
    since: int | None = None
    until: int | None = None
    parent: str | None = None
    within: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ArtifactFilter:
    """None = any. `q` matches in URI and name, `uri` is the whole canonical URI; `within` leaves
    out much, if not all, that no action of these namespaces names."""

    type: str | None = None
    uri: str | None = None
    q: str | None = None
    within: frozenset[str] | None = None


class ControllerCount(NamedTuple):
    cluster: str
    namespace: str
    name: str
    actions: int


class Recent(NamedTuple):
    """The latest actions of a controller; `more` = it did others before these."""

    actions: list[ActionState]
    more: bool


MOST_RECENT = 10_000
"""Actions of all controllers together that one look at the latest may load, shared evenly."""


def share(each: int, controllers: int) -> int:
    """How many of `each` wanted actions a controller gets where there are so many controllers."""
    return min(each, max(1, MOST_RECENT // max(1, controllers)))


class Reader(Protocol):
    def state(self) -> object:
        """Equal as long as nothing was recorded; None = that cannot be told."""
        ...

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

    def controllers(
        self, cursor: str | None, limit: int, until: int | None = None
    ) -> Page[ControllerCount]:
        """With the number of their actions; `until` bounds the start of these."""
        ...

    def latest(
        self, each: int, namespace: str | None, until: int | None = None
    ) -> Mapping[tuple[str, str, str], Recent]:
        """Per controller (cluster, namespace, name) its `each` latest actions, latest first,
        of those that had started by `until`. Equal starts are told apart by id. Of very many
        controllers each gets a `share`.
        """
        ...

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
        """Everything reachable over recorded edges; `starts` are action or artifact ids. Of
        more than `max_nodes` some of the nearest come when there is a `depth`. Of a whole
        closure maybe nothing: whoever wants the nearest goes step by step."""
        ...

    def slots(self, namespace: str | None, limit: int, after: str | None = None) -> list[str]:
        """The canonical URIs of Deployment artifacts (`k8s://…`), sorted, at most `limit`."""
        ...

    def deploys(
        self, slots: Sequence[str], evidence: str, limit: int, until: int | None = None
    ) -> Mapping[str, list[ActionState]]:
        """For each slot (canonical URI) the complete actions that put something there with
        this evidence (claimed | committed | observed | reported, the action's own word): the
        latest end first, none after `until`, at most `limit` for each slot."""
        ...

    def owners(self, artifacts: Sequence[str]) -> Mapping[str, str]:
        """For each artifact id, the key of the action reported last of those that touch it."""
        ...

    def walk(self) -> Iterator[tuple[list[ActionState], dict[str, ArtifactState]]]:
        """Every action in the order of its key, in chunks, with the artifacts on its edges."""
        ...


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is. `actions` by (type, state), `artifacts` by type; times in µs."""

    actions: Mapping[tuple[str, str], int]
    artifacts: Mapping[str, int]
    controllers: int
    first: int | None
    last: int | None
    store_bytes: int


@dataclass(frozen=True, slots=True)
class IndexState:
    """How far the index is. `behind` = nodes it does not have as they are now; while it builds
    an estimate. `trouble` = why it cannot go on, if so."""

    status: Literal["ready", "building", "absent"]
    behind: int
    bytes: int
    trouble: str | None = None


class Searcher(Protocol):
    """Finds nodes by terms (`lineage.findable`), fast, and never the truth: whoever asks looks
    at the nodes themselves. A *number* names a node of a kind; a later one has a larger."""

    def find(
        self, kind: Kind, terms: Sequence[str], below: int | None, limit: int
    ) -> tuple[Sequence[int], bool]:
        """Nodes that the index has under all these terms, the latest first; False = given up,
        because terms that are common and seldom together took too long."""
        ...

    def named(self, kind: Kind, text: str) -> Sequence[int]:
        """Nodes whose id, key, URI, name or version is this text, as far as there are few."""
        ...

    def unindexed(self, kind: Kind) -> tuple[Sequence[int], bool]:
        """Nodes that the index does not have as they are now, the latest first, and whether
        these are all. Ask before `find`, so that nothing falls between the two."""
        ...

    def load(
        self, kind: Kind, numbers: Sequence[int]
    ) -> Sequence[tuple[int, ActionState | ArtifactState]]: ...

    def around(self, kind: Kind, at: int) -> int | None:
        """The number that nodes had got to at a moment (µs), if they came in order."""
        ...

    def state(self) -> IndexState: ...
    def counts(self) -> Counts: ...

    def rebuild(self) -> None:
        """Forget the index and begin again, in the background."""
        ...


class Position(NamedTuple):
    """How far the store was read in the order of its changes: time (ms) and number of a node."""

    stamp: int = 0
    number: int = 0


class Changes(Protocol):
    """Actions in the order in which they were last written, whoever wrote them."""

    def newest(self) -> Position: ...

    def changed(self, after: Position, limit: int) -> list[tuple[Position, ActionState]]:
        """Those written after a position, the earliest first."""
        ...

    overlap: int
    """Milliseconds in which a change may still appear behind later ones."""

    def written(self, after: Position) -> list[Position]:
        """Where those stand that were written after a position, the earliest first."""
        ...

    def load(self, positions: Sequence[Position]) -> list[tuple[Position, ActionState]]:
        """Those at these positions, as they are now."""
        ...


class Gone(NamedTuple):
    """An action or artifact (id) that was removed."""

    id: str


class Watch(Protocol):
    """Tells one asker, who asks again and again, what became other in between."""

    def news(self) -> Sequence[ActionState | ArtifactState | Gone] | None:
        """Every action and artifact written or removed since the last call, or more than these,
        as they are now; None = too many, or it cannot be told: everything may be other."""
        ...
