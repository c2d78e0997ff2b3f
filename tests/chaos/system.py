"""The system under attack: servers on one database, that can be killed, frozen and started.

Knows processes and ports; neither reports nor what a fault is for.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lineage.client import Client
from lineage.errors import ServerUnreachable
from tests.conftest import COMMAND, READY, clean_environment
from tests.database_server import DatabaseServer

PATIENCE = 90.0
"""Seconds after which a system that was left alone again must answer."""
SMALL_DISK = "128m"
SERVERS = 2
"""So many share a database that is a server itself."""
PORTS = range(12_000, 20_000)
"""Below those that systems give to clients: a port must be free again for a server's return."""


class Api:
    """One `lineage serve`, always on the same port."""

    def __init__(self, store: str, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._store, self._log = store, log
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.RLock()

    @property
    def pid(self) -> int | None:
        """None while it is not there."""
        process = self._process
        return process.pid if process is not None else None

    @property
    def store_pid(self) -> int | None:
        """Of its store process; None while there is none."""
        return next(store_processes(self.pid), None) if self.pid is not None else None

    def start(self) -> None:
        """Until it answers. Whoever still holds port or store gets a moment to let go."""
        with self._lock:
            deadline = time.monotonic() + PATIENCE
            while not self._started():
                assert time.monotonic() < deadline, f"no server; its log: {self._log.read_text()}"
                time.sleep(0.2)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def ready(self) -> bool:
        try:
            with Client(self.url, timeout=10) as client:
                return client.health()
        except ServerUnreachable:
            return False

    def _end(self, number: int) -> None:
        with self._lock:
            if self._process is None:
                return
            self._process.send_signal(number)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                raise
            finally:
                assert self._process.stdout is not None
                self._process.stdout.close()
                self._process = None

    def _started(self) -> bool:
        if self._process is not None and self._process.poll() is None:
            return True
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "serve", "--port", str(self.port)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # By the environment: a database URL has a password, and arguments are public.
                env=clean_environment(PYTHONUNBUFFERED="1", LINEAGE_STORE=self._store),
            )
        stdout = self._process.stdout
        assert stdout is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if select.select([stdout], [], [], 0.2)[0]:
                if (line := stdout.readline()).startswith(READY):
                    return True
                if not line:
                    break
        self.kill()
        return False


class System:
    """All of it: `folder` is outside of what may fill up, `disk` is where things are written."""

    def __init__(self, folder: Path, database: DatabaseServer | None = None) -> None:
        """Without a `database`: one server on a SQLite file, else several on a database of it."""
        self.folder, self.database = folder, database
        self.disk, self.mounted = small_disk(folder)
        self.store = database.create() if database else str(self.disk / "lineage.db")
        servers = SERVERS if database else 1
        self.apis = [Api(self.store, folder / f"serve{n}.log") for n in range(servers)]
        self._database_lock = threading.Lock()

    def start(self) -> None:
        for api in self.apis:
            api.start()

    @contextlib.contextmanager
    def without_database(self, end: Callable[[DatabaseServer], None]) -> Iterator[None]:
        """The block runs while it is away; `end` makes it go."""
        assert self.database is not None
        with self._database_lock:
            end(self.database)
            yield
            self.database.start()

    def settle(self) -> float:
        """Start what is down and wait until all of it answers: the seconds that took."""
        begin = time.monotonic()
        self.start()
        while not all(api.ready() for api in self.apis):
            assert time.monotonic() - begin < PATIENCE, "the system does not recover"
            time.sleep(0.05)
        return time.monotonic() - begin

    def close(self) -> None:
        for api in self.apis:
            with contextlib.suppress(subprocess.TimeoutExpired):
                api.stop()
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.disk)], check=False)


def store_processes(pid: int) -> Iterator[int]:
    """The children of any thread of a server that run its store."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if b"lineage.store.process" in Path(f"/proc/{child}/cmdline").read_bytes():
                    yield int(child)


def free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def small_disk(folder: Path) -> tuple[Path, bool]:
    """A directory on a disk of its own that is soon full, where we may mount one."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "chaos", str(disk)]
    allowed = os.geteuid() == 0 and shutil.which("mount") is not None
    done = allowed and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    return disk, done
