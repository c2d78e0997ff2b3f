"""Servers that ask who is there, and requests as an attacker would send them: byte by byte."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lineage.access.keeper import changing
from lineage.access.tokens import make, revoked
from lineage.client import Client

from .conftest import Server, start_server

PAST = datetime(2026, 1, 1, tzinfo=UTC)
Headers = Mapping[str, str]


@dataclass
class Doors:
    """A server with tokens by name: `secrets["reader"]`."""

    server: Server
    file: Path
    secrets: dict[str, str] = field(default_factory=dict)

    def token(self, name: str, *scopes: str, of: tuple[str, ...] = (), until: int = 1) -> str:
        """Make one; it ends in so many days."""
        now = datetime.now(UTC)
        secret, made = make(name, scopes, of, PAST, now + timedelta(days=until))
        with changing(self.file) as known:
            known.append(made)
        self.secrets[name] = secret
        return secret

    def revoke(self, name: str) -> None:
        with changing(self.file) as known:
            known[:] = revoked(known, name, datetime.now(UTC))

    def client(self, name: str) -> Client:
        return Client(self.server.url, self.secrets[name])

    def ask(
        self, method: str, target: str, who: str = "", body: bytes | None = None, **headers: str
    ) -> Answer:
        """`headers` by name, `_` for `-`; the target goes out as it is."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who:
            sent["authorization"] = f"Bearer {self.secrets.get(who, who)}"
        return ask(self.server.url, method, target, body, sent)


@dataclass(frozen=True)
class Answer:
    status: int
    title: str
    body: bytes
    headers: Headers

    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.status} {self.title}".strip()


def ask(url: str, method: str, target: str, body: bytes | None, headers: Headers) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.putrequest(method, target, skip_host=any(h.lower() == "host" for h in headers),
                              skip_accept_encoding=True)  # fmt: skip
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return answer(response)
    finally:
        connection.close()


def answer(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    body = b"" if "event-stream" in headers.get("content-type", "") else response.read()
    title = ""
    if "problem+json" in headers.get("content-type", ""):
        title = json.loads(body)["title"] if body else ""
    return Answer(response.status, title, body, headers)


def raw(url: str, *pieces: bytes, pause: float = 0.0, patience: float = 30.0) -> tuple[str, float]:
    """Send pieces, each after a pause, until the server closes: the first line it said ("" =
    nothing), and the seconds until it closed."""
    parts = urlsplit(url)
    began = time.monotonic()
    said = b""
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=patience) as to:
        try:
            for piece in pieces:
                to.sendall(piece)
                if pause:
                    to.settimeout(pause)
                    try:
                        if not (got := to.recv(65536)):
                            break
                        said += got
                    except TimeoutError:
                        pass
            to.settimeout(patience)
            while got := to.recv(65536):
                said += got
        except (ConnectionError, TimeoutError):
            pass
    return said.partition(b"\r\n")[0].decode(), time.monotonic() - began


@contextmanager
def doors(folder: Path, *arguments: str, **environment: str) -> Iterator[Doors]:
    """A server with tokens, an audit log `audit.log` in its folder, and requests that may take
    two seconds."""
    file = folder / "tokens.json"
    with changing(file):
        pass
    server = start_server(
        folder, "--tokens", str(file), "--audit", str(folder / "audit.log"), *arguments,
        **{"LINEAGE_REQUEST_TIMEOUT": "2", **environment},
    )  # fmt: skip
    try:
        yield Doors(server, file)
    finally:
        server.stop()
