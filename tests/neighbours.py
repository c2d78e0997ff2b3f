"""Stores as MLMD's other users leave them, built by the ml_metadata client in their conventions.

Run as `python -m tests.neighbours KIND FILE [RUNS]`, because a process that holds a MetadataStore
must not open the file by SQLite as well (docs/mlmd.md, trap 1).

* `kfp`: Kubeflow Pipelines 2. Each run of `train-and-check` is a root DAG around an importer,
  `prepare`, a nested DAG of `train` and `evaluate`, and a failed `report`; from the second run
  on `prepare` is a cache hit on the first run's.
* `kubeflow-metadata`: the example of the explorer's figure, from the archived SDK.
* `tfx`: a Trainer with a base type, contexts `pipeline` and `pipeline_run`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import struct_pb2
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb
from sqlalchemy import make_url

NAMESPACE = "team-a"
PIPELINE = "train-and-check"
PER_RUN = 7
"""Executions of a run, the two DAGs among them."""


Where = TypeVar("Where", str, Path)


def build(kind: str, path: Where, runs: int = 3) -> Where:
    """A store of this kind, made in a process of its own."""
    command = [sys.executable, "-m", "tests.neighbours", kind, str(path), str(runs)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def opened(path: str) -> metadata_store.MetadataStore:
    """A file, or a database by its URL."""
    config = pb.ConnectionConfig()
    if "://" not in path:
        config.sqlite.filename_uri = path
        return metadata_store.MetadataStore(config)
    url = make_url(path)
    if url.drivername == "mysql":
        config.mysql.CopyFrom(pb.MySQLDatabaseConfig(
            host=url.host, port=url.port, database=url.database, user=url.username,
            password=url.password))  # fmt: skip
    else:
        config.postgresql.CopyFrom(pb.PostgreSQLDatabaseConfig(
            host=url.host, port=str(url.port), dbname=url.database, user=url.username,
            password=url.password))  # fmt: skip
    return metadata_store.MetadataStore(config)


class Kfp:
    """Writes as the KFP 2 driver and launcher do: schemaless types, custom properties."""

    def __init__(self, store: Any, runs: int) -> None:
        self.store = store
        self.types = {
            name: store.put_execution_type(pb.ExecutionType(name=f"system.{name}"))
            for name in ("ContainerExecution", "DAGExecution", "ImporterExecution")
        }
        self.kinds = {
            name: store.put_artifact_type(pb.ArtifactType(name=f"system.{name}"))
            for name in ("Dataset", "Model", "ClassificationMetrics", "HTML")
        }
        self.pipeline_type = store.put_context_type(pb.ContextType(name="system.Pipeline"))
        self.run_type = store.put_context_type(pb.ContextType(name="system.PipelineRun"))
        self.runs = runs

    def write(self) -> None:
        (pipeline,) = self.store.put_contexts(
            [pb.Context(type_id=self.pipeline_type, name=PIPELINE)]
        )
        names = [f"{n:08}-7f5c-4a8e-9d8e-0242ac120002" for n in range(self.runs)]
        runs = self.store.put_contexts([self._run(name) for name in names])
        self.store.put_parent_contexts(
            [pb.ParentContext(child_id=run, parent_id=pipeline) for run in runs]
        )
        executions = [e for name in names for e in self._executions(name)]
        ids = put(self.store.put_executions, executions)
        artifacts = [a for n, name in enumerate(names) for a in self._artifacts(name, n == 0)]
        things = put(self.store.put_artifacts, artifacts)
        self._cache(executions, ids)
        events: list[pb.Event] = []
        for n in range(self.runs):
            raw, *made = [things[0], *things[2:5]] if n == 0 else things[1 + n * 4 :][:4]
            events += self._events(ids[n * PER_RUN :][:PER_RUN], raw, things[1], *made)
        links = [
            pb.Association(context_id=context, execution_id=id_)
            for at, id_ in enumerate(ids)
            for context in (pipeline, runs[at // PER_RUN])
        ]
        put(self.store.put_events, events)
        put(lambda some: self.store.put_attributions_and_associations([], some), links)

    def _run(self, name: str) -> pb.Context:
        run = pb.Context(type_id=self.run_type, name=name)
        text(run, namespace=NAMESPACE, resource_name="run-resource",
             pipeline_root="minio://mlpipeline/v2/artifacts")  # fmt: skip
        return run

    def _executions(self, run: str) -> Iterator[pb.Execution]:
        done, failed = pb.Execution.COMPLETE, pb.Execution.FAILED
        root = self._execution("DAGExecution", f"run/{run}", done)
        root.name = f"run/{run}"
        yield root
        yield self._execution("ImporterExecution", "importer", done)
        yield self._execution("ContainerExecution", "prepare", done, rows=1000)
        yield self._execution("DAGExecution", "model-loop", done)
        yield self._execution("ContainerExecution", "train", done, epochs=30, rate=0.1)
        yield self._execution("ContainerExecution", "evaluate", done, api_token="hunter2")
        yield self._execution("ContainerExecution", "report", failed)

    def _execution(self, kind: str, name: str, state: int, **inputs: Any) -> pb.Execution:
        node = pb.Execution(type_id=self.types[kind], last_known_state=state)
        text(node, display_name=name, task_name=name)
        if kind == "ContainerExecution":
            text(node, pod_name=f"{name}-pod", pod_uid=f"uid-{name}", namespace=NAMESPACE,
                 image="python:3.11", cache_fingerprint="f0")  # fmt: skip
            given = struct_pb2.Struct()
            given.update(inputs)
            node.custom_properties["inputs"].struct_value.CopyFrom(given)
        return node

    def _cache(self, executions: Sequence[pb.Execution], ids: Sequence[int]) -> None:
        """From the second run on, `prepare` took over what the first one made."""
        hits = []
        for at in range(PER_RUN + 2, len(ids), PER_RUN):
            hit = executions[at]
            hit.id, hit.last_known_state = ids[at], pb.Execution.CACHED
            text(hit, cached_execution_id=str(ids[2]))
            hits.append(hit)
        put(self.store.put_executions, hits)

    def _artifacts(self, run: str, prepared: bool) -> Iterator[pb.Artifact]:
        root = f"minio://mlpipeline/v2/artifacts/{PIPELINE}/{run}"
        yield self._artifact("Dataset", "raw", "gs://team-a/raw.csv")
        if prepared:
            yield self._artifact("Dataset", "prepared", f"{root}/prepare/prepared")
        yield self._artifact("Model", "model", f"{root}/train/model")
        metrics = self._artifact("ClassificationMetrics", "metrics", "")
        metrics.custom_properties["accuracy"].double_value = 0.92
        labels = struct_pb2.Struct()
        labels.update({"list": ["bug", "feature"]})
        metrics.custom_properties["labels"].struct_value.CopyFrom(labels)
        yield metrics
        yield self._artifact("HTML", "report", f"{root}/report/report")

    def _artifact(self, kind: str, name: str, uri: str) -> pb.Artifact:
        node = pb.Artifact(type_id=self.kinds[kind], uri=uri, state=pb.Artifact.LIVE)
        text(node, display_name=name)
        return node

    def _events(
        self, ids: Sequence[int], raw: int, prepared: int, model: int, metrics: int, html: int
    ) -> Iterator[pb.Event]:
        root, importer, prepare, loop, train, evaluate, report = ids
        yield event(importer, raw, pb.Event.OUTPUT, "artifact")
        yield event(prepare, raw, pb.Event.INPUT, "raw")
        yield event(prepare, prepared, pb.Event.OUTPUT, "prepared")
        yield event(loop, prepared, pb.Event.INPUT, "dataset")
        yield event(train, prepared, pb.Event.DECLARED_INPUT, "dataset")
        yield event(train, model, pb.Event.OUTPUT, "model")
        yield event(loop, model, pb.Event.OUTPUT, "model")
        yield event(evaluate, model, pb.Event.INTERNAL_INPUT, "model")
        yield event(evaluate, metrics, pb.Event.INTERNAL_OUTPUT, "metrics")
        yield event(loop, metrics, pb.Event.OUTPUT, "metrics")
        yield event(report, metrics, pb.Event.INPUT, "metrics")
        yield event(report, html, pb.Event.PENDING_OUTPUT, "report")
        yield event(root, html, pb.Event.OUTPUT, "report")


def kubeflow_metadata(store: Any) -> None:
    """The SDK's own example: one execution that reads a data set and logs a model and metrics."""
    declared = ("name", "description", "owner", "version", "create_time", "__ALL_META__",
                "query", "model_type", "metrics_type", "data_set_id", "model_id")  # fmt: skip
    texts = dict.fromkeys(declared, pb.STRING)
    kinds = {
        kind: store.put_artifact_type(
            pb.ArtifactType(name=f"kubeflow.org/alpha/{kind}", properties=texts)
        )
        for kind in ("data_set", "model", "metrics")
    }
    execution_type = store.put_execution_type(
        pb.ExecutionType(name="kubeflow.org/alpha/execution", properties=texts)
    )
    workspace_type = store.put_context_type(
        pb.ContextType(name="kubeflow.org/alpha/workspace", properties={"description": pb.STRING})
    )
    (workspace,) = store.put_contexts(
        [pb.Context(type_id=workspace_type, name="xgboost-synthetic")]
    )
    within = {"__kf_workspace__": "xgboost-synthetic",
              "__kf_run__": "xgboost-synthetic-faring-run2020-07-10T23:10:31.249894"}  # fmt: skip

    def artifact(kind: str, uri: str, meta: dict[str, Any]) -> int:
        node = pb.Artifact(type_id=kinds[kind], uri=uri)
        for name, value in meta.items():
            if name in declared:
                node.properties[name].string_value = str(value)
        node.properties["__ALL_META__"].string_value = json.dumps({**meta, "uri": uri})
        text(node, **within)
        return int(store.put_artifacts([node])[0])

    data = artifact("data_set", "gs://kubeflow/synthetic.csv", {
        "name": "synthetic-data", "version": "v1.0.0", "owner": "owner@example.org",
        "query": "SELECT * FROM mytable", "labels": {"mylabel": "l1"}})  # fmt: skip
    execution = pb.Execution(type_id=execution_type)
    execution.properties["name"].string_value = "execution2020-07-10T23:10:31.249904"
    text(execution, **within)
    (run,) = store.put_executions([execution])
    model = artifact("model", "gs://kubeflow/model.dat", {
        "name": "housing-price-model", "version": "model_version_1",
        "model_type": "linear_regression",
        "training_framework": {"name": "xgboost", "version": "0.9.0"},
        "hyperparameters": {"learning_rate": 0.1, "n_estimators": 50}})  # fmt: skip
    metrics = artifact("metrics", "gs://kubeflow/metrics.csv", {
        "name": "xgboost-synthetic-traing-eval", "metrics_type": "validation",
        "data_set_id": str(data), "model_id": str(model), "values": {"rmse": 1.2}})  # fmt: skip
    store.put_events([event(run, data, pb.Event.INPUT), event(run, model, pb.Event.OUTPUT),
                      event(run, metrics, pb.Event.OUTPUT)])  # fmt: skip
    store.put_attributions_and_associations(
        [pb.Attribution(context_id=workspace, artifact_id=id_) for id_ in (data, model, metrics)],
        [pb.Association(context_id=workspace, execution_id=run)],
    )


def tfx(store: Any) -> None:
    trainer = pb.ExecutionType(
        name="tfx.components.trainer.component.Trainer", base_type=pb.ExecutionType.TRAIN
    )
    examples = pb.ArtifactType(name="Examples", base_type=pb.ArtifactType.DATASET)
    schema = pb.ArtifactType(name="Schema", properties={"version": pb.INT})
    contexts = [
        pb.Context(type_id=store.put_context_type(pb.ContextType(name=type_)), name=name)
        for type_, name in (("pipeline", "taxi"), ("pipeline_run", "2021-05-01T00:00"),
                            ("node", "taxi.Trainer"))
    ]  # fmt: skip
    execution = pb.Execution(
        type_id=store.put_execution_type(trainer), last_known_state=pb.Execution.RUNNING
    )
    text(execution, component_id="Trainer")
    read = pb.Artifact(type_id=store.put_artifact_type(examples), uri="/tmp/taxi/examples/1")
    made = pb.Artifact(type_id=store.put_artifact_type(schema), uri="/tmp/taxi/schema/2",
                       state=pb.Artifact.DELETED)  # fmt: skip
    made.properties["version"].int_value = 7
    store.put_execution(
        execution,
        [(read, event(0, 0, pb.Event.INPUT, "examples")),
         (made, event(0, 0, pb.Event.OUTPUT, "schema"))],
        contexts,
    )  # fmt: skip


def put(call: Any, nodes: Iterable[Any], size: int = 2000) -> list[int]:
    nodes = list(nodes)
    out: list[int] = []
    for start in range(0, len(nodes), size):
        out += call(nodes[start : start + size]) or ()
    return out


def event(execution: int, artifact: int, type_: int, port: str = "") -> pb.Event:
    out = pb.Event(type=type_)
    if execution:
        out.execution_id, out.artifact_id = execution, artifact
    if port:
        out.path.steps.add().key = port
    return out


def text(node: Any, **properties: str) -> None:
    for name, value in properties.items():
        node.custom_properties[name].string_value = value


def main(kind: str, path: str, runs: str = "3") -> None:
    store = opened(path)
    if kind == "kfp":
        Kfp(store, int(runs)).write()
    else:
        {"kubeflow-metadata": kubeflow_metadata, "tfx": tfx}[kind](store)


if __name__ == "__main__":
    main(*sys.argv[1:])
