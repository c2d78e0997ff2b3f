"""The reasons for which a model is stale, each with its evidence and a sentence. Pure.

Four kinds: a newer trained model of the family (lineage.queries.staleness.trained), newer data or newer
code than it was trained with (lineage.queries.staleness.behind), and, where a limit is given, its age.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lineage.errors import BadRequest
from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.merge import ActionState
from lineage.queries.serving.timeline import Period
from lineage.queries.staleness.behind import Behind, Newer
from lineage.queries.staleness.spans import parse, words
from lineage.queries.staleness.trained import Made, alike, same, trainer
from lineage.times import iso

Kind = Literal["model", "data", "code", "age"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is newer. `since`: when the first of `versions` came; `at`: the newest."""

    kind: Kind
    text: str
    versions: int
    since: int
    at: int
    used: ArtifactNode
    newest: ArtifactNode
    by: ActionNode
    rolled_back: bool = False

    def json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "reason": self.text, "versions": self.versions,
            "since": iso(self.since), "at": iso(self.at), "used": self.used.json(),
            "newest": self.newest.json(), "by": self.by.json(), "rolled_back": self.rolled_back,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """How old a model may be (µs): by its training controller's name, else `default`."""

    default: int | None = None
    by_controller: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> Limits:
        """`24h`, or `24h,modelsync/labelbot-train=7d`."""
        default, named = None, {}
        for part in filter(None, (p.strip() for p in (text or "").split(","))):
            controller, equals, span = part.rpartition("=")
            if equals:
                named[controller.strip()] = parse("max_age", span)
            elif default is None:
                default = parse("max_age", span)
            else:
                raise BadRequest("max_age: two limits for all; write CONTROLLER=24h for one")
        return cls(default, named)

    def of(self, controller: str) -> int | None:
        return self.by_controller.get(controller, self.default)


def why(
    made: Made, newer: Sequence[Made], behind: Behind, past: Sequence[Period], now: int,
    limits: Limits,
) -> Iterator[Reason]:  # fmt: skip
    """The reasons for which a model is stale; `newer` as `Later` finds them."""
    if newer:
        yield _model(made, newer, past, now)
    yield from news(made.by, behind, now)
    limit = limits.of(trainer(made.by)[2])
    if limit is not None and now - made.ended > limit:
        node, since = artifact_node(made.model), made.ended + limit
        text = (
            f"the training of {node.label} ended {words(now - made.ended)} ago, "
            f"the limit is {words(limit)}"
        )
        yield Reason("age", text, 0, since, since, node, node, action_node(made.by))


def news(training: ActionState, behind: Behind, now: int) -> Iterator[Reason]:
    """The newer data and the newer code behind a training."""
    for found in behind.data(training):
        yield _versions("data", found, now)
    if (code := behind.code(training)) is not None:
        yield _versions("code", code, now)


class Later:
    """Models found by their family, as of thousands only a few are of one."""

    def __init__(self, made: Iterable[Made]) -> None:
        self._by: dict[object, list[Made]] = defaultdict(list)
        for one in sorted(made, key=lambda m: m.order):
            self._by[one.model.uri].append(one)
            self._by[trainer(one.by), one.role].append(one)

    def than(self, made: Made, live: Iterable[Made]) -> list[Made]:
        """The latest training of each newer model of the family, oldest first. Those `live`
        beside it are taken up already."""
        held = {m.model.id: m.by.started for m in sorted([*live, made], key=lambda m: m.order)}
        near = self._by.get(made.model.uri, []), self._by.get((trainer(made.by), made.role), [])
        out: dict[str, Made] = {}
        for one in (*near[0], *near[1]):
            # Without a version, the same name trained again is another model.
            again = one.model.version is None and one.by.started > held.get(one.model.id, 0)
            new = again or one.model.id not in held
            if new and one.order > made.order and alike(made, one):
                out[one.model.id] = max(one, out.get(one.model.id, one), key=lambda m: m.order)
        return sorted(out.values(), key=lambda m: m.order)


def was_live(past: Iterable[Period], made: Made) -> bool:
    """Whether a model was live before: since its training, for a name without a version."""
    return any(
        period.since >= made.by.started and any(same(m, made.model) for m in period.models)
        for period in past
    )


def _model(made: Made, newer: Sequence[Made], past: Sequence[Period], now: int) -> Reason:
    newest, back = newer[-1], was_live(past, newer[-1])
    node = artifact_node(newest.model)
    text = (
        f"{_count(len(newer), 'newer model')} of its family; the newest, {node.label}, was "
        f"trained {words(now - newest.ended)} ago"
    ) + (" and was live already, before it was rolled back" if back else "")
    return Reason(
        "model", text, len(newer), newer[0].ended, newest.ended, artifact_node(made.model), node,
        action_node(newest.by), back,
    )  # fmt: skip


def _versions(kind: Kind, newer: Newer, now: int) -> Reason:
    newest, used = newer.newest, artifact_node(newer.used)
    most = "at least " if newer.truncated else ""
    count = _count(len(newer.versions), "newer commit" if kind == "code" else "newer version")
    came = "came" if newest.made else "was first seen"
    by = action_node(newest.by)
    text = (
        f"{used.label} has {most}{count} than the model was trained with; the newest "
        f"{came} {words(now - newest.first)} ago by {by.name}"
    )
    return Reason(
        kind, text, len(newer.versions), newer.versions[0].first, newest.first, used,
        artifact_node(newest.version), by,
    )  # fmt: skip


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
