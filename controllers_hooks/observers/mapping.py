"""LineageMapping: what a user declares where objects say too little. Pure.

A custom resource, and the same document as YAML for the command line. It says which
parameter, result or ConfigMap key is which artifact, and what kind of act a pipeline is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from lineage.errors import InvalidRecord
from lineage.model import ActionType, ArtifactType, Evidence, Label, Version, invalid

GROUP = "lineage-without-dag.github.io"
VERSION = "v1alpha1"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ArtifactRule(_Model):
    """One parameter or result that names an artifact."""

    param: Label | None = None
    result: Label | None = None
    input: ArtifactType | None = None
    output: ArtifactType | None = None
    role: Annotated[str, Field(max_length=128)] | None = None
    version: Version | None = None
    version_from: Label | None = Field(None, alias="versionFrom")
    """The parameter or result that holds the version."""
    evidence: Evidence | None = None
    immutable: bool = False
    """The name is never used for another content, so that it needs no version."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.param is None) == (self.result is None):
            raise ValueError("needs `param` or `result`, one of the two")
        if (self.input is None) == (self.output is None):
            raise ValueError("needs `input` or `output` with the type of the artifact, one of both")
        if self.version and self.version_from:
            raise ValueError("has `version` and `versionFrom`; keep one of them")
        return self


class PipelineRule(_Model):
    """What the runs of a pipeline (or of a task that runs alone) are and mean."""

    pipeline: Label
    """Its name; `*` and `?` match."""
    type: ActionType | None = None
    code_path: Label | None = Field(None, alias="codePath")
    """The parameter that holds the path of what ran, in the repository."""
    artifacts: tuple[ArtifactRule, ...] = ()


class ConfigMapRule(_Model):
    """A key of a ConfigMap that decides what is live in a slot."""

    config_map: Label = Field(validation_alias=AliasChoices("configMap", "config_map"))
    """Its name; `*` and `?` match, as the hashes that kustomize appends need."""
    key: Label
    find: Annotated[str, Field(max_length=512)] | None = None
    """Where in the value the name stands: a regular expression; its group, else its match."""
    input: ArtifactType = "Model"
    slot: Label
    """Whose configuration it is: the name of the Deployment."""
    kind: Literal["Deployment", "StatefulSet", "InferenceService", "Application"] = "Deployment"

    @field_validator("find")
    @classmethod
    def _expression(cls, find: str | None) -> str | None:
        try:
            return find and re.compile(find).pattern
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error

    def value(self, text: str) -> str:
        """The name of the artifact; empty when the value holds none."""
        if not self.find:
            return text.strip()
        match = re.search(self.find, text)
        return (match[1] if match.re.groups else match[0]).strip() if match else ""


class MappingSpec(_Model):
    pipelines: tuple[PipelineRule, ...] = ()
    config_maps: tuple[ConfigMapRule, ...] = Field((), alias="configMaps")
    repositories: dict[str, str] = Field(default_factory=dict)
    """Addresses of Flux sources: `GitRepository/name` to `https://host/owner/name`."""


class _Metadata(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    namespace: str = ""
    generation: int = 1


class LineageMapping(_Model):
    """The document. With a namespace it speaks for that one, without for all."""

    api_version: Literal["lineage-without-dag.github.io/v1alpha1"] = Field(alias="apiVersion")
    kind: Literal["LineageMapping"]
    metadata: _Metadata = _Metadata()
    spec: MappingSpec
    status: Any = None


def parse_mapping(document: Any, where: str = "LineageMapping") -> LineageMapping:
    """
    Raises:
        InvalidRecord: with the place and the remedy.
    """
    try:
        return LineageMapping.model_validate(document)
    except ValidationError as error:
        found = invalid(error)
        raise InvalidRecord(f"{where}: {found.detail}", found.errors) from error


@dataclass(frozen=True, slots=True)
class Found:
    """The rules for one pipeline; `generation` 0 = nobody declared any."""

    type: str | None = None
    code_path: str | None = None
    artifacts: tuple[ArtifactRule, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Mappings:
    """All that is declared, in a fixed order: those of a namespace before those for all."""

    documents: tuple[LineageMapping, ...] = ()

    @classmethod
    def of(cls, documents: Iterable[LineageMapping]) -> Self:
        def order(one: LineageMapping) -> tuple[bool, str, str]:
            return not one.metadata.namespace, one.metadata.namespace, one.metadata.name

        return cls(tuple(sorted(documents, key=order)))

    def pipeline(self, namespace: str, names: Sequence[str]) -> Found:
        """The first rule that matches one of these names."""
        for document in self._for(namespace):
            for rule in document.spec.pipelines:
                if any(fnmatchcase(name, rule.pipeline) for name in names if name):
                    generation = max(document.metadata.generation, 1)
                    return Found(rule.type, rule.code_path, rule.artifacts, generation)
        return Found()

    def config_map(self, namespace: str, name: str) -> list[ConfigMapRule]:
        return [
            rule
            for document in self._for(namespace)
            for rule in document.spec.config_maps
            if fnmatchcase(name, rule.config_map)
        ]

    def repository(self, namespace: str, source: str) -> str | None:
        found = (d.spec.repositories.get(source) for d in self._for(namespace))
        return next((url for url in found if url), None)

    def _for(self, namespace: str) -> list[LineageMapping]:
        return [d for d in self.documents if d.metadata.namespace in ("", namespace)]
