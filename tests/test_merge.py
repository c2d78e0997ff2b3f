"""Merging is a join: order, repetition and grouping of reports cannot matter."""

from __future__ import annotations

import random

import orjson
from hypothesis import given
from hypothesis import strategies as st

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
from lineage.model import Action, parse_action
from lineage.records import records

from .strategies import actions

Store = tuple[dict[str, ActionState], dict[str, ArtifactState]]


def merged(reports: list[Action]) -> Store:
    """The smallest possible store: two dicts and the joins."""
    states: dict[str, ActionState] = {}
    artifacts: dict[str, ArtifactState] = {}
    for one in reports:
        state, mentioned = report(one)
        states[state.key] = join_actions(states[state.key], state) if state.key in states else state
        for artifact in mentioned:
            known = artifacts.get(artifact.id)
            artifacts[artifact.id] = join_artifacts(known, artifact) if known else artifact
    return states, artifacts


def dumped(store: Store) -> tuple[list[bytes], list[bytes]]:
    states, artifacts = store
    return (
        sorted(dump_action(s) for s in states.values()),
        sorted(dump_artifact(a) for a in artifacts.values()),
    )


def exported(store: Store) -> list[bytes]:
    states, artifacts = store
    owner: dict[str, ActionState] = {}
    for state in states.values():
        for edge in state.edges:
            rival = owner.get(edge.artifact)
            if rival is None or (state.clock, state.key) > (rival.clock, rival.key):
                owner[edge.artifact] = state
    return [
        orjson.dumps(record)
        for _, state in sorted(states.items())
        for record in records(state, artifacts, {a for a, s in owner.items() if s is state})
    ]


@given(st.lists(actions(), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same_state(
    reports: list[Action], random: random.Random
) -> None:
    """Shuffled and repeated, the same reports end in the same bytes."""
    again = reports + random.choices(reports, k=len(reports))
    random.shuffle(again)
    assert dumped(merged(again)) == dumped(merged(reports))


@given(actions(st.just("k")), actions(st.just("k")), actions(st.just("k")))
def test_join_is_associative(a: Action, b: Action, c: Action) -> None:
    """Reports merged in groups, as several writers would, give the same state."""
    x, y, z = (report(one)[0] for one in (a, b, c))
    left = join_actions(join_actions(x, y), z)
    assert dump_action(left) == dump_action(join_actions(x, join_actions(y, z)))


@given(st.lists(actions(st.just("k")), min_size=1, max_size=5))
def test_states_only_move_forward(reports: list[Action]) -> None:
    """Once an end was reported, no later report makes the action running again."""
    ended = False
    state = report(reports[0])[0]
    for one in reports:
        state = join_actions(state, report(one)[0])
        ended = ended or one.state in ("complete", "failed", "canceled")
        assert not ended or state.get("state") in ("complete", "failed", "canceled")


@given(st.lists(actions(), min_size=1, max_size=6))
def test_stored_form_round_trips(reports: list[Action]) -> None:
    """What is loaded from the stored form dumps to the same bytes."""
    states, artifacts = merged(reports)
    for state in states.values():
        assert dump_action(load_action(dump_action(state))) == dump_action(state)
    for artifact in artifacts.values():
        assert load_artifact(dump_artifact(artifact)) == artifact


@given(st.lists(actions(), min_size=1, max_size=6))
def test_exported_records_make_the_same_state_again(reports: list[Action]) -> None:
    """An export replayed elsewhere gives the same state, clocks included, and the same export."""
    store = merged(reports)
    lines = exported(store)
    copy = merged([parse_action(line) for line in lines])
    assert dumped(copy) == dumped(store)
    assert exported(copy) == lines
