"""What can happen to an outbox on its disk: a controller dies, and its files are damaged.

Whatever line is spoilt is lost, kept aside and counted; every other must arrive.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from controllers_hooks import segments
from lineage.model import parse_action

from .ledger import Ledger
from .recorders import Recorder, Task

if TYPE_CHECKING:
    from .rounds import Round

NOWHERE = "http://127.0.0.1:1"
LIFE = 0.4


def damage(round_: Round, chance: random.Random) -> None:
    """A controller without a server records for a moment and is killed; then its outbox is
    damaged. The end of the round delivers what is left of it."""
    name = f"damaged{chance.randrange(10**6)}"
    until = time.monotonic() + 60
    task = Task("hook", name, NOWHERE, round_.outboxes, round_.ledger, round_.seed, until)
    recorder = Recorder(task)
    deadline = time.monotonic() + 30
    while not segments.segments(task.outbox) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(LIFE)
    recorder.kill()
    notes = Ledger(round_.ledger, f"{name}.damage")
    for segment in segments.segments(task.outbox):
        if not segment.size:  # the disk was full already
            continue
        before, _ = _lines(segment.path)
        chance.choice(HOW)(segment.path, chance)
        after, _ = _lines(segment.path)
        notes.damaged(before[line] for line in before.keys() - after.keys())
    broken = sum(_lines(segment.path)[1] for segment in segments.segments(task.outbox))
    notes.counted({"broken": broken})


def _lines(path: Path) -> tuple[dict[bytes, str], int]:
    """The lines that can be read, with the id of their report, and how many cannot."""
    out, broken = {}, 0
    *lines, rest = path.read_bytes().split(b"\n")
    for line in lines:
        if (found := segments.unframe(line)) is None:
            broken += 1
            continue
        params = parse_action(found[1]).params.items()
        recorder, number = next(item for item in params if item[0] != "text")
        out[line] = f"{recorder}:{number}"
    return out, broken + bool(rest)


def _cut(path: Path, chance: random.Random) -> None:
    size = path.stat().st_size
    with path.open("rb+") as file:
        file.truncate(chance.randrange(size))


def _flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(5):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _garbage(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    at = chance.randrange(len(content))
    path.write_bytes(content[:at] + chance.randbytes(5000) + content[at:])


def _zeros(path: Path, chance: random.Random) -> None:
    """What a power cut leaves: a file that has its length but not all of its content."""
    content = bytearray(path.read_bytes())
    begin = chance.randrange(len(content))
    end = min(begin + 4096, len(content))
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)


def _mark(path: Path, chance: random.Random) -> None:
    """The note of how far it is delivered is spoilt; nothing may be skipped for that."""
    size = path.stat().st_size
    marks = (b"", b"garbage", b"%d" % (size * 10), b"%d 00000000" % (size // 2), b"-5 x",
             chance.randbytes(8))  # fmt: skip
    path.with_suffix(".at").write_bytes(chance.choice(marks))


def _foreign(path: Path, chance: random.Random) -> None:
    """Files that somebody else put there, one under a name such as ours."""
    (path.parent / "notes.txt").write_text("not ours")
    (path.parent / "notes.log").write_bytes(chance.randbytes(3000))
    (path.parent / f"{0:020d}-1-deadbeef.log").write_bytes(chance.randbytes(3000))
    (path.parent / f"{1:020d}-1-deadbeef.log").mkdir()


HOW: tuple[Callable[[Path, random.Random], None], ...] = (
    _cut, _flip, _garbage, _zeros, _mark, _foreign,
)  # fmt: skip
