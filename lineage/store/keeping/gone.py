"""What was removed from a store, so that whoever keeps something about it can follow.

A table of ours in MLMD's database, made by the first removal and written in the transaction
of each: who reads it in order misses nothing. Kept for a while only; who comes later than
that is told so. Knows nothing of why something was removed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    func,
    inspect,
    select,
)

from lineage.store.ports import Kind

NAME = "lineage_gone"
KEPT = 2 * 86_400_000
"""Milliseconds a removal is remembered."""

_TABLE = Table(
    NAME,
    MetaData(),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("node", BigInteger, nullable=False),
    Column("id", String(255), nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)


class Removed(NamedTuple):
    """A node that is gone: its place in the order of removals, MLMD's number, its id."""

    number: int
    kind: Kind
    node: int
    id: str


class Gone:
    """Reads the table. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._there = False

    def newest(self) -> int:
        """The number of the last removal; 0 = there was none."""
        if not self._exists():
            return 0
        with self._engine.connect() as db:
            return db.execute(select(func.max(_TABLE.c.number))).scalar() or 0

    def since(self, after: int, limit: int) -> list[Removed] | None:
        """The removals after a number, in order; None = some of them are forgotten."""
        if not self._exists():
            return [] if after == 0 else None
        wanted = _TABLE.c.number, _TABLE.c.kind, _TABLE.c.node, _TABLE.c.id
        sql = select(*wanted).where(_TABLE.c.number > after)
        with self._engine.connect() as db:
            first = db.execute(select(func.min(_TABLE.c.number))).scalar()
            rows = db.execute(sql.order_by(_TABLE.c.number).limit(limit)).all()
        if first is not None and after < first - 1:
            return None
        return [Removed(*row) for row in rows]

    def holds(self, kind: Kind, node: int) -> bool:
        """Whether this node (MLMD's number) is known to have been removed."""
        if not self._exists():
            return False
        sql = select(_TABLE.c.number).where(_TABLE.c.node == node, _TABLE.c.kind == kind).limit(1)
        with self._engine.connect() as db:
            return db.execute(sql).first() is not None

    def _exists(self) -> bool:
        self._there = self._there or inspect(self._engine).has_table(NAME)
        return self._there


def prepare(db: Connection) -> None:
    """Make the table where it is missing; forget what is old. The last one stays: from it one
    can tell that others are missing."""
    _TABLE.create(db, checkfirst=True)
    last = select(func.max(_TABLE.c.number).label("number")).subquery()
    old = _TABLE.c.at < int(time.time() * 1000) - KEPT
    db.execute(
        _TABLE.delete().where(old, _TABLE.c.number < select(last.c.number).scalar_subquery())
    )


def note(db: Connection, kind: Kind, nodes: Iterable[tuple[int, str | None]]) -> None:
    """Write down what this transaction removes: (MLMD's number, id)."""
    now = int(time.time() * 1000)
    rows = [{"kind": kind, "node": node, "id": id_ or "", "at": now} for node, id_ in nodes]
    if rows:
        db.execute(_TABLE.insert(), rows)
