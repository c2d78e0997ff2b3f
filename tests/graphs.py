"""Graphs with their details for tests of formats, made from reports without a store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lineage.formats import Detail
from lineage.graph import Direction, Graph
from lineage.merge import report
from lineage.model import Action, parse_action
from lineage.queries.detail import detail
from lineage.queries.lineage import around, lineage
from tests.memory import MemoryReader
from tests.strategies import actions

LABEL_BOT = Path(__file__).parent.parent / "examples" / "label_bot"
MODEL = "projects/976279526634/locations/us-central1/models/TCN4131157655647420416"
SLOT = "k8s://issue-label-bot/label-bot-prod/Deployment/label-bot-worker"
HOSTILE = [
    "=cmd|' /C calc'!A0", "@SUM(1)", "a,b\r\nc\"d", "</script><b>", "ünïcødé \U0001f600", "a b%zz",
    ".", "-", "x.", "%", "{}[]:;'", "\u202eevil", "\t=1+1", "\x1b[2J", "a/../b?c#d",
]  # fmt: skip


def story() -> MemoryReader:
    """The label bot's whole history."""
    lines = [
        line for f in sorted(LABEL_BOT.glob("*.ndjson")) for line in f.read_bytes().splitlines()
    ]
    return MemoryReader.of(parse_action(line) for line in lines)


def asked(
    reader: MemoryReader, of: str, direction: Direction = "both", max_nodes: int = 2000
) -> tuple[Graph, Detail]:
    """What the server gives a format for `/lineage?of=…`."""
    graph = lineage(reader, of, direction, max_nodes=max_nodes)
    return graph, detail(reader, graph)


def of_all(reports: Iterable[Action]) -> tuple[Graph, Detail]:
    """Everything around all that the reports name."""
    reader = MemoryReader.of(reports)
    starts = sorted({state.id for one in reports for state in [report(one)[0]]})
    graph = around(reader, starts)
    return graph, detail(reader, graph)


def hostile() -> Action:
    """Every free text of a record is something that breaks careless writers."""
    names = {text: text for text in HOSTILE}
    references = [
        {"type": type_, "uri": f"gs://b/{text}" if n % 2 else f"b {text.strip() or 'x'}",
         "version": text.replace("\r\n", "").replace("\t", "").replace("\x1b", "") or None,
         "name": text, "role": text, "properties": names}
        for n, text in enumerate(HOSTILE) for type_ in ("Model", "Dataset", "Metrics", "A/b.c")
        if not any(ord(c) < 32 for c in text)
    ]  # fmt: skip
    raw: dict[str, Any] = {
        "key": "".join(HOSTILE), "type": "train", "name": HOSTILE[0], "by": HOSTILE[1],
        "controller": {"cluster": "a/b", "namespace": HOSTILE[3], "name": HOSTILE[2]},
        "state": "failed", "started_at": "2020-07-01T00:00:00Z", "error": "".join(HOSTILE),
        "inputs": references, "outputs": references, "params": names,
        "links": {text: f"https://h/{n}" for n, text in enumerate(HOSTILE)}, "parent": HOSTILE[4],
        "code": {"repo": "https://h/o/r", "commit": "a" * 40, "path": HOSTILE[2]},
    }  # fmt: skip
    return parse_action(json.dumps(raw))


several = st.lists(actions(), min_size=1, max_size=4)
