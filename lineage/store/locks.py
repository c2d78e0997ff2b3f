"""Who may write what, when several servers record into one database (docs/decisions/0011).

Merging is read, join, write: two servers that merge the same node at once would lose one of
the joins. So what is to be written is held from before it is read until it is committed. The
holder is the *store process*, on a connection of its own: it dies with what writes, so a lock
is never given up while a write that rests on it can still arrive. Names are held exactly, and
taken in one order, so nobody waits in a circle. Knows no MLMD.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b

from sqlalchemy import Connection, Engine, text

from lineage.errors import StoreUnavailable
from lineage.store.dialect import is_mysql

HOLD, RELEASE = "/lineage.Locks/Hold", "/lineage.Locks/Release"
"""The calls of the store process: a list of names as JSON, and nothing."""
PATIENCE = 20
"""Seconds one waits for a lock; groups take less."""
TYPES = "types"
"""The lock of whoever makes types: ML Metadata's table of them takes one name twice."""


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """For one server at a time, before there is any table."""
    wait = "GET_LOCK(:name, 60)" if is_mysql(engine) else "pg_advisory_lock(hashtext(:name))"
    with engine.connect() as db:
        if db.execute(text(f"SELECT {wait}"), {"name": _named(engine, "start")}).scalar() == 0:
            raise StoreUnavailable("another server has been starting for a minute")
        try:
            yield
        finally:
            db.invalidate()  # a lock of a session goes with it


class Locks:
    """One set of locks, held by one holder at a time: who calls `hold` and `release` does so in
    turn, `held` waits for its turn itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mysql = is_mysql(engine)
        self._db: Connection | None = None
        self._held = False
        self._turn = threading.Lock()

    def hold(self, names: Iterable[str]) -> None:
        """Wait until all these are ours. What is held already stays.

        Raises:
            StoreUnavailable: not in time, or the database went away; nothing is held.
        """
        wanted = sorted(_named(self._engine, name) for name in set(names))
        take = self._hold_mysql if self._mysql else self._hold_postgresql
        for last in (False, True):
            fresh = self._db is None
            try:
                if self._db is None:
                    self._db = self._engine.connect()
                take(self._db, wanted)
            except BaseException:
                held = self._held
                self._drop()
                # A connection that was idle may have been closed long ago.
                if last or fresh or held:
                    raise
            else:
                self._held = True
                return

    def release(self) -> None:
        """Give back what is held.

        Raises:
            StoreUnavailable: it was lost while it was thought to be held.
        """
        if self._db is None:
            raise StoreUnavailable("the locks were lost")
        try:
            if self._mysql:
                if self._db.execute(text("SELECT RELEASE_ALL_LOCKS()")).scalar() == 0:
                    raise StoreUnavailable("the locks were lost")
            else:
                self._db.execute(text("SELECT 1"))
            self._db.rollback()
            self._held = False
        except BaseException:
            self._drop()
            raise

    @contextmanager
    def held(self, *names: str) -> Iterator[None]:
        with self._turn:
            self.hold(names)
            try:
                yield
            finally:
                self.release()

    def _hold_mysql(self, db: Connection, names: list[str]) -> None:
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            each = ", ".join(f"GET_LOCK('{name}', {PATIENCE})" for name in some)
            if set(db.exec_driver_sql(f"SELECT {each}").one()) != {1}:
                raise StoreUnavailable("others are writing the same; try again")

    def _hold_postgresql(self, db: Connection, names: list[str]) -> None:
        """A row that is inserted and never committed: whoever inserts it too has to wait."""
        db.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
        sql = "INSERT INTO lineage_locks (name) SELECT unnest(CAST(:names AS text[])) ON CONFLICT DO NOTHING"
        db.execute(text(sql), {"names": names})

    def _drop(self) -> None:
        db, self._db, self._held = self._db, None, False
        if db is not None:
            db.invalidate()
            db.close()


def _named(engine: Engine, name: str) -> str:
    # MySQL's names are of the whole server, and at most 64 characters long.
    whole = f"{engine.url.database}/{name}"
    return "lineage/" + blake2b(whole.encode(), digest_size=20).hexdigest()
