"""OpenLineage events as records: what each part becomes, what is refused, any order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import InvalidRecord
from lineage.formats.openlineage import FORMAT, reports
from lineage.formats.openlineage.names import dataset_of, run_id_of, uri_of
from lineage.formats.openlineage.redact import redacted
from lineage.identity import identify
from lineage.merge import (
    ActionState,
    ArtifactState,
    dump_action,
    dump_artifact,
    join_actions,
    join_artifacts,
    report,
)
from lineage.model import MAX_VALUE
from lineage.times import iso
from tests.openlineage_events import dataset, facet, key, run_event, run_id, time

Everything = tuple[dict[str, ActionState], dict[str, ArtifactState]]


def joined(events: Iterable[Any]) -> Everything:
    """What a store holds after these events."""
    actions: dict[str, ActionState] = {}
    artifacts: dict[str, ArtifactState] = {}
    for event in events:
        for action in reports(event)[1]:
            state, found = report(action)
            old = actions.get(state.key)
            actions[state.key] = join_actions(old, state) if old else state
            for one in found:
                known = artifacts.get(one.id)
                artifacts[one.id] = join_artifacts(known, one) if known else one
    return actions, artifacts


def only(*events: Any) -> tuple[ActionState, list[ArtifactState]]:
    actions, artifacts = joined(events)
    (action,) = actions.values()
    return action, sorted(artifacts.values(), key=lambda a: a.uri)


def dumped(everything: Everything) -> list[bytes]:
    actions, artifacts = everything
    return sorted([*map(dump_action, actions.values()), *map(dump_artifact, artifacts.values())])


def refused(event: Any) -> list[dict[str, str]]:
    with pytest.raises(InvalidRecord) as caught:
        reports(event)
    return caught.value.errors


def test_a_run_becomes_an_action_with_the_times_of_its_events() -> None:
    """Start and end are eventTimes; job is the controller, the runId the key."""
    action, (read, written) = only(
        run_event(1, "START", 5, inputs=[dataset("s3://Lake", "a/b", "7")]),
        run_event(1, "COMPLETE", 65, outputs=[dataset("food", "public.menus")]),
    )
    assert action.key == key(1)
    assert action.get("state") == "complete"
    assert (iso(action.started), iso(action.ended or 0)) == (time(5), time(65))
    assert action.get("controller") == ["", "jobs", "a/b"]
    assert (written.uri, written.version) == ("s3://lake/a/b", "7")
    assert (read.uri, read.version) == ("food/public.menus", f"run:{run_id(1)}")
    assert {read.type, written.type} == {"Dataset"}


@pytest.mark.parametrize(
    ("kind", "state", "ended"),
    [("START", "running", None), ("RUNNING", "running", None), ("COMPLETE", "complete", time(3)),
     ("FAIL", "failed", time(3)), ("ABORT", "canceled", time(3)), ("OTHER", None, None),
     (None, None, None)],
)  # fmt: skip
def test_every_event_type_has_its_state(
    kind: str | None, state: str | None, ended: str | None
) -> None:
    """Only COMPLETE, FAIL and ABORT end a run; any of them may come alone."""
    action, _ = only(run_event("alone", kind, 3))
    assert action.get("state") == state
    assert (iso(action.ended) if action.ended else None) == ended


def test_run_facets_are_read() -> None:
    """Parent, error, nominal time and engine have their fields; unknown facets are left alone."""
    action, _ = only(
        run_event(
            2, "FAIL", 9,
            run_facets={
                "parent": facet(run={"runId": run_id("dag")}, job={"namespace": "n", "name": "d"}),
                "errorMessage": facet(message="no such table", programmingLanguage="JAVA"),
                "nominalTime": facet(nominalStartTime=time(0), nominalEndTime=time(60)),
                "processing_engine": facet(version="3.5", name="Spark",
                                           openlineageAdapterVersion="1.2"),
                "tags": facet(tags=[{"key": "env", "value": "prod", "source": "USER"}]),
                "somebodys_own": {"anything": [1, {"deep": None}]},
            },
        )
    )  # fmt: skip
    assert action.get("parent") == key("dag")
    assert action.get("error") == "no such table"
    assert action.get("params.nominalTime") == f"{time(0)}/{time(60)}"
    assert action.get("params.processing_engine") == "Spark 3.5 (openlineage 1.2)"
    assert action.get("params.run.tags") == "env=prod"


def test_job_facets_are_read() -> None:
    """The place of the source is the code; the job's type the action's, even where only the
    START tells it and the COMPLETE came first."""
    told = {
        "sourceCodeLocation": facet(type="git", url="https://github.com/o/r/blob/main/dags/x.py",
                                    repoUrl="git@github.com:o/r.git", path="dags/x.py",
                                    version="faeb6575"),
        "jobType": facet(processingType="BATCH", integration="AIRFLOW", jobType="TASK"),
        "ownership": facet(owners=[{"name": "team:data", "type": "MAINTAINER"}, {"name": "me"}]),
        "documentation": facet(description="daily"),
    }  # fmt: skip
    action, (code,) = only(run_event(3, "COMPLETE", 9), run_event(3, "START", 1, job_facets=told))
    assert action.get("type") == "task"
    assert (code.type, code.uri, code.version) == (
        "Code", "git+https://github.com/o/r", "faeb6575",
    )  # fmt: skip
    assert action.get("code.source")["path"] == "dags/x.py"
    assert action.get("params.jobType") == "AIRFLOW/BATCH/TASK"
    assert action.get("params.ownership") == "team:data (MAINTAINER), me"
    assert action.get("params.documentation") == "daily"


def test_dataset_facets_are_read() -> None:
    """Symlinks and former names are aliases, a MODEL is a Model, the rest are properties."""
    model = dataset(
        "gs://b", "models/1", "9",
        datasetType=facet(datasetType="MODEL"),
        symlinks=facet(identifiers=[{"namespace": "hive://m", "name": "db.t", "type": "TABLE"}]),
        lifecycleStateChange=facet(lifecycleStateChange="RENAME",
                                   previousIdentifier={"namespace": "gs://b", "name": "old"}),
        schema=facet(fields=[{"name": "a", "type": "INT"}, {"name": "b"}]),
        tags=facet(tags=[{"key": "pii", "value": "no"}, {"key": "x", "value": "y", "field": "a"}]),
        ownership=facet(owners=[{"name": "team:ml"}]),
    )  # fmt: skip
    model["outputFacets"] = {"outputStatistics": facet(rowCount=10, size=2048, fileCount=1)}
    _, (artifact,) = only(run_event(4, "COMPLETE", outputs=[model]))
    assert (artifact.type, artifact.uri, artifact.version) == ("Model", "gs://b/models/1", "9")
    assert artifact.aliases == {"hive://m/db.t", "gs://b/old"}
    assert artifact.properties == {
        "datasetType": "MODEL", "lifecycleStateChange": "RENAME", "columns": 2, "tags": "pii=no",
        "ownership": "team:ml", "outputStatistics.rowCount": 10, "outputStatistics.size": 2048,
        "outputStatistics.fileCount": 1,
    }  # fmt: skip


def test_a_later_facet_replaces_the_earlier_one_and_a_deleted_one_is_emptied() -> None:
    """Whatever the order of arrival, the eventTime decides."""
    first = run_event(5, "START", 1, inputs=[dataset("d", "t", "1", documentation=facet(
        description="old"), ownership=facet(owners=[{"name": "a"}]))])  # fmt: skip
    later = run_event(5, "RUNNING", 2, inputs=[dataset("d", "t", "1", documentation=facet(
        description="new"), ownership=facet(_deleted=True))])  # fmt: skip
    for events in ((first, later), (later, first)):
        _, (artifact,) = only(*events)
        assert artifact.properties == {"documentation": "new", "ownership": ""}


def test_a_dataset_is_only_called_one_until_somebody_knows_better() -> None:
    """A hook's Model stays a Model, though OpenLineage mentions it later, as a dataset."""
    _, (artifact,) = only(run_event(6, "START", 600, inputs=[dataset("gs://b", "m", "1")]))
    hooks = ArtifactState(artifact.id, artifact.uri, "1", {"type": (1, "Model")})
    assert artifact.type == "Dataset"
    assert join_artifacts(artifact, hooks).type == "Model"


def test_a_producer_may_name_the_action_an_event_belongs_to() -> None:
    """What a Tekton run is known by here; its key must be one of this run."""
    name = f"tekton.dev/TaskRun/{run_id(12)}"
    own = facet(key=name, type="train", controller={"cluster": "prod", "name": "trainer"},
                params={"lr": 0.1})  # fmt: skip
    nominal = facet(nominalStartTime=time(0))
    event = run_event(12, run_facets={"lineage_action": own, "nominalTime": nominal})
    action, _ = only(event)
    assert (action.key, action.get("type"), action.get("state")) == (name, "train", "running")
    assert action.get("controller") == ["prod", "", "trainer"]
    assert (action.get("params.lr"), action.get("params.nominalTime")) == (0.1, time(0))
    event["run"]["runId"] = run_id(13)
    assert refused(event)[0]["at"] == "run.facets.lineage_action.key"


def test_a_job_event_declares_what_no_run_has_shown() -> None:
    """It is an action of its own, without a state, and its edges are claims."""
    event = run_event("none", None, 7, inputs=[dataset("d", "in")], outputs=[dataset("d", "out")])
    del event["run"]
    action, _ = only(event)
    assert (action.key, action.get("state")) == ("openlineage/Job/jobs/a/b", None)
    assert {edge.evidence for edge in action.edges} == {"claimed"}


def test_a_dataset_event_describes_a_dataset() -> None:
    """The act reads the dataset and changes nothing."""
    event = run_event("none", None, 7, dataset=dataset("d", "t", "3", documentation=facet(
        description="menus")))  # fmt: skip
    del event["run"], event["job"]
    action, (artifact,) = only(event)
    assert (action.key, action.get("type")) == ("openlineage/Dataset/d/t@3", "describe")
    assert [edge.side for edge in action.edges] == ["in"]
    assert artifact.properties == {"documentation": "menus"}


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"eventTime": "yesterday"}, "eventTime"),
    ({"eventTime": "2020-01-01T00:00:00"}, "eventTime"),
    ({"eventTime": "9999-12-31T23:59:59-12:00"}, "eventTime"),
    ({"eventTime": None}, "eventTime"),
    ({"producer": "me"}, "producer"),
    ({"schemaURL": None}, "schemaURL"),
    ({"eventType": "DONE"}, "eventType"),
    ({"run": {"runId": "42"}}, "run.runId"),
    ({"run": {"runId": "{" + run_id(1) + "}"}}, "run.runId"),
    ({"run": {}}, "run.runId"),
    ({"job": {"name": "x"}}, "job.namespace"),
    ({"job": {"namespace": "x", "name": ""}}, "job.name"),
    ({"job": {"namespace": "x", "name": "y" * 257}}, "job.name"),
    ({"job": None}, "job"),
    ({"inputs": [{"namespace": "x"}]}, "inputs.0.name"),
    ({"inputs": [dataset("s3://b", "a\nb")]}, "inputs.0"),
    ({"outputs": [dataset("d", "t", "")]}, "outputs.0.facets.version.datasetVersion"),
    (
        {"outputs": [{**dataset("d", "t"), "facets": {"version": facet()}}]},
        "outputs.0.facets.version.datasetVersion",
    ),
    ({"outputs": {"namespace": "d", "name": "t"}}, "outputs"),
    ({"run": {"runId": run_id(1), "facets": {"nominalTime": 3}}}, "run.facets.nominalTime"),
    ({"dataset": dataset("d", "t"), "run": None}, "dataset"),
]


@pytest.mark.parametrize(("change", "place"), BROKEN)
def test_what_is_no_event_is_refused_with_its_place(change: dict[str, Any], place: str) -> None:
    """The place is the event's own, and the message says what to write instead."""
    errors = refused({**run_event(1), **change})
    assert [error["at"] for error in errors] == [place]
    assert errors[0]["message"]


@pytest.mark.parametrize("event", [{"a": 1}, {}, [], "x", None, 3])
def test_json_that_is_no_event_at_all_is_refused(event: Any) -> None:
    """A peer answered 201 to `{"a": 1}`."""
    assert refused(event)[0]["at"] == "body"


def test_prose_over_the_bound_is_cut_in_sight() -> None:
    """The end of a run is worth more than the last lines of its stack."""
    message = facet(message="x" * 50_000, programmingLanguage="JAVA")
    action, _ = only(run_event(7, "FAIL", run_facets={"errorMessage": message}))
    error = action.get("error")
    assert len(error) == MAX_VALUE
    assert error.endswith("… [50,000 characters; the raw event has them all]")


def test_no_secret_is_kept() -> None:
    """Neither in the raw event nor in the graph: environments and addresses are cleaned."""
    variables = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "HOME", "value": "/root"}]
    body, made = reports(
        run_event(
            8, run_facets={"environmentVariables": facet(environmentVariables=variables)},
            inputs=[dataset("postgres://me:hunter2@host", "db.t",
                            dataSource=facet(api_key="hunter2", uri="postgres://u:hunter2@h/db"))],
        )
    )  # fmt: skip
    assert b"hunter2" not in body
    assert b"/root" in body
    assert made[0].inputs[0].uri == "postgres://host/db.t"


def test_an_event_nested_without_end_is_refused() -> None:
    """Cleaning walks through it, so its depth is bounded."""
    deep: Any = {}
    for _ in range(200):
        deep = {"deeper": [deep]}
    assert "nested deeper" in refused(run_event(9, run_facets={"own": deep}))[0]["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_cleaning_twice_is_cleaning_once(value: Any) -> None:
    """So a replay of what was kept maps to the same graph."""
    assert redacted(redacted(value)) == redacted(value)


NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20).map(str.strip)


@given(NAMES.filter(bool), NAMES.filter(bool), NAMES.filter(bool), NAMES.filter(bool))
def test_no_two_names_without_a_scheme_are_one(a: str, b: str, c: str, d: str) -> None:
    """Slashes in a namespace do not run into the name."""
    plain = not any("://" in x or x == "file" for x in (a, c))
    if plain and (a, b) != (c, d):
        assert uri_of(a, b) != uri_of(c, d)


@pytest.mark.parametrize(
    ("namespace", "name", "uri"),
    [("s3://lake", "a/b", "s3://lake/a/b"), ("s3://lake/", "/a/b", "s3://lake/a/b"),
     ("file", "/tmp/x", "file:///tmp/x"), ("file://", "/tmp/x", "file:///tmp/x"),
     ("postgres://db:5432", "d.s.t", "postgres://db:5432/d.s.t"),
     ("gs://b", "a b?c#d", "gs://b/a%20b%3Fc%23d"), ("hdfs://n:8020", "/w", "hdfs://n:8020/w"),
     ("team/x", "t", "team%2Fx/t"), ("bigquery", "p.d.t", "bigquery/p.d.t")],
)  # fmt: skip
def test_a_dataset_has_the_address_others_report(namespace: str, name: str, uri: str) -> None:
    """A hook that names the file by its URI means the same artifact."""
    assert identify(uri_of(namespace, name)).uri == uri
    assert identify(uri_of(*dataset_of(uri))).uri == uri


def test_a_kubernetes_uid_is_the_run_id() -> None:
    """Other keys get a UUID of their own, always the same."""
    uid = "8416892d-4ef2-4c0c-9c0c-aafe2aa6f34d"
    assert run_id_of(f"tekton.dev/PipelineRun/{uid}") == uid
    assert run_id_of("trainer/1") == run_id_of("trainer/1") != run_id_of("trainer/2")


KINDS = st.sampled_from(["START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER", None])
DATASETS = st.lists(
    st.builds(
        dataset,
        st.sampled_from(["s3://lake", "db"]),
        st.sampled_from(["a", "a/b"]),
        st.sampled_from([None, "1", "2"]),
        documentation=st.sampled_from([facet(description="x"), facet(_deleted=True)]),
    ),
    max_size=2,
)
EVENTS = st.lists(
    st.builds(
        run_event,
        st.integers(0, 2),
        KINDS,
        st.integers(0, 3),
        inputs=DATASETS,
        outputs=DATASETS,
        job_facets=st.sampled_from([{}, {"jobType": facet(jobType="TASK")}]),
    ),
    max_size=6,
)


@given(EVENTS, st.randoms())
def test_any_order_and_any_repetition_give_the_same_graph(events: list[Any], chance: Any) -> None:
    """COMPLETE before START, everything twice: nothing depends on it."""
    shuffled = [*events, *events]
    chance.shuffle(shuffled)
    assert dumped(joined(shuffled)) == dumped(joined(events))


def test_a_file_of_events_can_be_imported() -> None:
    """One event, an array, or one a line; what is wrong is named by its number."""
    one, other = run_event(10), run_event(11)
    assert FORMAT.read is not None
    for body in (json.dumps([one, other]), f"{json.dumps(one)}\n\n{json.dumps(other)}\n"):
        assert [a["key"] for a in FORMAT.read(body.encode())] == [key(10), key(11)]
    with pytest.raises(InvalidRecord, match=r"event 2: run\.runId"):
        list(FORMAT.read(json.dumps([one, {**other, "run": {"runId": "x"}}]).encode()))
