"""The search port over SQL: the feed (MLMD's tables) and the index beside it.

Where there is no index, as before a first server or beside a store nobody may write to, the
latest nodes are looked through one by one; how many is said.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b

from sqlalchemy import Engine

from lineage.address import Address
from lineage.errors import Forbidden
from lineage.findable import State
from lineage.store.ports import Counts, IndexState, Kind, Position
from lineage.store.search.counts import count, size, tally
from lineage.store.search.feed import Feed
from lineage.store.search.index import KINDS, SUFFIX
from lineage.store.search.indexer import Indexer
from lineage.store.search.lookup import IndexReader

FRESH = 300
"""Nodes of a kind that are looked through because the index does not have them yet."""
SCANNED = 5000
"""The same where there is no index at all."""


def open_searcher(engine: Engine, store: str, index: bool, cache: str = "") -> SqlSearcher:
    """The search over a store; `index` = keep its index up to date, in the background.
    `cache` = the directory of the index, where the store is no file."""
    path = index_path(store, cache)
    indexer = Indexer(Feed(engine), path) if index else None
    if indexer is not None:
        indexer.start()
    return SqlSearcher(engine, store, path, indexer)


def index_path(store: str, cache: str) -> str:
    """Where the index of a store lies: beside a file, else in a directory of this machine, where
    all servers of the store share it and one of them keeps it up to date."""
    address = Address.parse(store)
    if address is None:
        return store + SUFFIX
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = cache or os.path.join(home, "lineage")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    name = blake2b(str(address).encode(), digest_size=8).hexdigest()
    return os.path.join(folder, f"{address.database}-{name}{SUFFIX}")


class SqlSearcher:
    """Implements `lineage.store.ports.Searcher`. `indexer` None = somebody else's, or nobody's."""

    def __init__(self, engine: Engine, store: str, path: str, indexer: Indexer | None) -> None:
        self._engine = engine
        self._store = store
        self._path = path
        self._feed = Feed(engine)
        self._indexer = indexer
        self._index = IndexReader(path, indexer.rebuild if indexer else lambda: None)

    def find(
        self, kind: Kind, terms: Sequence[str], below: int | None, limit: int
    ) -> tuple[Sequence[int], bool]:
        return self._index.find(kind, terms, below, limit)

    def named(self, kind: Kind, text: str) -> Sequence[int]:
        return self._feed.named(kind, text)

    def unindexed(self, kind: Kind) -> tuple[Sequence[int], bool]:
        position = self._index.position(kind)
        most = SCANNED if position is None else FRESH
        found = self._feed.latest(kind, position or Position(), most + 1)
        return found[:most], len(found) <= most

    def load(self, kind: Kind, numbers: Sequence[int]) -> Sequence[tuple[int, State]]:
        found = dict(self._feed.load(kind, numbers))
        return [(number, found[number]) for number in numbers if number in found]

    def around(self, kind: Kind, at: int) -> int | None:
        return self._feed.around(kind, at)

    def state(self) -> IndexState:
        positions = {kind: self._index.position(kind) for kind in KINDS}
        behind = sum(
            self._feed.behind(kind, position or Position(), self._indexed(kind))
            for kind, position in positions.items()
        )
        absent = None in positions.values()
        again = self._indexer is not None and self._indexer.rebuilding
        status = "absent" if absent else "building" if behind or again else "ready"
        trouble = self._indexer.trouble if self._indexer else None
        return IndexState(status, behind, size(self._path), trouble)  # type: ignore[arg-type]

    def counts(self) -> Counts:
        absent = self.state().status == "absent"
        nodes = [tally(self._engine, kind) if absent else self._index.tally(kind) for kind in KINDS]
        actions = {what: n for what, n in nodes[0].items() if what[0]}
        artifacts = {type_: n for (type_, _), n in nodes[1].items() if type_}
        return count(self._engine, self._store, actions, artifacts)

    def rebuild(self) -> None:
        if self._indexer is None:
            raise Forbidden("this server does not write; ask the one that owns the store")
        self._indexer.rebuild()

    def close(self) -> None:
        if self._indexer is not None:
            self._indexer.close()
        self._index.close()

    def _indexed(self, kind: Kind) -> int:
        return sum(self._index.tally(kind).values())
