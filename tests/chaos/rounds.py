"""A round: load, faults at random moments, calm, and the verdict."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from lineage.client import Client
from lineage.errors import StoreError, StoreFull, StoreUnavailable
from lineage.store.database import read_engine

from . import check, faults, ledger
from .recorders import KINDS, Recorder, Task
from .summary import Summary
from .system import System

LOAD = 1.0
"""Seconds for which recorders send."""
MOST_FAULTS = 3
MANNERLY = {
    "unreachable",
    *(
        f"{kind.status} {where}"
        for kind in (StoreError, StoreUnavailable, StoreFull)
        for where in (kind.title, "in a batch", "in a slow answer")
    ),
}
"""What a recorder may hear instead of an acknowledgement, whatever is broken."""
REPLAY = 1000


class Round:
    """What the faults of one round see of it."""

    def __init__(self, system: System, engine: str, seed: int, kinds: Sequence[str] = ()) -> None:
        """`kinds` = faults to choose from, all there are by default."""
        self.system, self.engine, self.seed = system, engine, seed
        self.ledger = system.folder / f"ledger-{seed}"
        self.outboxes = system.disk / f"outbox-{seed}"
        self.complaints: list[str] = []
        self.recorders: list[Recorder] = []
        self._lock = threading.Lock()
        self._known = faults.EVERYWHERE | (
            faults.ON_SQLITE if system.database is None else faults.ON_SERVERS
        )
        self._plan = self._planned(list(kinds or self._known))

    def run(self) -> Summary:
        """All of it. A system that does not recover is a finding like others."""
        begin = time.monotonic()
        summary = Summary(self.seed, self.engine, dict(Counter(kind for _, kind in self._plan)))
        self.ledger.mkdir()
        self.outboxes.mkdir()
        engine = read_engine(self.system.store)
        try:
            self._judged(engine, summary)
        except Exception as error:
            self._complain(f"{type(error).__name__}: {error}")
        finally:
            engine.dispose()
            shutil.rmtree(self.ledger)
            shutil.rmtree(self.outboxes)
        summary.complaints += self.complaints
        summary.seconds = time.monotonic() - begin
        return summary

    def _judged(self, engine: Engine, summary: Summary) -> None:
        before = check.numbers(engine)
        self._load()
        summary.recovery = self.system.settle()
        self._deliver()
        book = ledger.read(self.ledger)
        summary.read(book)
        found = check.examine(book, check.load(engine, before))
        summary.lost, summary.doubled, summary.made_up = found.lost, found.doubled, found.made_up
        summary.complaints = found.complaints + _misbehaviour(book)
        self._replay(book)
        self._complete(check.examine(everything(book), check.load(engine, before)))

    def restart(self, place: int) -> None:
        self.recorders[place] = Recorder(self.recorders[place].task.again())

    def _planned(self, kinds: list[str]) -> list[tuple[float, str]]:
        """(second, fault). The first goes by the seed, so that seeds in a row leave none out."""
        chance = random.Random(self.seed)
        more = chance.choices(kinds, k=chance.randrange(MOST_FAULTS))
        chosen = dict.fromkeys([kinds[self.seed % len(kinds)], *more])
        return [(chance.uniform(0.1, LOAD * 0.8), kind) for kind in chosen]

    def _jumps(self) -> tuple[tuple[float, float], ...]:
        """When the recorders' clocks leap, and by how many seconds."""
        if "clock jump" not in (kind for _, kind in self._plan):
            return ()
        chance = random.Random(self.seed)
        return tuple(
            (chance.uniform(0, LOAD), chance.choice((-1, 1)) * chance.choice((1, 3600, 10**7)))
            for _ in range(3)
        )

    def _load(self) -> None:
        until = time.monotonic() + LOAD
        urls = itertools.cycle(api.url for api in self.system.apis)
        for number, kind in enumerate(KINDS):
            task = Task(kind, f"{kind}{number}", next(urls), self.outboxes, self.ledger,
                        self.seed, until, self._jumps())  # fmt: skip
            self.recorders.append(Recorder(task))
        threads = [
            threading.Thread(target=self._strike, args=planned, daemon=True)
            for planned in self._plan
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for recorder in self.recorders:
            if not recorder.wait(60):
                self._complain(f"{recorder.task.name} did not come to its end")

    def _strike(self, moment: float, kind: str) -> None:
        time.sleep(moment)
        try:
            self._known[kind](self, random.Random(f"{self.seed}/{kind}"))
        except Exception as error:
            self._complain(f"{kind}: {type(error).__name__}: {error}")

    def _deliver(self) -> None:
        """A controller comes back on every outbox, and delivers what it finds."""
        url = self.system.apis[0].url
        left = [
            Recorder(Task("deliver", folder.name, url, self.outboxes, self.ledger, self.seed, 0.0))
            for folder in sorted(self.outboxes.iterdir())
        ]
        for one in left:
            if not one.wait(120):
                self._complain(f"the outbox of {one.task.name} was not delivered")

    def _replay(self, book: ledger.Book) -> None:
        """All that was acknowledged changes nothing when it is sent again; then all is sent."""
        with Client(self.system.apis[-1].url) as client:
            for wanted, reports in (
                (("unchanged",), book.owed),
                (("unchanged", "merged", "created"), book.sent),
                (("unchanged",), book.sent),
            ):
                outcomes = Counter(_outcomes(client, list(reports.values())))
                wrong = {str(o): n for o, n in outcomes.items() if o not in wanted}
                if wrong:
                    self._complain(f"sent again, reports were {wrong}")

    def _complete(self, found: check.Findings) -> None:
        """Once all of it is recorded, nothing may be missing or be there twice."""
        for name in ("lost", "doubled", "made_up", "complaints"):
            if what := getattr(found, name):
                self._complain(f"with all sent again {len(what)} {name}: {what[0]}")

    def _complain(self, what: str) -> None:
        with self._lock:
            self.complaints.append(what)


def _misbehaviour(book: ledger.Book) -> list[str]:
    said = [f"a recorder got {what}" for what in book.refused.keys() - MANNERLY]
    if book.counted["undelivered"]:
        said.append(f"{book.counted['undelivered']} outboxes were not delivered")
    if book.counted["aside"] != book.counted["broken"]:
        of = f"{book.counted['aside']} of {book.counted['broken']}"
        said.append(f"{of} broken lines of outboxes were kept aside")
    if book.counted["rejected"]:
        said.append(f"{book.counted['rejected']} reports of hooks were rejected")
    return said


def everything(book: ledger.Book) -> ledger.Book:
    """The book once all that was ever sent is acknowledged."""
    return ledger.Book(book.sent, set(book.sent))


def _outcomes(client: Client, reports: list[dict[str, Any]]) -> list[str | None]:
    out: list[str | None] = []
    for start in range(0, len(reports), REPLAY):
        lines = [json.dumps(one).encode() + b"\n" for one in reports[start : start + REPLAY]]
        out += [result.get("outcome") for result in client.batch(lines)["results"]]
    return out
