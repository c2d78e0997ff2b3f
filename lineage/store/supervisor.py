"""Keeps one store process alive and carries calls to it. Knows nothing of what they say."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import grpc

from lineage.address import Address, shown
from lineage.errors import LineageError, StoreError, StoreFull, StoreInUse, StoreUnavailable
from lineage.store.callers import Port
from lineage.store.process import EXIT_IN_USE, EXIT_NO_PORT, LOCK_WAIT, SERVICE, UNBOUNDED

log = logging.getLogger("lineage.store")

START_TIMEOUT = 60.0
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)

_FULL = "Error when executing query: database or disk is full"
"""How SQLite says it through MLMD. Only the beginning counts: the rest is the query."""


class StoreRefused(StoreError):
    """MLMD answered with an error: nothing of the call was written. `code` is gRPC's name.

    MLMD's own message carries whole nodes (docs/mlmd.md, trap 12), so it stays inside.
    """

    def __init__(self, code: str, private: str) -> None:
        super().__init__(f"the metadata store refused the write ({code}); nothing was recorded")
        self.code = code
        self.private = private


class StoreProcess:
    """The store process of one store, restarted whenever it dies.

    `mlmd` = where and how it answers MLMD's other clients too.
    `call` raises StoreUnavailable when the process went away (the call may or may not
    have been committed: read before writing again) and StoreRefused when MLMD said no.
    """

    def __init__(self, store: str, mlmd: Port | None = None) -> None:
        self._mlmd = mlmd
        self._address = Address.parse(store)
        self._store = store if self._address else os.path.abspath(store)
        self._folder = tempfile.mkdtemp(prefix="lineage-")
        self._socket = os.path.join(self._folder, "store")
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: grpc.Channel | None = None
        self._ready = threading.Event()
        self.restarts = 0

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            StoreInUse: another server holds the database file.
            StoreUnavailable: it did not start; the reason is in the log.
            LineageError: the port for MLMD's clients cannot be had.
        """
        self._spawn()
        threading.Thread(target=self._watch, name="store-watch", daemon=True).start()

    @property
    def shared(self) -> bool:
        """Whether others may write to this store as well."""
        return self._address is not None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def wait_ready(self, timeout: float) -> bool:
        return self._ready.wait(timeout)

    def call(self, method: str, request: bytes, timeout: float = 60.0) -> bytes:
        return self.begin(method, request, timeout)()

    def begin(self, method: str, request: bytes, timeout: float = 60.0) -> Callable[[], bytes]:
        """Send a call; what is returned waits for its answer. Several may be under way: the
        store takes them one after the other. `method` is one of MLMD's, or the path of another."""
        path = method if method.startswith("/") else f"/{SERVICE}/{method}"
        channel = self._channel
        if channel is None or not self._ready.is_set():
            raise StoreUnavailable("the store process is restarting; try again shortly")
        try:
            future = channel.unary_unary(path).future(request, timeout=timeout)
        except ValueError:  # the channel was closed by a restart
            raise StoreUnavailable("the store process is restarting; try again shortly") from None

        def answer() -> bytes:
            try:
                return bytes(future.result())
            except grpc.FutureCancelledError:
                raise StoreUnavailable("the store process went away during the call") from None
            except grpc.RpcError as error:
                code = error.code()
                if code is grpc.StatusCode.DEADLINE_EXCEEDED and (process := self._process):
                    process.kill()  # it hangs, and holds what others wait for
                if code in _GONE:
                    raise StoreUnavailable("the store process went away during the call") from None
                private = error.details() or ""
                if private.startswith(_FULL):
                    raise StoreFull(
                        "the disk of the database is full; nothing was recorded: make room there, "
                        "then send it again"
                    ) from None
                raise StoreRefused(code.name, private) from None

        return answer

    def close(self) -> None:
        """End the process after the call under way, if any."""
        self._closing.set()
        self._ready.clear()
        if self._channel is not None:
            self._channel.close()
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spawn(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._socket)
        command = [sys.executable, "-m", "lineage.store.process"]
        where = ["--database"] if self._address else ["--sqlite", self._store]
        command += [*where, "--socket", self._socket, "--wait", str(LOCK_WAIT)]
        if self._mlmd:
            command += ["--mlmd", self._mlmd.host, "--port", str(self._mlmd.port)]
            for name in ("tokens", "cert", "key"):
                if file := getattr(self._mlmd, name):
                    command += [f"--{name}", os.path.abspath(file)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        self._process = process
        if self._address:
            with contextlib.suppress(OSError):
                process.stdin.write(f"{self._store.strip()}\n".encode())  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
        killer = threading.Timer(START_TIMEOUT, process.kill)
        killer.start()
        said = process.stdout.readline()  # type: ignore[union-attr]
        killer.cancel()
        if said.strip() != b"ready":
            raise self._why(process)
        threading.Thread(target=_drain, args=(process,), daemon=True).start()
        self._channel = grpc.insecure_channel(
            f"unix:{self._socket}",
            options=[*UNBOUNDED, ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)],
        )
        self._ready.set()

    def _why(self, process: subprocess.Popen[bytes]) -> LineageError:
        _, stderr = process.communicate()
        reason = stderr.decode(errors="replace").strip().rpartition("\n")[2]
        if process.returncode == EXIT_IN_USE:
            return StoreInUse(
                f"{self._store} is {reason}; ask that server with --url, stop it, or read "
                "beside it with `lineage serve --read-only`"
            )
        if process.returncode == EXIT_NO_PORT:
            return LineageError(f"{reason} for MLMD's clients; choose another with --mlmd-port")
        if process.returncode == -signal.SIGABRT:
            reason = "ml-metadata ended the process; check the address of the database"
        return StoreUnavailable(
            f"the store process for {shown(self._store)} did not start: {reason}"
        )

    def _watch(self) -> None:
        while not self._closing.is_set():
            assert self._process is not None
            self._process.wait()
            if self._closing.is_set():
                return
            self._ready.clear()
            self.restarts += 1
            log.warning("the store process ended; starting it again")
            self._again()

    def _again(self) -> None:
        delay = 0.05
        while not self._closing.is_set():
            if self._channel is not None:
                self._channel.close()
            try:
                self._spawn()
                return
            except LineageError as error:
                log.error("%s", error)
                time.sleep(delay)
                delay = min(delay * 2, 2.0)


def _drain(process: subprocess.Popen[bytes]) -> None:
    """Throw away what MLMD logs: it may hold whole nodes, and a full pipe would stop it."""
    assert process.stderr is not None
    while process.stderr.read1(65536):  # type: ignore[attr-defined]
        pass
