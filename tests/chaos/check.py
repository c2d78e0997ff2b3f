"""The verdict: is what the store holds what the ledger says it owes?

Reports join (`lineage.merge`): a state holds a report exactly when joining it changes nothing.
So of each action: joined with all that was acknowledged it must stay as it is (nothing lost),
and all that was sent, joined with it, must stay as that is (nothing made up).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from sqlalchemy import Engine, text

from lineage.merge import (
    ActionState,
    ArtifactState,
    dump_action,
    dump_artifact,
    join_actions,
    join_artifacts,
    load_action,
    load_artifact,
    report,
)
from lineage.model import parse_action
from lineage.store import codec

from .ledger import Book, Report

S = TypeVar("S", ActionState, ArtifactState)
INPUTS, OUTPUTS = (2, 3, 5), (1, 4, 6, 7)


@dataclass(frozen=True)
class Stored:
    """What the tables of a store hold, row by row: (number, state)."""

    actions: list[tuple[int, ActionState]]
    artifacts: list[tuple[int, ArtifactState]]
    events: list[tuple[int, int, int]]
    """(execution, artifact, type)"""
    bare: int = 0
    """Executions and artifacts without a record: nobody of ours wrote such."""


@dataclass
class Findings:
    """Empty lists = all is well."""

    lost: list[str] = field(default_factory=list)
    """Acknowledged reports that the store does not hold."""
    doubled: list[str] = field(default_factory=list)
    """Actions, artifacts or events that are there twice."""
    made_up: list[str] = field(default_factory=list)
    """What nobody sent."""
    complaints: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.made_up or self.complaints)


def examine(book: Book, stored: Stored) -> Findings:
    """Compare; pure."""
    found = Findings()
    _no_twins(stored, found)
    owed = {id_: _states(sent) for id_, sent in book.owed.items()}
    sent = [_states(one) for one in book.sent.values()]
    actions = {state.id: state for _, state in stored.actions}
    artifacts = {state.id: state for _, state in stored.artifacts}
    for id_, (action, mentioned) in owed.items():
        kept = _holds(actions.get(action.id), action, join_actions, dump_action) and all(
            _holds(artifacts.get(one.id), one, join_artifacts, dump_artifact) for one in mentioned
        )
        if not kept:
            found.lost.append(f"{id_} of {action.key}")
    all_actions = _joined((action for action, _ in sent), join_actions)
    all_artifacts = _joined((one for _, many in sent for one in many), join_artifacts)
    found.made_up += [
        state.key for id_, state in actions.items()
        if not _holds(all_actions.get(id_), state, join_actions, dump_action)
    ]  # fmt: skip
    found.made_up += [
        state.uri for id_, state in artifacts.items()
        if not _holds(all_artifacts.get(id_), state, join_artifacts, dump_artifact)
    ]  # fmt: skip
    return found


def _states(one: Report) -> tuple[ActionState, list[ArtifactState]]:
    return report(parse_action(orjson.dumps(one)))


def _holds(state: S | None, part: S, join: Callable[[S, S], S], dump: Callable[[S], bytes]) -> bool:
    return state is not None and dump(join(state, part)) == dump(state)


def _joined(states: Iterable[S], join: Callable[[S, S], S]) -> dict[str, S]:
    out: dict[str, S] = {}
    for state in states:
        out[state.id] = join(out[state.id], state) if state.id in out else state
    return out


def _no_twins(stored: Stored, found: Findings) -> None:
    """One Execution an action, one Artifact an artifact, one Event an edge (artifact, side)."""
    edges: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    for execution, artifact, type_ in stored.events:
        edges[execution].append((artifact, type_ in OUTPUTS))
    numbers = {number: state.id for number, state in stored.artifacts}
    found.doubled += _twice(state.key for _, state in stored.actions)
    if stored.bare:
        found.doubled.append(f"{stored.bare} nodes without a record")
    found.doubled += _twice(f"{state.uri}@{state.version}" for _, state in stored.artifacts)
    for number, action in stored.actions:
        found.doubled += [f"an event of {action.key}" for _ in _twice(edges[number])]
        shown = {(numbers.get(artifact), out) for artifact, out in edges[number]}
        said = {(edge.artifact, edge.side == "out") for edge in action.edges}
        if shown != said:
            found.complaints.append(f"the events of {action.key} are not those of its record")


def _twice(things: Iterable[Any]) -> list[Any]:
    return [thing for thing, times in Counter(things).items() if times > 1]


def load(engine: Engine, after: tuple[int, int] = (0, 0)) -> Stored:
    """What is in the tables behind these numbers of executions and artifacts."""
    with engine.connect() as db:
        actions = [(n, load_action(body)) for n, body in _records(db, "Execution", after[0])]
        artifacts = [(n, load_artifact(body)) for n, body in _records(db, "Artifact", after[1])]
        events = "SELECT execution_id, artifact_id, type FROM Event WHERE execution_id > :after"
        edges = [(e, a, type_) for e, a, type_ in db.execute(text(events), {"after": after[0]})]
        rows = _rows(db, "Execution", after[0]) + _rows(db, "Artifact", after[1])
    return Stored(actions, artifacts, edges, rows - len(actions) - len(artifacts))


def _rows(db: Any, kind: str, after: int) -> int:
    return int(
        db.execute(text(f"SELECT COUNT(*) FROM {kind} WHERE id > :n"), {"n": after}).scalar()
    )


def numbers(engine: Engine) -> tuple[int, int]:
    """The latest execution and artifact."""
    with engine.connect() as db:
        first, second = (
            db.execute(text(f"SELECT MAX(id) FROM {kind}")).scalar() or 0
            for kind in ("Execution", "Artifact")
        )
        return first, second


def _records(db: Any, kind: str, after: int) -> list[tuple[int, bytes]]:
    rows = db.execute(
        text(
            f"SELECT {kind.lower()}_id, proto_value FROM {kind}Property WHERE name = :name "
            f"AND is_custom_property AND {kind.lower()}_id > :after"
        ),
        {"name": codec.RECORD, "after": after},
    )
    return [(number, codec.unpack(value)) for number, value in rows]
