"""What the results and parameters of a run mean: by their own names (`lineage.hints`), by a
mapping, by the artifacts a status lists. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from controllers_hooks.observers.mapping import ArtifactRule
from controllers_hooks.observers.objects import Record, items, text
from lineage.hints import digest, git, guess, hinted, named, reference, role_of, seen, stripped

__all__ = ["announced", "artifacts", "declared", "git", "hinted"]


def announced(names: Iterable[str]) -> set[str]:
    """The types of what results of these names will be, known before there is a result."""
    out = set()
    for name in names:
        if name.endswith("ARTIFACT_OUTPUTS"):
            out.add(guess(role_of(name, "ARTIFACT_OUTPUTS"), ""))
        elif name.endswith("ARTIFACT_URI"):
            out.add(guess(role_of(name, "ARTIFACT_URI"), ""))
    return out


def declared(
    rules: Sequence[ArtifactRule], params: Mapping[str, Any], results: Mapping[str, Any]
) -> dict[str, list[Record]]:
    """What a mapping says that these parameters and results are."""
    out: dict[str, list[Record]] = {"inputs": [], "outputs": []}
    for rule in rules:
        value = params.get(rule.param) if rule.param else results.get(rule.result or "")
        uri, version = named(value)
        if rule.version_from:
            version = stripped(results.get(rule.version_from, params.get(rule.version_from)))
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
                        found.append(seen(made, side))
    return out
