"""A lambda on a real wire, whose answer a test changes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Lambda:
    """`answer` = (status, body); `asked` counts; `drip` = seconds between two bytes."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.body: Any = {"needsSync": False}
        self.drip = 0.0
        self.asked: list[str] = []

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"{request.command} {request.path}")
        raw = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        request.send_response(self.status)
        if self.status == 302:
            request.send_header("location", "/elsewhere")
            self.status = 200
        request.send_header("content-length", str(len(raw)))
        request.end_headers()
        for byte in raw if self.drip else ():
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            time.sleep(self.drip)
        if not self.drip:
            request.wfile.write(raw)


@contextmanager
def serving() -> Iterator[Lambda]:
    found = Lambda()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # the one who asked may have given up
                found.respond(self)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}/needsSync"
    yield found
    server.shutdown()
    server.server_close()
