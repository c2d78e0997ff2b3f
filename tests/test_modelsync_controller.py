"""The ModelSync controller against an API server and a lambda on real wires."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest

kmock = pytest.importorskip("kmock")
pytest.importorskip("kopf")
pytest.importorskip("kubernetes")

from controllers_hooks import Hook  # noqa: E402
from controllers_hooks.modelsync.ask import Lambdas  # noqa: E402
from controllers_hooks.modelsync.build import DECISION  # noqa: E402
from controllers_hooks.modelsync.capture import Capture  # noqa: E402
from controllers_hooks.modelsync.decide import Settings  # noqa: E402
from controllers_hooks.modelsync.lease import Lease  # noqa: E402
from controllers_hooks.modelsync.reconcile import LostLease, Reconciler  # noqa: E402
from controllers_hooks.observers.cluster import Cluster, ClusterError  # noqa: E402
from controllers_hooks.observers.objects import View  # noqa: E402
from tests.conftest import COMMAND, Server, clean_environment  # noqa: E402
from tests.lambdas import Lambda, serving  # noqa: E402
from tests.modelsyncs import MODEL, iso, sample  # noqa: E402
from tests.test_observe_cluster import PLURALS, api_server, until  # noqa: E402

NS, NAME = "label-bot-prod", "modelsync-sample"
RUNS = kmock.resource("tekton.dev", "v1", "pipelineruns")
SYNCS = kmock.resource("automl.cloudai.kubeflow.org", "v1alpha1", "modelsyncs")
EVENTS = kmock.resource("", "v1", "events")
LEASES = kmock.resource("coordination.k8s.io", "v1", "leases")
SERVED = [
    ("", "v1", "events", "Event"),
    ("", "v1", "namespaces", "Namespace"),
    ("automl.cloudai.kubeflow.org", "v1alpha1", "modelsyncs", "ModelSync"),
    ("tekton.dev", "v1", "pipelineruns", "PipelineRun"),
    ("tekton.dev", "v1", "taskruns", "TaskRun"),
    ("coordination.k8s.io", "v1", "leases", "Lease"),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition"),
]
NOW = 1_700_000_000.0
Object = dict[str, Any]


class Emulator(kmock.KubernetesEmulator):  # type: ignore[misc, name-defined]
    """With what kmock leaves out: uids, versions of objects and the conflicts they make."""

    async def _handle(self, request: Any) -> Any:
        body = request.data if isinstance(request.data, dict) else {}
        if request.action == kmock.action.CREATE:
            body["metadata"] = {**body.get("metadata", {}), "uid": str(uuid.uuid4()),
                                "resourceVersion": "1", "generation": 1,
                                "creationTimestamp": iso(time.time())}  # fmt: skip
        elif request.action == kmock.action.UPDATE:
            key = (request.resource, request.namespace, request.name)
            if key in self.objects and not self.objects[key].deleted:
                meta = self.objects[key].raw["metadata"]
                given = body.get("metadata", {}).get("resourceVersion")
                if given not in (None, meta.get("resourceVersion")):
                    raise kmock.KubernetesError(409, "Conflict", "it was changed")
                version = int(meta.get("resourceVersion") or 0) + 1
                body["metadata"] = {**body.get("metadata", {}), "resourceVersion": str(version)}
        return await super()._handle(request)


class World:
    """A cluster with one ModelSync, its lambda, and a clock for a reconciler in this process."""

    def __init__(self, api: Any, lambda_: Lambda, kubeconfig: Path, outbox: Path, url: str) -> None:
        self.api, self.lambda_, self.kubeconfig = api, lambda_, kubeconfig
        self.now = NOW
        self.cluster = Cluster(str(kubeconfig))
        self.hook = Hook("modelsync-test", cluster="prod", url=url, outbox=outbox)

    def reconciler(self, cluster: Any = None, **settings: Any) -> Reconciler:
        return Reconciler(
            cluster or self.cluster,
            Lambdas(),
            Capture(self.cluster, self.hook, View("prod")),
            Settings(**settings),
            now=lambda: self.now,
        )

    def objects(self, resource: Any) -> dict[str, Object]:
        return {
            name: held.raw
            for (kind, _, name), held in list(self.api.objects.items())
            if kind == resource and not held.deleted
        }

    @property
    def runs(self) -> dict[str, Object]:
        return self.objects(RUNS)

    @property
    def status(self) -> Object:
        found: Object = self.objects(SYNCS)[NAME].get("status", {})
        return found

    def events(self, reason: str) -> list[Object]:
        return [e for e in self.objects(EVENTS).values() if e["reason"] == reason]

    def finish(self, name: str, succeeded: bool = True, at: float | None = None) -> None:
        """Tekton is done with a run."""
        at = self.now if at is None else at
        status = {"startTime": iso(at), "completionTime": iso(at), "conditions": [
            {"type": "Succeeded", "status": "True" if succeeded else "False",
             "reason": "Succeeded" if succeeded else "Failed"}]}  # fmt: skip
        path = f"/apis/tekton.dev/v1/namespaces/{NS}/pipelineruns/{name}"
        self.cluster.patch(path, {"status": status})

    def finish_all(self, succeeded: bool = True) -> None:
        for name, run in self.runs.items():
            if "status" not in run:
                self.finish(name, succeeded)


@pytest.fixture
def world(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The sample of the article, its address alone turned to a lambda of ours."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(kmock, "KubernetesEmulator", Emulator)

    def arrange(handler: Any) -> None:
        for group, version, plural, kind in SERVED:
            handler.resources[kmock.resource(group, version, plural)] = {
                "kind": kind, "namespaced": True,
                "verbs": ["list", "watch", "get", "create", "patch", "delete"],
            }  # fmt: skip

    monkeypatch.setitem(PLURALS, "ModelSync", "modelsyncs")
    with (
        serving() as lambda_,
        api_server([sample(needsSyncUrl=lambda_.url)], tmp_path, arrange) as api,
    ):
        lambda_.body = {"needsSync": True, "parameters": {"name": MODEL}}
        made = World(api, lambda_, tmp_path / "kubeconfig", tmp_path / "outbox", server.url)
        yield made
        made.hook.close()


def test_the_sample_creates_one_run_and_says_why(world: World, server: Server) -> None:
    """One PipelineRun with owner, parameters and v1 spec; no second while it goes on; the
    status, an event, and the action in lineage with its reason."""
    reconciler = world.reconciler()
    for _ in range(5):
        assert reconciler.reconcile(NS, NAME) == 60
        world.now += 60
    ((name, run),) = world.runs.items()
    assert run["metadata"]["ownerReferences"] == [
        {"apiVersion": "automl.cloudai.kubeflow.org/v1alpha1", "kind": "ModelSync", "name": NAME,
         "uid": "sync-1", "controller": True, "blockOwnerDeletion": True}
    ]  # fmt: skip
    assert run["spec"]["params"][0] == {"name": "automl-model", "value": MODEL}
    assert run["spec"]["taskRunTemplate"] == {"serviceAccountName": "auto-update"}
    assert "resources" not in run["spec"] and "serviceAccountName" not in run["spec"]
    assert len(world.lambda_.asked) == 1

    uid = run["metadata"]["uid"]
    assert [one["uid"] for one in world.status["active"]] == [uid]
    assert world.status["observedGeneration"] == 1
    assert world.status["lastDecision"]["action"] == f"tekton.dev/PipelineRun/{uid}"
    (event,) = world.events("CreateRun")
    assert (event["type"], event["message"]) == ("Normal", f"Created PipelineRun; {name}")
    assert event["involvedObject"]["uid"] == "sync-1"

    world.hook.flush()
    action = server.client().action(f"tekton.dev/PipelineRun/{uid}")
    assert action["controller"] == {"cluster": "prod", "namespace": NS,
                                    "name": "modelsync/modelsync-sample"}  # fmt: skip
    assert (action["state"], action["params"]["automl-model"]) == ("running", MODEL)
    assert json.loads(action["trigger"]["wanted"]) == {"automl-model": MODEL}
    assert run["metadata"]["annotations"][DECISION].endswith(f"/{name}")


def test_the_run_is_recorded_with_its_tasks_and_its_trigger(world: World, server: Server) -> None:
    """When it is done, once, with what the observers' parser finds in its TaskRuns."""
    reconciler = world.reconciler()
    reconciler.reconcile(NS, NAME)
    ((name, run),) = world.runs.items()
    uid = run["metadata"]["uid"]
    task = {
        "metadata": {"name": f"{name}-pr", "namespace": NS, "labels": {
            "tekton.dev/pipelineRunUID": uid, "tekton.dev/pipelineRun": name}},
        "status": {"completionTime": iso(world.now),
                   "conditions": [{"type": "Succeeded", "status": "True"}],
                   "results": [{"name": "CHAINS-GIT_URL", "value": "https://git.example/o/r"},
                               {"name": "CHAINS-GIT_COMMIT", "value": "faeb6575"}]},
    }  # fmt: skip
    world.cluster.send("POST", f"/apis/tekton.dev/v1/namespaces/{NS}/taskruns", task)
    world.finish(name)
    world.lambda_.body = {"needsSync": False}
    reconciler.reconcile(NS, NAME)
    assert world.status["active"] == [] and world.status["lastRun"]["state"] == "succeeded"
    world.hook.flush()
    action = server.client().action(f"tekton.dev/PipelineRun/{uid}")
    assert action["state"] == "complete" and action["trigger"]["reason"].startswith("needsSync")
    assert action["code"] == {"repo": "https://git.example/o/r", "commit": "faeb6575"}


def test_the_newest_ten_of_each_are_kept(world: World) -> None:
    """Limits 10/10: of thirteen runs that succeeded and twelve that failed ten each are left,
    and what was deleted had been recorded."""
    world.lambda_.body = {"needsSync": False}
    reconciler = world.reconciler()
    for n in range(25):
        body = {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {
            "name": f"run-{n:02}", "namespace": NS, "ownerReferences": [
                {"apiVersion": "automl.cloudai.kubeflow.org/v1alpha1", "kind": "ModelSync",
                 "name": NAME, "uid": "sync-1", "controller": True}]}}  # fmt: skip
        world.cluster.send("POST", f"/apis/tekton.dev/v1/namespaces/{NS}/pipelineruns", body)
        world.finish(f"run-{n:02}", succeeded=n % 2 == 0, at=NOW + n)
    before = world.runs
    assert reconciler.reconcile(NS, NAME) == 1.0
    assert world.runs.keys() == before.keys(), "nothing is deleted before it is on the disk"
    recorded = world.hook.statistics().recorded
    assert recorded >= 5
    reconciler.reconcile(NS, NAME)
    assert sorted(world.runs) == [f"run-{n:02}" for n in range(5, 25)]
    assert reconciler.reconcile(NS, NAME) == 60


def test_nothing_is_deleted_that_could_not_be_recorded(world: World) -> None:
    """A full outbox keeps runs; creating them goes on as before."""
    reconciler = world.reconciler()
    world.api.objects[(SYNCS, NS, NAME)].patch({"spec": {"successfulPipelineRunsHistoryLimit": 0}})
    world.hook._outbox.limit = 0
    for n in range(3):
        world.lambda_.body["parameters"]["name"] = f"model-{n}"
        reconciler.reconcile(NS, NAME)
        world.finish_all()
        world.now += 60
    assert reconciler.reconcile(NS, NAME) == 60, "no hurry while it is of no use"
    assert len(world.runs) == 4
    world.hook._outbox.limit = 10**6
    reconciler.reconcile(NS, NAME)
    reconciler.reconcile(NS, NAME)
    assert [run for run in world.runs.values() if "status" in run] == []


def test_a_hundred_looks_make_a_handful_of_runs(world: World) -> None:
    """needsSync stays true with the same parameters, each run succeeds at once: the gaps
    double. The original made a hundred."""
    reconciler = world.reconciler()
    began: list[float] = []
    for _ in range(100):
        had = len(world.runs)
        after = reconciler.reconcile(NS, NAME)
        if len(world.runs) > had:
            began.append(world.now)
            world.finish_all()
        world.now += after or 0
    assert [b - a for a, b in pairwise(began)] == [60, 120, 240, 480, 960, 1920]
    assert world.status["lastDecision"]["outcome"] == "BackingOff"
    assert len(world.events("CreateRun")) == len(began) == 7


class Crash(BaseException):
    """The process ends here."""


class Failing:
    """A cluster that lets everything pass, and then, once, does not: `after` it was done or
    before."""

    def __init__(self, cluster: Cluster, method: str, part: str, after: bool) -> None:
        self._cluster, self._what, self._after = cluster, (method, part), after
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def send(self, method: str, path: str, *more: Any) -> Any:
        crash = not self.failed and method == self._what[0] and self._what[1] in path
        if crash and not self._after:
            self.failed = True
            raise Crash
        found = self._cluster.send(method, path, *more)
        if crash:
            self.failed = True
            raise Crash
        return found

    def patch(self, path: str, body: Object) -> None:
        self.send("PATCH", path, body, "application/merge-patch+json")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("part", ["pipelineruns", "events", "/status"])
@pytest.mark.parametrize("after", [True, False])
def test_a_crash_anywhere_makes_no_twin(
    world: World, server: Server, method: str, part: str, after: bool
) -> None:
    """Killed before or after any write, started again: one run, with its reason recorded."""
    failing = Failing(world.cluster, method, part, after)
    try:
        world.reconciler(failing).reconcile(NS, NAME)
    except Crash:
        assert failing.failed
    again = world.reconciler()
    again.reconcile(NS, NAME)
    again.reconcile(NS, NAME)
    (run,) = world.runs.values()
    assert [one["uid"] for one in world.status["active"]] == [run["metadata"]["uid"]]
    world.hook.flush()
    action = server.client().action(f"tekton.dev/PipelineRun/{run['metadata']['uid']}")
    assert action["trigger"]["wanted"]


class Blind(Failing):
    """A cluster whose lists are behind: the run just created is not in them yet."""

    def all_of(self, path: str, **params: str) -> tuple[list[Object], str]:
        return [], ""


def test_a_list_that_is_behind_makes_no_twin(world: World) -> None:
    """The name is the same, so the cluster refuses the second: already created."""
    world.reconciler().reconcile(NS, NAME)
    behind: Any = Blind(world.cluster, "", "nothing", False)
    world.reconciler(behind).reconcile(NS, NAME)
    assert len(world.runs) == 1 and len(world.status["active"]) == 1
    assert world.events("CreateRunError") == []


def test_errors_are_events_that_count(world: World) -> None:
    """A lambda that fails: one event, its count rising, a look a minute; then it works."""
    world.lambda_.status, world.lambda_.body = 500, {"errors": [{"message": "no models"}]}
    reconciler = world.reconciler()
    assert [reconciler.reconcile(NS, NAME) for _ in range(3)] == [60, 60, 60]
    (event,) = world.events("NeedsSyncError")
    assert event["count"] == 3 and event["type"] == "Warning"
    assert event["message"] == (
        f"Could not fetch {world.lambda_.url}; error the lambda answers 500, not 200: no models"
    )
    ready, syncing = world.status["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "NeedsSyncError")
    assert syncing["status"] == "False" and world.runs == {}
    world.lambda_.status, world.lambda_.body = 200, {"needsSync": True, "parameters": {"name": "m"}}
    reconciler.reconcile(NS, NAME)
    assert world.status["conditions"][0]["status"] == "True" and len(world.runs) == 1


def test_what_tekton_refuses_is_an_event(world: World) -> None:
    """The cluster's own words, no run, another try in a minute."""

    def refuse() -> None:
        raise ClusterError("admission webhook denied the request: no such pipeline", 400)

    class Refusing(Failing):
        def send(self, method: str, path: str, *more: Any) -> Any:
            if method == "POST" and "pipelineruns" in path:
                refuse()
            return super().send(method, path, *more)

    refusing: Any = Refusing(world.cluster, "", "nothing", False)
    assert world.reconciler(refusing).reconcile(NS, NAME) == 60
    (event,) = world.events("CreateRunError")
    assert event["message"] == (
        "Unable to create PipelineRun; error admission webhook denied the request: no such pipeline"
    )
    assert world.status["conditions"][0]["reason"] == "CreateRunError"


def test_a_lineage_server_that_is_away_stops_nothing(world: World, tmp_path: Path) -> None:
    """Runs are created and, recorded in the outbox, deleted."""
    world.hook.close()
    world.hook = Hook("away", url="http://127.0.0.1:1", outbox=tmp_path / "away")
    world.api.objects[(SYNCS, NS, NAME)].patch({"spec": {"successfulPipelineRunsHistoryLimit": 0}})
    reconciler = world.reconciler()
    reconciler.reconcile(NS, NAME)
    world.finish_all()
    world.lambda_.body = {"needsSync": False}
    reconciler.reconcile(NS, NAME)
    reconciler.reconcile(NS, NAME)
    assert world.runs == {} and world.hook.statistics().waiting_bytes > 0
    assert world.status["lastRun"]["state"] == "succeeded"
    world.hook._outbox.close()


def test_without_the_lease_nothing_is_done(world: World) -> None:
    """Reading goes on to the point where something would change."""
    reconciler = world.reconciler()
    reconciler._may_act = lambda: False
    with pytest.raises(LostLease):
        reconciler.reconcile(NS, NAME)
    assert world.runs == {}


def test_one_holds_the_lease_until_it_lets_go_or_falls_silent(world: World) -> None:
    """Another waits; takes over at once when it is let go, and after its time when not."""
    clock = [100.0]
    a, b = (Lease(world.cluster, NS, "l", clock=lambda: clock[0]) for _ in range(2))
    assert a._try() and a.held() and not b._try()
    clock[0] += 9
    assert a._try() and not b._try(), "renewed"
    clock[0] += 11
    assert not a.held(), "it must stop before others may begin"
    assert not b._try()
    clock[0] += 5
    assert b._try() and b.held()
    assert not a._try() and not a.held()
    b.release()
    assert a._try() and a.held()
    spec = world.objects(LEASES)["l"]["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == (a.identity, 3)


def test_a_lease_that_cannot_be_renewed_is_lost_by_the_clock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer is no renewal."""
    clock = [100.0]
    lease = Lease(world.cluster, NS, "l", clock=lambda: clock[0])
    assert lease._try()
    monkeypatch.setattr(world.cluster, "send", refused)
    assert not lease._try() and lease.held()
    clock[0] += 10.1
    assert not lease.held()


def test_whoever_keeps_the_lease_notices_that_it_is_taken(world: World) -> None:
    """Keeping ends by itself when somebody else is written there, and by being told to."""
    a, b = (Lease(world.cluster, NS, "l", duration=0.6) for _ in range(2))
    stop = Event()
    assert a.acquire(stop)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{NS}/leases/l"
    world.cluster.patch(path, {"spec": {"holderIdentity": "thief"}})
    a.keep(stop)
    assert not a.held() and not stop.is_set()
    assert b.acquire(stop), "the thief never renews"
    Timer(0.3, stop.set).start()
    b.keep(stop)
    assert world.objects(LEASES)["l"]["spec"]["holderIdentity"] == ""
    assert not a.acquire(stop), "told to stop"


def refused(*_: Any) -> Any:
    raise ClusterError("the cluster did not answer", 0)


@contextmanager
def controller(world: World, server: Server, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    log = world.kubeconfig.with_name("controller.log")
    process = subprocess.Popen(
        [*COMMAND, "controller", "--url", server.url, "--kubeconfig", str(world.kubeconfig),
         "--cluster", "prod", "--resync", "2", *arguments],
        stderr=log.open("a"), text=True, env=clean_environment(),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        print(log.read_text())  # shown when the test fails


def patient(condition: Callable[[], Any]) -> None:
    until(lambda: bool(condition()), 40)


def test_the_real_process(world: World, server: Server) -> None:
    """`lineage controller` takes the lease, creates the run, sees it end by its watch, backs
    off, is killed with -9, is started again, makes no twin, and lets go of the lease when it
    is told to end."""
    with controller(world, server, "-n", NS) as first:
        patient(lambda: world.runs)
        (name,) = world.runs
        holder = world.objects(LEASES)["lineage-controller"]["spec"]["holderIdentity"]
        first.kill()
    # As if its time were over; the test above waits for nothing either.
    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/lineage-controller"
    world.cluster.patch(path, {"spec": {"holderIdentity": ""}})
    with controller(world, server) as second:
        patient(lambda: world.objects(LEASES)["lineage-controller"]["spec"]["holderIdentity"]
                not in ("", holder))  # fmt: skip
        patient(lambda: world.status.get("active"))
        world.now = time.time()
        world.finish(name)
        patient(lambda: world.status.get("lastRun", {}).get("state") == "succeeded")
        patient(lambda: world.status["lastDecision"]["outcome"] == "BackingOff")
        assert list(world.runs) == [name]
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
    assert world.objects(LEASES)["lineage-controller"]["spec"]["holderIdentity"] == ""
    meta = world.objects(SYNCS)[NAME]["metadata"]
    assert "finalizers" not in meta and "annotations" not in meta, "kopf leaves no traces"
    action = server.client().action(f"tekton.dev/PipelineRun/{world.runs[name]['metadata']['uid']}")
    assert action["state"] == "complete" and action["trigger"]["wanted"]


def test_what_is_missing_is_said(tmp_path: Path, server: Server) -> None:
    """No Tekton, no CRD: a line that says what to install, exit code 1."""
    with api_server([], tmp_path):
        done = subprocess.run(
            [*COMMAND, "controller", "--kubeconfig", str(tmp_path / "kubeconfig")],
            capture_output=True, text=True, timeout=60, env=clean_environment(),
        )  # fmt: skip
    assert done.returncode == 1
    assert "does not serve modelsyncs of automl.cloudai.kubeflow.org/v1alpha1" in done.stderr
    assert "deploy/modelsync" in done.stderr and "Traceback" not in done.stderr
