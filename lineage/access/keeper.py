"""The file of tokens: read again when it changed, and changed by one process at a time.

A file, because every replica can have it (a Secret that is mounted, a shared volume), whatever
the database (docs/decisions/0012).
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lineage.access.tokens import BadTokens, Token, dump, load

EVERY = 1.0
"""Seconds until it is looked whether the file is another: what is revoked may work so long."""
MOST_BYTES = 4 * 2**20
_log = logging.getLogger("lineage.access")
Stamp = tuple[int, int, int]


class Keeper:
    """The tokens of a file, as they are now."""

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Raises:
            BadTokens: there is no such file, or it is none of tokens.
        """
        self._path = Path(path)
        self._clock = clock
        self._stamp: Stamp | None = self._look()
        self._tokens = read(self._path)
        self._due = clock() + EVERY

    def tokens(self) -> Sequence[Token]:
        """A file that is gone holds none. One that is broken holds what it held: a slip of the
        pen should not stop everybody, and the log says so until it is mended."""
        if self._clock() >= self._due:
            self._due = self._clock() + EVERY
            stamp = self._look()
            if stamp != self._stamp:
                self._reload(stamp)
        return self._tokens

    def _reload(self, stamp: Stamp | None) -> None:
        if stamp is None:
            _log.error("%s is gone: no token is known any more", self._path)
            self._tokens, self._stamp = [], None
            return
        try:
            self._tokens, self._stamp = read(self._path), stamp
        except BadTokens as error:
            _log.error("%s; the tokens known before go on", error)

    def _look(self) -> Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def read(path: Path) -> list[Token]:
    """
    Raises:
        BadTokens: it cannot be read, or holds something else.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadTokens(f"{path} is too large for a file of tokens")
        return load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise BadTokens(
            f"{path} cannot be read ({why}); make it with `lineage token create`"
        ) from error
    except BadTokens as error:
        raise BadTokens(f"{path}: {error.detail}") from error


@contextmanager
def changing(path: Path) -> Iterator[list[Token]]:
    """The tokens, to be changed in place; what they are at the end is written, whole or not at
    all, readable by its owner only.

    Raises:
        BadTokens: the file cannot be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BadTokens(f"{path} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tokens = read(path) if path.exists() else []
        yield tokens
        text = dump(tokens)
        load(text)
        _replace(path, text)
    except OSError as error:
        raise BadTokens(f"{path} cannot be written: {error.strerror}") from error
    finally:
        os.close(lock)


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():  # who may read it is the operator's choice
            os.chmod(name, path.stat().st_mode & 0o777)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
