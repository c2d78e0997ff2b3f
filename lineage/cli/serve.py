"""`lineage serve`: the server process, from settings to a clean stop."""

from __future__ import annotations

import logging
import signal
import socket
import ssl
from ipaddress import ip_address
from typing import Annotated

import typer

from lineage.cli import logs
from lineage.cli.target import Target
from lineage.config import Settings
from lineage.errors import LineageError

log = logging.getLogger("lineage.serve")


def serve(
    ctx: typer.Context,
    store: Annotated[
        str | None, typer.Option(help="The database: a file, mysql://… or postgresql://….")
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
    tokens: Annotated[
        str | None, typer.Option(help="Let in who has a token of this file; see `lineage token`.")
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option(help="Serve over TLS with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[str | None, typer.Option(help="The key of the certificate (PEM).")] = None,
    audit: Annotated[
        str | None, typer.Option(help="Tell each write to this file; - = standard output.")
    ] = None,
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
        insecure=insecure or None,
        tokens=tokens,
        tls_cert=tls_cert,
        tls_key=tls_key,
        audit=audit,
    )
    if settings.read_only and settings.mlmd_port:
        raise typer.BadParameter("--mlmd-port is for writing; leave out --read-only or it.")
    check_tls(settings)
    listener = listen(settings)
    url = f"http{'s' if settings.tls_cert else ''}://{_shown(listener)}:{listener.getsockname()[1]}"

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


def listen(settings: Settings) -> socket.socket:
    """A bound socket.

    Raises:
        LineageError: the address is taken, not ours, or public and open to anyone.
    """
    host, port = settings.host, settings.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        if not ip_address(str(address[0]).partition("%")[0]).is_loopback:
            check_public(settings)
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


def check_public(settings: Settings) -> None:
    """
    Raises:
        LineageError: nobody would be asked who they are, and nobody said that this is meant.
    """
    asks = settings.tokens or settings.proxies
    if settings.insecure:
        return
    if not asks:
        raise LineageError(
            f"{settings.host} can be reached from outside, and nobody would be asked for a token: "
            "make one with `lineage token create` and name its file with --tokens, listen on "
            "127.0.0.1, or add --insecure to let anyone read and record"
        )
    if settings.mlmd_port and not settings.tokens:
        raise LineageError(
            "the clients of --mlmd-port come past the proxy: name a file of tokens with --tokens, "
            "or add --insecure to let anyone read and record there"
        )
    if not settings.tls_cert and not settings.proxies:
        log.warning("tokens are sent in the clear; add --tls-cert, or end TLS in front of %s",
                    settings.host)  # fmt: skip


def check_tls(settings: Settings) -> None:
    """
    Raises:
        LineageError: the certificate and its key are not there, or no pair.
    """
    if settings.tls_key and not settings.tls_cert:
        raise LineageError("--tls-key needs the certificate: add --tls-cert")
    if settings.tls_cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(settings.tls_cert, settings.tls_key or None, password="")
        except OSError as error:  # an SSLError is one
            raise LineageError(
                f"the certificate {settings.tls_cert} and its key cannot be used: "
                f"{error.strerror or error}; both are PEM, the key without a password"
            ) from error


def _shown(listener: socket.socket) -> str:
    name: str = listener.getsockname()[0]
    return f"[{name}]" if listener.family == socket.AF_INET6 else name
