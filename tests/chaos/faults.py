"""What is done to the system, one function a fault. Each ends with the fault over.

A fault gets the `Round` it strikes in, and whatever is random from its `chance`. It says what
it did by `round_.struck[kind]`, and writes into a ledger what nobody can ask of the system.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tests.conftest import COMMAND, clean_environment

from . import clients, outboxes

if TYPE_CHECKING:
    from .rounds import Round

Fault = Callable[["Round", random.Random], None]
IN_USE_WAIT = 60.0


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
    database = round_.system.database
    assert database is not None
    database.kill()
    time.sleep(chance.uniform(0, 0.5))
    database.start()


def restart_database(round_: Round, chance: random.Random) -> None:
    database = round_.system.database
    assert database is not None
    database.stop()
    database.start()


def fill_disk(round_: Round, chance: random.Random) -> None:
    """Store and outboxes find no room, for as long as this takes."""
    filler = round_.system.disk / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 2**20
        while size:
            try:
                file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                size //= 2
        time.sleep(chance.uniform(0.3, 1.0))
    filler.unlink()


def limit_files(round_: Round, chance: random.Random) -> None:
    """A quota: no file of server and store may grow."""
    api = chance.choice(round_.system.apis)
    limited = [pid for pid in (api.pid, api.store_pid) if pid is not None]
    _limit(limited, 4096)
    time.sleep(chance.uniform(0.3, 1.0))
    # Those that were started meanwhile have inherited it.
    _limit({*limited, *filter(None, (api.pid, api.store_pid))}, resource.RLIM_INFINITY)


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
        env=clean_environment(LINEAGE_STORE=round_.system.store, COLUMNS="1000"),
    )
    said, _ = process.communicate(timeout=IN_USE_WAIT)
    if process.returncode == 1 and f"process {holder} on {os.uname().nodename} since " in said:
        return
    round_.complaints.append(f"a second server on one store got: {said[-500:]!r}")


def _signal(pid: int | None, number: int) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _limit(pids: Iterable[int], most: int) -> None:
    for pid in pids:
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
