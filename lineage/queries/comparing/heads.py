"""What a question compares: which artifact, action or slot a reference means, at which moment,
and which came before it.

A slot stands for what was live in it. Of several versions the newest is meant; with
`@time` behind a reference, what was so then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lineage.errors import NotFound
from lineage.graph import Node, action_node, artifact_node
from lineage.merge import ActionState, ArtifactState
from lineage.queries.asof import AsOf
from lineage.queries.references import resolve
from lineage.queries.serving.timeline import Period, timelines
from lineage.store.ports import Reader
from lineage.times import asked, iso

Kind = Literal["artifact", "action", "slot"]
_AT = re.compile(r"(.+)@(\d{4}-\d{2}-\d{2}(?:T[0-9:.]+(?:Z|[+ -]\d{2}:?\d{2})?)?)\Z")
_EARLIER = 50
"""How many earlier actions of a controller are looked at."""


@dataclass(frozen=True, slots=True)
class Head:
    """`id` = the node that a walk starts from; `reader` knows what had happened by then."""

    ref: str
    kind: Kind
    id: str
    node: Node
    reader: Reader
    period: Period | None = None
    at: int | None = None
    """The moment (µs) it is looked at; None = now, or whenever the question is about."""

    def json(self) -> dict[str, Any]:
        period = self.period
        until = None if period is None or period.until is None else iso(period.until)
        return {
            "ref": self.ref,
            "kind": self.kind,
            "at": None if self.at is None else iso(self.at),
            "node": self.node.json(),
            "since": None if period is None else iso(period.since),
            "until": until,
            "action": None if period is None else period.action.json(),
            "models": [] if period is None else [model.json() for model in period.models],
        }


def head(reader: Reader, ref: str) -> Head:
    """What `ref` means: as in `lineage.queries.lineage.resolve`, or that at a time.

    Raises:
        NotFound: nothing is called that, or nothing was live there.
        BadRequest: several things are called that, or the time is none.
    """
    timed = _AT.match(ref.strip())
    try:
        return _head(reader, ref, resolve(reader, ref))
    except NotFound:
        if timed is None:
            raise
    at = asked(timed[2], timed[2])
    past = AsOf(reader, at)
    found = replace(_head(past, ref, resolve(past, timed[1])), at=at)
    if found.period is not None and found.period.until is not None:
        raise NotFound(f"nothing was live in {timed[1]} at {timed[2]}; it ended at "
                       f"{iso(found.period.until)}")  # fmt: skip
    return found


def before(reader: Reader, later: Head) -> Head:
    """What came before: the model that was live, the version, or the act of its kind.

    Raises:
        NotFound: it is the first.
    """
    if later.period is not None:
        return _slot_before(reader, later, later.period)
    found: ActionState | ArtifactState | None
    if later.kind == "action":
        action = later.reader.actions_by_id([later.id])[later.id]
        found = next(_earlier(later.reader, action), None)
    else:
        found = _version_before(later.reader, later.id) or _made_before(later.reader, later.id)
    if found is None:
        raise NotFound(f"nothing like {later.ref} came before it; name what to compare it with")
    node = action_node(found) if isinstance(found, ActionState) else artifact_node(found)
    return Head(f"before {later.ref}", later.kind, found.id, node, later.reader, at=later.at)


def _head(reader: Reader, ref: str, ids: Sequence[str]) -> Head:
    action = reader.action(ids[0])
    if action is not None:
        return Head(ref, "action", action.id, action_node(action), reader)
    found = reader.artifacts_by_id(ids)
    one = next(iter(found.values()))
    named_whole = ref.strip() not in (one.id, f"{one.uri}@{one.version}")
    is_slot = any(version.type == "Deployment" for version in found.values())
    if is_slot and (len(found) > 1 or named_whole):
        past = timelines(reader, [one.uri])[one.uri].periods
        if not past:
            raise NotFound(f"nothing was live in {one.uri}, as far as is known")
        return _slot(ref, reader, past[-1])
    newest = max(found.values(), key=_age(reader, list(found.values())))
    return Head(ref, "artifact", newest.id, artifact_node(newest), reader)


def _slot(ref: str, reader: Reader, period: Period) -> Head:
    """A deployment without a version was made by every act; only its own is behind it."""
    node = period.deployment
    start = node.id if node.version else period.action.id
    at = None if period.until is None else max(period.since, period.until - 1)
    return Head(ref, "slot", start, node, reader if at is None else AsOf(reader, at), period, at)


def _slot_before(reader: Reader, later: Head, present: Period) -> Head:
    uri = present.deployment.uri
    past = [p for p in timelines(reader, [uri])[uri].periods if p.since < present.since]
    others = [p for p in past if _models(p) != _models(present)] or past
    if not others:
        raise NotFound(f"nothing was live in {uri} before; name what to compare it with")
    return _slot(f"{uri}@{iso(others[-1].since)}", reader, others[-1])


def _models(period: Period) -> set[str]:
    return {model.id for model in period.models}


def _version_before(reader: Reader, id_: str) -> ArtifactState | None:
    one = reader.artifacts_by_id([id_])[id_]
    family = list(reader.families([one.uri]).get(one.uri, ()))
    age = _age(reader, [*family, one])
    return max((v for v in family if age(v) < age(one)), key=age, default=None)


def _made_before(reader: Reader, id_: str) -> ArtifactState | None:
    """What the act before wrote in the same role, where each gives its work a name of its own."""
    makers = sorted(reader.touching([id_], "out").get(id_, ()), key=lambda a: (a.started, a.key))
    for maker in makers:
        earlier = list(_earlier(reader, maker))
        written = _written(reader, [maker, *earlier])
        sorts = {(role, one.type) for role, one in written[maker.id] if one.id == id_}
        for act in earlier:
            for role, one in written[act.id]:
                if (role, one.type) in sorts and one.id != id_:
                    return one
    return None


def _earlier(reader: Reader, action: ActionState) -> Iterator[ActionState]:
    """Acts of the same controller and type that were complete before, the latest first."""
    who = tuple(action.get("controller"))
    recent = reader.latest(_EARLIER, who[1], action.started - 1).get(who)
    found = [
        a
        for a in (recent.actions if recent else ())
        if a.get("type") == action.get("type") and a.get("state") == "complete"
    ]
    written = _written(reader, [action, *found])
    slots = {a.id: {w.uri for _, w in written[a.id] if w.type == "Deployment"} for a in found}
    mine = {w.uri for _, w in written[action.id] if w.type == "Deployment"}
    # A controller of many slots acts on one at a time: its last act on this one is meant.
    yield from [a for a in found if mine & slots[a.id]] or found


def _written(
    reader: Reader, actions: Sequence[ActionState]
) -> dict[str, list[tuple[str, ArtifactState]]]:
    """Per action (id) its outputs with their roles."""
    outputs = {a.id: sorted(e for e in a.edges if e.side == "out") for a in actions}
    ids = {edge.artifact for edges in outputs.values() for edge in edges}
    known = reader.artifacts_by_id(sorted(ids))
    return {
        id_: [(e.role, known[e.artifact]) for e in edges if e.artifact in known]
        for id_, edges in outputs.items()
    }


def _age(reader: Reader, versions: Sequence[ArtifactState]) -> Any:
    """A key to order versions by: when each was made, else first read."""
    ids = sorted({one.id for one in versions})
    first: dict[str, int] = {}
    for side in ("in", "out"):
        for id_, acts in reader.touching(ids, side).items():
            if acts:
                first[id_] = min(act.started for act in acts)
    return lambda one: (first.get(one.id, -1), one.id)
