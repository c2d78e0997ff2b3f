"""Workloads, GitOps and serving as deploys: what they say is live, and what they leave out."""

from __future__ import annotations

import json
from typing import Any

from controllers_hooks.observers import annotated, argocd, flux, kserve, modelsync, workloads
from controllers_hooks.observers.mapping import Mappings, parse_mapping
from controllers_hooks.observers.objects import Record, View, removal
from controllers_hooks.observers.records import sound
from lineage.model import Action
from lineage.queries.asof import AsOf
from lineage.queries.serving.live import Slot, live
from lineage.queries.serving.timeline import timelines
from lineage.times import iso

from .memory import MemoryReader

Object = dict[str, Any]
SHA = "sha256:" + "ab" * 32
VIEW = View("prod")
SLOT = "k8s://prod/label-bot/Deployment/worker"


def obj(kind: str, api: str, **parts: Any) -> Object:
    meta = {
        "name": "worker", "namespace": "label-bot", "uid": "u1", "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z", **parts.pop("metadata", {}),
    }  # fmt: skip
    return {"apiVersion": api, "kind": kind, "metadata": meta, **parts}


def actions(found: list[Record]) -> list[Action]:
    made = [sound(record) for record in found]
    assert all(made)
    return [one for one in made if one]


def slots(found: list[Record]) -> list[Slot]:
    return live(MemoryReader.of(actions(found)))


def deployment(revision: str = "2", at: str = "2026-01-02T00:00:00Z", ready: int = 1) -> Object:
    container = {
        "name": "w", "image": "r.example/worker:latest",
        "envFrom": [{"configMapRef": {"name": "model-9f"}}, {"secretRef": {"name": "keys"}}],
        "env": [{"name": "PASSWORD", "value": "hunter2"}],
    }  # fmt: skip
    return obj(
        "Deployment", "apps/v1",
        metadata={"annotations": {"deployment.kubernetes.io/revision": revision,
                                  "kubernetes.io/change-cause": "new model"},
                  "managedFields": [
                      {"manager": "kubectl", "time": "2026-01-01T23:00:00Z"},
                      {"manager": "kcm", "subresource": "status", "time": "2026-02-01T00:00:00Z"}]},
        spec={"replicas": 1, "template": {"spec": {"containers": [container]}}},
        status={"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1,
                "availableReplicas": ready,
                "conditions": [{"type": "Progressing", "status": "True",
                                "reason": "NewReplicaSetAvailable", "lastUpdateTime": at,
                                "message": 'ReplicaSet "worker-5d" has successfully progressed.'}]},
    )  # fmt: skip


def pod(replica_set: str, digest: str) -> Object:
    owner = {"kind": "ReplicaSet", "name": replica_set, "controller": True}
    return {
        "metadata": {"name": "p", "ownerReferences": [owner]},
        "status": {"containerStatuses": [{"imageID": f"r.example/worker@{digest}"}]},
    }


def config_map(value: str = "projects/p/models/TCN1", at: str = "2026-01-01T12:00:00Z") -> Object:
    return obj(
        "ConfigMap", "v1", data={"app.yaml": f"model: {value}\nother: hunter2\n"},
        metadata={"name": "model-9f", "uid": "cm",
                  "managedFields": [{"manager": "argocd", "time": at}]},
    )  # fmt: skip


MAPPED = View(
    "prod",
    Mappings.of(
        [
            parse_mapping(
                {
                    "apiVersion": "lineage-without-dag.github.io/v1alpha1",
                    "kind": "LineageMapping",
                    "spec": {
                        "configMaps": [{"configMap": "model-*", "key": "app.yaml",
                                        "find": "model: (.*)", "slot": "worker"}],
                        "repositories": {"GitRepository/fleet": "https://h/o/fleet"},
                    },
                }
            )
        ]
    ),
)  # fmt: skip


def test_a_deployment_is_live_by_the_digest_its_pods_run() -> None:
    """Of the new ReplicaSet's pods only; who changed it and why are told."""
    old, new = pod("worker-4c", "sha256:" + "00" * 32), pod("worker-5d", SHA)
    (made,) = actions(workloads.deployment(deployment(), [old, new], VIEW))
    images = [one.uri for one in made.inputs if one.type == "Image"]
    assert (made.state, images) == ("complete", [f"r.example/worker@{SHA}"])
    assert (made.by, made.trigger and made.trigger.reason) == ("kubectl", "new model")
    (slot,) = slots(workloads.deployment(deployment(), [new], VIEW))
    assert (slot.uri, iso(slot.since), slot.evidence) == (SLOT, "2026-01-02T00:00:00Z", "observed")
    assert slot.deployment.version == "2"


def test_a_rollout_leaves_the_slot_as_it_is_until_it_is_done() -> None:
    """Until then it is a running action without an output."""
    (made,) = actions(workloads.deployment(deployment(ready=0), [], VIEW))
    assert (made.state, made.outputs, made.ended_at) == ("running", (), None)


def test_no_value_and_no_secret_enters() -> None:
    """Names of ConfigMaps do; environment, other keys and Secrets do not."""
    found = workloads.deployment(deployment(), [], VIEW) + workloads.config_map(
        config_map(), MAPPED
    )
    text = json.dumps(found)
    assert "hunter2" not in text and "keys" not in text
    assert "k8s://prod/label-bot/ConfigMap/model-9f" in text


def test_the_mapped_key_says_which_model_is_live() -> None:
    """Also after the Deployment rolled out again: it read the ConfigMap of its time."""
    (slot,) = slots(workloads.config_map(config_map(), MAPPED))
    assert (slot.uri, [m.uri for m in slot.models]) == (SLOT, ["projects/p/models/TCN1"])
    both = workloads.config_map(config_map(), MAPPED) + workloads.deployment(
        deployment(), [], MAPPED
    )
    (slot,) = slots(both)
    assert (slot.deployment.version, [m.uri for m in slot.models]) == (
        "2", ["projects/p/models/TCN1"],
    )  # fmt: skip


def test_configmaps_without_a_mapping_are_nobodys_business() -> None:
    """Only a mapping makes one a deploy."""
    assert workloads.config_map(config_map(), VIEW) == []


def test_deletion_ends_the_slot() -> None:
    """At the time the object names, else when it was noticed."""
    before = workloads.deployment(deployment(), [], VIEW)
    gone = removal(VIEW, deployment(), "deployment/worker", "2026-03-01T00:00:00Z")
    assert slots([*before, gone]) == []
    history = live(AsOf(MemoryReader.of(actions([*before, gone])), 1_770_000_000_000_000))
    assert [slot.uri for slot in history] == [SLOT]


def test_a_stateful_set_is_settled_when_both_revisions_are_one() -> None:
    """Its generation is the act, its revision the version."""
    one = obj(
        "StatefulSet", "apps/v1", spec={"replicas": 1, "template": {"spec": {}}},
        status={"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
                "currentRevision": "worker-1", "updateRevision": "worker-2"},
    )  # fmt: skip
    assert actions(workloads.stateful_set(one, [], VIEW))[0].state == "running"
    one["status"]["currentRevision"] = "worker-2"
    (made,) = actions(workloads.stateful_set(one, [], VIEW))
    assert (made.state, made.key) == ("complete", "apps/StatefulSet/u1/3")
    assert made.outputs[0].version == "worker-2"


def application() -> Object:
    source = {"repoURL": "https://h/o/fleet.git", "path": "prod", "targetRevision": "main"}
    return obj(
        "Application", "argoproj.io/v1alpha1",
        spec={"destination": {"name": "gke", "namespace": "bots"}, "source": source},
        status={
            "sync": {"status": "Synced"},
            "summary": {"images": ["r.example/worker:v2"]},
            "history": [
                {"revision": "a" * 40, "source": source,
                 "deployStartedAt": "2026-01-01T00:00:00Z", "deployedAt": "2026-01-01T00:01:00Z",
                 "initiatedBy": {"automated": True}},
                {"id": 1, "revision": "b" * 40, "source": source,
                 "deployStartedAt": "2026-01-02T00:00:00Z", "deployedAt": "2026-01-02T00:01:00Z",
                 "initiatedBy": {"username": "ana"}},
            ],
            "operationState": {"phase": "Failed", "message": "hook failed",
                               "startedAt": "2026-01-03T00:00:00Z",
                               "finishedAt": "2026-01-03T00:02:00Z",
                               "syncResult": {"revision": "c" * 40, "source": source}},
        },
    )  # fmt: skip


def test_argo_cd() -> None:
    """An action an entry of the history, with commit and who; a failed sync is one too."""
    first, second, failed = actions(argocd.application(application(), VIEW))
    assert (first.by, second.by) == ("argocd (automated)", "ana")
    assert second.code is not None and second.code.commit == "b" * 40
    assert [i.uri for i in second.inputs if i.type == "Image"] == ["r.example/worker:v2"]
    assert (failed.state, failed.error, failed.outputs) == ("failed", "hook failed", ())
    found = argocd.application(application(), VIEW)
    (slot,) = slots(found)
    assert (slot.kind, slot.deployment.version) == ("Application", "b" * 40)
    line = timelines(MemoryReader.of(actions(found)), [slot.uri])[slot.uri]
    assert len(line.periods) == 2


def test_flux_kustomization() -> None:
    """The revision applied last, at its commit; the mapping knows the repository."""
    one = obj(
        "Kustomization", "kustomize.toolkit.fluxcd.io/v1",
        spec={"path": "./prod", "sourceRef": {"kind": "GitRepository", "name": "fleet"}},
        status={"lastAppliedRevision": f"main@sha1:{'a' * 40}",
                "conditions": [{"type": "Ready", "status": "True",
                                "lastTransitionTime": "2026-01-02T00:00:00Z"}]},
    )  # fmt: skip
    (made,) = actions(flux.kustomization(one, MAPPED))
    assert made.code is not None
    assert (made.code.repo, made.code.commit) == ("https://h/o/fleet", "a" * 40)
    one["status"]["history"] = [
        {"digest": "sha256:1", "firstReconciled": "2026-01-01T00:00:00Z",
         "lastReconciled": "2026-01-01T09:00:00Z",
         "lastReconciledStatus": "ReconciliationSucceeded",
         "metadata": {"revision": f"main@sha1:{'a' * 40}"}},
        {"digest": "sha256:2", "firstReconciled": "2026-01-02T00:00:00Z",
         "lastReconciled": "2026-01-02T00:00:00Z",
         "lastReconciledStatus": "HealthCheckFailed",
         "metadata": {"revision": f"main@sha1:{'b' * 40}"}},
    ]  # fmt: skip
    assert [a.state for a in actions(flux.kustomization(one, VIEW))] == ["complete", "failed"]
    (slot,) = slots(flux.kustomization(one, VIEW))
    assert iso(slot.since) == "2026-01-01T00:00:00Z"


def helm_release(*statuses: str) -> Object:
    history = [
        {"version": n, "chartName": "bot", "chartVersion": f"1.{n}.0", "status": status,
         "configDigest": SHA, "lastDeployed": f"2026-01-0{n}T00:00:00Z",
         **({"deleted": "2026-02-01T00:00:00Z"} if status == "uninstalled" else {})}
        for n, status in enumerate(statuses, 1)
    ]  # fmt: skip
    return obj("HelmRelease", "helm.toolkit.fluxcd.io/v2", status={"history": history})


def test_flux_helm_release() -> None:
    """A release a deploy; a failed one is none, an uninstalled one ends the slot."""
    (slot,) = slots(flux.helm_release(helm_release("superseded", "deployed", "failed"), VIEW))
    assert (slot.deployment.version, iso(slot.since)) == ("2", "2026-01-02T00:00:00Z")
    both = flux.helm_release(helm_release("deployed"), VIEW)
    assert slots(both + flux.helm_release(helm_release("uninstalled"), VIEW)) == []


def inference_service(*traffic: tuple[str, int], ready: str = "r2") -> Object:
    targets = [{"revisionName": name, "percent": percent} for name, percent in traffic]
    return obj(
        "InferenceService", "serving.kserve.io/v1beta1",
        spec={"predictor": {"model": {"storageUri": "gs://b/model-2"}}},
        status={"conditions": [{"type": "Ready", "status": "True",
                                "lastTransitionTime": "2026-01-02T00:00:00Z"}],
                "components": {"predictor": {"latestReadyRevision": ready, "traffic": targets}}},
    )  # fmt: skip


def test_kserve_canary() -> None:
    """Each revision with traffic is a deploy of its own; only the newest shows its model."""
    made = actions(kserve.inference_service(inference_service(("r1", 90), ("r2", 10)), VIEW))
    shares = {a.outputs[0].version: a.outputs[0].properties["traffic"] for a in made}
    assert shares == {"r1": 90, "r2": 10}
    assert [[i.uri for i in a.inputs] for a in made] == [[], ["gs://b/model-2"]]
    back = actions(kserve.inference_service(inference_service(("r1", 100)), VIEW))
    shares = {a.outputs[0].version: a.outputs[0].properties["traffic"] for a in back}
    assert shares == {"r1": 100, "r2": 0}


def test_kserve_canary_keeps_its_past() -> None:
    """Of 10, 50 and 100 percent on one revision each is a period, and the model stays known."""
    found = []
    shares = [(100, 0), (90, 10), (50, 50), (0, 100)]
    for day, (old, new) in enumerate(shares, 1):
        given = [(name, share) for name, share in (("r1", old), ("r2", new)) if share]
        one = inference_service(*given, ready="r2" if new else "r1")
        one["metadata"] = {**one["metadata"], "generation": day}
        one["spec"]["predictor"]["model"]["storageUri"] = f"gs://b/model-{2 if new else 1}"
        one["status"]["conditions"][0]["lastTransitionTime"] = f"2026-01-0{day}T00:00:00Z"
        found += kserve.inference_service(one, VIEW)
    reader = MemoryReader.of(actions(found))
    (slot,) = reader.slots(None, 10)
    periods = timelines(reader, [slot])[slot].periods
    assert sorted((iso(p.since)[:10], p.models[0].uri[-1], p.traffic) for p in periods) == [
        ("2026-01-01", "1", 100), ("2026-01-02", "1", 90), ("2026-01-02", "2", 10),
        ("2026-01-03", "1", 50), ("2026-01-03", "2", 50), ("2026-01-04", "2", 100),
    ]  # fmt: skip


def test_kserve_without_revisions() -> None:
    """The generation that is ready is live."""
    (made,) = actions(kserve.inference_service(inference_service(), VIEW))
    assert (made.outputs[0].version, made.inputs[0].uri) == ("3", "gs://b/model-2")


def test_annotations() -> None:
    """An object, or a list of them, in kubeflow's own form; a Job without is not recorded."""
    said = {"kind": "Dataset", "metadata": {"name": "d"}, "spec": {"uri": "gs://b/d", "rows": 3}}
    notes = {
        "metadata.kubeflow.org/input": json.dumps(said),
        "metadata.kubeflow.org/output": json.dumps(
            [{"kind": "Model", "metadata": {"name": "m"}, "spec": {"uri": "gs://b/m",
                                                                   "version": "7"}}]),
    }  # fmt: skip
    done = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-02T00:00:00Z"}
    job = obj("Job", "batch/v1", metadata={"annotations": notes}, status={"conditions": [done]})
    (made,) = actions(annotated.job(job, VIEW))
    assert (made.type, made.state, made.outputs[0].version) == ("train", "complete", "7")
    assert made.inputs[0].properties == {"rows": 3}
    assert annotated.job(obj("Job", "batch/v1"), VIEW) == []
    assert annotated.references(
        obj("Job", "batch/v1", metadata={"annotations": {"metadata.kubeflow.org/input": "{"}})
    ) == {"inputs": [], "outputs": []}


def test_a_model_sync_gives_its_name_to_the_runs_it_owns() -> None:
    """What it wants is no act; what its runs do was done by it."""
    owned = {"kind": "ModelSync", "name": "labelbot-train", "controller": True}
    one = obj("PipelineRun", "tekton.dev/v1", metadata={"ownerReferences": [owned]})
    assert modelsync.controller_of(one, "x") == "modelsync/labelbot-train"
    assert modelsync.controller_of(obj("PipelineRun", "tekton.dev/v1"), "x") == "x"
