"""Raw OpenLineage events of a store on a server: a table of ours in the same database.

What several servers keep must be in one place, so no file of one of them (docs/decisions/0011).
Each commit holds the row of the totals from its beginning, so numbers appear in their order
and who reads on after one misses none.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from hashlib import blake2b

from sqlalchemy import Connection, Engine, text

from lineage.address import Address
from lineage.store.dialect import is_mysql
from lineage.store.raw import MOST_BYTES, ROOM, Keeping, RawEvents, RawPage, RawPages, page_of
from lineage.store.servers import MARK, server_engine

EVENTS = "lineage_openlineage_events"


def raw_pages(store: str, engine: Engine) -> RawPages | TablePages:
    return TablePages(engine) if Address.parse(store) else RawPages(store)


def raw_events(store: str, most: int) -> RawEvents | TableEvents:
    """See `RawEvents`."""
    address = Address.parse(store)
    if address is None:
        return RawEvents(store, most)
    return TableEvents(server_engine(address, read_only=False), most)


class TablePages:
    """See `RawPages`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, after: int, limit: int, most: int = MOST_BYTES) -> RawPage:
        with self._engine.connect() as db:
            removed = db.execute(text(f"SELECT removed FROM {MARK}")).scalar_one()
            sql = (
                f"SELECT number, body FROM {EVENTS} WHERE number > :after ORDER BY number LIMIT :n"
            )
            options = {"stream_results": True, "max_row_buffer": 50}
            rows = db.execute(
                text(sql), {"after": after, "n": limit + 1}, execution_options=options
            )
            return page_of(rows, after, limit, most, int(removed))


class TableEvents(TablePages, Keeping):
    """See `RawEvents`."""

    def __init__(self, engine: Engine, most: int) -> None:
        TablePages.__init__(self, engine)
        Keeping.__init__(self)
        self._most = most

    def close(self) -> None:
        with self._turn:
            self._engine.dispose()

    def _commit(self, bodies: Sequence[bytes]) -> None:
        ignored = ("IGNORE ", "") if is_mysql(self._engine) else ("", " ON CONFLICT DO NOTHING")
        insert = text(
            f"INSERT {ignored[0]}INTO {EVENTS} (digest, size, body) VALUES (:digest, :size, :body)"
            + ignored[1]
        )
        with self._engine.begin() as db:
            kept = db.execute(text(f"SELECT bytes FROM {MARK} FOR UPDATE")).scalar_one()
            before = kept
            for body in bodies:
                packed = zlib.compress(body, 3)
                digest = blake2b(body, digest_size=16).digest()
                row = {"digest": digest, "size": len(packed), "body": packed}
                if db.execute(insert, row).rowcount:
                    kept += len(packed)
            if kept != before:
                freed, removed = self._trim(db, kept)
                sql = f"UPDATE {MARK} SET bytes = :bytes, removed = removed + :removed"
                db.execute(text(sql), {"bytes": kept - freed, "removed": removed})

    def _trim(self, db: Connection, kept: int) -> tuple[int, int]:
        """Remove the oldest of more than there may be: (bytes, events)."""
        if kept <= self._most:
            return 0, 0
        freed = removed = last = 0
        for number, size in db.execute(text(f"SELECT number, size FROM {EVENTS} ORDER BY number")):
            if kept - freed <= self._most * ROOM:
                break
            freed, removed, last = freed + size, removed + 1, number
        db.execute(text(f"DELETE FROM {EVENTS} WHERE number <= :last"), {"last": last})
        return freed, removed
