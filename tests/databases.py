"""MariaDB and PostgreSQL servers of the tests' own: private data, free ports, gone afterwards.

`shared(name)` is one server for the whole run, started when first asked for, fast because it
does not wait for the disk. Who kills servers, or cares whether commits survive it, makes one
of their own: `MariaDB()`, `PostgreSQL()`; these are durable. Each test takes a database of its
own from it: `create()`.

Both are set up as the hard case. MariaDB compares without case. PostgreSQL orders text as
people do (ICU), not by bytes, and demands a password over TCP. The password has characters
that a URL must encode.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
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
from urllib.parse import quote

import pytest

USER = "lineage"
PASSWORD = "p@ss:w/rd%?#+ü"
START_TIMEOUT = 120.0
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/lib/postgresql/*/bin")


class DatabaseServer(ABC):
    """One server process, its data in a temporary folder. `durable=False` = faster, and what
    was committed may be lost when it is killed."""

    name: ClassVar[str]
    package: ClassVar[str]
    account: ClassVar[str]
    """Who runs it when the tests run as root, which it refuses to be run by."""
    programs: ClassVar[Sequence[Sequence[str]]]
    """What must be installed, each under one of its names."""

    def __init__(self, durable: bool = True) -> None:
        self.durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="lineage-db-"))
        self.data = self.folder / "data"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._as = _account(self.account)
        if self._as:
            os.chown(self.folder, self._as["user"], self._as["group"])

    @classmethod
    def missing(cls) -> list[str]:
        """The programs that are not installed."""
        return [names[0] for names in cls.programs if not any(map(_program, names))]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, on the port it had before, and wait until it answers."""
        if not self.data.exists():
            self._run(*self._initialise())
            # Whoever else looks for a free port may be faster than a server that starts.
            for attempts_left in (2, 1, 0):
                self.port = _free_port()
                try:
                    return self._start()
                except AssertionError:
                    if not attempts_left:
                        raise
        self._start()

    def stop(self) -> None:
        """End it in order: clients are cut off, commits finished."""
        self._signal(self._stop_signal)

    def kill(self) -> None:
        """End it at once, with all its processes, as a power cut would."""
        self._signal(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again after `stop` or `kill`; from running, stop it first."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Kill it and remove what it holds."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def create(self) -> str:
        """A new empty database, owned by an ordinary user; its URL."""
        database = f"store_{next(self._numbers)}"
        self._create(database)
        return f"{self._scheme}://{USER}:{quote(PASSWORD, '')}@127.0.0.1:{self.port}/{database}"

    @abstractmethod
    def admin(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser; its rows, if it has any."""

    _scheme: ClassVar[str]
    _stop_signal: ClassVar[signal.Signals]

    @abstractmethod
    def _initialise(self) -> list[str]: ...
    @abstractmethod
    def _command(self) -> list[str]: ...
    @abstractmethod
    def _create(self, database: str) -> None: ...
    def _prepare(self) -> None:
        """What a server that was never started before needs before databases are created."""

    def _start(self) -> None:
        assert self.process is None
        fresh = not (self.folder / "prepared").exists()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, start_new_session=True, **self._as,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = (self.folder / "log").read_text(errors="replace")
                raise AssertionError(f"{self.name} did not start:\n{said[-4000:]}")
            time.sleep(0.05)
        if fresh:
            self._prepare()
            (self.folder / "prepared").touch()

    def _answers(self) -> bool:
        with contextlib.suppress(Exception):
            return bool(self.admin("SELECT 1"))
        return False

    def _signal(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        # A killed parent's children would live on for a moment, and hold the data.
        for pid in [self.process.pid, *(_children(self.process.pid) if number == 9 else ())]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        self.process.wait(60)
        self.process = None

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, cwd=self.folder, check=False, **self._as)
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise AssertionError(f"{command[0]} failed:\n{said[-4000:]}")


class MariaDB(DatabaseServer):
    name = "mariadb"
    package = "mariadb-server"
    account = "mysql"
    programs = (("mariadbd", "mysqld"), ("mariadb-install-db", "mysql_install_db"))
    _scheme = "mysql"
    _stop_signal = signal.SIGTERM

    def admin(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        import pymysql

        with (
            contextlib.closing(
                pymysql.connect(
                    unix_socket=str(self.folder / "sock"), user="root", database=database,
                    autocommit=True,
                )  # fmt: skip
            ) as db,
            db.cursor() as cursor,
        ):
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _initialise(self) -> list[str]:
        return [
            _need(*self.programs[1]), "--no-defaults", f"--datadir={self.data}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
            "--innodb-flush-method=nosync",
        ]  # fmt: skip

    def _command(self) -> list[str]:
        fast = ("--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync",
                "--innodb-doublewrite=0")  # fmt: skip
        return [
            _need(*self.programs[0]), "--no-defaults", f"--datadir={self.data}",
            f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.folder / 'sock'}",
            f"--pid-file={self.folder / 'pid'}", "--skip-name-resolve",
            "--character-set-server=utf8mb4", "--innodb-buffer-pool-size=64M",
            *(() if self.durable else fast),
        ]  # fmt: skip

    def _prepare(self) -> None:
        # The only way to log in that ml-metadata's wheel knows.
        known = "IDENTIFIED VIA mysql_native_password USING PASSWORD"
        self.admin(f"CREATE USER {USER}@'127.0.0.1' {known}('{PASSWORD}')")

    def _create(self, database: str) -> None:
        self.admin(f"CREATE DATABASE {database}")
        self.admin(f"GRANT ALL ON {database}.* TO {USER}@'127.0.0.1'")


class PostgreSQL(DatabaseServer):
    name = "postgresql"
    package = "postgresql"
    account = "postgres"
    programs = (("postgres",), ("initdb",))
    _scheme = "postgresql"
    _stop_signal = signal.SIGINT

    def admin(self, sql: str, database: str | None = None) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres",
            dbname=database or "postgres", autocommit=True,
        ) as db:  # fmt: skip
            cursor = db.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def _initialise(self) -> list[str]:
        return [
            _need("initdb"), "-D", str(self.data), "-U", "postgres", "-E", "UTF8", "--locale=C",
            "--locale-provider=icu", "--icu-locale=en-US", "--no-sync", "--no-instructions",
            "--auth-local=trust", "--auth-host=scram-sha-256",
        ]  # fmt: skip

    def _command(self) -> list[str]:
        settings = {
            "port": self.port, "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder, "max_connections": 200,
        }  # fmt: skip
        if not self.durable:
            settings |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
        given = (part for k, v in settings.items() for part in ("-c", f"{k}={v}"))
        return [_need("postgres"), "-D", str(self.data), *given]

    def _prepare(self) -> None:
        self.admin(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")

    def _create(self, database: str) -> None:
        self.admin(f"CREATE DATABASE {database} OWNER {USER}")


SERVERS: dict[str, type[DatabaseServer]] = {s.name: s for s in (MariaDB, PostgreSQL)}
_running: dict[str, DatabaseServer] = {}


def need(name: str) -> type[DatabaseServer]:
    """The kind of server; where it is not installed the test is skipped, and fails in CI."""
    kind = SERVERS[name]
    if absent := kind.missing():
        reason = (
            f"{name} is NOT TESTED: no {' and no '.join(absent)} on PATH "
            f"(apt-get install {kind.package})"
        )
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return kind


def shared(name: str) -> DatabaseServer:
    """The server of this run; whoever first asks for it starts it. Never kill it."""
    if name not in _running:
        server = need(name)(durable=False)
        try:
            server.start()
        except BaseException:
            server.close()
            raise
        _running[name] = server
    return _running[name]


def close_shared() -> None:
    while _running:
        _running.popitem()[1].close()


def _program(name: str) -> str | None:
    """Where it is installed. Debian keeps PostgreSQL's off PATH, and servers in sbin."""
    if found := shutil.which(name):
        return found
    places = (place for folder in _FOLDERS for place in Path("/").glob(f"{folder[1:]}/{name}"))
    return max(map(str, places), default=None)


def _need(*names: str) -> str:
    return next(found for name in names if (found := _program(name)))


def _account(name: str) -> dict[str, Any]:
    """For `subprocess`: who to become. Root only; anyone else stays who they are."""
    if os.geteuid() != 0:
        return {}
    for candidate in (name, "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(candidate)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise AssertionError(f"as root, {name} needs a user of that name to run as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(pid: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(stat.parent.name)
