"""The label bot's history as records: pure functions from facts to reports.

`python examples/label_bot/build.py` rewrites the NDJSON files beside it from `facts/`.
README.md says where the facts come from and what they do not hold.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Record = dict[str, Any]

HERE = Path(__file__).parent
REPOSITORY = "https://github.com/kubeflow/code-intelligence"
CLUSTER, NAMESPACE = "issue-label-bot", "label-bot-prod"
SLOT = f"k8s://{CLUSTER}/{NAMESPACE}/Deployment/label-bot-worker"
TREE = f"acm-repos/{CLUSTER}/namespaces/{NAMESPACE}"
ARTICLE = "https://blog.kubeflow.org/mlops/"
PUBLISHED = "2020-08-01T00:00:00Z"
FULL_NAME = re.compile(r"projects/\d+/locations/[\w-]+/models/\w+")
PULL_REQUEST = re.compile(r"(?:\(#|pull request #)(\d+)")


def main() -> None:
    for name, records in build().items():
        (HERE / f"{name}.ndjson").write_text(ndjson(records), encoding="utf-8")


def build() -> dict[str, list[Record]]:
    """The records of each file, from the facts that ship."""
    facts = HERE / "facts"
    commits = json.loads((facts / "history.json").read_text(encoding="utf-8"))
    with (facts / "evaluation.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    paths = sorted((facts / "tekton").glob("*.json"))
    return {
        "history": history(commits),
        "evaluation": evaluation(rows),
        "tekton": tekton([json.loads(path.read_text(encoding="utf-8")) for path in paths]),
    }


def ndjson(records: Iterable[Record]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


# -- what the git tree held, and what subjects said -------------------------------------


def history(commits: list[Record]) -> list[Record]:
    """A deploy for each commit of the default branch that changed what the bot reads, and a
    claim for each whose subject says so while the tree stayed as it was.
    """
    merged = {parent: c["commit"] for c in commits for parent in c["parents"][1:]}
    subjects: dict[str, list[str]] = {c["commit"]: [c["subject"]] for c in commits}
    for branch, into in merged.items():
        subjects[into] += subjects[branch]
    out: list[Record] = []
    before: tuple[str | None, list[str]] = (None, [])
    for commit in commits:
        if commit["commit"] in merged:
            continue  # the default branch holds it from the merge on
        said = " ".join(subjects[commit["commit"]])
        held = (commit["configmap_value"], commit["configmaps"])
        if held != before:
            out.append(deploy(commit, said))
        elif FULL_NAME.search(said):
            out.append(claim(commit, said))
        before = held
    return out


def deploy(commit: Record, said: str) -> Record:
    """The tree holds another configuration: committed; also claimed, if the subject says so."""
    evidence = ["committed"]
    if commit["configmap_value"] in said:
        evidence.append("claimed")
    record = git_action(commit, said, commit["configmap_value"], evidence)
    record["code"]["path"] = TREE
    record["outputs"] += [
        {
            "type": "Config",
            "uri": f"k8s://{CLUSTER}/{NAMESPACE}/ConfigMap/{name}",
            "role": "configuration",
            "evidence": "committed",
        }
        for name in commit["configmaps"]
    ]
    return record


def claim(commit: Record, said: str) -> Record:
    """The subject names a model, the diff is empty."""
    return git_action(commit, said, FULL_NAME.findall(said)[0], ["claimed"])


def git_action(commit: Record, said: str, model: str, evidence: list[str]) -> Record:
    sha, moment = commit["commit"], utc(commit["commit_date"])
    links = {"commit": f"{REPOSITORY}/commit/{sha}"}
    outputs: list[Record] = [
        {"type": "Deployment", "uri": SLOT, "version": sha, "role": "slot", "evidence": known}
        for known in evidence
    ]
    if number := PULL_REQUEST.search(said):
        links["pull request"] = f"{REPOSITORY}/pull/{number[1]}"
        outputs.append(
            {
                "type": "PullRequest",
                "uri": links["pull request"],
                "role": "pull request",
                "name": f"#{number[1]}",
                "evidence": "claimed",  # only the subject line names it
            }
        )
    return {
        "key": f"git/github.com/kubeflow/code-intelligence/{sha}/label-bot-worker",
        "type": "deploy",
        "name": f"{sha[:7]} #{number[1]}" if number else sha[:7],
        "controller": {
            "cluster": CLUSTER,
            "namespace": NAMESPACE,
            "name": "git/kubeflow/code-intelligence",
        },
        "state": "complete",
        "started_at": moment,
        "ended_at": moment,
        "reported_at": moment,
        "code": {"repo": REPOSITORY, "commit": sha},
        "inputs": [
            {"type": "Model", "uri": model, "role": "model", "evidence": known}
            for known in evidence
        ],
        "outputs": outputs,
        "params": {"subject": commit["subject"]},
        "links": links,
    }


def utc(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- Table 1 of the article ---------------------------------------------------------------


def evaluation(rows: list[dict[str, str]]) -> list[Record]:
    metrics = {
        f"{row['label']}.{measure}": float(row[measure])
        for row in rows
        for measure in ("precision", "recall")
    }
    return [
        {
            "key": "blog.kubeflow.org/mlops/table-1",
            "type": "evaluate",
            "name": "Table 1",
            "controller": {"namespace": "label-bot", "name": "article"},
            "state": "complete",
            "reported_at": PUBLISHED,
            "outputs": [
                {
                    "type": "Metrics",
                    "uri": f"{ARTICLE}#table-1",
                    "role": "metrics",
                    "name": "Precision and recall by label",
                    "evidence": "claimed",
                    "properties": {"model": "not named by the article", **metrics},
                }
            ],
            "links": {"article": ARTICLE},
        }
    ]


# -- Tekton runs --------------------------------------------------------------------------


def tekton(objects: list[Record]) -> list[Record]:
    """Each PipelineRun, and its TaskRuns as its children; the run is told what they did."""
    runs = {o["metadata"]["uid"]: o for o in objects if o["kind"] == "PipelineRun"}
    tasks: dict[str, list[Record]] = {uid: [] for uid in runs}
    for one in objects:
        if one["kind"] == "TaskRun":
            tasks[owner(one)["uid"]].append(one)
    out = []
    for uid, run in runs.items():
        out.append(pipeline_run(run, tasks[uid]))
        out += [task_run(task, run) for task in tasks[uid]]
    return out


def pipeline_run(run: Record, tasks: list[Record]) -> Record:
    deploys = run["metadata"]["labels"]["tekton.dev/pipeline"] == "update-model-pr"
    record = tekton_action(run, run, "deploy" if deploys else "train")
    for task in tasks:
        made = task_run(task, run)
        references = [r for r in made["inputs"] if r["type"] != "Image"]
        record["inputs"] += [r for r in references if r not in record["inputs"]]
        record["outputs"] += [r for r in made["outputs"] if r not in record["outputs"]]
        if "error" in made:
            record["error"] += f"; {made['name']}: {made['error']}"
        if "attempts" in made["params"]:
            record["params"]["attempts"] = made["params"]["attempts"]
    if path := record["params"].get("notebook-path"):
        record["code"]["path"] = path
    return record


def task_run(task: Record, run: Record) -> Record:
    record = tekton_action(task, run, "process")
    record["parent"] = key(run)
    steps = task["status"]["steps"]
    images = dict.fromkeys(step["imageID"] for step in steps)
    record["inputs"] += [{"type": "Image", "uri": image, "role": "image"} for image in images]
    failing = [step["name"] for step in steps if step["terminated"]["exitCode"] != 0]
    if "error" in record and failing:
        record["error"] += f" (first failing step: {failing[0]})"
    if earlier := task["status"].get("retriesStatus"):
        record["started_at"] = min(attempt["startTime"] for attempt in earlier)
        record["params"]["attempts"] = 1 + len(earlier)
    return record


def tekton_action(one: Record, run: Record, type_: str) -> Record:
    """What PipelineRuns and TaskRuns have in common."""
    meta, status = one["metadata"], one["status"]
    results = {result["name"]: result["value"] for result in status.get("results", ())}
    params = {param["name"]: param["value"] for param in one["spec"].get("params", ())}
    plain = {n: v for n, v in results.items() if isinstance(v, str) and not n.startswith("CHAINS-")}
    spec = one["spec"].get("taskRunTemplate", one["spec"])
    record: Record = {
        "key": key(one),
        "type": type_,
        "name": meta["name"],
        "controller": {
            "cluster": "",
            "namespace": meta["namespace"],
            "name": f"modelsync/{owner(run)['name']}",
        },
        "started_at": status["startTime"],
        "ended_at": status["completionTime"],
        "reported_at": status["completionTime"],
        "inputs": inputs(results, params),
        "outputs": outputs(results),
        "params": {**params, **plain},
        "by": f"system:serviceaccount:{meta['namespace']}:{spec['serviceAccountName']}",
        **outcome(status),
    }
    if "CHAINS-GIT_COMMIT" in results:
        record["code"] = {
            "repo": results["CHAINS-GIT_URL"].strip(),
            "commit": results["CHAINS-GIT_COMMIT"].strip(),
        }
    return record


def inputs(results: Record, params: Record) -> list[Record]:
    found = [
        {
            "type": "Dataset",
            "uri": value["uri"],
            "version": value["digest"],
            "role": name.removesuffix("_ARTIFACT_INPUTS"),
        }
        for name, value in results.items()
        if name.endswith("ARTIFACT_INPUTS")
    ]
    if model := params.get("automl-model"):
        # The run was told to deploy this model; that is no proof that it did.
        found.append({"type": "Model", "uri": model, "role": "model", "evidence": "claimed"})
    return found


def outputs(results: Record) -> list[Record]:
    found = [
        {
            "type": "Model",
            "uri": value["uri"],
            "version": value["digest"],
            "role": name.removesuffix("_ARTIFACT_OUTPUTS").lower(),
            "evidence": "observed",
        }
        for name, value in results.items()
        if name.endswith("ARTIFACT_OUTPUTS")
    ]
    if url := results.get("pr-url"):
        name = "#" + url.rpartition("/")[2]
        found.append(
            {
                "type": "PullRequest",
                "uri": url,
                "role": "pull request",
                "name": name,
                "evidence": "observed",
            }
        )
    return found


def outcome(status: Record) -> Record:
    (condition,) = (c for c in status["conditions"] if c["type"] == "Succeeded")
    if condition["status"] == "True":
        return {"state": "complete"}
    return {"state": "failed", "error": condition["message"]}


def key(one: Record) -> str:
    return f"tekton.dev/{one['kind']}/{one['metadata']['uid']}"


def owner(one: Record) -> Record:
    found: Record = one["metadata"]["ownerReferences"][0]
    return found


if __name__ == "__main__":
    main()
