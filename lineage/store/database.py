"""The SQL side of the store: engines, and the indexes MLMD lacks.

Only ever opened in a process that holds no MetadataStore (docs/mlmd.md, trap 1).
"""

from __future__ import annotations

import os
import sqlite3

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from lineage.errors import StoreUnavailable

# MLMD walks from an artifact or a node to its contexts without an index (docs/mlmd.md, Speed).
INDEXES = (
    ("lineage_event_artifact", "Event", "artifact_id, type, execution_id"),
    ("lineage_event_execution", "Event", "execution_id, type, artifact_id"),
    ("lineage_attribution_artifact", "Attribution", "artifact_id"),
    ("lineage_association_execution", "Association", "execution_id"),
)
CACHE_KIB = 8192

IDS = "(SELECT value FROM json_each(:ids))"
"""A list as one JSON parameter: however long it is, the statement is compiled once."""


def read_engine(path: str) -> Engine:
    """A pool of read-only connections to a SQLite file that exists already."""
    if not os.path.exists(path):
        raise StoreUnavailable(f"{path} does not exist; record something first, or check the path")

    def connect() -> sqlite3.Connection:
        uri = f"file:{_quoted(os.path.abspath(path))}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=4)

    @event.listens_for(engine, "begin")
    def _snapshot(connection: Connection) -> None:
        """One answer, one snapshot: SQLite's driver would not begin for reads."""
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN")

    return engine


def add_indexes(path: str) -> None:
    """Create what is missing of INDEXES. Only while nothing writes: it takes the write lock."""
    connection = sqlite3.connect(path, timeout=60)
    try:
        for name, table, columns in INDEXES:
            connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({columns})")
        connection.commit()
    finally:
        connection.close()


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
