"""What an outbox looks like on disk. Knows neither the network nor who writes or sends.

    <created>-<pid>-<random>.log  the reports of one process, a frame a line
    <the same>.at                 how many of its bytes are delivered, and the crc32 of that
    rejected.ndjson               what the server refused, with its reasons
    corrupt                       lines that are no frames, or cut off, as they were found
    lock                          held by the one that delivers

A frame is `crc32 time json\\n`, numbers in hexadecimal. JSON holds no newline, so after any
damage the next line is sound again. A segment is locked (flock) by the process that writes
it: the kernel lets go when that process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

CHUNK = 64 * 2**10
_HEAD = 8 + 1 + 16 + 1
_OURS = re.compile(r"\d+-\d+-[0-9a-f]+\.log")
"""Whatever else is in the directory is somebody else's, and left alone."""


class Frame(NamedTuple):
    """One line of a segment: `end` is where the next begins; no payload = it is damaged."""

    stamp: int
    segment: Segment
    end: int
    line: bytes
    payload: bytes | None


def frame(stamp: int, payload: bytes) -> bytes:
    body = b"%016x %b" % (stamp, payload)
    return b"%08x %b\n" % (crc32(body), body)


def unframe(line: bytes) -> tuple[int, bytes] | None:
    """The time (ns) and the payload of a line without its newline; None = it is damaged."""
    # After a power cut a file may have got its length but not all of its content.
    line = line.lstrip(b"\0")
    try:
        sound = len(line) > _HEAD and int(line[:8], 16) == crc32(line[9:])
        return (int(line[9:25], 16), line[_HEAD:]) if sound else None
    except ValueError:
        return None


class Segment:
    """One file of reports, as the one that delivers sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = path.with_suffix(".at")

    @property
    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def delivered(self) -> int:
        # To deliver again is harmless, to skip is not: a damaged note counts for nothing.
        try:
            end, checksum = self._at.read_bytes().split()
            return int(end) if int(checksum, 16) == crc32(end) else 0
        except (OSError, ValueError):
            return 0

    @property
    def waiting(self) -> int:
        """Bytes not delivered yet."""
        return max(self.size - self.delivered, 0)

    def advance(self, end: int) -> None:
        made = self._at.with_suffix(".new")
        made.write_bytes(b"%d %08x" % (end, crc32(b"%d" % end)))
        made.replace(self._at)

    def frames(self) -> Iterator[Frame]:
        """What is not delivered yet, in the order it was written, whole lines only."""
        at, stamp = self.delivered, 0
        while lines := self._lines(at):
            for line in lines:
                at += len(line) + 1
                found = unframe(line)
                stamp, payload = found if found else (stamp, None)
                yield Frame(stamp, self, at, line, payload)

    def _lines(self, at: int) -> list[bytes]:
        size = CHUNK
        try:
            with self.path.open("rb", buffering=0) as file:
                while True:
                    file.seek(at)
                    read = file.read(size)
                    *lines, _ = read.split(b"\n")
                    if lines or len(read) < size:
                        return lines
                    size *= 4
        except FileNotFoundError:
            return []

    def remove_if_abandoned(self) -> int | None:
        """Delete it when nobody writes it any more; the bytes of a torn last line, if so, which
        are kept with the damaged ones.

        None: its process lives.
        """
        try:
            with _locked(self.path, os.O_RDONLY) as alone:
                # Only now the size is final: the process may just have ended.
                torn = self.waiting
                if not alone or (torn and self._lines(self.delivered)):
                    return None
                if torn:
                    keep_corrupt(self.path.parent, [self.path.read_bytes()[-torn:]])
                self.path.unlink()
                self._at.unlink(missing_ok=True)
                return torn
        except FileNotFoundError:
            return 0


def create(directory: Path) -> int:
    """The descriptor of a new segment, locked."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(4).hex()}"
    hidden = directory / f".{name}"
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND
    descriptor = _open(hidden, flags)
    try:
        # It gets its name when it is locked: whoever delivers removes unlocked ones.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        hidden.rename(directory / f"{name}.log")
    except OSError:
        close(descriptor)
        raise
    return descriptor


_descriptors: set[int] = set()
"""Those that hold locks. A forked child has them too, and would hold the locks for ever."""


def _open(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    _descriptors.add(descriptor)
    return descriptor


def close(descriptor: int) -> None:
    """Let go of a segment."""
    # Unlocked before it is forgotten: a child forked in between must not keep the lock.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    _descriptors.discard(descriptor)
    os.close(descriptor)


def _forked() -> None:
    for descriptor in _descriptors:
        os.close(descriptor)
    _descriptors.clear()


os.register_at_fork(after_in_child=_forked)


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[bool]:
    """The file locked, if nobody else has it locked."""
    descriptor = _open(path, flags)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        # Closing would do, but for a child forked meanwhile.
        close(descriptor)


def segments(directory: Path) -> list[Segment]:
    """Oldest first."""
    try:
        with os.scandir(directory) as entries:
            names = sorted(e.name for e in entries if _OURS.fullmatch(e.name) and e.is_file())
    except OSError:
        return []
    return [Segment(directory / name) for name in names]


def waiting(directory: Path) -> int:
    """Bytes that count against the bound: not delivered, or kept because they cannot be."""
    kept = sum(size(directory / name) for name in ("rejected.ndjson", "corrupt"))
    return kept + sum(segment.waiting for segment in segments(directory))


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def delivering(directory: Path) -> AbstractContextManager[bool]:
    """Hold the lock of the one that delivers; False when another one does."""
    return _locked(directory / "lock", os.O_CREAT | os.O_RDWR)


def keep_rejected(directory: Path, refused: Iterable[tuple[bytes, int, str]]) -> None:
    """Keep records (payload, status, reason) that the server will never take."""
    lines = [
        json.dumps({"status": status, "reason": reason, "record": _document(payload)})
        for payload, status, reason in refused
    ]
    _append(directory / "rejected.ndjson", "".join(f"{line}\n" for line in lines).encode())


def keep_corrupt(directory: Path, lines: Iterable[bytes]) -> None:
    _append(directory / "corrupt", b"".join(line + b"\n" for line in lines))


def rejected(directory: Path) -> list[dict[str, Any]]:
    """What `keep_rejected` kept."""
    try:
        lines = (directory / "rejected.ndjson").read_bytes().splitlines()
    except OSError:
        return []
    return [found for line in lines if isinstance(found := _document(line), dict)]


def requeue_rejected(directory: Path) -> None:
    """Let what was refused be delivered once more: the server may have learnt."""
    if not (records := [one["record"] for one in rejected(directory) if "record" in one]):
        return
    descriptor = create(directory)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            for record in records:
                file.write(frame(time.time_ns(), json.dumps(record).encode()))
        os.fsync(descriptor)
    finally:
        close(descriptor)
    (directory / "rejected.ndjson").unlink()


def _append(path: Path, data: bytes) -> None:
    # Durable before the segment moves on, else a power cut could lose the only copy.
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _document(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return payload.decode("utf-8", "replace")
