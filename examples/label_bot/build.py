"""The label bot's history as records: what the observers make of the facts.

`python examples/label_bot/build.py` rewrites the NDJSON files beside it from `facts/`.
README.md says where the facts come from and what they do not hold.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from controllers_hooks.observers import git_facts
from controllers_hooks.observers.assemble import PIPELINE_RUNS, TASK_RUNS, Assembler
from controllers_hooks.observers.mapping import parse_mapping
from controllers_hooks.observers.watch import Event

Record = dict[str, Any]

HERE = Path(__file__).parent
MAPPING = HERE.parent.parent / "deploy" / "tekton" / "mapping.yaml"
CLUSTER, NAMESPACE = "issue-label-bot", "label-bot-prod"
WATCH = git_facts.Watch(
    repository="https://github.com/kubeflow/code-intelligence",
    slot=f"k8s://{CLUSTER}/{NAMESPACE}/Deployment/label-bot-worker",
    file=f"acm-repos/{CLUSTER}/namespaces/{NAMESPACE}",
    controller={
        "cluster": CLUSTER,
        "namespace": NAMESPACE,
        "name": "git/kubeflow/code-intelligence",
    },
)
ARTICLE = "https://blog.kubeflow.org/mlops/"
PUBLISHED = "2020-08-01T00:00:00Z"


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
    objects = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return {
        "history": list(git_facts.history(WATCH, steps(commits), git_facts.Held(), 0)),
        "evaluation": evaluation(rows),
        "tekton": list(tekton(objects)),
    }


def ndjson(records: Iterable[Record]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def steps(commits: list[Record]) -> Iterator[tuple[git_facts.Commit, git_facts.Held]]:
    """The default branch, commit by commit, and what each tree held for the bot to read."""
    into = {parent: c["commit"] for c in commits for parent in c["parents"][1:]}
    brought = {into[c["commit"]]: (c["subject"],) for c in commits if c["commit"] in into}
    for one in commits:
        if (sha := one["commit"]) in into:
            continue  # the default branch holds it from the merge on
        authored, committed = (
            int(datetime.fromisoformat(one[name]).timestamp())
            for name in ("author_date", "commit_date")
        )
        held = (one["configmap_value"],) if one["configmap_value"] else ()
        configs = (f"k8s://{CLUSTER}/{NAMESPACE}/ConfigMap/{name}" for name in one["configmaps"])
        yield (
            git_facts.Commit(sha, one["subject"], "", authored, committed, brought.get(sha, ())),
            git_facts.Held(held, tuple(configs)),
        )


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


def tekton(objects: list[Record]) -> Iterator[Record]:
    """Each PipelineRun, told what its TaskRuns did, and these as its children."""
    mapping = parse_mapping(yaml.safe_load(MAPPING.read_text(encoding="utf-8")), str(MAPPING))
    assembler = Assembler("", (mapping,))
    runs = [one for one in objects if one["kind"] == "PipelineRun"]
    for task in objects:
        if task["kind"] == "TaskRun":
            assembler.records(Event(TASK_RUNS, "seen", task))  # told again with its run
    for run in runs:
        for record in assembler.records(Event(PIPELINE_RUNS, "seen", run)):
            yield {name: value for name, value in record.items() if value is not None}


if __name__ == "__main__":
    main()
