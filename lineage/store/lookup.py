"""What the writer reads before it writes: nodes by id, in as few and as plain queries as can be."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Engine, text

from lineage.store import codec
from lineage.store.database import IDS

Kind = Literal["Execution", "Artifact"]


class Stored(NamedTuple):
    """A node as the writer needs it: its ids, its type, the bytes of its record."""

    mlmd_id: int
    type_id: int
    record: bytes | None
    """None: the node has our id but lost its record (docs/mlmd.md, trap 6); the next report heals it."""


class Lookup:
    """Reads the latest commit. One connection a thread, kept: opening costs more than asking."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._local = threading.local()

    def stored(self, kind: Kind, ids: Iterable[str]) -> dict[str, Stored]:
        """Nodes by external id, with what a read-merge-write needs."""
        rows = self._rows(_STORED[kind], list(ids))
        return {r[0]: Stored(r[1], r[2], codec.unpack(r[3]) if r[3] else None) for r in rows}

    def properties(self, kind: Kind, ids: Sequence[int]) -> dict[int, list[Any]]:
        """Custom properties by node, as rows (name, int, double, string, proto, bool)."""
        out: dict[int, list[Any]] = {}
        for row in self._rows(_PROPERTIES[kind], ids):
            out.setdefault(row[0], []).append(row[1:])
        return out

    def attributed(self, context: int, artifacts: Sequence[int]) -> set[int]:
        """Which of these artifacts the context has already."""
        return {row[0] for row in self._rows(_ATTRIBUTED, artifacts, context=context)}

    def _rows(self, sql: Any, ids: Sequence[Any], **more: Any) -> Sequence[Any]:
        if not ids:
            return ()
        connection = self._connection()
        try:
            return connection.execute(sql, {"ids": json.dumps(ids), **more}).all()
        except Exception:
            # One that broke stays broken, whatever the database does: the next asks another.
            self._local.connection = None
            with contextlib.suppress(Exception):
                connection.close()
            raise

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._local.connection = connection
        return connection


def _stored(kind: str) -> Any:
    return text(f"""
        SELECT n.external_id, n.id, n.type_id, p.proto_value FROM {kind} n
        LEFT JOIN {kind}Property p ON p.{kind.lower()}_id = n.id
          AND p.name = '{codec.RECORD}' AND p.is_custom_property = 1
        WHERE n.external_id IN {IDS}
        """)


def _properties(kind: str) -> Any:
    return text(f"""
        SELECT {kind.lower()}_id, name, int_value, double_value, string_value, proto_value,
          bool_value
        FROM {kind}Property WHERE is_custom_property = 1 AND {kind.lower()}_id IN {IDS}
        """)


_STORED = {kind: _stored(kind) for kind in ("Execution", "Artifact")}
_PROPERTIES = {kind: _properties(kind) for kind in ("Execution", "Artifact")}
_ATTRIBUTED = text(
    f"SELECT artifact_id FROM Attribution WHERE context_id = :context AND artifact_id IN {IDS}"
)
