"""Type hints: names that say what a value means, whoever set them. Pure; the standard library only.

The names are those of Tekton Chains: `CHAINS-GIT_URL` with `CHAINS-GIT_COMMIT`,
`*ARTIFACT_INPUTS`, `*ARTIFACT_OUTPUTS`, `*IMAGE_URL` with `*IMAGE_DIGEST`, `*ARTIFACT_URI`
with `*ARTIFACT_DIGEST`, and `IMAGES`. What stands before the known part is the role. They
are the same in a running object and in the attestation that was signed of it, so the
observers and the formats read them here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Record = dict[str, Any]

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
                out[side].append(seen(made, side))
        for first, second, type_ in _PAIRS:
            if name.endswith(first) and isinstance(value, str) and value.strip():
                version = results.get(name.removesuffix(first) + second)
                role = role_of(name, first)
                made = reference(type_ or guess(role, value), value, stripped(version), role=role)
                out["outputs"].append(seen(made, "outputs"))
        if name == "IMAGES" and isinstance(value, str):
            images = [one for one in re.split(r"[,\s]+", value) if one]
            out["outputs"] += [seen(reference("Image", one), "outputs") for one in images]
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


def reference(type: str, uri: str, version: str | None = None, **more: Any) -> Record:
    """A mention of an artifact; what is not known is left out."""
    given = {"type": type, "uri": uri.strip(), "version": (version or "").strip() or None, **more}
    return {name: value for name, value in given.items() if value not in (None, "", {}, ())}


def digest(found: Any) -> str:
    """`{"sha256": "ab…"}` as `sha256:ab…`; of several the strongest known one."""
    pairs = {str(k).lower(): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
    order = ("sha512", "sha384", "sha256", "sha1")
    best = next((a for a in (*order, *sorted(pairs)) if pairs.get(a)), None)
    return f"{best}:{pairs[best]}" if best else ""


def seen(made: Record, side: str) -> Record:
    return {**made, "evidence": "observed"} if side == "outputs" else made


def _object(name: str, ending: str, value: Any) -> Record | None:
    uri, version = named(value)
    role = role_of(name, ending)
    return reference(guess(role, uri), uri, version, role=role) if uri else None


def named(value: Any) -> tuple[str, str | None]:
    """URI and digest of a value: an object, the same as JSON text, or just the URI."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return "", None
    if isinstance(value, dict):
        return stripped(value.get("uri")) or "", stripped(value.get("digest")) or None
    return (value.strip(), None) if isinstance(value, str) else ("", None)


def stripped(value: Any) -> str | None:
    return value.strip() if isinstance(value, str) else None


def role_of(name: str, ending: str) -> str:
    return name.removesuffix(ending).strip("-_").lower()
