"""MariaDB and PostgreSQL servers of the tests' own: private data, free ports, gone afterwards.

`shared(name)` is one server for the whole run, started when first asked for, and fast because
it does not wait for the disk. Who kills servers makes one of their own, which is durable:
`with MariaDB() as database`. From either, each test takes databases of its own: `create()`.

Both are set up as the hard case. MariaDB compares text without case. PostgreSQL orders it as
people do (ICU), not by bytes, and wants a password over TCP, one that a URL has to encode.

Run as `python -m tests.databases` it prints Debian's packages of those that are not installed.
"""

from __future__ import annotations

import os
import signal

import pytest
from sqlalchemy import URL

from tests.database_server import PASSWORD, USER, DatabaseServer, found


class MariaDB(DatabaseServer):
    name = "mariadb"
    package = "mariadb-server"
    account = "mysql"
    programs = (("mariadbd", "mysqld"), ("mariadb-install-db", "mysql_install_db"))
    _scheme = "mysql"
    _stop_signal = signal.SIGTERM

    def _admin(self, database: str | None) -> URL:
        query = {"unix_socket": str(self.folder / "sock")}
        return URL.create("mysql+pymysql", "root", database=database, query=query)

    def _initialise(self) -> None:
        self._run(
            found(*self.programs[1]), "--no-defaults", f"--datadir={self.data}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
            "--innodb-flush-method=nosync",
        )  # fmt: skip

    def _command(self) -> list[str]:
        fast = ("--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync",
                "--innodb-doublewrite=0")  # fmt: skip
        return [
            found(*self.programs[0]), "--no-defaults", f"--datadir={self.data}",
            f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self.folder / 'sock'}",
            f"--pid-file={self.folder / 'pid'}", "--skip-name-resolve",
            "--character-set-server=utf8mb4", "--innodb-buffer-pool-size=64M",
            *(() if self.durable else fast),
        ]  # fmt: skip

    def _create_user(self) -> None:
        # The one way to log in that ml-metadata's wheel knows (docs/mlmd.md, trap 11).
        how = f"mysql_native_password USING PASSWORD('{PASSWORD}')"
        self.admin(f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED VIA {how}")

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

    def _admin(self, database: str | None) -> URL:
        query = {"host": str(self.folder), "port": str(self.port)}
        name = database or "postgres"
        return URL.create("postgresql+psycopg", "postgres", database=name, query=query)

    def _initialise(self) -> None:
        self._run(
            found("initdb"), f"--pgdata={self.data}", "--username=postgres", "--encoding=UTF8",
            "--locale=C", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync",
            "--auth-local=trust", "--auth-host=scram-sha-256",
        )  # fmt: skip

    def _command(self) -> list[str]:
        settings: dict[str, object] = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "max_connections": 200,
        }
        if not self.durable:
            settings |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
        given = (part for k, v in settings.items() for part in ("-c", f"{k}={v}"))
        return [found("postgres"), "-D", str(self.data), *given]

    def _create_user(self) -> None:
        self.admin(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")

    def _create(self, database: str) -> None:
        self.admin(f"CREATE DATABASE {database} OWNER {USER}")


SERVERS: dict[str, type[DatabaseServer]] = {kind.name: kind for kind in (MariaDB, PostgreSQL)}
_running: dict[str, DatabaseServer] = {}


def need(name: str) -> type[DatabaseServer]:
    """The kind of server; where it is not installed, the test is skipped, and in CI it fails."""
    kind = SERVERS[name]
    if absent := kind.missing():
        reason = (
            f"{name} is NOT TESTED: no {' and no '.join(absent)} (apt-get install {kind.package})"
        )
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return kind


def shared(name: str) -> DatabaseServer:
    """The server of this run, never to be stopped by a test."""
    if name not in _running:
        _running[name] = need(name)(durable=False).__enter__()
    return _running[name]


def close_shared() -> None:
    while _running:
        _running.popitem()[1].close()


if __name__ == "__main__":
    print(*(kind.package for kind in SERVERS.values() if kind.missing()))
