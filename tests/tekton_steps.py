"""Runs the steps of a Tekton Task on this machine, as far as Tekton's contract goes.

Variables are put in place of `$(…)`, each script runs under the interpreter of its first
line, and the first step that fails ends the task unless it says `onError: continue`. What
is not imitated: containers. Every step sees this machine, with its git, make and Python.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .conftest import clean_environment

TEKTON = Path(__file__).parent.parent / "deploy" / "tekton"
_VARIABLE = re.compile(r"\$\(((?:params|results|workspaces|context|tasks|steps)\.[^()]+)\)")
Object = dict[str, Any]


def manifest(name: str) -> Object:
    (document,) = yaml.safe_load_all((TEKTON / f"{name}.yaml").read_text("utf-8"))
    return document  # type: ignore[no-any-return]


@dataclass(frozen=True)
class TaskDone:
    """How the steps ended, what they said, and the results they left."""

    codes: dict[str, int]
    said: str
    results: dict[str, Any]
    failed: bool

    def task_run(self, task: Object, params: Mapping[str, str], **labels: str) -> Object:
        """The TaskRun that Tekton would show."""
        status, reason = ("False", "Failed") if self.failed else ("True", "Succeeded")
        steps = [{"name": n, "terminated": {"exitCode": c}} for n, c in self.codes.items()]
        return {
            "apiVersion": "tekton.dev/v1",
            "kind": "TaskRun",
            "metadata": {"name": "t", "namespace": "ml", "uid": "u-task", "labels": labels},
            "spec": {"params": [{"name": n, "value": v} for n, v in params.items()],
                     "taskRef": {"name": task["metadata"]["name"]}},
            "status": {
                "startTime": "2026-01-01T00:00:00Z",
                "completionTime": "2026-01-01T00:10:00Z",
                "conditions": [{"type": "Succeeded", "status": status, "reason": reason}],
                "results": [{"name": n, "value": v} for n, v in self.results.items()],
                "steps": steps,
            },
        }  # fmt: skip


def run_task(
    task: Object,
    home: Path,
    params: Mapping[str, str],
    env: Mapping[str, str] | None = None,
    mounts: Mapping[str, Path] | None = None,
) -> TaskDone:
    """`home` is where workspaces and results lie, `mounts` what stands for volumes."""
    spec = task["spec"]
    (home / "results").mkdir(parents=True, exist_ok=True)
    for left in (home / "results").iterdir():
        left.unlink()
    known = {f"params.{p['name']}": p.get("default") for p in spec["params"]}
    known |= {f"params.{name}": value for name, value in params.items()}
    known |= {
        f"results.{r['name']}.path": str(home / "results" / r["name"]) for r in spec["results"]
    }
    for workspace in spec["workspaces"]:
        (home / workspace["name"]).mkdir(exist_ok=True)
        known[f"workspaces.{workspace['name']}.path"] = str(home / workspace["name"])

    def filled(text: str) -> str:
        def value(match: re.Match[str]) -> str:
            found = known[match[1]]
            assert found is not None, f"{match[1]} has no default and was not given"
            return found

        text = _VARIABLE.sub(value, text)
        for path, real in (mounts or {}).items():
            text = text.replace(path, str(real))
        return text

    codes: dict[str, int] = {}
    said = ""
    for step in spec["steps"]:
        assert filled(step["image"])
        given = [*spec.get("stepTemplate", {}).get("env", ()), *step.get("env", ())]
        environment = clean_environment(**{e["name"]: filled(e["value"]) for e in given})
        environment |= {"HOME": str(home), "NO_PROXY": "*", **(env or {})}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        script = home / f"script-{step['name']}"
        script.write_text(filled(step["script"]), "utf-8")
        script.chmod(0o755)
        done = subprocess.run(
            [script], cwd=home, env=environment, capture_output=True, text=True, check=False
        )
        codes[step["name"]] = done.returncode
        said += done.stdout + done.stderr
        if done.returncode and step.get("onError") != "continue":
            return TaskDone(codes, said, _results(spec, home), True)
    return TaskDone(codes, said, _results(spec, home), False)


def _results(spec: Object, home: Path) -> dict[str, Any]:
    """What was written, read as Tekton reads it: objects are JSON with the declared keys."""
    found: dict[str, Any] = {}
    for result in spec["results"]:
        path = home / "results" / result["name"]
        if path.exists():
            text = path.read_text("utf-8")
            found[result["name"]] = json.loads(text) if result.get("type") == "object" else text
            if result.get("type") == "object":
                assert found[result["name"]].keys() == result["properties"].keys()
    # Tekton hands them on as one text a step, of at least 1536 bytes with six containers more.
    text = json.dumps([{"key": n, "value": v, "type": 1} for n, v in found.items()])
    assert len(text) < 1536, text
    return found
