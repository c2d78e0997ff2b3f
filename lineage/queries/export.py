"""The whole store as records that make it again, in an order that only its content decides."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from lineage.records import records
from lineage.store.ports import Reader

_REMEMBERED = 100_000


def export(reader: Reader) -> Iterator[bytes]:
    """NDJSON in chunks, sorted by key and then by the time of the report.

    An artifact's own fields go with one of its actions, the one reported last: no field
    of it can be later than that report (see `lineage.records.records`).
    """
    owner: dict[str, str] = {}
    for states, artifacts in reader.walk():
        if len(owner) > _REMEMBERED:
            owner.clear()
        owner |= reader.owners([id_ for id_ in artifacts if id_ not in owner])
        lines: list[bytes] = []
        for state in states:
            mine = {e.artifact for e in state.edges if owner.get(e.artifact) == state.key}
            lines += (orjson.dumps(record) for record in records(state, artifacts, mine))
        yield b"".join(line + b"\n" for line in lines)
