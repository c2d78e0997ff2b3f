"""One database server of the tests' own: what MariaDB and PostgreSQL have in common."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from sqlalchemy import URL, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

USER = "lineage"
PASSWORD = "p@ss:w/rd%?#+ü"
"""One that a URL has to encode."""
START_TIMEOUT = 120.0
_FOLDERS = ("usr/sbin", "usr/local/sbin", "usr/libexec", "usr/lib/postgresql/*/bin")
_PORTS = range(20_000, 32_000)
"""Below those that systems give to clients: a port must be free again for a server's return."""


class DatabaseServer(ABC):
    """One server, its data in a temporary folder. `durable=False`: commits do not wait for the
    disk, and those of the last moment are lost when it is killed."""

    name: ClassVar[str]
    package: ClassVar[str]
    """Debian's."""
    account: ClassVar[str]
    """Who runs it when the tests are run by root, from whom it refuses to be."""
    programs: ClassVar[Sequence[Sequence[str]]]
    """The server and what initialises its data, each under any of its names."""
    _stop_signal: ClassVar[signal.Signals]

    def __init__(self, durable: bool = True) -> None:
        self.durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="lineage-db-"))
        self.data = self.folder / "data"
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._as = _account(self.account)
        if self._as:
            os.chown(self.folder, self._as["user"], self._as["group"])

    @classmethod
    def missing(cls) -> list[str]:
        """What of it is not installed."""
        return [names[0] for names in cls.programs if not any(map(program, names))]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, on the same port each time, and wait until it answers."""
        fresh = not self.data.exists()
        if fresh:
            self._initialise()
        self._launch()
        if fresh:
            self._create_user()

    def stop(self) -> None:
        """End it in order: commits under way are finished, clients cut off."""
        if self.process is not None:
            self.process.send_signal(self._stop_signal)
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """End it and its children at once, as a power cut would."""
        if self.process is not None:
            for pid in (self.process.pid, *children(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(60)
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Kill it and remove what it held."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def create(self) -> str:
        """A new, empty database that belongs to an ordinary user; its URL."""
        database = f"store_{next(self._numbers)}"
        self._create(database)
        url = URL.create(self._scheme, USER, PASSWORD, "127.0.0.1", self.port, database)
        return url.render_as_string(hide_password=False)

    def admin(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser; its rows, if it has any."""
        engine = create_engine(self._admin(database), poolclass=NullPool)
        alone = {"isolation_level": "AUTOCOMMIT", "no_parameters": True}
        with engine.connect().execution_options(**alone) as db:
            result = db.exec_driver_sql(sql)
            return [tuple(row) for row in result] if result.returns_rows else []

    _scheme: ClassVar[str]

    @abstractmethod
    def _admin(self, database: str | None) -> URL: ...
    @abstractmethod
    def _initialise(self) -> None: ...
    @abstractmethod
    def _command(self) -> list[str]: ...
    @abstractmethod
    def _create_user(self) -> None: ...
    @abstractmethod
    def _create(self, database: str) -> None: ...

    def _launch(self) -> None:
        assert self.process is None, "it runs already"
        log = self.folder / "log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=self.folder, start_new_session=True, **self._as,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = log.read_text(errors="replace")
                raise AssertionError(f"{self.name} did not start:\n{said[-4000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return bool(self.admin("SELECT 1"))
        except DBAPIError:
            return False

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, capture_output=True, cwd=self.folder, check=False, **self._as
        )
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise AssertionError(f"{command[0]} failed:\n{said[-4000:]}")


def program(name: str) -> str | None:
    """Where it is: Debian keeps PostgreSQL's programs off PATH, and servers in sbin."""
    places = (place for folder in _FOLDERS for place in Path("/").glob(f"{folder}/{name}"))
    return shutil.which(name) or max(map(str, places), default=None)


def found(*names: str) -> str:
    return next(found for name in names if (found := program(name)))


def _account(name: str) -> dict[str, Any]:
    """For `subprocess`: whom root becomes. Anyone else stays who they are."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def children(pid: int) -> Iterator[int]:
    """The processes that this one started, and has not outlived."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(stat.parent.name)
