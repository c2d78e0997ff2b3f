"""Type hints: results and parameters whose names say what they mean. Pure.

The names are those of Tekton Chains: `CHAINS-GIT_URL` with `CHAINS-GIT_COMMIT`,
`*ARTIFACT_INPUTS`, `*ARTIFACT_OUTPUTS`, `*IMAGE_URL` with `*IMAGE_DIGEST`, `*ARTIFACT_URI`
with `*ARTIFACT_DIGEST`, and `IMAGES`. What stands before the known part is the role.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from controllers_hooks.observers.mapping import ArtifactRule
from controllers_hooks.observers.objects import Record, digest, items, reference, text

_WORDS = re.compile(r"[a-z0-9]+")
_BY_WORD = {
    "model": "Model", "dataset": "Dataset", "datasets": "Dataset", "data": "Dataset",
    "metrics": "Metrics", "metric": "Metrics", "image": "Image", "notebook": "Notebook",
}  # fmt: skip
_BY_ENDING = {
    ".csv": "Dataset", ".tsv": "Dataset", ".parquet": "Dataset", ".jsonl": "Dataset",
    ".tfrecord": "Dataset", ".avro": "Dataset", ".ipynb": "Notebook",
}  # fmt: skip
_PAIRS = (("IMAGE_URL", "IMAGE_DIGEST", "Image"), ("ARTIFACT_URI", "ARTIFACT_DIGEST", ""))
_SIDES = {"ARTIFACT_INPUTS": "inputs", "ARTIFACT_OUTPUTS": "outputs"}


def git(*sources: Mapping[str, Any]) -> Record | None:
    """The one pair of an object; a later source wins (default < parameter < result)."""
    found = {}
    for name in ("CHAINS-GIT_URL", "CHAINS-GIT_COMMIT"):
        given = [s[name] for s in sources if isinstance(s.get(name), str) and s[name].strip()]
        found[name] = given[-1].strip() if given else ""
    if not found["CHAINS-GIT_URL"]:
        return None
    return {"repo": found["CHAINS-GIT_URL"], "commit": found["CHAINS-GIT_COMMIT"] or None}


def hinted(results: Mapping[str, Any], mapped: frozenset[str]) -> dict[str, list[Record]]:
    """`inputs` and `outputs` that results name by their own names; `mapped` ones are left to
    the mapping."""
    out: dict[str, list[Record]] = {"inputs": [], "outputs": []}
    for name, value in results.items():
        if name in mapped:
            continue
        for ending, side in _SIDES.items():
            if name.endswith(ending) and (made := _object(name, ending, value)):
                out[side].append(_seen(made, side))
        for first, second, type_ in _PAIRS:
            if name.endswith(first) and isinstance(value, str) and value.strip():
                version = results.get(name.removesuffix(first) + second)
                role = _role(name, first)
                made = reference(type_ or guess(role, value), value, _text(version), role=role)
                out["outputs"].append(_seen(made, "outputs"))
        if name == "IMAGES" and isinstance(value, str):
            images = [one for one in re.split(r"[,\s]+", value) if one]
            out["outputs"] += [_seen(reference("Image", one), "outputs") for one in images]
    return out


def announced(names: Iterable[str]) -> set[str]:
    """The types of what results of these names will be, known before there is a result."""
    out = set()
    for name in names:
        if name.endswith("ARTIFACT_OUTPUTS"):
            out.add(guess(_role(name, "ARTIFACT_OUTPUTS"), ""))
        elif name.endswith("ARTIFACT_URI"):
            out.add(guess(_role(name, "ARTIFACT_URI"), ""))
    return out


def declared(
    rules: Sequence[ArtifactRule], params: Mapping[str, Any], results: Mapping[str, Any]
) -> dict[str, list[Record]]:
    """What a mapping says that these parameters and results are."""
    out: dict[str, list[Record]] = {"inputs": [], "outputs": []}
    for rule in rules:
        value = params.get(rule.param) if rule.param else results.get(rule.result or "")
        uri, version = _named(value)
        if rule.version_from:
            version = _text(results.get(rule.version_from, params.get(rule.version_from)))
        if not uri:
            continue
        # A parameter is what a run was told: no proof that it did so.
        evidence = rule.evidence or ("claimed" if rule.param else "observed")
        made = reference(
            rule.input or rule.output or "",
            uri,
            rule.version or version,
            role=rule.role,
            evidence=evidence if rule.param or rule.output else rule.evidence,
            properties={"immutable": True} if rule.immutable else {},
        )
        out["inputs" if rule.input else "outputs"].append(made)
    return out


def artifacts(status: Any) -> dict[str, list[Record]]:
    """`status.artifacts`, and the same of each step: `[{name, values: [{uri, digest}]}]`."""
    out: dict[str, list[Record]] = {"inputs": [], "outputs": []}
    places = [(status, "artifacts."), *((step, "") for step in items(status, "steps"))]
    for place, prefix in places:
        for side, found in out.items():
            for one in items(place, prefix + side):
                role = text(one, "name")
                for value in items(one, "values"):
                    uri = text(value, "uri")
                    if uri:
                        version = digest(value.get("digest"))
                        made = reference(guess(role.lower(), uri), uri, version, role=role)
                        found.append(_seen(made, side))
    return out


def guess(role: str, uri: str) -> str:
    """The type that a role or an ending gives away; else just an artifact."""
    known = [_BY_WORD[word] for word in _WORDS.findall(role) if word in _BY_WORD]
    ending = next((t for e, t in _BY_ENDING.items() if uri.lower().endswith(e)), "")
    if uri.startswith("git+"):
        return "Code"
    if uri.startswith(("oci://", "docker://", "docker-pullable://")):
        return "Image"
    return (known[-1] if known else "") or ending or "Artifact"


def _seen(made: Record, side: str) -> Record:
    return {**made, "evidence": "observed"} if side == "outputs" else made


def _object(name: str, ending: str, value: Any) -> Record | None:
    uri, version = _named(value)
    role = _role(name, ending)
    return reference(guess(role, uri), uri, version, role=role) if uri else None


def _named(value: Any) -> tuple[str, str | None]:
    """URI and digest of a value: an object, the same as JSON text, or just the URI."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return "", None
    if isinstance(value, dict):
        return text(value, "uri"), text(value, "digest") or None
    return (value.strip(), None) if isinstance(value, str) else ("", None)


def _text(value: Any) -> str | None:
    return value.strip() if isinstance(value, str) else None


def _role(name: str, ending: str) -> str:
    return name.removesuffix(ending).strip("-_").lower()
