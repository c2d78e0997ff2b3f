"""Raw events on the disk: kept once, in order, within the bound, whatever interrupts."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from lineage.errors import StoreUnavailable
from lineage.store.raw import SUFFIX, RawEvents, RawPages


def whole(store: str, limit: int = 1000) -> list[bytes]:
    pages, out, after = RawPages(store), list[bytes](), 0
    while True:
        page = pages.page(after, limit)
        out += page.bodies
        if page.after is None:
            return out
        after = page.after


def test_an_event_is_kept_once_and_in_order(tmp_path: Path) -> None:
    """Pages of any size give the same events."""
    store = str(tmp_path / "a.db")
    raw = RawEvents(store, 2**20)
    for body in (b"1", b"2", b"1", b"3"):
        raw.keep([body])
    raw.keep([b"4", b"2"])
    assert [whole(store, n) for n in (1, 2, 1000)] == [[b"1", b"2", b"3", b"4"]] * 3
    raw.close()
    raw = RawEvents(store, 2**20)
    raw.keep([b"5", b"1"])
    assert whole(store) == [b"1", b"2", b"3", b"4", b"5"]
    raw.close()


def test_a_page_is_bounded_in_bytes_too(tmp_path: Path) -> None:
    """At least one event comes with each."""
    store = str(tmp_path / "a.db")
    raw = RawEvents(store, 2**20)
    raw.keep([b"1" * 100, b"2" * 100, b"3"])
    assert raw.page(0, 10, most=50).bodies == [b"1" * 100]
    assert raw.page(1, 10, most=100).bodies == [b"2" * 100, b"3"]
    raw.close()


def test_of_too_many_the_oldest_go_and_are_counted(tmp_path: Path) -> None:
    """The bound is on what they take compressed; what is new always stays."""
    store = str(tmp_path / "a.db")
    raw = RawEvents(store, 1000)
    bodies = [bytes([n]) * 10 for n in range(200)]
    for body in bodies:
        raw.keep([body])
    page = raw.page(0, 1000)
    assert page.bodies == bodies[page.removed :]
    assert 0 < page.removed < 200
    sizes = raw._db.execute("SELECT sum(length(body)) FROM event").fetchone()
    assert sizes == raw._db.execute("SELECT bytes FROM totals").fetchone()
    assert sizes[0] <= 1000
    raw.close()


def test_many_who_keep_at_once_share_a_write(tmp_path: Path) -> None:
    """Nobody hears before it is on the disk, and nothing is lost or doubled."""
    store = str(tmp_path / "a.db")
    raw = RawEvents(store, 2**20)

    def keep(thread: int) -> None:
        for n in range(50):
            body = f"{thread}/{n}".encode()
            raw.keep([body])
            assert body in whole(store) if n % 25 == 0 else True

    threads = [threading.Thread(target=keep, args=(n,)) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(whole(store)) == sorted(f"{t}/{n}".encode() for t in range(8) for n in range(50))
    raw.close()


def test_what_cannot_be_kept_is_not_acknowledged(tmp_path: Path) -> None:
    """Somebody else's lock, a full disk: the answer is to try again."""
    store = str(tmp_path / "a.db")
    raw = RawEvents(store, 2**20)
    raw._db.execute("PRAGMA busy_timeout = 50")
    with sqlite3.connect(store + SUFFIX) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="send it again"):
            raw.keep([b"1"])
    raw.keep([b"1"])
    assert whole(store) == [b"1"]
    raw.close()


def test_a_store_without_events_has_an_empty_page(tmp_path: Path) -> None:
    """A read-only server may stand beside a store that never got any."""
    assert RawPages(str(tmp_path / "none.db")).page(0, 10) == ([], None, 0)
