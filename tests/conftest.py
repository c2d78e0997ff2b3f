"""A real `lineage serve`, in a process of its own, for every test that asks for one."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from lineage.client import Client
from tests import databases

COMMAND = [sys.executable, "-m", "lineage"]
READY = "Lineage is ready at "
START_TIMEOUT = 60


@dataclass
class Server:
    """A running server: `url`, its `store` (a file, or a database's URL), its `process`."""

    url: str
    store: Path | str
    process: subprocess.Popen[str]

    def client(self) -> Client:
        return Client(self.url)

    def stop(self) -> int:
        """Ask it to stop (SIGTERM); its exit code."""
        self.process.terminate()
        return self.process.wait(30)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


class MakeServer(Protocol):
    def __call__(self, *arguments: str, store: Path | str | None = None) -> Server: ...


def clean_environment(**more: str) -> dict[str, str]:
    """This environment without its LINEAGE_* variables."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LINEAGE_")}
    return {**kept, "NO_PROXY": "*", **more}


def start_server(
    folder: Path, *arguments: str, store: Path | str | None = None, command: Sequence[str] = COMMAND,
    **environment: str,
) -> Server:  # fmt: skip
    """`lineage serve` on a free port; returns once it answers."""
    store = store or folder / "lineage.db"
    log = folder / "serve.log"
    environment["LINEAGE_STORE"] = str(store)  # a database's URL has a password
    with log.open("a") as stderr:
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=clean_environment(**{"PYTHONUNBUFFERED": "1", **environment}),
        )
    assert process.stdout is not None
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if not select.select([process.stdout], [], [], 0.2)[0]:
            continue
        line = process.stdout.readline()
        if line.startswith(READY):
            return Server(line.removeprefix(READY).strip(), store, process)
    process.kill()
    process.wait()
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers on request: `make_server(store=path)`; all are stopped in the end."""
    started: list[Server] = []

    def make(*arguments: str, store: Path | str | None = None) -> Server:
        started.append(start_server(tmp_path, *arguments, store=store))
        return started[-1]

    yield make
    for server in started:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the whole session: give your records keys and URIs of your own."""
    running = start_server(tmp_path_factory.mktemp("server"))
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture(scope="session", autouse=True)
def _databases_of_the_tests() -> Iterator[None]:
    """Database servers that tests share are started by whoever asks first, and end here."""
    yield
    databases.close_shared()


@pytest.fixture(scope="session", autouse=True)
def _outboxes_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hooks keep their reports in a directory of this run, not in the state of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.delenv("COLUMNS", raising=False)  # tables are as wide as they need
        yield
