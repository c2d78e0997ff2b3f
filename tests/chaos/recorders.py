"""The load: recorders, each a process of its own, so that each can be killed.

`single` sends PUTs from a few threads, `batch` whole batches, `hook` goes through an outbox.
For the first two an acknowledgement is the server's answer; for a hook it is that `record`
said it keeps the report: from then on nothing may lose it, not even kill -9.
"""

from __future__ import annotations

import itertools
import json
import logging
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lineage.client import Client
from lineage.errors import LineageError, ServerUnreachable

from .ledger import Ledger, Report
from .reports import reports

KINDS = ("single", "batch", "hook", "hook")
THREADS = 3
TIMEOUT = 45.0
PAUSE = 0.02
DELIVERY = 90.0

_processes = multiprocessing.get_context("forkserver")
# A child imports what the main module does, unless it is there already.
_processes.set_forkserver_preload(["tests.chaos.__main__", "controllers_hooks.repair", "httpx2"])


@dataclass(frozen=True)
class Task:
    """What a recorder is to do. `jumps`: at which second its clock leaps, and how far."""

    kind: str
    name: str
    url: str
    disk: Path
    ledger: Path
    seed: int
    until: float
    jumps: tuple[tuple[float, float], ...] = ()
    life: int = 0

    @property
    def outbox(self) -> Path:
        return self.disk / self.name

    def again(self) -> Task:
        """The same recorder after a restart; it may not know what it had sent before."""
        return replace(self, life=self.life + 1)


def warm() -> None:
    """Start what recorders are forked from, so that the first is as quick as the next."""
    process = _processes.Process(target=int)
    process.start()
    process.join()


class Recorder:
    """A running recorder."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.process = _processes.Process(target=_run, args=(task,), daemon=True)
        self.process.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def wait(self, seconds: float) -> bool:
        """False: it failed, or had to be killed."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.kill()
        return self.process.exitcode == 0


def _run(task: Task) -> None:
    # An outage is what is wanted here: the hook's word for it would only hide what is not.
    logging.getLogger("lineage").setLevel(logging.CRITICAL)
    ledger = Ledger(task.ledger, f"{task.name}.{task.life}")
    _leap(task.jumps)
    {"single": _single, "batch": _batch, "hook": _hook, "deliver": _deliver}[task.kind](
        task, ledger
    )


def _leap(jumps: tuple[tuple[float, float], ...]) -> None:
    """From now on this process lives by a clock that leaps; hook and outbox see it too."""
    begin, seconds, nanoseconds = time.monotonic(), time.time, time.time_ns

    def offset() -> float:
        return sum(by for at, by in jumps if time.monotonic() - begin >= at)

    time.time = lambda: seconds() + offset()
    time.time_ns = lambda: nanoseconds() + int(offset() * 1e9)


def _stream(task: Task, part: str = "") -> Iterator[tuple[str, Report]]:
    made = reports(task.seed, f"{task.name}.{task.life}{part}", lambda: time.time())
    return itertools.takewhile(lambda _: time.monotonic() < task.until, made)


def _single(task: Task, ledger: Ledger) -> None:
    def record(thread: int) -> None:
        with Client(task.url, timeout=TIMEOUT) as client:
            for id_, report in _stream(task, f".{thread}"):
                ledger.sent({id_: report})
                _send(ledger, partial(_recorded, client, id_, report))

    threads = [threading.Thread(target=record, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _batch(task: Task, ledger: Ledger) -> None:
    chance, stream = random.Random(task.seed), _stream(task)
    with Client(task.url, timeout=TIMEOUT) as client:
        while chunk := dict(itertools.islice(stream, chance.randrange(2, 40))):
            ledger.sent(chunk)
            _send(ledger, partial(_accepted, client, ledger, chunk))
            time.sleep(PAUSE)


def _recorded(client: Client, id_: str, report: Report) -> list[str]:
    client.record(report)
    return [id_]


def _accepted(client: Client, ledger: Ledger, chunk: dict[str, Report]) -> list[str]:
    answer = client.batch([json.dumps(report).encode() + b"\n" for report in chunk.values()])
    ids = list(chunk)
    for result in answer["results"]:
        if result.get("error"):
            ledger.refused(f"{result['status']} in a batch", 0.0)
    return [ids[result["index"]] for result in answer["results"] if result.get("outcome")]


def _send(ledger: Ledger, call: Callable[[], list[str]]) -> None:
    begin = time.monotonic()
    try:
        done = call()
    except ServerUnreachable:
        ledger.refused("unreachable", time.monotonic() - begin)
        time.sleep(PAUSE)
    except LineageError as error:
        # An answer that is no problem of ours has a title that none of ours has.
        ledger.refused(f"{error.status} {error.title}", time.monotonic() - begin)
        time.sleep(PAUSE)
    else:
        ledger.acknowledged(done, time.monotonic() - begin)


def _hook(task: Task, ledger: Ledger) -> None:
    hook = _connected(task)
    for id_, report in _stream(task):
        ledger.sent({id_: report})
        if hook.record(report):
            ledger.acknowledged([id_])
        time.sleep(PAUSE / 4)
    hook.close(0.1)  # what is not delivered by then waits for `deliver`


def _deliver(task: Task, ledger: Ledger) -> None:
    """Whoever comes next on this disk delivers what was left, and says what it found."""
    hook = _connected(task)
    flushed = hook.close(DELIVERY)
    found = hook.statistics()
    aside = found.corrupt + found.torn if task.name.startswith("damaged") else 0
    ledger.counted({"rejected": found.rejected, "aside": aside, "undelivered": not flushed})


def _connected(task: Task) -> Any:
    from controllers_hooks import Hook

    return Hook(task.name, namespace="chaos", url=task.url, outbox=task.outbox, timeout=TIMEOUT)
