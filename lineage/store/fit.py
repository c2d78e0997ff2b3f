"""Makes what is written fit a database: on PostgreSQL, properties too long for their index.

Only for nodes of ours, whose record has the whole text (docs/decisions/0001). Who looks for
one that may be as long passes the same rule (`lineage.store.dialect.indexed`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from lineage.store.dialect import indexed, is_postgresql


def fitting(engine: Engine) -> Callable[[Any], None]:
    """What to call with each `PutLineageSubgraphRequest` before it is sent."""
    return _fit if is_postgresql(engine) else lambda _: None


def _fit(request: Any) -> None:
    for node in (*request.artifacts, *request.executions):
        for value in node.custom_properties.values():
            if value.string_value:
                value.string_value = indexed(value.string_value)
