"""What a ModelSync wants, read without trust. Pure; knows neither runs nor lambdas.

A spec of the original is read as it was stored; what cannot be meant is a `Problem` with its
place and the remedy, not an exception: the rest of the object still counts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from controllers_hooks.observers.objects import Object, entries, get, items, name, namespace, text
from controllers_hooks.observers.objects import uid as uid_of

GROUP = "automl.cloudai.kubeflow.org"
VERSION = "v1alpha1"
PLURAL = "modelsyncs"
KIND = "ModelSync"
HISTORY = 100
"""So many runs of either end are kept where the spec does not say."""


class Problem(NamedTuple):
    """Something that cannot be meant: where, and what to write instead."""

    at: str
    message: str

    def __str__(self) -> str:
        return f"{self.at}: {self.message}"


class Parameter(NamedTuple):
    """The lambda's `needs_sync_name` becomes the pipeline's `pipeline_name`."""

    needs_sync_name: str
    pipeline_name: str


@dataclass(frozen=True, slots=True)
class ModelSync:
    name: str
    namespace: str
    uid: str
    generation: int
    deleted: bool
    url: str
    parameters: tuple[Parameter, ...]
    template: Object
    keep_succeeded: int
    keep_failed: int
    status: Object
    problems: tuple[Problem, ...]

    @property
    def wanted(self) -> str:
        """Names what runs are made from: changed by the template and the parameters only."""
        return fingerprint([self.template, self.parameters])

    def reference(self) -> Object:
        """How other objects point at this one."""
        return {
            "apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "name": self.name, "uid": self.uid,
        }  # fmt: skip


def parse(obj: Object) -> ModelSync:
    problems: list[Problem] = []
    return ModelSync(
        name=name(obj),
        namespace=namespace(obj),
        uid=uid_of(obj),
        generation=get(obj, "metadata.generation") or 0,
        deleted=bool(get(obj, "metadata.deletionTimestamp")),
        url=text(obj, "spec.needsSyncUrl"),
        parameters=_parameters(obj, problems),
        template=entries(obj, "spec.pipelineRunTemplate"),
        keep_succeeded=_limit(obj, "successfulPipelineRunsHistoryLimit", problems),
        keep_failed=_limit(obj, "failedPipelineRunsHistoryLimit", problems),
        status=entries(obj, "status"),
        problems=tuple(problems),
    )


def fingerprint(value: Any) -> str:
    """The same for equal JSON, whatever the order of its members."""
    raw = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(raw.encode()).hexdigest()[:16]


def _parameters(obj: Object, problems: list[Problem]) -> tuple[Parameter, ...]:
    found: list[Parameter] = []
    for number, one in enumerate(items(obj, "spec.parameters")):
        at = f"spec.parameters[{number}].pipelineName"
        name = text(one, "pipelineName")
        if not name:
            problems.append(Problem(at, "is empty; name the parameter of the pipeline"))
        elif any(name == other.pipeline_name for other in found):
            problems.append(Problem(at, f"{name} is set twice; remove one of them"))
        else:
            found.append(Parameter(text(one, "needsSyncName") or name, name))
    return tuple(found)


def _limit(obj: Object, field: str, problems: list[Problem]) -> int:
    limit = get(obj, f"spec.{field}")
    if limit is None:
        return HISTORY
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        problems.append(Problem(f"spec.{field}", "is no whole number from 0; correct it"))
        return HISTORY
    return limit
