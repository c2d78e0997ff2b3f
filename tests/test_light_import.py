"""What a controller or a shell must not pay for is not loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SERVER = ["fastapi", "google.protobuf", "graphviz", "grpc", "jinja2", "ml_metadata", "networkx",
          "orjson", "sqlalchemy", "starlette", "uvicorn"]  # fmt: skip
CONTROLLERS = [*SERVER, "httpx2", "kopf", "kubernetes", "rich", "typer"]


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import controllers_hooks", CONTROLLERS),
        ("import lineage.client", CONTROLLERS),
        ("import lineage", [*CONTROLLERS, "pydantic"]),
        ("import lineage.cli", [*SERVER, "httpx2", "pydantic", "rich"]),
    ],
)
def test_a_fresh_interpreter_loads_nothing_heavy(statement: str, unwanted: list[str]) -> None:
    """In a process of its own, since this one has loaded everything already."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert [name for name in unwanted if name in json.loads(done.stdout)] == []
