"""How much a store holds: counted by the index as it goes, so that asking costs nothing."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from lineage.store.ports import Reader, Searcher
from lineage.times import iso

MOST_SLOTS = 100_000


def stats(reader: Reader, searcher: Searcher) -> dict[str, Any]:
    """Actions by type and state, artifacts by type, controllers, slots, bytes, the span of
    time, and the index: what it does not have yet (`behind`) is not counted either."""
    counts, index = searcher.counts(), searcher.state()
    types: dict[str, dict[str, int]] = defaultdict(dict)
    for (type_, state), count in sorted(counts.actions.items()):
        types[type_][state or "unknown"] = count
    return {
        "actions": {"total": sum(counts.actions.values()), "types": types},
        "artifacts": {
            "total": sum(counts.artifacts.values()),
            "types": dict(sorted(counts.artifacts.items())),
        },
        "controllers": counts.controllers,
        "slots": len(reader.slots(None, MOST_SLOTS)),
        "first": None if counts.first is None else iso(counts.first),
        "last": None if counts.last is None else iso(counts.last),
        "store_bytes": counts.store_bytes,
        "index": {"status": index.status, "behind": index.behind, "bytes": index.bytes,
                  "trouble": index.trouble},
    }  # fmt: skip
