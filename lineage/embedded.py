"""The server inside this process: the same API, without a port.

`embedded` is how the command line works on a store file, and how a script or a test can
record without a server of its own. Needs the `server` extra; says so when it is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from lineage.address import shown
from lineage.client import Client
from lineage.config import Settings
from lineage.errors import LineageError, StoreUnavailable

if TYPE_CHECKING:
    import socket

START_TIMEOUT = 60.0
"""Seconds a store may take to open: long, because a first start makes its tables."""


class AppServer(Protocol):
    """What is used of `uvicorn.Server`."""

    should_exit: bool

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`.

        Raises:
            LineageError: the application did not start.
        """
        ...


@contextmanager
def embedded(
    store: str | Path, read_only: bool = False, settings: Settings | None = None
) -> Iterator[Client]:
    """A client of a server over this store that lives as long as the block.

    Raises:
        LineageError: the store cannot be opened, or the `server` extra is missing.
    """
    from queue import Empty, Queue

    # Whoever can read the file needs no token.
    chosen = replace(settings or Settings(), store=Settings.from_env({}, store=str(store)).store, read_only=read_only, mlmd_port=0,
                     tokens="", proxies="", groups="", audit="", tls_cert="")  # fmt: skip
    started: Queue[BaseException | None] = Queue()
    # The folder is open to this user only, so nobody else can reach the socket in it.
    with TemporaryDirectory(prefix="lineage-") as folder:
        path = f"{folder}/socket"
        server = app_server(chosen, lambda: started.put(None), uds=path)
        thread = Thread(target=_run, args=(server, started), name="lineage", daemon=True)
        thread.start()
        try:
            error = started.get(timeout=START_TIMEOUT)
            if error is not None:
                raise error
            with Client("http://embedded", socket=path, timeout=600) as client:
                yield client
        except Empty as error:
            raise StoreUnavailable(
                f"{shown(str(store))} did not open in {START_TIMEOUT:.0f} s"
            ) from error
        finally:
            server.should_exit = True
            thread.join(timeout=START_TIMEOUT)


def app_server(settings: Settings, ready: Callable[[], None], **options: Any) -> AppServer:
    """A uvicorn server of the application; `ready` is called once it answers.

    Raises:
        LineageError: the `server` extra is not installed.
    """
    try:
        import uvicorn

        from lineage import patience
        from lineage.app import create_app
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("lineage", "ui"):
            raise
        raise LineageError(
            f"this needs the server, and {error.name} is not installed; "
            "run: pip install 'lineage-without-dag[server]'"
        ) from error

    failure: list[Exception] = []
    app = create_app(settings)

    async def observed(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:
            if scope["type"] == "lifespan":
                failure.append(error)
            raise

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            log = logging.getLogger("uvicorn.error")
            # What goes wrong here is raised by `run`, and should not be told twice.
            log.disabled = True
            try:
                await super().startup(sockets)
            except SystemExit:
                self.should_exit = True
            finally:
                log.disabled = False
            if self.started:
                ready()

        async def on_tick(self, counter: int) -> bool:
            if counter % 10 == 0:  # once a second
                patience.look(self.server_state.connections, settings.request_timeout)
            return await super().on_tick(counter)

        def run(self, sockets: list[socket.socket] | None = None) -> None:
            super().run(sockets)
            if not self.started:
                raise failure[0] if failure else LineageError("the server did not start")

    config = uvicorn.Config(
        observed,
        lifespan="on",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=10,
        http=patience.Patient,
        # Whom a proxy speaks for is decided by lineage.api.guard, for those that are named only.
        proxy_headers=False,
        server_header=False,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
        **options,
    )
    return Server(config)


def _run(server: AppServer, started: Any) -> None:
    try:
        server.run()
    except BaseException as error:
        started.put(error)
