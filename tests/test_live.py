"""What is live: evidence before claims, the past as it was, disagreement first."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from lineage.model import Action, parse_action
from lineage.queries.asof import AsOf
from lineage.queries.serving.live import Slot, live
from lineage.queries.serving.timeline import Timeline, timelines
from lineage.store.ports import Reader
from lineage.times import microseconds

from .memory import MemoryReader
from .strategies import actions

SLOT = "k8s://prod/shop/Deployment/worker"


def at(hour: int) -> datetime:
    return datetime(2020, 7, 1, tzinfo=UTC) + timedelta(hours=hour)


def micros(hour: int) -> int:
    return microseconds(at(hour))


def act(key: str, hour: int, **more: Any) -> Action:
    fields: dict[str, Any] = {
        "key": key,
        "type": "deploy",
        "controller": {"name": "deployer"},
        "state": "complete",
        "started_at": at(hour),
        "ended_at": at(hour),
        "reported_at": at(hour),
        **more,
    }
    return Action.model_validate(fields)


def model(uri: str = "gs://m/a", **more: Any) -> dict[str, Any]:
    return {"type": "Model", "uri": uri, "role": "model", **more}


def slot(version: str, evidence: str | None = "observed", **more: Any) -> dict[str, Any]:
    return {"type": "Deployment", "uri": SLOT, "version": version, "evidence": evidence, **more}


def deploy(key: str, hour: int, uri: str = "gs://m/a", evidence: str | None = "observed") -> Action:
    mention = {"evidence": "claimed"} if evidence == "claimed" else {}
    return act(key, hour, inputs=[model(uri, **mention)], outputs=[slot(key, evidence)])


def at_time(reports: Iterable[Action], moment: int | None) -> Reader:
    reader = MemoryReader.of(reports)
    return reader if moment is None else AsOf(reader, moment)


def only(*reports: Action, as_of: int | None = None) -> Slot:
    (found,) = live(at_time(reports, as_of))
    return found


def past(*reports: Action, as_of: int | None = None) -> Timeline:
    return timelines(at_time(reports, as_of), [SLOT])[SLOT]


def uris(slot: Slot) -> list[str]:
    return [model.uri for model in slot.models]


def test_newest_deploy_is_live() -> None:
    """Of two deploys the later one holds the slot, since it ended, and the first is history."""
    reports = [deploy("d2", 2, "gs://m/b"), deploy("d1", 1)]
    found = only(*reports)
    assert uris(found) == ["gs://m/b"]
    assert found.since == micros(2)
    assert (found.cluster, found.namespace, found.kind, found.name) == (
        "prod", "shop", "Deployment", "worker",
    )  # fmt: skip
    assert [(p.since, p.until) for p in past(*reports).periods] == [
        (micros(1), micros(2)),
        (micros(2), None),
    ]


def test_past_is_as_it_was() -> None:
    """At T only what had ended by T counts; before the first deploy there is nothing."""
    reports = [deploy("d1", 1), deploy("d2", 3, "gs://m/b")]
    assert uris(only(*reports, as_of=micros(2))) == ["gs://m/a"]
    assert uris(only(*reports, as_of=micros(3))) == ["gs://m/b"]
    assert live(at_time(reports, micros(0))) == []


def test_unfinished_and_failed_deploys_hold_nothing() -> None:
    """A deploy that runs or failed leaves the slot to the one before."""
    running = act("d2", 2, state="running", ended_at=None, outputs=[slot("d2")])
    failed = act("d3", 3, state="failed", outputs=[slot("d3")])
    assert only(deploy("d1", 1), running, failed).action.key == "d1"


def test_claims_hold_nothing() -> None:
    """A slot that is only claimed has nothing live."""
    assert live(MemoryReader.of([deploy("d1", 1, evidence="claimed")])) == []


def test_later_claim_of_another_model_disagrees() -> None:
    """A claim newer than what is live is judged by its model; the newest one decides."""
    tree = deploy("d1", 1, evidence="committed")
    wrong = deploy("c2", 2, "gs://m/b", "claimed")
    right = deploy("c3", 3, evidence="claimed")
    assert only(tree, wrong).status == "disagree"
    found = only(tree, wrong, right)
    assert [(c.action.key, c.agrees) for c in found.claims] == [("c3", True), ("c2", False)]
    assert found.status == "unknown origin"


def test_what_the_cluster_showed_outranks_the_tree() -> None:
    """Once something was observed, a later commit alone changes nothing."""
    reports = [
        deploy("d1", 1, evidence="committed"),
        deploy("d2", 2, "gs://m/b"),
        deploy("d3", 3, "gs://m/c", "committed"),
    ]
    found = only(*reports)
    assert (uris(found), found.evidence) == (["gs://m/b"], "observed")
    assert [(p.action.key, p.evidence) for p in past(*reports).periods] == [
        ("d1", "committed"),
        ("d2", "observed"),
    ]


def test_own_word_counts_as_reported() -> None:
    """A deploy without evidence is the action's own word, and better than a tree."""
    found = only(deploy("d1", 1, evidence=None), deploy("d2", 2, "gs://m/b", "committed"))
    assert (uris(found), found.evidence) == (["gs://m/a"], "reported")


def test_no_traffic_ends_the_slot() -> None:
    """A deployment with traffic 0 is a deletion; a later deploy opens the slot again."""
    gone = act("d2", 2, outputs=[slot("d2", properties={"traffic": 0})])
    reports = [deploy("d1", 1), gone]
    assert live(MemoryReader.of(reports)) == []
    assert only(*reports, as_of=micros(1)).action.key == "d1"
    again = past(*reports, deploy("d3", 3))
    assert [(p.action.key, p.until) for p in again.periods] == [("d1", micros(2)), ("d3", None)]
    assert [(gap.action.key, gap.since, gap.until) for gap in again.gaps] == [
        ("d2", micros(2), micros(3))
    ]


def test_rollout_that_names_old_and_new_keeps_the_new() -> None:
    """One action that takes the traffic from one revision and gives it to another."""
    shift = act(
        "d2",
        2,
        inputs=[model("gs://m/b")],
        outputs=[
            slot("z-old", properties={"traffic": 0}),
            slot("a-new", properties={"traffic": 100}),
        ],
    )
    assert only(deploy("d1", 1), shift).deployment.version == "a-new"


def test_resync_of_the_same_thing_does_not_restart_the_clock() -> None:
    """Seeing the same deployment with the same model again changes neither since nor history."""
    again = act("s2", 2, type="sync", inputs=[model()], outputs=[slot("d1")])
    assert only(deploy("d1", 1), again).since == micros(1)
    assert len(past(deploy("d1", 1), again).periods) == 1


def test_models_are_the_nearest_upstream() -> None:
    """A deploy that read only a configuration holds the model that went into it."""
    base = act("t1", 1, type="train", outputs=[model("gs://m/base")])
    tuned = act("t2", 2, type="train", inputs=[model("gs://m/base")], outputs=[model("gs://m/b")])
    config = {"type": "Config", "uri": "gs://c/conf", "version": "1"}
    build = act("b", 3, type="build", inputs=[model("gs://m/b")], outputs=[config])
    put = act("d", 4, inputs=[config], outputs=[slot("d")])
    found = only(base, tuned, build, put)
    assert uris(found) == ["gs://m/b"]
    assert [a.key for a in found.trained_by] == ["t2"]
    assert [c.uri for c in found.code] == ["gs://c/conf"]
    assert found.status == "agree"


def test_claimed_model_is_not_what_runs() -> None:
    """An input that is only claimed is no model of the slot."""
    put = act("d", 1, inputs=[model(evidence="claimed")], outputs=[slot("d", "committed")])
    assert only(put).models == ()


def test_training_of_an_unversioned_model_is_the_newest_before_the_deploy() -> None:
    """A model read without a version was trained by the last training before, not the next."""
    trained = [
        act(f"t{hour}", hour, type="train", outputs=[model(version=f"v{hour}")])
        for hour in (1, 2, 4)
    ]
    assert [a.key for a in only(*trained, deploy("d", 3)).trained_by] == ["t2"]


def test_parts_of_a_run_are_not_named_beside_it() -> None:
    """Where a run and its own step both produced the model, the run is named."""
    run = act("run", 1, type="train", outputs=[model()])
    step = act("step", 1, type="process", parent="run", outputs=[model()])
    assert [a.key for a in only(run, step, deploy("d", 2)).trained_by] == ["run"]


def test_disagreement_comes_first_and_agreement_last() -> None:
    """Slots are listed in the order in which they need a look, then by name."""

    def one(name: str, key: str, hour: int, evidence: str, uri: str) -> Action:
        place = {"type": "Deployment", "uri": f"k8s://c/n/Deployment/{name}", "version": key}
        return act(key, hour, inputs=[model(uri)], outputs=[{**place, "evidence": evidence}])

    found = live(
        MemoryReader.of(
            [
                act("t", 0, type="train", outputs=[model()]),
                one("a", "a1", 1, "observed", "gs://m/a"),
                one("b", "b1", 1, "observed", "gs://m/b"),
                one("c", "c1", 1, "observed", "gs://m/a"),
                one("c", "c2", 2, "claimed", "gs://m/b"),
            ]
        )
    )
    assert [(s.name, s.status) for s in found] == [
        ("c", "disagree"),
        ("b", "unknown origin"),
        ("a", "agree"),
    ]


def test_namespace_keeps_its_own_slots() -> None:
    """A namespace that is not the slot's shows nothing of it."""
    reader = MemoryReader.of([deploy("d", 1)])
    assert len(live(reader, namespace="shop")) == 1
    assert live(reader, namespace="other") == []


@given(st.lists(actions(), max_size=6), st.randoms(use_true_random=False))
def test_order_of_reports_does_not_matter(reports: list[Action], random: random.Random) -> None:
    """Shuffled and repeated, the same reports give the same answer."""
    again = reports + reports[:2]
    random.shuffle(again)
    assert _json(again) == _json(reports)


def _json(reports: list[Action]) -> list[dict[str, Any]]:
    return [slot.json() for slot in live(MemoryReader.of(reports))]


def test_versions_that_share_the_traffic_are_all_live() -> None:
    """A canary stands beside what it may replace; taken back to 0 it leaves the other alone."""

    def rollout(key: str, hour: int, shares: dict[str, float]) -> Action:
        return parse_action(
            orjson.dumps(
                {
                    "key": key, "type": "deploy", "controller": {"name": "kserve"},
                    "state": "complete", "ended_at": f"2026-01-01T{hour:02}:00:00Z",
                    "outputs": [
                        {"type": "Deployment", "uri": "k8s://c/n/InferenceService/ranker",
                         "version": f"{revision}@{hour}", "evidence": "observed",
                         "properties": {"traffic": share}}
                        for revision, share in shares.items()
                    ],
                }
            )
        )  # fmt: skip

    reports = [rollout("r/1", 1, {"one": 100}), rollout("r/2", 2, {"one": 90, "two": 10})]
    shared = live(MemoryReader.of(reports))
    assert [(s.deployment.version, s.traffic) for s in shared] == [("one@2", 90), ("two@2", 10)]
    back = live(MemoryReader.of([*reports, rollout("r/3", 3, {"one": 100, "two": 0})]))
    assert [(s.deployment.version, s.traffic) for s in back] == [("one@3", 100)]
    gone = rollout("r/4", 4, {"deleted-1": 0})
    assert live(MemoryReader.of([*reports, gone])) == []


def said(found: Slot) -> list[tuple[str, list[str], int, str, bool]]:
    """Evidence, models, hour it is so since, by which action, and whether it agrees."""
    return [
        (one.evidence, [m.uri for m in one.models], (one.since - micros(0)) // micros_an_hour,
         one.action.key, one.agrees)
        for one in found.agreement
    ]  # fmt: skip


micros_an_hour = micros(1) - micros(0)


def test_each_kind_of_evidence_is_held_against_what_is_live() -> None:
    """The cluster runs b, the tree holds c since 3, the newest claim names d: two disagree."""
    found = only(
        deploy("t1", 1, "gs://m/b", "committed"),
        deploy("o2", 2, "gs://m/b"),
        deploy("t3", 3, "gs://m/c", "committed"),
        deploy("c4", 4, "gs://m/d", "claimed"),
    )
    assert said(found) == [
        ("observed", ["gs://m/b"], 2, "o2", True),
        ("committed", ["gs://m/c"], 3, "t3", False),
        ("claimed", ["gs://m/d"], 4, "c4", False),
    ]
    assert found.status == "disagree"


def test_a_deploy_that_claims_another_model_of_itself_is_judged() -> None:
    """The tree says b and its own message says c, also after the cluster came to run b."""
    tree = act(
        "t1", 1, inputs=[model("gs://m/b"), model("gs://m/c", evidence="claimed")],
        outputs=[slot("t1", "committed"), slot("t1", "claimed")],
    )  # fmt: skip
    assert said(only(tree)) == [
        ("committed", ["gs://m/b"], 1, "t1", True),
        ("claimed", ["gs://m/c"], 1, "t1", False),
    ]
    later = only(tree, deploy("o2", 2, "gs://m/b"))
    assert [(one.evidence, one.agrees) for one in later.agreement] == [
        ("observed", True), ("committed", True), ("claimed", False),
    ]  # fmt: skip
    assert later.status == "disagree"


def test_a_claim_of_what_was_replaced_since_contradicts_nothing() -> None:
    """A pull request named a, a was live, and then b came without one."""
    found = only(deploy("c1", 1, evidence="claimed"), deploy("o2", 2), deploy("o3", 3, "gs://m/b"))
    assert [one.evidence for one in found.agreement] == ["observed"]
    assert found.status == "unknown origin"


def test_a_tree_that_holds_nothing_any_more_disagrees_with_what_runs() -> None:
    """Since it was taken out."""
    out = act("t3", 3, outputs=[slot("t3", "committed", properties={"traffic": 0})])
    found = only(deploy("t1", 1, evidence="committed"), deploy("o2", 2), out)
    assert said(found)[1] == ("committed", [], 3, "t3", False)
    assert found.agreement[1].deployment is None


def test_taking_a_share_back_leaves_what_never_had_one() -> None:
    """A canary beside a plain deploy has its share; the rest, and all later, is the other's."""
    canary = act("d2", 2, inputs=[model("gs://m/b")],
                 outputs=[slot("d2", properties={"traffic": 10})])  # fmt: skip
    back = act("d3", 3, outputs=[slot("d2", properties={"traffic": 0})])
    shared = live(MemoryReader.of([deploy("d1", 1), canary]))
    assert [(uris(s), s.traffic) for s in shared] == [(["gs://m/a"], 90), (["gs://m/b"], 10)]
    found = only(deploy("d1", 1), canary, back)
    assert (uris(found), found.traffic, found.since) == (["gs://m/a"], None, micros(3))


def test_a_version_keeps_its_model_when_a_resync_does_not_know_it() -> None:
    """Who only saw the version again changes nothing."""
    again = act("s2", 2, type="sync", outputs=[slot("d1")])
    found = only(deploy("d1", 1), again)
    assert (uris(found), found.since) == (["gs://m/a"], micros(1))
