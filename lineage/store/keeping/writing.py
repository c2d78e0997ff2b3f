"""A connection that may write to a store, in a process that holds no MetadataStore (docs/mlmd.md,
trap 1)."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from lineage.address import Address
from lineage.errors import LineageError, StoreUnavailable

MAPPED = 2**40
"""Bytes that may be mapped; SQLite takes what it was built for."""
WAIT = 60
"""Seconds to wait for whoever writes."""


def only_sqlite(store: str, instead: str) -> None:
    """
    Raises:
        LineageError: the store is on a server; `instead` = what to do there.
    """
    if Address.parse(store) is not None:
        raise LineageError(f"this works on SQLite stores; on a server {instead}")


def write_engine(store: str) -> Engine:
    """Transactions that hold the write lock from their beginning.

    Raises:
        StoreUnavailable: there is no such file.
    """
    if not os.path.exists(store):
        raise StoreUnavailable(f"{store} does not exist; check the path")

    def connect() -> sqlite3.Connection:
        db = sqlite3.connect(store, timeout=WAIT, isolation_level=None, check_same_thread=False)
        # Whatever others commit empties SQLite's own cache: the system's is read instead.
        db.execute(f"PRAGMA mmap_size={MAPPED}")
        # Not within a commit, for which others wait: see `empty_log`.
        db.execute("PRAGMA wal_autocheckpoint=0")
        return db

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _lock(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def empty_log(db: Connection) -> None:
    """Bring what was committed from SQLite's log into its file; nobody waits for it."""
    raw: Any = db.connection.driver_connection
    raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
