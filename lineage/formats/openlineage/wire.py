"""OpenLineage events as they come: the part of spec 2-0-2 that is read, validated strictly.

Facets that are not named here are left alone, whatever they hold. What names something
(run, job, dataset, version) must fit the bounds of the record; a facet marked `_deleted`
needs no other field.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    model_validator,
)

from lineage.errors import InvalidRecord
from lineage.formats.openlineage.names import is_address, uri_of
from lineage.identity import identify
from lineage.model import (
    MAX_EDGES,
    Action,
    Label,
    Name,
    Reference,
    Time,
    Uri,
    Url,
    Version,
    invalid,
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


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=_camel)


class _Facets(_Part):
    """The facets of one thing. `gone` = the names of those that are marked `_deleted`."""

    gone: frozenset[str] = Field(frozenset(), alias="_gone")

    @model_validator(mode="before")
    @classmethod
    def _without_deleted(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        gone = {n for n, f in value.items() if isinstance(f, dict) and f.get("_deleted") is True}
        return {**{n: f for n, f in value.items() if n not in gone and f is not None},
                "_gone": gone}  # fmt: skip


class Named(_Part):
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


class DatasetVersion(_Part):
    dataset_version: Annotated[Version, Field(min_length=1)]


class DatasetType(_Part):
    dataset_type: String
    sub_type: String | None = None


class Lifecycle(_Part):
    lifecycle_state_change: String
    previous_identifier: Named | None = None


class Symlinks(_Part):
    identifiers: Annotated[tuple[Named, ...], Field(max_length=MAX_ALIASES)] = ()


class Owner(_Part):
    name: String
    type: String | None = None


class Ownership(_Part):
    owners: tuple[Owner, ...] = ()


class Tag(_Part):
    key: String
    value: String | None = None
    field: String | None = None


class Tags(_Part):
    tags: tuple[Tag, ...] = ()


class Documentation(_Part):
    description: String


class Schema(_Part):
    fields: tuple[dict[str, Any], ...] = ()


def _own(value: Any) -> Any:
    """A facet of ours holds a part of a record, and what every facet holds."""
    return {n: v for n, v in value.items() if n[:1] != "_"} if isinstance(value, dict) else value


class DatasetFacets(_Facets):
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


class Statistics(_Part):
    row_count: Count | None = None
    size: Count | None = None
    file_count: Count | None = None


class OutputFacets(_Facets):
    output_statistics: Statistics | None = None


class Dataset(Named):
    facets: DatasetFacets = DatasetFacets()
    output_facets: OutputFacets = OutputFacets()

    @model_validator(mode="before")
    @classmethod
    def _facets_may_be_null(cls, value: Any) -> Any:
        return _present(value)


class SourceCodeLocation(_Part):
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


class JobType(_Part):
    processing_type: String | None = None
    integration: String | None = None
    job_type: String | None = None


class JobFacets(_Facets):
    source_code_location: SourceCodeLocation | None = None
    job_type: JobType | None = None
    ownership: Ownership | None = None
    tags: Tags | None = None
    documentation: Documentation | None = None


class Job(_Part):
    namespace: Name
    name: Label
    facets: JobFacets = JobFacets()

    @model_validator(mode="before")
    @classmethod
    def _facets_may_be_null(cls, value: Any) -> Any:
        return _present(value)


class ParentRun(_Part):
    run_id: RunId


class Parent(_Part):
    run: ParentRun


class ErrorMessage(_Part):
    message: String


class NominalTime(_Part):
    nominal_start_time: Moment
    nominal_end_time: Moment | None = None


class ProcessingEngine(_Part):
    version: String
    name: String | None = None
    openlineage_adapter_version: String | None = None


class RunFacets(_Facets):
    parent: Parent | None = None
    error_message: ErrorMessage | None = None
    nominal_time: NominalTime | None = None
    processing_engine: ProcessingEngine | None = Field(None, alias="processing_engine")
    tags: Tags | None = None
    action: Annotated[Action | None, BeforeValidator(_own)] = Field(None, alias="lineage_action")


class Run(_Part):
    run_id: RunId
    facets: RunFacets = RunFacets()

    @model_validator(mode="before")
    @classmethod
    def _facets_may_be_null(cls, value: Any) -> Any:
        return _present(value)


class _Event(_Part):
    event_time: Moment
    producer: Address
    schema_url: Address = Field(alias="schemaURL")

    @model_validator(mode="before")
    @classmethod
    def _lists_may_be_null(cls, value: Any) -> Any:
        return _present(value)


class JobEvent(_Event):
    """What a job is said to read and write, without a run."""

    job: Job
    inputs: Annotated[tuple[Dataset, ...], Field(max_length=MAX_EDGES)] = ()
    outputs: Annotated[tuple[Dataset, ...], Field(max_length=MAX_EDGES)] = ()


class RunEvent(JobEvent):
    """One report of a run."""

    event_type: Literal["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"] | None = None
    run: Run


class DatasetEvent(_Event):
    """What is known of a dataset, without a run or a job."""

    dataset: Dataset


Event = RunEvent | JobEvent | DatasetEvent


def event(raw: Any) -> Event:
    """The event that this JSON is.

    Raises:
        InvalidRecord: with every place and its remedy.
    """
    if not isinstance(raw, dict):
        raise _refused("body", "is not a JSON object; send one event, or an array to …/batch")
    kinds: dict[str, type[Event]] = {"run": RunEvent, "job": JobEvent, "dataset": DatasetEvent}
    given = [name for name in kinds if raw.get(name) is not None]
    if not given:
        raise _refused("body", "is no event: it has neither `run` and `job`, `job`, nor `dataset`")
    if "dataset" in given and len(given) > 1:
        raise _refused("dataset", "stands beside a run or a job; send two events")
    try:
        return kinds[given[0]].model_validate(raw)
    except ValidationError as error:
        raise invalid(error) from error


def _present(value: Any) -> Any:
    """Without what is null: some clients write what they leave out."""
    return {n: v for n, v in value.items() if v is not None} if isinstance(value, dict) else value


def _refused(at: str, message: str) -> InvalidRecord:
    return InvalidRecord(f"{at}: {message}", [{"at": at, "message": message}])
