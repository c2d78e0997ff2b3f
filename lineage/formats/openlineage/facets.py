"""The facets that are read, and the formats their values must have (spec 2-0-2).

Facets that are not named here are left alone, whatever they hold. What names something
must fit the bounds of the record; a facet marked `_deleted` needs no other field.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)

from lineage.formats.openlineage.names import is_address, uri_of
from lineage.identity import identify
from lineage.model import (
    Action,
    Name,
    Reference,
    Time,
    Uri,
    Url,
    Version,
)

MAX_ALIASES = 20

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d+)?)?([Zz]|[+-]\d\d:?\d\d)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _moment(value: Any) -> datetime:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("is not a time; write it as 2020-12-28T19:52:00.001Z")
    return datetime.fromisoformat(value.upper())


def _uuid(value: str) -> str:
    if not _UUID.fullmatch(value):
        raise ValueError("is not a UUID; write one such as 3b452093-782c-4ef2-9c0c-aafe2aa6f34d")
    return value.lower()


def _address(value: str) -> str:
    if not is_address(value):
        raise ValueError("is not a URI; write one with its scheme, such as https://host/path")
    return value


String = Annotated[str, Strict()]
Moment = Annotated[Time, BeforeValidator(_moment)]
RunId = Annotated[String, AfterValidator(_uuid)]
Address = Annotated[Uri, AfterValidator(_address)]
Count = Annotated[int, Strict(), Field(ge=0, lt=2**63)]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


class Part(BaseModel):
    """Some part of an event. What is null is as good as left out: some clients write it."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=_camel)

    @model_validator(mode="before")
    @classmethod
    def _present(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: inner for name, inner in value.items() if inner is not None}


class Facets(Part):
    """The facets of one thing. `gone` = the names of those that are marked `_deleted`."""

    gone: frozenset[str] = Field(frozenset(), alias="_gone")

    @model_validator(mode="before")
    @classmethod
    def _without_deleted(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        gone = {n for n, f in value.items() if isinstance(f, dict) and f.get("_deleted") is True}
        return {**{n: f for n, f in value.items() if n not in gone}, "_gone": gone}


class Named(Part):
    """What is named by namespace and name, as in `symlinks`."""

    namespace: Name
    name: Uri

    @property
    def uri(self) -> str:
        return uri_of(self.namespace, self.name)

    @model_validator(mode="after")
    def _can_be_identity(self) -> Self:
        identify(self.uri)
        return self


class DatasetVersion(Part):
    dataset_version: Annotated[Version, Field(min_length=1)]


class DatasetType(Part):
    dataset_type: String
    sub_type: String | None = None


class Lifecycle(Part):
    lifecycle_state_change: String
    previous_identifier: Named | None = None


class Symlinks(Part):
    identifiers: Annotated[tuple[Named, ...], Field(max_length=MAX_ALIASES)] = ()


class Owner(Part):
    name: String
    type: String | None = None


class Ownership(Part):
    owners: tuple[Owner, ...] = ()


class Tag(Part):
    key: String
    value: String | None = None
    field: String | None = None


class Tags(Part):
    tags: tuple[Tag, ...] = ()


class Documentation(Part):
    description: String


class Schema(Part):
    fields: tuple[dict[str, Any], ...] = ()


def _own(value: Any) -> Any:
    """A facet of ours holds a part of a record, and what every facet holds."""
    return {n: v for n, v in value.items() if n[:1] != "_"} if isinstance(value, dict) else value


class DatasetFacets(Facets):
    version: DatasetVersion | None = None
    dataset_type: DatasetType | None = None
    lifecycle_state_change: Lifecycle | None = None
    symlinks: Symlinks | None = None
    ownership: Ownership | None = None
    tags: Tags | None = None
    documentation: Documentation | None = None
    columns: Schema | None = Field(None, alias="schema")
    artifact: Annotated[Reference | None, BeforeValidator(_own)] = Field(
        None, alias="lineage_artifact"
    )


class Statistics(Part):
    row_count: Count | None = None
    size: Count | None = None
    file_count: Count | None = None


class OutputFacets(Facets):
    output_statistics: Statistics | None = None


class SourceCodeLocation(Part):
    """Where the job's code is; the part of `url` before `/blob/` or `/tree/` is a repository."""

    type: String
    url: Url
    repo_url: Url | None = None
    path: Annotated[str, Field(max_length=1024)] | None = None
    version: Version | None = None

    @property
    def repo(self) -> str | None:
        cut = re.split(r"(?:/-)?/(?:blob|tree)/", self.url, maxsplit=1)
        return self.repo_url or (cut[0] if len(cut) > 1 else None)

    @model_validator(mode="after")
    def _can_be_identity(self) -> Self:
        if self.repo:
            identify(self.repo, self.version or None, "Code")
        return self


class JobType(Part):
    processing_type: String | None = None
    integration: String | None = None
    job_type: String | None = None


class JobFacets(Facets):
    source_code_location: SourceCodeLocation | None = None
    job_type: JobType | None = None
    ownership: Ownership | None = None
    tags: Tags | None = None
    documentation: Documentation | None = None


class ParentRun(Part):
    run_id: RunId


class Parent(Part):
    run: ParentRun


class ErrorMessage(Part):
    message: String


class NominalTime(Part):
    nominal_start_time: Moment
    nominal_end_time: Moment | None = None


class ProcessingEngine(Part):
    version: String
    name: String | None = None
    openlineage_adapter_version: String | None = None


class RunFacets(Facets):
    parent: Parent | None = None
    error_message: ErrorMessage | None = None
    nominal_time: NominalTime | None = None
    processing_engine: ProcessingEngine | None = Field(None, alias="processing_engine")
    tags: Tags | None = None
    action: Annotated[Action | None, BeforeValidator(_own)] = Field(None, alias="lineage_action")
