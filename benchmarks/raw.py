"""What ml_metadata alone does with the same actions, in a process of its own.

    python -m benchmarks.raw ingest DB --calls one|hundred --facts bare|same --seconds 8
    python -m benchmarks.raw closure DB --external-id ID

prints one line of JSON. Only the time inside ml_metadata counts; building protobufs is
free. The database file must exist, in WAL mode: this process must not open it by
`sqlite3`, which shares no locks with the copy inside ml_metadata.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from time import perf_counter
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from benchmarks import dataset
from benchmarks.dataset import Record

CALLS = {"one": 1, "hundred": 100}
_STATES = {"complete": pb.Execution.COMPLETE}


class Encoder:
    """Records as protobufs. `same` = every fact our record holds; else the bare graph."""

    def __init__(self, store: metadata_store.MetadataStore, same: bool) -> None:
        self.store, self.same = store, same
        self.known: dict[str, int] = {}
        self.types = {
            name: store.put_artifact_type(pb.ArtifactType(name=name))
            for name in ("Dataset", "Model")
        }
        self.execution_type = store.put_execution_type(pb.ExecutionType(name="train"))
        self.context_types = [
            store.put_context_type(pb.ContextType(name=name))
            for name in ("namespace", "controller")
        ]

    def execution(self, record: Record) -> Any:
        out = pb.Execution(type_id=self.execution_type, last_known_state=_STATES[record["state"]])
        if self.same:
            out.name = out.external_id = record["key"]
            texts = {n: record[n] for n in ("started_at", "ended_at")}
            texts |= {"display_name": record["name"], "reported_at": record["ended_at"]}
            texts |= record["controller"]
            for name, value in texts.items():
                out.custom_properties[name].string_value = value
            for name, value in record["params"].items():
                out.custom_properties[name].double_value = value
        return out

    def artifact(self, reference: Record) -> Any:
        uri = reference["uri"]
        out = pb.Artifact(type_id=self.types[reference["type"]], uri=uri, state=pb.Artifact.LIVE)
        if self.same:
            out.external_id = uri
            out.custom_properties["display_name"].string_value = uri.rpartition("/")[2]
            out.custom_properties["type"].string_value = reference["type"]
        return out

    def mentions(self, record: Record) -> Iterator[tuple[Record, Any]]:
        """Each artifact of the record with its event."""
        for side, kind in (("inputs", pb.Event.INPUT), ("outputs", pb.Event.OUTPUT)):
            for index, reference in enumerate(record[side]):
                event = pb.Event(type=kind)
                if self.same:
                    event.path.steps.add().key = reference["role"]
                    event.path.steps.add().index = index
                yield reference, event

    def contexts(self, record: Record) -> list[Any]:
        names = (record["controller"]["namespace"], record["controller"]["name"])
        pairs = zip(self.context_types, names, strict=True)
        return [pb.Context(type_id=t, name=n) for t, n in pairs] if self.same else []

    def put_one(self, record: Record) -> float:
        pairs, new = [], []
        for reference, event in self.mentions(record):
            known = self.known.get(reference["uri"])
            # A known artifact goes in as a bare event: sent again by its id, every
            # property left out would be blanked.
            if known:
                event.artifact_id = known
            pairs.append((None if known else self.artifact(reference), event))
            new.append(reference["uri"])
        execution, contexts = self.execution(record), self.contexts(record)
        start = perf_counter()
        _, ids, _ = self.store.put_execution(
            execution, pairs, contexts, reuse_context_if_already_exist=True
        )
        taken = perf_counter() - start
        self.known.update(zip(new, ids, strict=True))
        return taken

    def put_many(self, records: list[Record]) -> float:
        artifacts: list[Any] = []
        places: dict[str, int] = {}
        edges = []
        for number, record in enumerate(records):
            for reference, event in self.mentions(record):
                uri = reference["uri"]
                place = None
                if known := self.known.get(uri):
                    event.artifact_id = known
                else:
                    place = places.setdefault(uri, len(artifacts))
                    if place == len(artifacts):
                        artifacts.append(self.artifact(reference))
                edges.append((number, place, event))
        executions = [self.execution(record) for record in records]
        contexts = self.contexts(records[0])
        start = perf_counter()
        _, ids, _ = self.store.put_lineage_subgraph(
            executions, artifacts, contexts, edges, reuse_context_if_already_exist=True
        )
        taken = perf_counter() - start
        self.known.update(zip(places, ids, strict=True))
        return taken


def ingest(store: metadata_store.MetadataStore, size: int, same: bool, seconds: float) -> Record:
    encoder = Encoder(store, same)
    records = dataset.stream("raw")
    done, taken = 0, 0.0
    while taken < seconds:
        batch = list(islice(records, size))
        taken += encoder.put_one(batch[0]) if size == 1 else encoder.put_many(batch)
        done += size
    return {"actions": done, "seconds": taken, "rate": done / taken}


def closure(store: metadata_store.MetadataStore, external_id: str) -> Record:
    """Everything upstream, by the calls ml_metadata offers: level by level, from its API."""
    start = perf_counter()
    [root] = store.get_artifacts_by_external_ids([external_id])
    outputs, inputs = (pb.Event.OUTPUT,), (pb.Event.INPUT,)
    artifacts, executions, frontier = {root.id}, set[int](), {root.id}
    while frontier:
        events = _in_steps(store.get_events_by_artifact_ids, frontier)
        found = {e.execution_id for e in events if e.type in outputs} - executions
        executions |= found
        events = _in_steps(store.get_events_by_execution_ids, found)
        frontier = {e.artifact_id for e in events if e.type in inputs} - artifacts
        artifacts |= frontier
    nodes = _in_steps(store.get_artifacts_by_id, artifacts)
    nodes += _in_steps(store.get_executions_by_id, executions)
    return {"nodes": len(nodes), "seconds": perf_counter() - start}


def _in_steps(call: Any, ids: Iterable[int], step: int = 500) -> list[Any]:
    """SQLite bounds the length of a statement."""
    every = sorted(ids)
    return [x for at in range(0, len(every), step) for x in call(every[at : at + step])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("ingest", "closure"))
    parser.add_argument("db")
    parser.add_argument("--calls", choices=tuple(CALLS), default="one")
    parser.add_argument("--facts", choices=("bare", "same"), default="bare")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--external-id")
    options = parser.parse_args()
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = options.db
    store = metadata_store.MetadataStore(config)
    if options.what == "ingest":
        out = ingest(store, CALLS[options.calls], options.facts == "same", options.seconds)
    else:
        out = closure(store, options.external_id)
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
