"""The viewer: server-rendered pages over the queries. Imports `lineage`, never the reverse."""

from __future__ import annotations

from pathlib import Path


def static_dir() -> Path:
    """The directory `create_app` mounts at `/static`."""
    return Path(__file__).parent / "static"
