"""What is newer than what a training read: data and code. Functions over a Reader.

A version is newer if it was made later than the one that was read: at the end of the last
complete action that wrote it. A version that nobody wrote (data from outside, a commit) is as
old as the first action that read it, and counts only if one read it after the training began:
so neither a rollback of the code nor a look at an old dataset asks for a training.

Code is a commit of the same repository *at the same path*. A repository often holds the
configuration as well, and each deploy is a commit of it; if that counted, training and
deploying would chase each other for ever. So a training that names no path is compared
with other trainings only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lineage.identity import identify
from lineage.merge import ActionState, ArtifactState
from lineage.queries.rules import bindings
from lineage.queries.staleness.trained import TRAIN, outputs
from lineage.store.ports import Reader

MOST_VERSIONS = 500
"""Versions of one dataset that are looked at, the latest reported; of code, a tenth."""


class Sight(NamedTuple):
    """A version came into being (`made`), or into sight: first and last time, and by whom."""

    version: ArtifactState
    first: int
    last: int
    by: ActionState
    made: bool


@dataclass(frozen=True, slots=True)
class Newer:
    """`versions` of a thing, oldest first, are newer than the one `used` (known at `at`, µs)."""

    used: ArtifactState
    at: int
    versions: tuple[Sight, ...]
    truncated: bool

    @property
    def newest(self) -> Sight:
        return self.versions[-1]


class Behind:
    """Answers for several trainings at once: every question to the reader is asked for all."""

    def __init__(self, reader: Reader, trainings: Iterable[ActionState]) -> None:
        states = list({state.id: state for state in trainings}.values())
        ids = {edge.artifact for state in states for edge in state.edges if edge.side == "in"}
        known = reader.artifacts_by_id(sorted(ids)) if ids else {}
        self._known = known
        self._bound: dict[str, set[str]] = defaultdict(set)
        for edge in bindings(reader, states, known):
            self._bound[edge.target].add(edge.source)
        self._families, self._cut = _families(reader, states, known)
        versions = {v.id: v for family in self._families.values() for v in family}
        versions |= {id_: one for id_, one in known.items() if one.type == "Dataset"}
        commits = {id_: one for id_, one in versions.items() if one.type == "Code"}
        data = sorted(versions.keys() - commits.keys())
        wrote = reader.touching(data, "out") if data else {}
        self._made = {id_: [a for a in some if _made(a, id_)] for id_, some in wrote.items()}
        found = sorted([*commits, *(id_ for id_ in data if not self._made[id_])])
        self._read = reader.touching(found, "in") if found else {}
        self._ran = _ran(list(commits.values()), self._read)

    @property
    def truncated(self) -> bool:
        """Whether something had more versions than are looked at."""
        return bool(self._cut)

    def data(self, training: ActionState) -> list[Newer]:
        """Per dataset the training read, what is newer; the newest news first."""
        reads: dict[str, list[ArtifactState]] = defaultdict(list)
        for edge in training.edges:
            one = self._known.get(edge.artifact)
            if edge.side == "in" and one is not None and one.type == "Dataset":
                reads[one.uri].append(one)
        found = (self._newer_data(training, uri, read) for uri, read in sorted(reads.items()))
        return sorted(filter(None, found), key=lambda n: (-n.newest.first, n.used.uri))

    def code(self, training: ActionState) -> Newer | None:
        """The commits that were run later than the training's own, if any."""
        source = training.get("code.source") or {}
        own = _commit(source)
        if own is None:
            return None
        path = source.get("path")
        ran = self._ran.get((own.id, path))
        newer = [
            sight
            for version in self._families.get(own.uri, ())
            if (sight := self._ran.get((version.id, path))) is not None
            and sight.first > (ran.first if ran else training.started)
            and sight.last > training.started
        ]
        return self._newer(own, training.started, newer, own.uri)

    def _newer_data(
        self, training: ActionState, uri: str, read: Sequence[ArtifactState]
    ) -> Newer | None:
        since = [self._since(training, one) for one in read]
        at, used = max(since, key=lambda s: (s[0], s[1].id))
        ids = {one.id for one in read if one.version is not None}
        family = {v.id: v for v in (*self._families.get(uri, ()), *read) if v.id not in ids}
        sights = (sight for version in family.values() for sight in self._sights(version))
        newer = [
            s
            for s in sights
            if s.first > at
            and (s.made or s.last > training.started)
            and training.key not in (s.by.key, s.by.get("parent"))
        ]
        return self._newer(used, at, newer, uri)

    def _newer(
        self, used: ArtifactState, at: int, newer: Iterable[Sight], uri: str
    ) -> Newer | None:
        versions = tuple(sorted(newer, key=lambda s: (s.first, s.by.key, s.version.id)))
        return Newer(used, at, versions, uri in self._cut) if versions else None

    def _since(self, training: ActionState, read: ArtifactState) -> tuple[int, ArtifactState]:
        """When what was read came to be; a name without a version meant the newest there was."""
        if read.version is not None:
            first = min((s.first for s in self._sights(read)), default=training.started)
            return first, read
        bound = [
            (s.first, v)
            for v in self._families.get(read.uri, ())
            if v.id in self._bound[training.id]
            for s in self._sights(v)
        ]
        at, version = max(bound, key=lambda b: (b[0], b[1].id), default=(0, read))
        return max(at, training.started), version

    def _sights(self, version: ArtifactState) -> Iterator[Sight]:
        made = self._made.get(version.id, ())
        if version.version is None:
            # Whoever writes a name without a version writes a new one each time.
            yield from (Sight(version, _end(a), _end(a), a, True) for a in made)
        elif made:
            last = max(made, key=lambda a: (_end(a), a.key))
            yield Sight(version, _end(last), _end(last), last, True)
        elif read := self._read.get(version.id):
            yield _sight(version, read)


def _ran(
    commits: Iterable[ArtifactState], read: Mapping[str, Sequence[ActionState]]
) -> dict[tuple[str, str | None], Sight]:
    """When each commit was run at each path."""
    runs: dict[tuple[str, str | None], list[ActionState]] = defaultdict(list)
    for commit in commits:
        for action in read.get(commit.id, ()):
            source = action.get("code.source") or {}
            own, path = _commit(source), source.get("path")
            if own and own.id == commit.id and (path or action.get("type") == TRAIN):
                runs[commit.id, path].append(action)
    versions = {commit.id: commit for commit in commits}
    return {(id_, path): _sight(versions[id_], seen) for (id_, path), seen in runs.items()}


def _families(
    reader: Reader, trainings: Sequence[ActionState], known: Mapping[str, ArtifactState]
) -> tuple[dict[str, list[ArtifactState]], set[str]]:
    """The versions of every dataset and repository the trainings read; which were too many."""
    began: dict[str, int] = {}
    for state in trainings:
        if (own := _commit(state.get("code.source") or {})) is not None:
            began[own.uri] = min(state.started, began.get(own.uri, state.started))
    own_commits = {c.id for s in trainings if (c := _commit(s.get("code.source") or {}))}
    uris = {one.uri for one in known.values() if one.type == "Dataset"} | began.keys()
    out: dict[str, list[ArtifactState]] = {}
    cut: set[str] = set()
    for uri, family in reader.families(sorted(uris), several=True).items() if uris else ():
        most, kept = MOST_VERSIONS, sorted(family, key=lambda v: (-_clock(v), v.id))
        if uri in began:
            # What no report named since the training began nobody can have run since then.
            most //= 10
            kept = [v for v in kept if v.id in own_commits or _clock(v) > began[uri]]
            if all(v.id in own_commits for v in kept):
                continue
        if len(kept) > most:
            cut.add(uri)
        out[uri] = kept[:most] + [v for v in kept[most:] if v.id in known]
    return out, cut


def _commit(source: Mapping[str, str]) -> ArtifactState | None:
    """The artifact of `code.source`, if it names a commit."""
    if not source.get("repo"):
        return None
    identity = identify(source["repo"], source.get("commit") or None, "Code")
    if identity.version is None:
        return None
    return ArtifactState(identity.id, identity.uri, identity.version, {"type": (0, "Code")})


def _sight(version: ArtifactState, seen: Iterable[ActionState]) -> Sight:
    ordered = sorted(seen, key=lambda a: (a.started, a.key))
    return Sight(version, ordered[0].started, ordered[-1].started, ordered[0], False)


def _made(action: ActionState, artifact: str) -> bool:
    return action.get("state") == "complete" and artifact in outputs(action)


def _end(action: ActionState) -> int:
    return action.started if action.ended is None else action.ended


def _clock(version: ArtifactState) -> int:
    return max((clock for clock, _ in version.fields.values()), default=0)
