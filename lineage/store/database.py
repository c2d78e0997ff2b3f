"""The SQL side of the store: engines, and the indexes MLMD lacks.

Only ever opened in a process that holds no MetadataStore (docs/mlmd.md, trap 1).
"""

from __future__ import annotations

import os
import sqlite3
from typing import Literal

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool

from lineage.address import Address
from lineage.errors import StoreUnavailable
from lineage.store import servers

# MLMD walks from an artifact or a node to its contexts without an index (docs/mlmd.md, Speed).
INDEXES = (
    ("lineage_event_artifact", "Event", "artifact_id, type, execution_id"),
    ("lineage_event_execution", "Event", "execution_id, type, artifact_id"),
    ("lineage_attribution_artifact", "Attribution", "artifact_id"),
    ("lineage_association_execution", "Association", "execution_id"),
)
CACHE_KIB = 8192
SCHEMA = 10
"""Of MLMD's database; ml-metadata 1.17 and 1.21 both have it."""
_OTHER_SCHEMA = (
    "{path} has schema {version} of ML Metadata, and only {schema} is read. Upgrade a copy: open "
    "it once by MetadataStore(config, enable_upgrade_migration=True) of ml-metadata 1.17"
)

IDS = "(SELECT value FROM json_each(:ids))"
"""A list as one JSON parameter: however long it is, the statement is compiled once."""


def read_engine(path: str) -> Engine:
    """A pool of read-only connections to a store that exists already."""
    if address := Address.parse(path):
        return servers.server_engine(address, read_only=True)
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


def whose(path: str) -> Literal["nobody", "ours", "another tool"]:
    """Who made this store, without touching it: "nobody" where there is nothing yet.

    Raises:
        StoreUnavailable: it is no store of ML Metadata, or not of this schema.
    """
    if address := Address.parse(path):
        return servers.whose(address, SCHEMA)
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return "nobody"
    engine = read_engine(path)
    try:
        with engine.connect() as db:
            names = {row[0] for row in db.exec_driver_sql("SELECT name FROM sqlite_master")}
            known = "MLMDEnv" in names
            version = (
                db.exec_driver_sql("SELECT MAX(schema_version) FROM MLMDEnv").scalar()
                if known
                else None
            )
    except DatabaseError as error:
        raise StoreUnavailable(
            f"{path} is no SQLite database that can be read: {error.orig}"
        ) from error
    finally:
        engine.dispose()
    if names and version is None:
        raise StoreUnavailable(f"{path} is no store of ML Metadata; check the path")
    if version is not None and version != SCHEMA:
        raise StoreUnavailable(_OTHER_SCHEMA.format(path=path, version=version, schema=SCHEMA))
    return "nobody" if not names else "ours" if INDEXES[0][0] in names else "another tool"


def add_indexes(path: str) -> None:
    """Create what is missing of INDEXES in a file. Only while nothing writes: it takes the write
    lock. On a server the store process does it."""
    if Address.parse(path):
        return
    connection = sqlite3.connect(path, timeout=60)
    try:
        for name, table, columns in INDEXES:
            connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({columns})")
        connection.commit()
    finally:
        connection.close()


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
