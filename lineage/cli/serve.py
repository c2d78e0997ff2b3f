"""`lineage serve`: the server process, from settings to a clean stop."""

from __future__ import annotations

import signal
import socket
from ipaddress import ip_address
from typing import Annotated

import typer

from lineage.cli import logs
from lineage.cli.target import Target
from lineage.errors import LineageError


def serve(
    ctx: typer.Context,
    store: Annotated[
        str | None, typer.Option(help="The database: a path of a SQLite file.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 = any free one.")] = None,
    mlmd_port: Annotated[
        int | None, typer.Option(help="Answer ML Metadata's own clients on this port.")
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Answer questions, refuse to record.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let anyone who reaches a public address in.")
    ] = False,
) -> None:
    """Run the server: the API and the viewer.

    Every option may also come from the environment (docs/settings.md).

    Example: `lineage serve --store lineage.db --port 8080`
    """
    target: Target = ctx.obj
    settings = target.settings(
        store=store or target.store,
        host=host,
        port=port,
        mlmd_port=mlmd_port,
        read_only=read_only or None,
    )
    if settings.read_only and settings.mlmd_port:
        raise typer.BadParameter("--mlmd-port is for writing; leave out --read-only or it.")
    listener = listen(settings.host, settings.port, insecure)
    url = f"http://{_shown(listener)}:{listener.getsockname()[1]}"

    from lineage.embedded import app_server

    def ready() -> None:
        typer.echo(f"Lineage is ready at {url}")
        if settings.mlmd_port:
            typer.echo(f"ML Metadata is answered at {_shown(listener)}:{settings.mlmd_port}")

    server = app_server(
        settings,
        ready,
        log_level="warning" if settings.log_level == "info" else settings.log_level,
    )
    logs.set_up(settings.log_level, settings.log_format)
    # uvicorn stops gracefully on these, then raises them again: that would turn a clean
    # stop into a death by signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listener])


def listen(host: str, port: int, insecure: bool = False) -> socket.socket:
    """A bound socket.

    Raises:
        LineageError: the address is taken, not ours, or public without `insecure`.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        if not insecure and not ip_address(str(address[0]).partition("%")[0]).is_loopback:
            raise LineageError(
                f"{host} can be reached from outside, and there are no tokens yet: anyone "
                "could read and record. Listen on 127.0.0.1, or add --insecure to allow it"
            )
        # The protocol is named: asyncio sets TCP_NODELAY only where it is, and without
        # it every answer waits some 40 ms for an acknowledgement.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
    except OSError as error:
        raise LineageError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; "
            "choose another with --host and --port"
        ) from error
    return listener


def _shown(listener: socket.socket) -> str:
    name: str = listener.getsockname()[0]
    return f"[{name}]" if listener.family == socket.AF_INET6 else name
