"""`lineage serve`, as it is shipped, on a database of its own: start, size, stop."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

LINEAGE = (sys.executable, "-m", "lineage")


class Server:
    """A running server: `url`, and how much memory its processes hold."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.pid = url, pid

    def resident(self) -> list[int]:
        """Bytes of each process (the server, then its children), shared pages counted in full."""
        return [_resident(pid) for pid in (self.pid, *_children(self.pid))]


@contextmanager
def serve(store: Path) -> Iterator[Server]:
    """A server on this database, killed politely at the end."""
    port = _free_port()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("LINEAGE_")}
    environ |= {"LINEAGE_STORE": str(store), "LINEAGE_PORT": str(port)}
    log = store.with_suffix(".log")
    with log.open("w") as out:
        process = subprocess.Popen([*LINEAGE, "serve"], env=environ, stdout=out, stderr=out)
    try:
        _wait(f"http://127.0.0.1:{port}", process, log)
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait(60)


def load(server: Server, file: Path) -> float:
    """Seconds that `lineage import` takes for the file, its own start included."""
    start = time.perf_counter()
    environ = dict(os.environ, LINEAGE_URL=server.url)
    done = subprocess.run(
        [*LINEAGE, "import", str(file)], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"lineage import failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx2.get(url + "/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the server did not get ready:\n{log.read_text()[-2000:]}")


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    direct = sorted(int(child) for task in tasks for child in task.read_text().split())
    return [one for child in direct for one in (child, *_children(child))]
