"""OpenLineage events as they come: run, job and dataset events of spec 2-0-2, validated strictly.

What is required must be there and have its format; what names something (run, job, dataset)
must fit the bounds of the record. What else an event holds is left alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from lineage.errors import InvalidRecord
from lineage.formats.openlineage.facets import (
    Address,
    DatasetFacets,
    JobFacets,
    Moment,
    Named,
    OutputFacets,
    Part,
    RunFacets,
    RunId,
)
from lineage.model import MAX_EDGES, Label, Name, invalid


class Dataset(Named):
    facets: DatasetFacets = DatasetFacets()
    output_facets: OutputFacets = OutputFacets()


class Job(Part):
    namespace: Name
    name: Label
    facets: JobFacets = JobFacets()


class Run(Part):
    run_id: RunId
    facets: RunFacets = RunFacets()


class _Event(Part):
    event_time: Moment
    producer: Address
    schema_url: Address = Field(alias="schemaURL")


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
    try:
        return _kind(raw).model_validate(raw)
    except ValidationError as error:
        raise invalid(error) from error


def _kind(raw: dict[str, Any]) -> type[Event]:
    """By what it names, as the schema's `oneOf` tells them apart."""
    run, job, dataset = (raw.get(name) is not None for name in ("run", "job", "dataset"))
    if dataset and not (run and job):
        if job:
            raise _refused("dataset", "stands beside a job without a run; send two events")
        return DatasetEvent
    if not (run or job):
        raise _refused("body", "is no event: it has neither `run` and `job`, `job`, nor `dataset`")
    return RunEvent if run else JobEvent


def _refused(at: str, message: str) -> InvalidRecord:
    return InvalidRecord(f"{at}: {message}", [{"at": at, "message": message}])
