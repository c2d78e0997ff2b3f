"""The store process: the one MetadataStore of a server, behind MLMD's own gRPC service.

Why a process of its own: ml-metadata holds the GIL through every call, aborts the process
on some errors, and shares no file locks with Python's sqlite3 (docs/mlmd.md, traps 1–5). Here
none of that can hurt: request bytes are handed to the library unread, and `StoreProcess`
(`lineage.store.supervisor`) starts it again when it dies.

Run as `python -m lineage.store.process --sqlite FILE --socket PATH [--mlmd HOST --port N]`, or
with `--database`, whose address is then the first line of its standard input. It prints
`ready`, and ends when its standard input closes, that is when its server is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NoReturn

from lineage.errors import LineageError
from lineage.store.callers import Port

SERVICE = "ml_metadata.MetadataStoreService"
UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# A longer message overflows gRPC's header limit: the client would see ResourceExhausted.
MAX_MESSAGE = 3000
LOCK_WAIT = 5.0
EXIT_IN_USE = 75
EXIT_NO_PORT = 76
EXIT_NO_DATABASE = 77
OTHERS = [
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # a port that is taken shall not be shared in silence
]
"""Options where clients of others call: what they send is bounded."""
_BROKEN = {9, 13}  # FAILED_PRECONDITION, INTERNAL: the connection may be unusable (trap 4)


def hold_lock(path: str, wait: float) -> int:
    """Hold `path` for as long as this process lives.

    A server killed a moment ago may still have its store ending, hence the wait.
    Exits with EXIT_IN_USE, saying who holds it, when it stays held.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(descriptor, 400, 0).decode(errors="replace").strip()
                print(f"in use by {holder}", file=sys.stderr, flush=True)
                sys.exit(EXIT_IN_USE)
            time.sleep(0.05)
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    holder = f"process {os.getppid()} on {os.uname().nodename} since {since}"
    with contextlib.suppress(OSError):  # the disk may be full; what is there can still be read
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
    return descriptor


def create_wal(path: str) -> None:
    """Make the file a WAL database. Before MLMD opens it, and never while (trap 1)."""
    import sqlite3

    connection = sqlite3.connect(path, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=wal")
    finally:
        connection.close()


def sqlite_config(path: str) -> Any:
    from ml_metadata.proto import metadata_store_pb2 as pb

    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = path
    return config


class Store:
    """One MetadataStore, made anew when its connection broke. Calls are serial."""

    def __init__(self, config: Any) -> None:
        from ml_metadata.metadata_store.pywrap.metadata_store_extension import metadata_store

        self._library = metadata_store
        self._config = config
        self._lock = threading.Lock()
        self._store = self._open()

    def knows(self, method: str) -> bool:
        return method.startswith(("Put", "Get")) and hasattr(self._library, method)

    def call(self, method: str, request: bytes) -> tuple[bytes, str, int]:
        """Hand a serialized request to MLMD: (serialized response, message, gRPC code)."""
        function = getattr(self._library, method)
        with self._lock:
            response, message, code = function(self._store, request)
            if code in _BROKEN:
                self._store = self._open()
        return response, message.decode("utf-8", "replace"), code

    def _open(self) -> Any:
        for attempt in range(5):
            try:
                return self._library.CreateMetadataStore(self._config.SerializeToString(), b"")
            except RuntimeError:
                if attempt == 4:
                    raise
                time.sleep(0.1 * 2**attempt)  # two processes creating one file race (trap 5)
        raise AssertionError


def serve(
    store: Store,
    address: str | Port,
    options: Any = UNBOUNDED,
    own: Mapping[str, Any] | None = None,
) -> Any:
    """A started gRPC server that answers MLMD's service by forwarding bytes; `own` = calls of
    ours by their full names, bytes to bytes. On a port callers may need a token.

    Raises:
        RuntimeError: the address is taken, or not ours.
    """
    import grpc

    codes = {code.value[0]: code for code in grpc.StatusCode}

    def answered(call: Any) -> Any:
        def answer(request: bytes, context: Any) -> bytes:
            try:
                return bytes(call(request))
            except LineageError as error:
                context.abort(grpc.StatusCode.UNAVAILABLE, str(error)[:MAX_MESSAGE])
                raise  # not reached

        return answer

    class Forward(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            if own and details.method in own:
                return grpc.unary_unary_rpc_method_handler(answered(own[details.method]))
            service, _, method = details.method.lstrip("/").partition("/")
            if service != SERVICE or not store.knows(method):
                return None

            def answer(request: bytes, context: Any) -> bytes:
                try:
                    response, message, code = store.call(method, request)
                except LineageError as error:
                    context.abort(grpc.StatusCode.UNAVAILABLE, str(error)[:MAX_MESSAGE])
                if code:
                    context.abort(codes[code], message[:MAX_MESSAGE])
                return response

            return grpc.unary_unary_rpc_method_handler(answer)

    asked = () if isinstance(address, str) else address.interceptors()
    credentials = None if isinstance(address, str) else address.credentials()
    place = address if isinstance(address, str) else address.address
    server = grpc.server(ThreadPoolExecutor(4), options=options, interceptors=asked)
    server.add_generic_rpc_handlers((Forward(),))
    if credentials is None:
        server.add_insecure_port(place)
    else:
        server.add_secure_port(place, credentials)
    server.start()
    return server


def serve_others(store: Store, port: Port) -> Any:
    """The same service on a TCP port, with threads of its own: whatever others call, ours gets
    its turn. Exits with EXIT_NO_PORT when the port cannot be had."""
    try:
        return serve(store, port, OTHERS)
    except (OSError, RuntimeError):
        print(f"cannot listen on {port.host} port {port.port}", file=sys.stderr, flush=True)
        sys.exit(EXIT_NO_PORT)


def _exit_with_parent() -> NoReturn:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


def open_file(options: argparse.Namespace) -> tuple[Store, None, int]:
    """The store, and the descriptor of the lock on its file."""
    lock = hold_lock(options.sqlite + ".lock", options.wait)
    create_wal(options.sqlite)
    return Store(sqlite_config(options.sqlite)), None, lock


def open_database() -> tuple[Store, Mapping[str, Any], None]:
    """The store on a server. Its address comes over the pipe: arguments are for all to see.
    Exits with EXIT_NO_DATABASE, saying why, when the database cannot be used."""
    from lineage.address import Address
    from lineage.store.remote import RemoteStore

    address = Address.parse(sys.stdin.buffer.readline().decode().strip())
    assert address is not None
    try:
        store = RemoteStore(address)
    except LineageError as error:
        print(str(error), file=sys.stderr, flush=True)
        sys.exit(EXIT_NO_DATABASE)
    return store, store.own, None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sqlite")
    parser.add_argument("--database", action="store_true")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--wait", type=float, default=LOCK_WAIT)
    parser.add_argument("--mlmd", metavar="HOST")
    parser.add_argument("--port", type=int, default=0)
    for file in ("--tokens", "--cert", "--key"):
        parser.add_argument(file, default="")
    options = parser.parse_args()
    # Signals to the whole group (Ctrl-C) are for the server, which still has writes to finish.
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    store, own, lock = open_database() if options.database else open_file(options)
    server = serve(store, f"unix:{options.socket}", own=own)
    # Held to the end: gRPC stops a server that nobody holds.
    port = Port(options.mlmd, options.port, options.tokens, options.cert, options.key)
    others = serve_others(store, port) if options.mlmd else None
    print("ready", flush=True)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    server.wait_for_termination()
    del others, lock


if __name__ == "__main__":
    main()
