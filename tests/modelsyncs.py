"""ModelSyncs, runs and answers for the tests of the controller."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from controllers_hooks.modelsync.runs import Run, run
from controllers_hooks.modelsync.spec import ModelSync, parse
from lineage.needs_sync import NeedsSync

SAMPLE = Path(__file__).parent / "fixtures" / "modelsync" / "sample.yaml"
MODEL = "projects/976279526634/locations/us-central1/models/TCN4131157655647420416"
YES = NeedsSync(True, {"name": MODEL})
NO = NeedsSync(False, {"name": MODEL})
Object = dict[str, Any]


def sample(**spec: Any) -> Object:
    """The article's ModelSync as the cluster would hold it, with these fields of its spec."""
    obj: Object = yaml.safe_load(SAMPLE.read_text("utf-8"))
    obj["metadata"] |= {"uid": "sync-1", "generation": 1, "resourceVersion": "1"}
    obj["spec"] |= spec
    return obj


def sync(obj: Object | None = None, **spec: Any) -> ModelSync:
    return parse(obj or sample(**spec))


def template(**spec: Any) -> Object:
    """A `pipelineRunTemplate` with these fields in its spec."""
    return {"spec": {"pipelineRef": {"name": "p"}, **spec}}


def iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")


def finished(obj: Object, time: float, succeeded: bool = True) -> Run:
    """The run as it is when Tekton is done with it."""
    obj = copy.deepcopy(obj)
    obj["metadata"].setdefault("uid", f"uid-{obj['metadata']['name']}")
    obj["status"] = {
        "startTime": iso(time), "completionTime": iso(time),
        "conditions": [{"type": "Succeeded", "status": "True" if succeeded else "False"}],
    }  # fmt: skip
    return run(obj)
