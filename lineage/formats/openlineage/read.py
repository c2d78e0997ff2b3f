"""OpenLineage events as actions. Pure: an event in, reports of the record out.

Each event is mapped alone, with its own `eventTime` as the time of the report; what several
events of a run say together is the join of `lineage.merge`, so neither their order nor
their number matters. A facet whose values only make sense together becomes one value, so
that a later facet of the same name replaces the whole of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from lineage.errors import InvalidRecord
from lineage.formats.openlineage.facets import JobType, Ownership, SourceCodeLocation, Tags
from lineage.formats.openlineage.names import INTEGRATION, bounded_key, key_of, run_id_of
from lineage.formats.openlineage.wire import (
    Dataset,
    DatasetEvent,
    Event,
    Job,
    JobEvent,
    Run,
    RunEvent,
)
from lineage.identity import identify
from lineage.model import (
    GENERIC,
    GENERIC_ACT,
    MAX_VALUE,
    OWN,
    Action,
    Code,
    Controller,
    Reference,
)
from lineage.times import iso, microseconds

STATES = {"START": "running", "RUNNING": "running", "COMPLETE": "complete",
          "FAIL": "failed", "ABORT": "canceled"}  # fmt: skip
UNTYPED = "Dataset"
"""What a dataset is as long as nobody says more."""
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = ("ownership", "tags", "documentation")


def actions(event: Event) -> list[Action]:
    """The reports an event stands for: one, and where it names datasets without a type a
    second, of the year 1970, so that their type is overruled by whoever knows it."""
    try:
        if isinstance(event, RunEvent):
            made = _run(event)
        elif isinstance(event, JobEvent):
            made = _job(event)
        else:
            made = _dataset(event)
    except ValidationError as error:  # the bounds of the record, where `wire` has none
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"cannot be recorded: {first['msg'].removeprefix('Value error, ')}"
        raise InvalidRecord(f"{place}: {message}", [{"at": place, "message": message}]) from error
    return [made, *_untyped(event, made)]


def _run(event: RunEvent) -> Action:
    job, run, time = event.job, event.run, event.event_time
    own = run.facets.action
    if own is not None and run_id_of(own.key) != run.run_id:
        at, message = "run.facets.lineage_action.key", "is the key of another run than `run.runId`"
        raise InvalidRecord(f"{at}: {message}", [{"at": at, "message": message}])
    state = STATES.get(event.event_type or "")
    facets = run.facets
    said: dict[str, Any] = {
        "state": state,
        "started_at": time if event.event_type == "START" else None,
        "ended_at": time if state not in (None, "running") else None,
        "parent": key_of(facets.parent.run.run_id) if facets.parent else None,
        "error": shortened(facets.error_message.message) if facets.error_message else None,
        "inputs": tuple(_reference(d, None) for d in event.inputs),
        "outputs": tuple(_reference(d, OWN + run.run_id) for d in event.outputs),
        "reported_at": time,
    }
    params = {**_job_params(job), **_run_params(run)}
    if own is None:
        return Action(key=key_of(run.run_id), params=params, **_about(job), **said)
    said |= {
        "params": {**params, **own.params},
        "parent": own.parent or said["parent"],
        "code": own.code or _about(job)["code"],
    }
    return own.model_copy(update={n: v for n, v in said.items() if v is not None})


def _job(event: JobEvent) -> Action:
    """What is declared of a job is a claim: no run of it was seen."""
    job = event.job
    return Action(
        key=bounded_key(f"openlineage/Job/{job.namespace}/{job.name}"),
        params=_job_params(job),
        inputs=tuple(_reference(d, None, "claimed") for d in event.inputs),
        outputs=tuple(_reference(d, None, "claimed") for d in event.outputs),
        reported_at=event.event_time,
        **_about(job),
    )


def _dataset(event: DatasetEvent) -> Action:
    """A record has acts only; to describe a dataset is one, and reads it."""
    reference = _reference(event.dataset, None)
    of = reference.uri + (f"@{reference.version}" if reference.version else "")
    return Action(
        key=bounded_key(f"openlineage/Dataset/{of}"),
        type="describe",
        controller=Controller(namespace=event.dataset.namespace, name=event.producer),
        state="complete",
        ended_at=event.event_time,
        reported_at=event.event_time,
        inputs=(reference,),
    )


def _about(job: Job) -> dict[str, Any]:
    code = job.facets.source_code_location
    return {
        "type": _type(job.facets.job_type),
        "controller": Controller(namespace=job.namespace, name=job.name),
        "name": job.name,
        "code": _code(code) if code else None,
        "links": {"code": code.url} if code else {},
    }


def _type(job_type: JobType | None) -> str:
    """`QUERY`, `TASK`, `MODEL`… in lower case; a word that cannot be a type says nothing."""
    word = ((job_type and job_type.job_type) or "").strip().lower().replace(" ", "_")
    allowed = word[:1].isalpha() and word.isascii() and len(word) <= 64
    plain = allowed and all(c.isalnum() or c in "_.-" for c in word)
    return word if plain else GENERIC_ACT


def _code(location: SourceCodeLocation) -> Code | None:
    if location.repo is None:
        return None
    return Code(repo=location.repo, commit=location.version or None, path=location.path or None)


def _reference(dataset: Dataset, unversioned: str | None, evidence: Any = None) -> Reference:
    """A dataset at its version; `unversioned` stands for the version nobody gave.

    A run's output has one: the next run writes another, and whoever reads the dataset
    between the two read this one.
    """
    facets = dataset.facets
    if facets.artifact is not None:
        return facets.artifact
    version = facets.version.dataset_version if facets.version else unversioned
    model = facets.dataset_type and facets.dataset_type.dataset_type.upper() == "MODEL"
    return Reference(
        type="Model" if model else GENERIC,
        uri=dataset.uri,
        version=version,
        name=dataset.name if len(dataset.name) <= 256 else None,
        evidence=evidence,
        properties=_properties(dataset),
        aliases=tuple(dict.fromkeys(_aliases(dataset))),
    )


def _aliases(dataset: Dataset) -> Iterator[str]:
    facets = dataset.facets
    own = identify(dataset.uri).uri
    names = list(facets.symlinks.identifiers) if facets.symlinks else []
    change = facets.lifecycle_state_change
    if change and change.previous_identifier:
        names.append(change.previous_identifier)
    for name in names:
        if identify(name.uri).uri != own:
            yield name.uri


def _properties(dataset: Dataset) -> dict[str, Any]:
    facets, statistics = dataset.facets, dataset.output_facets.output_statistics
    kind, change = facets.dataset_type, facets.lifecycle_state_change
    out: dict[str, Any] = {
        "datasetType": _joined("/", kind.dataset_type, kind.sub_type) if kind else None,
        "lifecycleStateChange": change.lifecycle_state_change if change else None,
        "columns": len(facets.columns.fields) if facets.columns else None,
        **_texts(facets.ownership, facets.tags, facets.documentation),
    }
    if statistics is not None:
        out["outputStatistics.rowCount"] = statistics.row_count
        out["outputStatistics.size"] = statistics.size
        out["outputStatistics.fileCount"] = statistics.file_count
    return _said(out, facets.gone, ("datasetType", "lifecycleStateChange", *_TEXTS))


def _job_params(job: Job) -> dict[str, Any]:
    facets, kind = job.facets, job.facets.job_type
    out = _texts(facets.ownership, facets.tags, facets.documentation)
    if kind is not None and kind.integration != INTEGRATION:
        out["jobType"] = _joined("/", kind.integration, kind.processing_type, kind.job_type)
    return _said(out, facets.gone, ("jobType", *_TEXTS))


def _run_params(run: Run) -> dict[str, Any]:
    nominal, engine = run.facets.nominal_time, run.facets.processing_engine
    out: dict[str, Any] = {}
    if nominal is not None:
        times = (nominal.nominal_start_time, nominal.nominal_end_time)
        out["nominalTime"] = "/".join(iso(microseconds(t)) for t in times if t)
    if engine is not None:
        adapter = engine.openlineage_adapter_version
        out["processing_engine"] = _joined(
            " ", engine.name, engine.version, f"(openlineage {adapter})" if adapter else None
        )
    if run.facets.tags is not None:
        out["run.tags"] = _tags(run.facets.tags)
    return _said(out, (), ())


def _texts(owners: Ownership | None, tags: Tags | None, documentation: Any) -> dict[str, Any]:
    return {
        "ownership": owners
        and ", ".join(
            _joined(" ", o.name, f"({o.type})" if o.type else None) for o in owners.owners
        ),
        "tags": tags and _tags(tags),
        "documentation": documentation and documentation.description,
    }


def _tags(tags: Tags) -> str:
    """Those of the whole; a tag on one column is detail that stays in the event."""
    return ", ".join(_joined("=", t.key, t.value) for t in tags.tags if t.field is None)


def _said(values: Mapping[str, Any], gone: Iterable[str], texts: Iterable[str]) -> dict[str, Any]:
    """What is said; a deleted facet's text is emptied, for a join never forgets."""
    out = {n: shortened(v) if isinstance(v, str) else v for n, v in values.items() if v is not None}
    return {**out, **{name: "" for name in texts if name in gone}}


def shortened(text: str) -> str:
    """Prose within the bound of a value. A cut shows, and the event is kept whole."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if len(text) <= MAX_VALUE:
        return text
    note = f"… [{len(text):,} characters; the raw event has them all]"
    return text[: MAX_VALUE - len(note)] + note


def _joined(between: str, *parts: str | None) -> str:
    return between.join(part for part in parts if part)


def _untyped(event: Event, made: Action) -> Iterator[Action]:
    """The same datasets once more, called `Dataset` with the oldest clock there is."""
    if isinstance(event, DatasetEvent):
        sides = {"inputs": _bare((event.dataset,), made.inputs)}
    else:
        sides = {"inputs": _bare(event.inputs, made.inputs),
                 "outputs": _bare(event.outputs, made.outputs)}  # fmt: skip
    if any(sides.values()):
        yield Action(key=made.key, type=GENERIC_ACT, controller=made.controller,
                     reported_at=_BEGINNING, **sides)  # fmt: skip


def _bare(datasets: Sequence[Dataset], references: Sequence[Reference]) -> tuple[Reference, ...]:
    pairs = zip(datasets, references, strict=True)
    bare: dict[str, Any] = {"type": UNTYPED, "name": None, "properties": {}, "aliases": ()}
    return tuple(
        reference.model_copy(update=bare)
        for dataset, reference in pairs
        if reference.type == GENERIC and dataset.facets.artifact is None
    )
