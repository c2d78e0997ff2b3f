"""run-notebook on real notebooks, and what lineage makes of the runs of both pipelines."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from controllers_hooks.observers.assemble import PIPELINE_RUNS, TASK_RUNS, Assembler
from controllers_hooks.observers.mapping import parse_mapping
from controllers_hooks.observers.records import sound
from controllers_hooks.observers.watch import Event
from lineage.model import Action

from .forge import git
from .tekton_steps import TEKTON, Object, TaskDone, manifest, run_task

TASK = manifest("run-notebook-task")
SHA = "sha256:" + "c5" * 32
MODEL = "projects/976279526634/locations/us-central1/models/TCN4131157655647420416"
DATA = "gs://issue-label-bot-dev_automl/automl_TCN1/dataset_200723_174527.csv"

# -- the notebook -------------------------------------------------------------------------


def cell(source: str, **metadata: Any) -> Object:
    return {"cell_type": "code", "source": source, "metadata": metadata, "execution_count": None,
            "outputs": [], "id": sha256(source.encode()).hexdigest()[:8]}  # fmt: skip


def notebook(*cells: Object) -> str:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4,
                       "nbformat_minor": 5})  # fmt: skip


SHOWN = (
    "from IPython.display import display\ndisplay({'application/vnd.lineage+json': %r}, raw=True)"
)
GOOD = notebook(
    cell("max_age_days = None", tags=["parameters"]),
    cell(SHOWN % {"input": [{"type": "Dataset", "uri": DATA, "version": SHA}]}),
    cell("import helper\nprint('Training operation name: projects/1/operations/TCN7')"),
    cell(SHOWN % {"output": [{"type": "Model", "uri": MODEL},
                             {"type": "Metrics", "uri": "gs://m/" + "x" * 900}]}),
    cell("assert max_age_days == 30"),
)  # fmt: skip
BAD = notebook(
    cell(SHOWN % {"input": [{"type": "Dataset", "uri": DATA}]}),
    cell("raise ValueError('no issues for ' + 'kubeflow ' * 99)"),
    cell("print('never')"),
)


class Notebooks:
    """A repository with notebooks, and the task that runs them."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.home, self.kept = folder / "repo", folder / "home", folder / "kept"
        self.mounts = {"/workspace/outputs": folder / "outputs"}
        for made in (self.home, self.mounts["/workspace/outputs"]):
            made.mkdir()
        git("init", "--quiet", "--initial-branch", "trunk", self.repository)
        (self.repository / "notebooks").mkdir()
        for name, text in (("good", GOOD), ("bad", BAD), ("broken", "{")):
            (self.repository / "notebooks" / f"{name}.ipynb").write_text(text)
        (self.repository / "notebooks" / "helper.py").write_text("beside = True\n")
        (self.repository / "requirements.txt").write_text("")
        git("add", "--all", cwd=self.repository)
        git("commit", "--quiet", "--message", "notebooks", cwd=self.repository)

    def params(self, name: str = "good", **more: str) -> dict[str, str]:
        return {
            "notebook-path": f"notebooks/{name}.ipynb", "output": str(self.kept),
            "notebook-repo-url": self.repository.as_uri(),
            "notebook-parameters": '{"max_age_days": 30}',
            **{key.replace("_", "-"): value for key, value in more.items()},
        }  # fmt: skip

    def run(self, name: str = "good", **more: str) -> TaskDone:
        return run_task(TASK, self.home, self.params(name, **more), mounts=self.mounts)


@pytest.fixture
def notebooks(tmp_path: Path) -> Notebooks:
    return Notebooks(tmp_path)


def test_a_notebook_runs(notebooks: Notebooks) -> None:
    """In its folder, with its parameters, by papermill as a module; kept, and told in results."""
    done = notebooks.run(notebook_repo_revision="trunk")
    assert (done.failed, set(done.codes.values())) == (False, {0}), done.said
    (folder,) = notebooks.kept.iterdir()
    executed = (folder / "good.ipynb").read_bytes()
    assert re.fullmatch(r"\d{8}-\d{6}", folder.name) and b"application/vnd.lineage+json" in executed
    assert done.results == {
        "CHAINS-GIT_URL": notebooks.repository.as_uri(),
        "CHAINS-GIT_COMMIT": git("rev-parse", "HEAD", cwd=notebooks.repository),
        "notebook-status": "completed", "notebook-error": "",
        "MODEL_ARTIFACT_OUTPUTS": {"uri": MODEL, "digest": ""},
        "METRICS_ARTIFACT_OUTPUTS": {"uri": "", "digest": ""},
        "DATASET_ARTIFACT_INPUTS": {"uri": DATA, "digest": SHA},
        "training-operation": "projects/1/operations/TCN7",
        "output-uri": str(folder),
        "NOTEBOOK_ARTIFACT_OUTPUTS": {
            "uri": f"{folder}/good.ipynb", "digest": "sha256:" + sha256(executed).hexdigest()
        },
    }  # fmt: skip
    assert "only in the executed notebook, not in METRICS_ARTIFACT_OUTPUTS" in done.said


def test_a_failing_notebook_fails_the_run(notebooks: Notebooks) -> None:
    """With the cell's own words; what it got done is kept all the same. The original ended well."""
    done = notebooks.run("bad")
    assert (done.failed, done.codes) == (True, {"clone": 0, "run": 1, "upload": 0, "verdict": 1})
    assert done.results["notebook-status"] == "failed"
    error = done.results["notebook-error"]
    assert error.startswith("ValueError: no issues for kubeflow") and len(error) == 200
    assert f"the notebook: failed; {error}" in done.said
    assert done.results["DATASET_ARTIFACT_INPUTS"]["uri"] == DATA
    assert (Path(done.results["output-uri"]) / "bad.ipynb").is_file()


@pytest.mark.parametrize(
    ("name", "more", "status", "said"),
    [
        ("good", {"requirements": "gone.txt"}, "not run", "the requirements cannot be installed"),
        ("broken", {}, "failed", "papermill ended with exit code"),
        ("gone", {}, "failed", "papermill ended with exit code"),
        ("good", {"notebook_parameters": "[not, a, mapping"}, "failed", "papermill ended with"),
    ],
    ids=["requirements", "broken", "gone", "parameters"],
)
def test_what_cannot_run_fails(
    notebooks: Notebooks, name: str, more: dict[str, str], status: str, said: str
) -> None:
    """No executed notebook is no success."""
    done = notebooks.run(name, **more)
    assert done.failed and done.codes["verdict"] == 1 and said in done.said
    assert done.results["notebook-status"] == status


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"output": "s3://b/x"}, "output is s3://b/x; give gs://bucket/folder or a path"),
        ({"notebook_repo_revision": "nowhere"}, "nowhere"),
        ({"notebook_repo_url": "file:///nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_begin_fails_at_once(
    notebooks: Notebooks, more: dict[str, str], said: str
) -> None:
    """Before anything is trained."""
    done = notebooks.run(**more)
    assert done.codes["clone"] and len(done.codes) == 1 and said in done.said


def test_a_papermill_that_does_nothing_fails(notebooks: Notebooks) -> None:
    """As `python -m papermill.cli`, which the original called, does today: exit code 0, no file."""
    (notebooks.home / "papermill.py").write_text("")
    done = notebooks.run()
    assert done.codes["verdict"] == 1 and "ended well and left no notebook" in done.said


def test_a_notebook_that_cannot_be_kept_fails(notebooks: Notebooks) -> None:
    """The notebook completed, the run did not; the status is known all the same."""
    done = notebooks.run(output="/proc/nowhere")
    assert done.failed and done.codes["upload"] and "verdict" not in done.codes
    assert done.results["notebook-status"] == "completed" and done.results["output-uri"] == ""


def test_a_commit_can_be_run_and_run_again(notebooks: Notebooks) -> None:
    """A revision may be a commit; a retry in the same workspace starts from nothing."""
    commit = git("rev-parse", "HEAD", cwd=notebooks.repository)
    (notebooks.home / "notebook-repo").mkdir()
    (notebooks.home / "notebook-repo" / "left.txt").write_text("from before")
    done = notebooks.run(notebook_repo_revision=commit, requirements="requirements.txt")
    assert not done.failed and done.results["CHAINS-GIT_COMMIT"] == commit
    assert not (notebooks.home / "notebook-repo" / "left.txt").exists()


# -- what lineage makes of the runs ---------------------------------------------------------


def observed(pipeline: str, task: TaskDone | dict[str, Any], params: dict[str, str]) -> Action:
    """The run as `lineage observe` records it, with the mapping that ships, and no more."""
    if isinstance(task, dict):
        task = TaskDone({}, "", task, False)
    labels = {"tekton.dev/pipeline": pipeline, "tekton.dev/pipelineRunUID": "u-run"}
    part = task.task_run({"metadata": {"name": "t"}}, params, **labels)
    run = {**part, "kind": "PipelineRun",
           "metadata": {"name": "r", "namespace": "ml", "uid": "u-run",
                        "labels": {"tekton.dev/pipeline": pipeline}},
           "spec": {"pipelineRef": {"name": pipeline}, "params": part["spec"]["params"]}}  # fmt: skip
    run["status"] = {k: v for k, v in run["status"].items() if k != "steps"}
    # Tekton hands on no result of a task that failed.
    handed = [] if task.failed else manifest(f"{pipeline}-pipeline")["spec"]["results"]
    names = {result["name"] for result in handed}
    run["status"]["results"] = [r for r in run["status"]["results"] if r["name"] in names]
    mapping = parse_mapping(yaml.safe_load((TEKTON / "mapping.yaml").read_text()))
    assembler = Assembler("prod", (mapping,))
    assembler.records(Event(TASK_RUNS, "seen", part))
    record, _ = assembler.records(Event(PIPELINE_RUNS, "seen", run))
    made = sound(record)
    assert made is not None
    return made


def test_a_training_needs_no_hand(notebooks: Notebooks) -> None:
    """A run of run-notebook is a train action: code, path, data, model and executed notebook."""
    done = notebooks.run()
    results = {**done.results, "CHAINS-GIT_URL": "https://h.example/o/r.git"}
    action = observed("run-notebook", results, notebooks.params())
    assert (action.type, action.state, action.controller.name) == (
        "train",
        "complete",
        "pipeline/run-notebook",
    )
    assert action.code is not None
    assert (action.code.commit, action.code.path) == (
        done.results["CHAINS-GIT_COMMIT"], "notebooks/good.ipynb"
    )  # fmt: skip
    assert [(i.type, i.uri, i.version) for i in action.inputs] == [("Dataset", DATA, SHA)]
    assert [(o.type, o.role) for o in action.outputs] == [
        ("Model", "model"),
        ("Notebook", "notebook"),
    ]
    assert action.params["notebook-status"] == "completed"
    assert "notebook-error" not in action.params


def test_a_failed_training_tells_why(notebooks: Notebooks) -> None:
    """Failed, at the step of the notebook, in the notebook's own words."""
    done = notebooks.run("bad")
    action = observed("run-notebook", done, notebooks.params("bad"))
    assert action.state == "failed" and "first failing step: run" in str(action.error)
    assert "ValueError: no issues for kubeflow" in str(action.error)


def test_a_proposal_needs_no_hand() -> None:
    """A run of update-model-pr is a deploy action: the model as told and as in the tree."""
    results = {
        "CHAINS-GIT_URL": "https://h.example/kubeflow/bot.git", "CHAINS-GIT_COMMIT": "a" * 40,
        "model": MODEL, "previous-model": "before", "base-branch": "main",
        "branch-url": "git@h.example:robot/bot.git", "branch-commit": "b" * 40,
        "pr-url": "https://h.example/kubeflow/bot/pull/9",
    }  # fmt: skip
    action = observed(
        "update-model-pr", results, {"automl-model": MODEL, "branchName": "auto-update"}
    )
    assert (action.type, action.state) == ("deploy", "complete")
    assert action.code is not None and action.code.commit == "a" * 40
    assert {(i.type, i.uri, i.evidence) for i in action.inputs} == {
        ("Model", MODEL, "claimed"), ("Model", MODEL, "committed")
    }  # fmt: skip
    assert {(o.type, o.uri, o.version, o.evidence) for o in action.outputs} == {
        ("PullRequest", "https://h.example/kubeflow/bot/pull/9", None, "observed"),
        ("Code", "git@h.example:robot/bot.git", "b" * 40, "committed"),
    }
