"""deploy/modelsync: the definition takes what the original took, the rights are the least."""

from __future__ import annotations

import copy
import re
from typing import Any

import jsonschema
import pytest
import yaml

from controllers_hooks.modelsync.decide import Settings, decide
from controllers_hooks.modelsync.reconcile import MODEL_SYNCS
from controllers_hooks.modelsync.runs import run
from controllers_hooks.modelsync.spec import parse
from controllers_hooks.modelsync.status import status
from tests.modelsyncs import SAMPLE, YES, finished, sample, template
from tests.test_manifests import DEPLOY, documents

FOLDER = DEPLOY / "modelsync"
Object = dict[str, Any]


def definition() -> Object:
    (found,) = documents(FOLDER / "crd.yaml")
    return found["spec"]  # type: ignore[no-any-return]


def schema() -> Object:
    (version,) = definition()["versions"]
    return version["schema"]["openAPIV3Schema"]  # type: ignore[no-any-return]


def pruned(value: Any, by: Object) -> Any:
    """What the API server would keep, with the defaults it would fill in."""
    if isinstance(value, list):
        return [pruned(one, by.get("items", {})) for one in value]
    if not isinstance(value, dict) or by.get("x-kubernetes-preserve-unknown-fields"):
        return value
    known = by.get("properties", {})
    filled = {n: p["default"] for n, p in known.items() if "default" in p} | value
    return {n: pruned(v, known[n]) for n, v in filled.items() if n in known}


def test_the_definition_is_the_originals() -> None:
    """Group, version, kind, plural and list kind; served, stored, with a status of its own."""
    found = definition()
    assert found["group"] == MODEL_SYNCS.group == "automl.cloudai.kubeflow.org"
    assert found["names"] == {"kind": "ModelSync", "listKind": "ModelSyncList",
                              "plural": "modelsyncs", "singular": "modelsync",
                              "shortNames": ["needssync"]}  # fmt: skip
    (version,) = found["versions"]
    assert (version["name"], version["subresources"]) == ("v1alpha1", {"status": {}})
    assert found["scope"] == "Namespaced" and version["served"] and version["storage"]


def test_the_sample_is_taken_as_it_is() -> None:
    """Not a field of the article's sample is refused or pruned, least of all its template."""
    obj = yaml.safe_load(SAMPLE.read_text("utf-8"))
    jsonschema.validate(obj, schema())
    assert pruned(obj["spec"], schema()["properties"]["spec"]) == obj["spec"]


def test_limits_default_to_a_hundred() -> None:
    """In the schema: no webhook is needed."""
    kept = pruned({"needsSyncUrl": "u"}, schema()["properties"]["spec"])
    assert kept == {
        "needsSyncUrl": "u",
        "successfulPipelineRunsHistoryLimit": 100,
        "failedPipelineRunsHistoryLimit": 100,
    }


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        ({}, True),
        ({"parameters": [{"pipelineName": "a"}]}, True),
        ({"parameters": [{"needsSyncName": "", "pipelineName": ""}]}, True),
        ({"parameters": [{"needsSyncName": "a"}]}, False),
        ({"failedPipelineRunsHistoryLimit": 0}, True),
        ({"failedPipelineRunsHistoryLimit": -1}, False),
        ({"successfulPipelineRunsHistoryLimit": 1.5}, False),
        ({"needsSyncUrl": 1}, False),
        ({"pipelineRunTemplate": {"metadata": {"labels": {"a": "b"}}, "other": 1}}, True),
    ],
)
def test_what_fits(spec: Object, fits: bool) -> None:
    """`needsSyncName` may be left out, limits start at 0."""
    validator = jsonschema.Draft7Validator(schema())
    assert validator.is_valid({"spec": spec}) is fits


def test_a_name_in_the_template_is_refused() -> None:
    """On creation and on update, which the original's webhook let pass."""
    metadata = schema()["properties"]["spec"]["properties"]["pipelineRunTemplate"]["properties"][
        "metadata"
    ]
    rules = {rule["rule"] for rule in metadata["x-kubernetes-validations"]}
    assert rules == {f"!has(self.{n}) || self.{n} == ''" for n in ("name", "namespace")}


def test_no_part_of_the_status_is_pruned() -> None:
    """All that the controller writes has its place in the schema, and its type."""
    one = parse(sample())
    decision = decide(one, [], YES, 1e9, Settings())
    assert decision.run
    decision.run["metadata"]["uid"] = "u"
    for some in (run(decision.run), finished(decision.run, 1e9)):
        found = status(one, [some], decision, "2020-07-23T17:45:27Z")
        found["lastRun"] = {n: v for n, v in found["lastRun"].items() if v is not None}
        assert pruned(copy.deepcopy(found), schema()["properties"]["status"]) == found
        jsonschema.validate({"status": found}, schema())


def test_the_rights_are_the_least() -> None:
    """Exactly those the code uses; nothing of the ModelSync but its status is written."""
    granted = {
        (group, resource, tuple(rule.get("resourceNames", ()))): set(rule["verbs"])
        for d in documents(FOLDER / "rbac.yaml")
        for rule in d.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    ours = "automl.cloudai.kubeflow.org"
    assert granted == {
        (ours, "modelsyncs", ()): {"get", "list", "watch"},
        (ours, "modelsyncs/status", ()): {"patch"},
        (ours, "modelsyncs/finalizers", ()): {"update"},
        ("tekton.dev", "pipelineruns", ()): {"get", "list", "watch", "create", "delete"},
        ("tekton.dev", "taskruns", ()): {"list"},
        ("", "events", ()): {"create", "get", "patch"},
        ("coordination.k8s.io", "leases", ()): {"create"},
        ("coordination.k8s.io", "leases", ("lineage-controller",)): {"get", "patch"},
    }


DOCUMENTED = [
    document
    for block in re.findall(
        r"```yaml\n(.*?)```", (DEPLOY.parent / "docs" / "modelsync.md").read_text(), re.DOTALL
    )
    for document in yaml.safe_load_all(block)
]


def test_the_documented_modelsync_fits() -> None:
    """What docs/modelsync.md shows can be applied, and leads to a run."""
    (shown,) = (d for d in DOCUMENTED if d["kind"] == "ModelSync")
    jsonschema.validate(shown, schema())
    shown["metadata"] |= {"uid": "u", "namespace": "n"}
    decision = decide(parse(shown), [], YES, 1e9, Settings())
    assert decision.run, decision.message
    assert decide(parse(sample(pipelineRunTemplate=template())), [], YES, 1e9, Settings()).run
