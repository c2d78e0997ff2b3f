"""The PipelineRun to create: name, owner, annotations, spec. Pure and deterministic.

The name follows from the ModelSync's uid, what is asked for and the attempt, so a creation
that is repeated after a crash is refused as already existing, and no twin appears. It is
also the end of the decision's key, which therefore is known before the run has a uid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controllers_hooks.modelsync.convert import converted
from controllers_hooks.modelsync.parameters import bound
from controllers_hooks.modelsync.runs import ASKED, Asked
from controllers_hooks.modelsync.spec import GROUP, KIND, ModelSync, Problem, fingerprint
from controllers_hooks.observers.mapping import GROUP as OURS
from controllers_hooks.observers.objects import Object, entries, items

DECISION = f"{OURS}/decision"
TRIGGER = f"{OURS}/trigger"
RESOURCES = f"{OURS}/resources"
LONGEST_NAME = 63
_TAIL = 10


@dataclass(frozen=True, slots=True)
class Draft:
    """A run without its name: `spec` and what the template says about its `metadata`."""

    spec: Object
    metadata: Object
    problems: tuple[Problem, ...]

    @property
    def fingerprint(self) -> str:
        """Two drafts ask for the same when this is the same."""
        return fingerprint([self.spec, self.metadata])


def draft(sync: ModelSync, values: Mapping[str, str]) -> Draft:
    """The template's spec as Tekton v1 takes it, with the lambda's values."""
    template = entries(sync.template, "spec")
    spec, problems = converted(template)
    if values:
        spec["params"] = bound(items(spec, "params"), values)
    # The template's name, namespace and generateName never counted; the rest does now.
    metadata: Object = {
        part: entries(sync.template, f"metadata.{part}") for part in ("labels", "annotations")
    }
    for part, found in metadata.items():
        for name, value in found.items():
            if not isinstance(value, str):
                at = f"spec.pipelineRunTemplate.metadata.{part}.{name}"
                problems.append(Problem(at, "is no text; put it in quotes"))
    if given := template.get("resources"):
        metadata["annotations"] = {**metadata["annotations"], RESOURCES: _json(given)}
    return Draft(spec, metadata, tuple(problems))


def pipeline_run(sync: ModelSync, draft: Draft, asked: Asked, trigger: Mapping[str, str]) -> Object:
    name = run_name(sync, asked)
    annotations = {
        **draft.metadata["annotations"],
        DECISION: decision_key(sync, name),
        TRIGGER: _json(trigger),
        ASKED: _json(asked.json()),
    }
    owner = {**sync.reference(), "controller": True, "blockOwnerDeletion": True}
    metadata: Object = {
        "name": name,
        "namespace": sync.namespace,
        "annotations": annotations,
        "ownerReferences": [owner],
    }
    if labels := draft.metadata["labels"]:
        metadata["labels"] = labels
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": metadata,
        "spec": draft.spec,
    }


def run_name(sync: ModelSync, asked: Asked) -> str:
    """`<modelsync>-<10 hex digits>`, at most 63 characters: names of runs become labels."""
    tail = fingerprint([sync.uid, asked.run, asked.attempt])[:_TAIL]
    head = re.sub(r"[^a-z0-9]+", "-", sync.name.lower())[: LONGEST_NAME - _TAIL - 1]
    return f"{head.strip('-') or 'run'}-{tail}"


def decision_key(sync: ModelSync, run: str) -> str:
    return f"{GROUP}/{KIND}/{sync.uid}/{run}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
