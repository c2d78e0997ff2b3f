"""The engines a series of rounds can run on, each a fresh system in a folder of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
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


def series(engine: str, seeds: Iterable[int], kinds: Sequence[str] = ()) -> Iterator[Summary]:
    """Rounds one after the other, so many on one store."""
    left = deque(seeds)
    while left:
        with system(engine) as one:
            for _ in range(min(TOGETHER, len(left))):
                summary = Round(one, engine, left.popleft(), kinds).run()
                yield summary
                if not summary.clean:
                    break  # the next gets a system that nobody has spoilt
