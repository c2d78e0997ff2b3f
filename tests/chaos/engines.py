"""The engines a series of rounds can run on, each a fresh system in a folder of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.databases import SERVERS, need

from .recorders import warm
from .rounds import Round
from .summary import Summary
from .system import System

ENGINES = ("sqlite", *SERVERS)

TOGETHER = 25
"""Rounds on one store: its disk is small."""


@contextmanager
def system(engine: str) -> Iterator[System]:
    """A running one; gone, with all it wrote, in the end."""
    warm()
    with ExitStack() as stack:
        # Durable: nothing that the server has acknowledged may be lost when it is killed.
        database = stack.enter_context(need(engine)()) if engine in SERVERS else None
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        made = System(folder, database)
        stack.callback(made.close)
        made.start()
        yield made


def series(engine: str, seeds: Sequence[int], kinds: Sequence[str] = ()) -> Iterator[Summary]:
    """Rounds one after the other, so many on one store."""
    for start in range(0, len(seeds), TOGETHER):
        with system(engine) as one:
            for seed in seeds[start : start + TOGETHER]:
                yield Round(one, engine, seed, kinds).run()
