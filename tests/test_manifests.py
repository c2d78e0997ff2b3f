"""The manifests: valid for Kubernetes, least rights, and true to the program they start."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer.main
import yaml

from controllers_hooks.observers.assemble import MAPPINGS, OBSERVERS, PODS
from lineage.cli import app
from lineage.config import table

from .conftest import COMMAND, Server, clean_environment, start_server

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
FILES = sorted(p for p in DEPLOY.rglob("*.yaml") if p.name != "kustomization.yaml")
KUSTOMIZATIONS = sorted(DEPLOY.rglob("kustomization.yaml"))
VERSION = "1.36"
BUILT_IN = re.compile(r"v1|(apps|batch|policy)/v1|\w+(\.\w+)*\.k8s\.io/v1")
TASK = DEPLOY / "tekton" / "record-task.yaml"


def named(path: Path) -> str:
    return str(path.relative_to(DEPLOY))


def documents(path: Path) -> list[dict[str, Any]]:
    return [d for d in yaml.safe_load_all(path.read_text("utf-8")) if d]


def everything() -> Iterator[dict[str, Any]]:
    for path in FILES:
        yield from documents(path)


def one(kind: str, name: str) -> dict[str, Any]:
    (found,) = (
        d
        for d in everything()
        if (d["kind"], d["metadata"]["name"]) == (kind, name) and "$patch" not in d
    )
    return found


def container(name: str) -> dict[str, Any]:
    (found,) = one("Deployment", name)["spec"]["template"]["spec"]["containers"]
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_manifest_is_what_kubernetes_takes(path: Path) -> None:
    """Every object of a built-in kind fits its schema, with no field that is not in it."""
    for document in documents(path):
        if BUILT_IN.fullmatch(document["apiVersion"]) and "$patch" not in document:
            kubernetes_validate.validate(document, VERSION, strict=True)


def test_the_schema_check_bites() -> None:
    """It refuses a misspelt field; else the test above would prove nothing."""
    wrong = one("Deployment", "lineage-server")
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_every_manifest_is_in_a_kustomization() -> None:
    """No file lies in deploy/ that is never applied, and none is named that is not there."""
    used = set()
    for path in KUSTOMIZATIONS:
        (kustomization,) = documents(path)
        names = [*kustomization.get("resources", ()), *kustomization.get("components", ())]
        names += [p["path"] for p in kustomization.get("patches", ()) if "path" in p]
        for name in names:
            target = (path.parent / name).resolve()
            assert target.exists(), f"{named(path)} names {name}"
            used.add(target)
    assert [named(p) for p in FILES if p.resolve() not in used] == []


def test_no_namespace_is_taken_for_granted() -> None:
    """The base goes into whatever namespace an overlay names."""
    assert [d["kind"] for d in everything() if "namespace" in d["metadata"]] == []


def rules() -> list[dict[str, Any]]:
    """Of the observer; deploy/modelsync has a test of its own."""
    return [
        rule
        for path in FILES
        if path.parent.name != "modelsync"
        for d in documents(path)
        if d["kind"] in ("Role", "ClusterRole")
        for rule in d["rules"]
    ]


def test_the_observer_may_read_what_it_observes_and_no_more() -> None:
    """Its rights are exactly the resources it watches; none may be changed, Secrets never."""
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in rules()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    watched = [MAPPINGS, *(r for resources in OBSERVERS.values() for r in resources)]
    needed = {(r.group, r.plural): {"list", "watch"} for r in watched}
    assert granted == needed | {(PODS.group, PODS.plural): {"list"}}


def test_no_right_anywhere_reaches_secrets() -> None:
    """Neither by name nor by a wildcard, also not in the components."""
    for path in DEPLOY.rglob("*.yaml"):
        text = path.read_text("utf-8")
        assert not re.search(r"""resources:.*(secrets|\*)""", text), named(path)
        assert not re.search(r"""(verbs|apiGroups):.*\*""", text), named(path)
        # A pod is given its own; nobody may look others up.
        for _, name in re.findall(r"secret(KeyRef:\s+n|N)ame: (\S+)", text):
            assert name.startswith(("lineage-", "$(params.")), named(path)


@pytest.mark.parametrize("name", ["lineage-server", "lineage-observer", "lineage-controller"])
def test_pods_are_locked_down(name: str) -> None:
    """No root, nothing written but its volumes, no capabilities, bounded memory."""
    pod = one("Deployment", name)["spec"]["template"]["spec"]
    only = container(name)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in only["resources"]["limits"] and only["image"] == "lineage:0.1.0"
    assert one("ServiceAccount", pod["serviceAccountName"])


def test_only_labelled_pods_reach_the_server() -> None:
    """A fence before the lock; the observer is one of them."""
    policy = one("NetworkPolicy", "lineage-server")["spec"]
    labels = one("Deployment", "lineage-server")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    (ingress,) = policy["ingress"]
    (allowed,) = ingress["from"]
    client = one("Deployment", "lineage-observer")["spec"]["template"]["metadata"]["labels"]
    assert allowed["podSelector"]["matchLabels"].items() <= client.items()


@pytest.mark.parametrize("name", ["lineage-server", "lineage-observer", "lineage-controller"])
def test_settings_and_options_exist(name: str) -> None:
    """Each variable is a setting, each option one of the command's."""
    only = container(name)
    settings = {setting.env for setting in table()}
    assert {e["name"] for e in only["env"] if e["name"].startswith("LINEAGE_")} <= settings
    command, *rest = only["args"]
    group = typer.main.get_command(app)
    known = {o for p in group.commands[command].params for o in p.opts}  # type: ignore[attr-defined]
    assert {a for a in rest if a.startswith("--")} <= known


def test_the_server_starts_as_its_manifest_says(tmp_path: Path) -> None:
    """With these very arguments, and its probes answer."""
    only = container("lineage-server")
    arguments = [a for a in only["args"][1:] if a not in ("--port", "8080")]
    with pytest.raises(AssertionError, match="nobody would be asked for a token"):
        start_server(tmp_path, *arguments)
    tokens = tmp_path / "tokens.json"
    make = ["token", "create", "observer", "--scope", "write", "--tokens", str(tokens)]
    subprocess.run([*COMMAND, *make], check=True, capture_output=True)
    server = start_server(tmp_path, *arguments, LINEAGE_TOKENS=str(tokens))
    port = server.url.rpartition(":")[2]
    try:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            url = f"http://127.0.0.1:{port}{only[probe]['httpGet']['path']}"
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
                assert answer.status == 200
    finally:
        server.stop()


def built(folder: Path, engine: str, *components: str) -> list[dict[str, Any]]:
    """What kubectl makes of an overlay in the namespace `ml`: every object valid."""
    shutil.copytree(DEPLOY, folder / "deploy")
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "ml",
        "resources": [f"deploy/{engine}"],
        "components": [f"deploy/{name}" for name in components],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(overlay))
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True
    )
    out = [d for d in yaml.safe_load_all(done.stdout) if d]
    for document in out:
        if BUILT_IN.fullmatch(document["apiVersion"]):
            kubernetes_validate.validate(document, VERSION, strict=True)
    return out


def of(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = (d for d in objects if (d["kind"], d["metadata"]["name"]) == (kind, name))
    return found


needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl builds the overlays"
)


@needs_kubectl
def test_overlays_build(tmp_path: Path) -> None:
    """Cluster-wide and with the finalizer: the account that is bound is the observer's."""
    objects = built(tmp_path, "embedded", "cluster-wide", "finalizer")
    kinds = {d["kind"]: d for d in objects}
    assert "RoleBinding" not in kinds
    assert kinds["ClusterRoleBinding"]["subjects"] == [
        {"kind": "ServiceAccount", "name": "lineage-observer", "namespace": "ml"}
    ]
    assert {"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": ["patch"]} in (
        kinds["ClusterRole"]["rules"]
    )
    observer = of(objects, "Deployment", "lineage-observer")
    (only,) = observer["spec"]["template"]["spec"]["containers"]
    assert only["args"] == ["observe", "--finalizer"]


@needs_kubectl
@pytest.mark.parametrize("engine", ["embedded", "mariadb", "postgresql"])
def test_a_server_of_each_engine_is_guarded(tmp_path: Path, engine: str) -> None:
    """Tokens, probes, limits and a network policy in all; with a database of its own it may be
    several, and never none."""
    objects = built(tmp_path, engine, "monitoring")
    server = of(objects, "Deployment", "lineage-server")["spec"]
    (only,) = server["template"]["spec"]["containers"]
    variables = {e["name"]: e for e in only["env"]}
    assert variables["LINEAGE_TOKENS"]["value"] == "/etc/lineage/tokens.json"
    assert "--insecure" not in only["args"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} < set(only)
    assert only["resources"]["limits"]["memory"]
    assert server["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
    assert only["securityContext"]["readOnlyRootFilesystem"] is True
    (ingress,) = of(objects, "NetworkPolicy", "lineage-server")["spec"]["ingress"]
    assert ingress["from"]
    egress = of(objects, "NetworkPolicy", "lineage-server")["spec"]["egress"]
    kinds = {d["kind"] for d in objects}
    if engine == "embedded":
        assert (server["replicas"], server["strategy"]) == (1, {"type": "Recreate"})
        assert variables["LINEAGE_STORE"]["value"].startswith("/var/lib/lineage/")
        assert egress == [] and "PersistentVolumeClaim" in kinds
        assert not kinds & {"HorizontalPodAutoscaler", "PodDisruptionBudget"}
        return
    assert "replicas" not in server and "PersistentVolumeClaim" not in kinds
    assert variables["LINEAGE_STORE"]["valueFrom"]["secretKeyRef"]["name"] == "lineage-database"
    scaler = of(objects, "HorizontalPodAutoscaler", "lineage-server")["spec"]
    budget = of(objects, "PodDisruptionBudget", "lineage-server")["spec"]
    assert scaler["minReplicas"] > budget["minAvailable"] == 1
    assert egress[0]["ports"] == [{"port": {"mariadb": 3306, "postgresql": 5432}[engine]}]


DOCUMENTED = [
    document
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/deploy.md").read_text(), re.DOTALL)
    for document in yaml.safe_load_all(block)
]


@pytest.mark.parametrize("document", DOCUMENTED, ids=lambda d: str(d["kind"]))
def test_documented_manifests_are_valid(document: dict[str, Any]) -> None:
    """What docs/deploy.md shows can be applied, and its patch hits what it names."""
    if document["kind"] != "Kustomization":
        kubernetes_validate.validate(document, VERSION, strict=True)
        return
    (patch,) = yaml.safe_load(document["patches"][0]["patch"])
    *_, env, number, value = patch["path"].split("/")
    assert (env, value) == ("env", "value")
    assert container("lineage-observer")["env"][int(number)]["name"] == "LINEAGE_CLUSTER"


def record(url: str, **values: str) -> subprocess.CompletedProcess[str]:
    """The step of the Tekton Task, run by this machine's sh with its parameters filled in."""
    (task,) = documents(TASK)
    (step,) = task["spec"]["steps"]
    params = {p["name"]: p.get("default", "") for p in task["spec"]["params"]} | {"url": url}
    params |= {"namespace": "label-bot", "controller": "trainer", "type": "train", **values}
    environment = {
        e["name"]: re.sub(r"\$\(params\.([\w-]+)\)", lambda m: params[m[1]], e["value"])
        for e in step["env"]
    }
    assert "$(" not in re.sub(r"\$\([^)]*[ )]", "", json.dumps(environment))
    script = step["script"].replace("--retry 5", "--retry 0")
    return subprocess.run(
        ["sh", "-c", script], env={**clean_environment(), **environment, "NO_PROXY": "*"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_tekton_task_records(server: Server) -> None:
    """A run with its code, its inputs and outputs, under the key the observer uses."""
    done = record(
        server.url, uid="task-1", name='odd "name" \\ of\na run', status="Succeeded",
        inputs='[{"type": "Dataset", "uri": "gs://task/issues.csv", "version": "42"}]',
        outputs='[{"type": "Model", "uri": "projects/p/models/TASK1"}]',
        **{"git-url": "https://git.example/o/r", "git-commit": "faeb6575\n"},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "recorded: complete\n", "")
    action = server.client().action("tekton.dev/PipelineRun/task-1")
    assert (action["state"], action["name"]) == ("complete", 'odd "name" \\ of a run')
    assert action["code"] == {"repo": "https://git.example/o/r", "commit": "faeb6575"}
    assert {i["uri"] for i in action["inputs"]} >= {"gs://task/issues.csv"}
    assert [o["uri"] for o in action["outputs"]] == ["projects/p/models/TASK1"]


@pytest.mark.parametrize(
    ("status", "state"),
    [("Succeeded", "complete"), ("Completed", "complete"), ("Failed", "failed"), ("None", "canceled")],
)  # fmt: skip
def test_the_tekton_task_knows_how_runs_end(server: Server, status: str, state: str) -> None:
    """What Tekton calls the status of all tasks, in lineage's words."""
    uid = f"task-{status}"
    assert record(server.url, uid=uid, name="run", status=status).stdout == f"recorded: {state}\n"
    assert server.client().action(f"tekton.dev/PipelineRun/{uid}")["state"] == state


def test_the_tekton_task_never_fails_the_run(server: Server) -> None:
    """No server, or a record that is refused: said in the log, exit code 0."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = record(f"http://127.0.0.1:{nobody.getsockname()[1]}", uid="x", status="Failed")
    refused = record(server.url, uid="x", name="x", status="Failed", type="Not A Type")
    injected = record(server.url, uid='"; touch $(date)', name="$(exit 3)", status="Failed")
    for done in (gone, refused):
        assert done.returncode == 0 and done.stdout.startswith("NOT recorded, and the run goes on")
    assert "type" in refused.stdout and injected.returncode == 0


def test_the_script_in_the_documentation_is_the_one_of_the_task() -> None:
    """docs/other-languages.md shows how to call the Task, with parameters it has."""
    (block,) = (
        b
        for b in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/other-languages.md").read_text(), re.DOTALL)
        if "lineage-record" in b
    )  # fmt: skip
    (task,) = documents(TASK)
    given = {p["name"] for p in yaml.safe_load(block)["finally"][0]["params"]}
    names = {p["name"]: "default" in p for p in task["spec"]["params"]}
    assert given <= names.keys()
    assert {name for name, optional in names.items() if not optional} <= given


def test_the_shell_recorder_of_the_documentation_records(server: Server, tmp_path: Path) -> None:
    """Copied from the page and run: running, then failed, one action."""
    text = (ROOT / "docs" / "other-languages.md").read_text()
    (block,) = (b for b in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "record()" in b)
    (tmp_path / "job.sh").write_text(block)
    (tmp_path / "train.py").write_text("import sys; sys.exit(7)")
    environment = clean_environment(LINEAGE_URL=server.url, RUN_ID="shell-1")
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "job.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    action = server.client().action("nightly-training/shell-1")
    assert (action["state"], action["error"]) == ("failed", "exit code 7")
    assert action["started_at"] <= action["ended_at"]
