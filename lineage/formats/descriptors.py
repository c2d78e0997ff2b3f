"""in-toto resource descriptors: how attestations name a thing, and our mention of it. Pure.

What they have no field for stands in annotations named `lineage_…`, as SLSA wants extension
fields named. https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from lineage.hints import digest, guess, reference, stripped
from lineage.identity import is_digest

if TYPE_CHECKING:
    from lineage.merge import ArtifactState, Edge

Record = dict[str, Any]

_MODEL = re.compile(r"projects/[^/]+/locations/[^/]+/models/[^/]+\Z")
_IMAGE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?/[a-z0-9._/-]+\Z")
_COMMITS = (40, 64)
"""Hexadecimal digits of a whole commit."""


def subject(edge: Edge, artifact: ArtifactState) -> Record:
    """A subject must have a digest; see `lineage.formats.slsa` for `lineageId`."""
    digests = _digests(artifact) or {"lineageId": artifact.id}
    return {"name": artifact.uri, "digest": digests, "annotations": _notes(edge, artifact)}


def dependency(edge: Edge, artifact: ArtifactState) -> Record:
    out = {"uri": artifact.uri, "annotations": _notes(edge, artifact)}
    digests = _digests(artifact)
    return {**out, "digest": digests} if digests else out


def mention(descriptor: Record, first: str) -> Record | None:
    """What a descriptor names; `first` is where its address usually stands. None = it holds
    contents only."""
    places = (first, "uri", "name", "downloadLocation")
    digests, notes = _map(descriptor, "digest"), _map(descriptor, "annotations")
    hashed = digest(_without(digests, ("gitCommit", "lineageId")))
    uri = next((found for place in places if (found := stripped(descriptor.get(place)))), hashed)
    if not uri:
        return None
    type_ = stripped(notes.get("lineage_type")) or type_of(uri)
    commit = digests.get("gitCommit") or (digests.get("sha1") if type_ == "Code" else None)
    version = stripped(notes.get("lineage_version")) or stripped(commit) or hashed
    said = {name: stripped(notes.get(f"lineage_{name}")) for name in ("role", "name", "evidence")}
    return reference(type_, uri, version, **said)


def type_of(uri: str) -> str:
    """The type an address gives away: others do not say."""
    if _MODEL.match(uri):
        return "Model"
    return "Image" if _IMAGE.match(uri) else guess("", uri)


def _digests(artifact: ArtifactState) -> dict[str, str]:
    version = artifact.version or ""
    if is_digest(version):
        algorithm, _, digits = version.partition(":")
        return {algorithm: digits}
    if artifact.type == "Code" and len(version) in _COMMITS:
        return {"gitCommit": version}
    return {}


def _notes(edge: Edge, artifact: ArtifactState) -> dict[str, str]:
    said = {
        "type": artifact.type,
        "version": artifact.version,
        "name": artifact.name,
        "role": edge.role,
        "evidence": edge.evidence,
    }
    return {f"lineage_{name}": value for name, value in said.items() if value}


def _map(document: Record, name: str) -> Record:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _without(values: Record, names: Collection[str]) -> Record:
    return {name: value for name, value in values.items() if name not in names}
