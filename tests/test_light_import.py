"""What a controller or a shell must not pay for is not loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SERVER = ["fastapi", "google.protobuf", "graphviz", "grpc", "jinja2", "ml_metadata", "networkx",
          "orjson", "sqlalchemy", "starlette", "uvicorn"]  # fmt: skip
CONTROLLERS = [
    *SERVER,
    "IPython",
    "asyncio",
    "concurrent.futures",
    "heapq",
    "httpx2",
    "kopf",
    "kubernetes",
    "lineage.client",
    "nbformat",
    "papermill",
    "prometheus_client",
    "pygit2",
    "rich",
    "ssl",
    "subprocess",
    "typer",
    "yaml",
]
SHELL = [*SERVER, "httpx2", "kopf", "kubernetes", "rich", "typer"]
MEBIBYTES = 40


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import controllers_hooks", [*CONTROLLERS, "pydantic"]),
        ("from controllers_hooks import Hook; Hook('x', outbox='/nowhere/x')", CONTROLLERS),
        ("import lineage.client", SHELL),
        ("import lineage", [*SHELL, "pydantic"]),
        ("import lineage.cli", [*SERVER, "httpx2", "pydantic", "rich"]),
    ],
)
def test_a_fresh_interpreter_loads_nothing_heavy(statement: str, unwanted: list[str]) -> None:
    """In a process of its own, since this one has loaded everything already."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert [name for name in unwanted if name in json.loads(done.stdout)] == []


def peak(statement: str) -> int:
    """The most memory (KiB) a fresh interpreter ever held."""
    code = f"{statement}\nprint(*(x.split()[1] for x in open('/proc/self/status') if 'VmHWM' in x))"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_the_hooks_are_small() -> None:
    """At most 40 MiB over a bare interpreter; how long it takes is measured by benchmarks/hook.py."""
    assert peak("import controllers_hooks") - peak("pass") < MEBIBYTES * 1024
