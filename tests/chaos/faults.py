"""What is done to the system, one function a fault. Each ends with the fault over.

A fault gets the `Round` it strikes in, and whatever is random from its `chance`. It says what
it did by `round_.struck[kind]`, and writes into a ledger what nobody can ask of the system.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import COMMAND, READY, clean_environment

from . import clients, outboxes

if TYPE_CHECKING:
    from .rounds import Round
    from .system import Api

Fault = Callable[["Round", random.Random], None]
IN_USE = "is in use by process {} on {} since 20"


def kill_api(round_: Round, chance: random.Random) -> None:
    api = chance.choice(round_.system.apis)
    api.kill()
    time.sleep(chance.uniform(0, 0.3))
    api.start()


def restart_api(round_: Round, chance: random.Random) -> None:
    api = chance.choice(round_.system.apis)
    api.stop()
    api.start()


def kill_store(round_: Round, chance: random.Random) -> None:
    _signal(chance.choice(round_.system.apis).store_pid, signal.SIGKILL)


def freeze_store(round_: Round, chance: random.Random) -> None:
    """Half open: its socket takes calls, and nobody answers."""
    pid = chance.choice(round_.system.apis).store_pid
    _signal(pid, signal.SIGSTOP)
    time.sleep(chance.uniform(0.2, 1.0))
    _signal(pid, signal.SIGCONT)


def kill_recorder(round_: Round, chance: random.Random) -> None:
    place = chance.randrange(len(round_.recorders))
    round_.recorders[place].kill()
    time.sleep(chance.uniform(0, 0.3))
    round_.restart(place)


def kill_database(round_: Round, chance: random.Random) -> None:
    with round_.system.without_database(lambda database: database.kill()):
        time.sleep(chance.uniform(0, 0.5))


def restart_database(round_: Round, chance: random.Random) -> None:
    with round_.system.without_database(lambda database: database.stop()):
        pass


def fill_disk(round_: Round, chance: random.Random) -> None:
    """Store and outboxes find no room, for as long as this takes."""
    if not round_.system.mounted:  # it would be everybody's disk
        limit_files(round_, chance)
        return
    with full(round_.system.disk):
        time.sleep(chance.uniform(0.3, 1.0))


def limit_files(round_: Round, chance: random.Random) -> None:
    """A quota: no file of server and store may grow."""
    with limited(chance.choice(round_.system.apis)):
        time.sleep(chance.uniform(0.3, 1.0))


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte of room there."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 2**20
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
        yield
    filler.unlink()


@contextlib.contextmanager
def limited(api: Api) -> Iterator[None]:
    _limit((api.pid, api.store_pid), 4096)
    yield
    # A store process that was started meanwhile has inherited it.
    _limit((api.pid, api.store_pid), resource.RLIM_INFINITY)


def clock(round_: Round, chance: random.Random) -> None:
    """Nothing to do here: the recorders' clocks leap by themselves (`Round.jumps`)."""


def slow_client(round_: Round, chance: random.Random) -> None:
    clients.slow(round_, chance)


def half_client(round_: Round, chance: random.Random) -> None:
    clients.half_open(round_, chance)


def damage_outbox(round_: Round, chance: random.Random) -> None:
    outboxes.damage(round_, chance)


def second_server(round_: Round, chance: random.Random) -> None:
    """On a store that is held: it must refuse, and say by whom, where and since when."""
    holder = round_.system.apis[0].pid
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(LINEAGE_STORE=round_.system.store, PYTHONUNBUFFERED="1"),
    )
    assert process.stdout is not None
    said = ""
    try:
        while line := process.stdout.readline():
            said += line
            if line.startswith(READY):
                process.terminate()
    finally:
        process.kill()
        process.wait()
    if round_.system.apis[0].pid != holder:
        return  # the first was killed meanwhile: then this one may have been the first
    if not (process.returncode == 1 and IN_USE.format(holder, os.uname().nodename) in said):
        round_.complaints.append(f"a second server on one store got: {said[-500:]!r}")


def _signal(pid: int | None, number: int) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _limit(pids: Iterable[int | None], most: int) -> None:
    for pid in filter(None, pids):
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, hard))


EVERYWHERE: dict[str, Fault] = {
    "api killed": kill_api,
    "store process killed": kill_store,
    "recorder killed": kill_recorder,
    "store process frozen": freeze_store,
    "server restarted": restart_api,
    "clock jump": clock,
    "slow client": slow_client,
    "half-open client": half_client,
    "outbox damaged": damage_outbox,
}
ON_SQLITE: dict[str, Fault] = {
    "disk full": fill_disk,
    "file limit": limit_files,
    "second server": second_server,
}
ON_SERVERS: dict[str, Fault] = {
    "database killed": kill_database,
    "database restarted": restart_database,
}
