"""The pure core of the ModelSync controller: what is read, built, decided and said."""

from __future__ import annotations

import copy
import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers_hooks.modelsync.build import DECISION, RESOURCES, TRIGGER, draft, run_name
from controllers_hooks.modelsync.convert import converted
from controllers_hooks.modelsync.decide import Decision, Failure, Settings, decide
from controllers_hooks.modelsync.parameters import mapped
from controllers_hooks.modelsync.runs import Asked, Run, excess, owned, run, seconds
from controllers_hooks.modelsync.spec import parse
from controllers_hooks.modelsync.status import changed, status
from controllers_hooks.observers.objects import key
from lineage.needs_sync import NeedsSync
from tests.modelsyncs import MODEL, NO, YES, finished, iso, sample, sync, template

NOW = 1_600_000_000.0
SETTINGS = Settings()
FIELDS = sorted(
    {
        "metadata", "spec", "status", "name", "uid", "needsSyncUrl", "parameters", "pipelineName",
        "params", "pipelineRunTemplate", "resources", "resourceSpec", "type", "value", "labels",
        "taskRunSpecs", "taskRunTemplate", "pipelineSpec", "tasks", "lastRun", "asked",
        "finishedAt",
    }
)  # fmt: skip
names = st.text("abcdefghijklmnopqrstuvwxyz-.", min_size=1, max_size=253)


def created(**spec: Any) -> dict[str, Any]:
    decision = decide(sync(**spec), [], YES, NOW, SETTINGS)
    assert decision.run is not None, decision.message
    return decision.run


# What is created


def test_the_articles_sample_becomes_a_v1_run() -> None:
    """The sample as it was published: owner, parameters, account, git resource, annotations."""
    made = created()
    meta, spec = made["metadata"], made["spec"]
    assert (made["apiVersion"], made["kind"]) == ("tekton.dev/v1", "PipelineRun")
    assert meta["namespace"] == "label-bot-prod" and meta["name"].startswith("modelsync-sample-")
    assert meta["ownerReferences"] == [
        {"apiVersion": "automl.cloudai.kubeflow.org/v1alpha1", "kind": "ModelSync",
         "name": "modelsync-sample", "uid": "sync-1", "controller": True,
         "blockOwnerDeletion": True}
    ]  # fmt: skip
    assert spec["params"] == [
        {"name": "automl-model", "value": MODEL},
        {"name": "branchName", "value": "auto-update"},
        {"name": "fork", "value": "git@github.com:kubeflow/code-intelligence.git"},
        {"name": "forkName", "value": "fork"},
        {"name": "repo-url", "value": "https://github.com/kubeflow/code-intelligence.git"},
        {"name": "repo-revision", "value": "master"},
    ]
    assert spec["taskRunTemplate"] == {"serviceAccountName": "auto-update"}
    assert spec["workspaces"] == [{"name": "repo", "emptyDir": {}}]
    assert spec.keys() == {"params", "pipelineRef", "taskRunTemplate", "workspaces"}
    resources = sample()["spec"]["pipelineRunTemplate"]["spec"]["resources"]
    assert json.loads(meta["annotations"][RESOURCES]) == resources
    key = "automl.cloudai.kubeflow.org/ModelSync/sync-1/" + meta["name"]
    assert meta["annotations"][DECISION] == key
    assert MODEL in json.loads(meta["annotations"][TRIGGER])["wanted"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"serviceAccountName": "a", "podTemplate": {"hostNetwork": False}},
         {"taskRunTemplate": {"serviceAccountName": "a", "podTemplate": {"hostNetwork": False}}}),
        ({"timeout": "1h"}, {"timeouts": {"pipeline": "1h"}}),
        ({"status": "PipelineRunCancelled"}, {"status": "Cancelled"}),
        ({"status": "PipelineRunPending"}, {"status": "PipelineRunPending"}),
        ({"serviceAccountNames": [{"taskName": "t", "serviceAccountName": "b"}]},
         {"taskRunSpecs": [{"pipelineTaskName": "t", "serviceAccountName": "b"}]}),
        ({"taskRunSpecs": [{"pipelineTaskName": "t", "taskServiceAccountName": "b",
                            "taskPodTemplate": {}, "stepOverrides": [
                                {"name": "s", "resources": {"limits": {"cpu": "1"}}}]}]},
         {"taskRunSpecs": [{"pipelineTaskName": "t", "serviceAccountName": "b",
                            "podTemplate": {}, "stepSpecs": [
                                {"name": "s", "computeResources": {"limits": {"cpu": "1"}}}]}]}),
        ({"timeouts": {"tasks": "5m"}, "timeout": "1h"},
         {"timeouts": {"tasks": "5m", "pipeline": "1h"}}),
    ],
)  # fmt: skip
def test_v1beta1_fields_move_to_where_v1_has_them(old: Any, new: Any) -> None:
    """The table of the conversion, row by row; the input is left as it was."""
    before = copy.deepcopy(old)
    assert converted(old) == (new, [])
    assert old == before
    assert converted(new) == (new, [])


def test_what_the_run_binds_itself_stays() -> None:
    """A git resource adds neither a parameter nor a workspace that is there already."""
    spec, problems = converted({
        "params": [{"name": "repo-revision", "value": "v2"}],
        "workspaces": [{"name": "repo", "persistentVolumeClaim": {"claimName": "c"}}],
        "resources": [{"name": "repo", "resourceSpec": {"type": "git", "params": [
            {"name": "url", "value": "u"}, {"name": "revision", "value": "master"}]}}],
    })  # fmt: skip
    assert not problems
    assert spec == {
        "params": [{"name": "repo-revision", "value": "v2"}, {"name": "repo-url", "value": "u"}],
        "workspaces": [{"name": "repo", "persistentVolumeClaim": {"claimName": "c"}}],
    }


GIT = {"name": "r", "resourceSpec": {"type": "git", "params": [{"name": "url", "value": "u"}]}}


@pytest.mark.parametrize(
    ("spec", "place", "remedy"),
    [
        ({"resources": [GIT, {"name": "r", "resourceRef": {"name": "x"}}]},
         "resources[1].resourceRef", "write a resourceSpec"),
        ({"resources": [{"name": "i", "resourceSpec": {"type": "image", "params": []}}]},
         "resources[0].resourceSpec.type", "only git"),
        ({"resources": [{"name": "r", "resourceSpec": {"type": "git"}}]},
         "resources[0].resourceSpec.params", "no url"),
        ({"resources": {"inputs": []}}, "resources", "is no list"),
        ({"pipelineRef": {"name": "p", "bundle": "b"}}, "pipelineRef.bundle", "resolver"),
        ({"pipelineSpec": {"tasks": [{"name": "t", "resources": {"inputs": []}}]}},
         "pipelineSpec.tasks[0].resources", "workspace"),
        ({"pipelineSpec": {"tasks": [{"taskSpec": {"steps": [{"resources": {"limits": {}}}]}}]}},
         "pipelineSpec.tasks[0].taskSpec.steps[0].resources", "computeResources"),
        ({"serviceAccountName": "a", "taskRunTemplate": {"serviceAccountName": "b"}},
         "serviceAccountName", "contradicts"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_an_event_and_no_run(
    spec: Any, place: str, remedy: str
) -> None:
    """With its place and what to write instead."""
    found = decide(
        sync(pipelineRunTemplate=template(**spec), parameters=[]), [], YES, NOW, SETTINGS
    )
    assert found.run is None
    (notice,) = found.notices
    assert (notice.reason, notice.type) == ("CreateRunError", "Warning")
    assert notice.message.startswith("Unable to create PipelineRun; error ")
    assert f"spec.pipelineRunTemplate.spec.{place}: " in notice.message
    assert remedy in notice.message


def test_the_templates_metadata_counts_but_not_its_name() -> None:
    """Labels and annotations are copied; name, namespace and generateName never counted."""
    metadata = {"name": "x", "namespace": "y", "generateName": "z-",
                "labels": {"team": "bots"}, "annotations": {"note": "n"}}  # fmt: skip
    made = created(pipelineRunTemplate={**template(), "metadata": metadata})
    assert made["metadata"]["labels"] == {"team": "bots"}
    assert made["metadata"]["annotations"]["note"] == "n"
    assert made["metadata"]["namespace"] == "label-bot-prod"
    assert made["metadata"]["name"].startswith("modelsync-sample-")
    wrong = {**template(), "metadata": {"labels": {"n": 1}}}
    said = decide(sync(pipelineRunTemplate=wrong), [], YES, NOW, SETTINGS).message
    assert "spec.pipelineRunTemplate.metadata.labels.n: is no text" in said


# Parameters


@given(
    declared=st.dictionaries(names, names, max_size=5),
    given_=st.dictionaries(names, st.text(), max_size=5),
)
def test_only_declared_parameters_get_a_value(
    declared: dict[str, str], given_: dict[str, str]
) -> None:
    """Whatever a lambda gives: no name appears that spec.parameters does not have, what is
    dropped is named, and what is missing refuses the run."""
    spec = [{"needsSyncName": a, "pipelineName": b} for b, a in declared.items()]
    one = sync(parameters=spec)
    found = mapped(one, given_)
    assert found.values == {b: given_[a] for b, a in declared.items() if a in given_}
    assert set(found.undeclared) == given_.keys() - declared.values()
    assert len(found.problems) == sum(a not in given_ for a in declared.values())
    decision = decide(one, [], NeedsSync(True, given_), NOW, SETTINGS)
    assert (decision.what == "create") is not bool(found.problems)


def test_a_missing_parameter_refuses_the_run_unless_the_placeholder_may_stay() -> None:
    """The original ran its pipeline with `notavlidmodel` here."""
    nothing = NeedsSync(True)
    refused = decide(sync(), [], nothing, NOW, SETTINGS)
    assert (refused.what, refused.ready, refused.after) == ("wait", False, SETTINGS.retry)
    assert "spec.parameters[0]: the lambda gives no 'name' for 'automl-model'" in refused.message
    kept = decide(sync(), [], nothing, NOW, Settings(keep_placeholder=True))
    assert kept.run and kept.run["spec"]["params"][0]["value"] == "notavlidmodel"
    no_placeholder = sync(pipelineRunTemplate=template())
    assert decide(no_placeholder, [], nothing, NOW, Settings(keep_placeholder=True)).run is None


def test_undeclared_parameters_are_dropped_and_named() -> None:
    """The original made a parameter with an empty name of them."""
    answer = NeedsSync(True, {"name": MODEL, "speed": "9", "age": "1"})
    found = decide(sync(), [], answer, NOW, SETTINGS)
    assert found.run and found.run["spec"]["params"] == created()["spec"]["params"]
    (notice,) = found.notices
    assert notice.reason == "NeedsSyncError" and notice.message.endswith("declare: 'age', 'speed'")


def test_the_name_of_a_parameter_may_be_said_once() -> None:
    """`needsSyncName` left out or empty means the same name; nonsense has its place named."""
    one = sync(parameters=[{"pipelineName": "a"}, {"needsSyncName": "", "pipelineName": "b"}])
    assert [tuple(p) for p in one.parameters] == [("a", "a"), ("b", "b")]
    wrong = sync(parameters=[{"pipelineName": "a"}, {"needsSyncName": "x"}, {"pipelineName": "a"}])
    assert [p.at for p in wrong.problems] == [
        "spec.parameters[1].pipelineName",
        "spec.parameters[2].pipelineName",
    ]


# Names


@given(name=names, uid=st.text(max_size=40), attempts=st.lists(st.integers(1, 99), min_size=2))
def test_names_of_runs_are_short_valid_and_follow_from_what_is_asked(
    name: str, uid: str, attempts: list[int]
) -> None:
    """At most 63 characters, a DNS label, equal for equal attempts, different for others."""
    obj = sample()
    obj["metadata"] |= {"name": name, "uid": uid}
    made = [run_name(parse(obj), Asked("ab", "cd", attempt)) for attempt in attempts]
    assert all(len(n) <= 63 and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", n) for n in made)
    assert len(set(made)) == len(set(attempts))


def test_equal_drafts_are_the_same_whatever_their_order() -> None:
    """The order of members is not news; a value is."""
    spec = sample()["spec"]["pipelineRunTemplate"]
    turned = json.loads(json.dumps({**spec, "spec": dict(reversed(spec["spec"].items()))}))
    values = {"automl-model": "a"}
    same = draft(sync(pipelineRunTemplate=turned), values).fingerprint
    assert draft(sync(), values).fingerprint == same
    assert draft(sync(), {"automl-model": "b"}).fingerprint != same


# History


ends = st.lists(st.tuples(st.booleans(), st.one_of(st.none(), st.integers(0, 10**6))), max_size=30)


@given(ends=ends, limits=st.tuples(st.integers(0, 12), st.integers(0, 12)))
def test_the_newest_of_each_end_are_kept(
    ends: list[tuple[bool, int | None]], limits: tuple[int, int]
) -> None:
    """Sorted by startTime, those without one first, `len - limit` of each go, never an
    active one."""
    runs = [history(n, ok, start) for n, (ok, start) in enumerate(ends)]
    going_on = run({"metadata": {"name": "active", "uid": "active"}})
    one = sync(
        successfulPipelineRunsHistoryLimit=limits[0], failedPipelineRunsHistoryLimit=limits[1]
    )
    gone = excess([*runs, going_on], one)
    for state, limit in zip(("succeeded", "failed"), limits, strict=True):
        mine = [r for r in runs if r.state == state]
        out = [r for r in gone if r.state == state]
        kept = [r for r in mine if r not in out]
        assert len(kept) == min(limit, len(mine))
        assert not out or not kept or max(map(started, out)) <= min(map(started, kept))
    assert going_on not in gone


def started(run: Run) -> float:
    return seconds(run.started_at)


def history(n: int, ok: bool, start: int | None) -> Run:
    found = finished({"metadata": {"name": f"r{n}", "uid": f"u{n}"}}, start or 0, ok)
    if start is None:
        del found.obj["status"]["startTime"]
    return run(found.obj)


def test_limits_default_to_a_hundred_and_runs_on_their_way_out_do_not_count() -> None:
    """As the schema says; a run that a finalizer still holds is not deleted twice."""
    obj = sample()
    del obj["spec"]["successfulPipelineRunsHistoryLimit"]
    assert (parse(obj).keep_succeeded, parse(obj).keep_failed) == (100, 10)
    going = finished(
        {"metadata": {"name": "x", "uid": "x", "deletionTimestamp": iso(NOW)}}, NOW - 9
    )
    assert excess([going], sync(successfulPipelineRunsHistoryLimit=0)) == []


def test_a_namesakes_runs_are_not_ours() -> None:
    """Owners are told apart by uid: a ModelSync that was made again starts afresh."""
    mine, other = created(), created()
    other["metadata"]["ownerReferences"][0]["uid"] = "sync-0"
    alien = {"metadata": {"name": "manual"}}
    assert [r.name for r in owned([mine, other, alien], "sync-1")] == [mine["metadata"]["name"]]


# Decisions


def test_a_url_is_needed() -> None:
    """The original's text, and another look in a minute."""
    found = decide(sync(needsSyncUrl=""), [], None, NOW, SETTINGS)
    assert (found.reason, found.message) == ("NeedsSyncError", "NeedsSyncUrl is required")
    assert (found.after, found.ready) == (60, False)


def test_no_answer_is_an_event_and_another_try() -> None:
    """The original's text with the error; credentials in the address stay out of it."""
    one = sync(needsSyncUrl="http://me:secret@lambda/needsSync")
    assert decide(one, [], None, NOW, SETTINGS).what == "ask"
    found = decide(one, [], Failure("no answer within 10 s"), NOW, SETTINGS)
    (notice,) = found.notices
    assert notice == (
        "NeedsSyncError",
        "Could not fetch http://lambda/needsSync; error no answer within 10 s",
        "Warning",
    )
    assert found.after == 60


def test_in_sync_is_looked_at_again() -> None:
    """After the resync, which was ten hours in the original."""
    found = decide(sync(), [], NO, NOW, Settings(resync=7))
    assert (found.what, found.reason, found.after, found.notices) == ("wait", "InSync", 7, ())


@given(answer=st.sampled_from([None, YES, NO, Failure("x")]), now=st.floats(0, 1e12))
def test_nothing_is_created_while_a_run_goes_on(answer: Any, now: float) -> None:
    """One active run, whatever the lambda says; a run without a condition is active."""
    obj = created()
    for conditions in ([], [{"type": "Succeeded", "status": "Unknown"}]):
        going_on = run({**obj, "status": {"conditions": conditions}})
        found = decide(sync(), [going_on], answer, now, SETTINGS)
        assert (found.what, found.reason) == ("wait", "RunActive")


def play(
    answers: Any, ok: Any, looks: int, limit: int = 10, settings: Settings = SETTINGS
) -> list[tuple[float, str]]:
    """A controller's life with a pipeline that takes no time: when runs began, and for what.

    The cluster is a list and the status a dict; each look comes when the last one said so.
    """
    obj = sample(successfulPipelineRunsHistoryLimit=limit, failedPipelineRunsHistoryLimit=limit)
    runs: list[Run] = []
    now, out = NOW, []
    for n in range(looks):
        one = parse(obj)
        answer = answers(n)
        found = decide(one, runs, answer, now, settings)
        if found.run:
            out.append((now, found.run["spec"]["params"][0]["value"]))
            assert found.run["metadata"]["name"] not in {r.name for r in runs}
            runs.append(finished(found.run, now, ok(len(out))))
        obj["status"] = {**one.status, **status(one, runs, found, iso(now))}
        for old in excess(runs, one):
            runs.remove(old)
        now += found.after
    return out


@pytest.mark.parametrize("limit", [10, 1, 0])
@pytest.mark.parametrize("ok", [True, False])
def test_the_same_again_waits_longer_each_time(limit: int, ok: bool) -> None:
    """100 looks at a lambda that never is content: a handful of runs, the gaps double, whether
    they succeed or fail, and also when history limits leave no run to look at."""
    began = [at for at, _ in play(lambda n: YES, lambda n: ok, 100, limit)]
    gaps = [b - a for a, b in pairwise(began)]
    assert gaps == [60, 120, 240, 480, 960, 1920]


def test_the_longest_gap_is_bounded() -> None:
    """Six hours: a cause that is mended is noticed the same day."""
    began = [at for at, _ in play(lambda n: YES, lambda n: True, 3000)]
    gaps = [b - a for a, b in pairwise(began)]
    assert gaps[:9] == [60 * 2**n for n in range(9)] and set(gaps[9:]) == {6 * 3600}


def test_something_else_to_do_is_done_soon() -> None:
    """New parameters after a success wait ten seconds only; after a failure they wait as the
    same would, since the pipeline is what failed."""
    models = [NeedsSync(True, {"name": str(n)}) for n in range(100)]
    often = Settings(resync=1)
    good = play(lambda n: models[n], lambda n: True, 100, settings=often)
    assert {b - a for (a, _), (b, _) in pairwise(good)} == {10}
    bad = [at for at, _ in play(lambda n: models[n], lambda n: False, 20)]
    assert [b - a for a, b in pairwise(bad)][:3] == [60, 120, 240]


def test_going_back_is_a_run_of_its_own() -> None:
    """A, B, then A again: three runs with three names, no waiting for A's sake."""
    a, b = NeedsSync(True, {"name": "a"}), NeedsSync(True, {"name": "b"})
    order = [a, b, a]
    assert [what for _, what in play(lambda n: order[n], lambda n: True, 3)] == ["a", "b", "a"]


def test_a_changed_spec_ends_the_waiting() -> None:
    """Whoever mends the template after a failure need not wait for the next try."""
    first = decide(sync(), [], YES, NOW, SETTINGS)
    assert first.run
    failed = finished(first.run, NOW, succeeded=False)
    assert decide(sync(), [failed], YES, NOW + 11, SETTINGS).reason == "BackingOff"
    mended = sample()
    mended["spec"]["pipelineRunTemplate"]["metadata"] = {"annotations": {"again": "1"}}
    assert decide(parse(mended), [failed], YES, NOW + 11, SETTINGS).what == "create"


def test_a_run_that_was_not_seen_gets_the_same_name_again() -> None:
    """A crash between creation and status: the same look leads to the same name, so the
    cluster refuses the twin."""
    assert created()["metadata"]["name"] == created()["metadata"]["name"]


def test_a_run_of_the_original_controller_counts() -> None:
    """It has none of our annotations: active it is waited for, failed it is backed off from."""
    obj = created()
    obj["metadata"]["annotations"] = {}
    assert decide(sync(), [run(obj)], YES, NOW, SETTINGS).reason == "RunActive"
    failed = finished(obj, NOW, succeeded=False)
    assert decide(sync(), [failed], YES, NOW + 30, SETTINGS).reason == "BackingOff"
    succeeded = finished(obj, NOW)
    assert decide(sync(), [succeeded], YES, NOW + 30, SETTINGS).what == "create"


# What is said


def said(obj: dict[str, Any], runs: list[Run], decision: Decision, now: float) -> dict[str, Any]:
    return status(parse(obj), runs, decision, iso(now))


def test_the_status_says_what_was_decided_and_why() -> None:
    """Active runs, conditions for this generation, the decision with its action, the run."""
    obj, one = sample(), sync()
    answer = NeedsSync(True, {"name": MODEL}, {"x/observed": "old", "x/reason": "newer model"})
    decision = decide(one, [], answer, NOW, SETTINGS)
    assert decision.run
    going_on = run({**decision.run, "metadata": {**decision.run["metadata"], "uid": "run-1"}})
    found = said(obj, [going_on], decision, NOW)
    name = going_on.name
    assert found["active"] == [{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": name,
                                "namespace": "label-bot-prod", "uid": "run-1"}]  # fmt: skip
    assert [(c["type"], c["status"], c["reason"]) for c in found["conditions"]] == [
        ("Ready", "True", "CreateRun"),
        ("Syncing", "True", "CreateRun"),
    ]
    assert {c["observedGeneration"] for c in found["conditions"]} == {1}
    assert found["lastDecision"] == {
        "outcome": "CreateRun", "wanted": json.dumps({"automl-model": MODEL}), "observed": "old",
        "reason": "newer model", "action": "tekton.dev/PipelineRun/run-1", "time": iso(NOW),
    }  # fmt: skip
    assert found["lastDecision"]["action"] == key(going_on.obj)
    assert (found["lastRun"]["name"], found["lastRun"]["state"]) == (name, "active")


def test_a_status_without_news_is_not_written() -> None:
    """Time passing is no news, nor a reason that only tells the time."""
    obj = sample()
    for n, now in enumerate((NOW, NOW + 60, NOW + 120)):
        answer = NeedsSync(False, {}, {"x/reason": f"the model is {n} minutes old"})
        decision = decide(parse(obj), [], answer, now, SETTINGS)
        found = said(obj, [], decision, now)
        assert changed(parse(obj), found) is (n == 0)
        obj["status"] = json.loads(json.dumps(found))
        obj["status"]["lastDecision"] = {
            k: v for k, v in found["lastDecision"].items() if v is not None
        }
    broken = decide(parse(obj), [], Failure("500"), NOW + 180, SETTINGS)
    assert changed(parse(obj), said(obj, [], broken, NOW + 180))


def test_secrets_in_parameters_are_not_told() -> None:
    """A parameter whose name says so is redacted in the decision; the run gets its value."""
    one = sync(parameters=[{"pipelineName": "api-token"}], pipelineRunTemplate=template())
    found = decide(one, [], NeedsSync(True, {"api-token": "hunter2"}), NOW, SETTINGS)
    assert found.run and found.run["spec"]["params"] == [{"name": "api-token", "value": "hunter2"}]
    assert "hunter2" not in json.dumps(found.run["metadata"]) + found.trigger["wanted"]


@given(
    obj=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner, max_size=5,
        ),
        max_leaves=25,
    )
)  # fmt: skip
def test_no_object_is_too_odd_to_decide_about(obj: Any) -> None:
    """Whatever the cluster holds, the controller decides and goes on."""
    odd = obj if isinstance(obj, dict) else {"spec": obj}
    for answer in (None, YES, Failure("x")):
        one = parse(odd)
        found = decide(one, owned([odd], ""), answer, NOW, SETTINGS)
        assert changed(one, status(one, [], found, iso(NOW))) in (True, False)
