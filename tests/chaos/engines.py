"""The engines a series of rounds can run on, each a fresh system in a folder of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .recorders import warm
from .rounds import Round, Summary
from .system import System

ENGINES = ("sqlite",)


@contextmanager
def system(engine: str) -> Iterator[System]:
    """A running one; gone, with all it wrote, in the end."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    made = System(folder)
    try:
        warm()
        made.start()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def series(engine: str, seeds: Sequence[int], kinds: Sequence[str] = ()) -> Iterator[Summary]:
    """Rounds one after the other, on one store."""
    with system(engine) as one:
        for seed in seeds:
            yield Round(one, engine, seed, kinds).run()
