"""One loop a ModelSync: a pass, then sleep until woken or due. Knows no cluster and no kopf."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event as Flag

from controllers_hooks.modelsync.reconcile import LostLease
from controllers_hooks.observers.objects import Object, get, name, namespace
from lineage.errors import LineageError

AT_ONCE = 8
SETTLE = 0.3
"""Seconds between a reason to look and the look: several reasons often come together."""
_FIRST, _LAST = 1.0, 60.0
_log = logging.getLogger("lineage.modelsync")
Key = tuple[str, str]


class Loops:
    """One loop a ModelSync, from when it is first seen until a pass says it is gone."""

    def __init__(self, reconcile: Callable[[str, str], float | None], stop: Flag) -> None:
        self.lost = False
        self._reconcile = reconcile
        self._stop = stop
        self._threads = ThreadPoolExecutor(AT_ONCE, "modelsync")
        self._wakes: dict[Key, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._generations: dict[Key, object] = {}

    def seen(self, obj: Object) -> None:
        """A ModelSync: worth a look when it is new or somebody changed what is wanted."""
        key = (namespace(obj), name(obj))
        generation = (get(obj, "metadata.uid"), get(obj, "metadata.generation"),
                      get(obj, "metadata.deletionTimestamp"))  # fmt: skip
        if self._generations.get(key) != generation:
            self._generations[key] = generation
            self.wake(key)

    def wake(self, key: Key) -> None:
        if key not in self._wakes:
            self._wakes[key] = asyncio.Event()
            task = asyncio.create_task(self._loop(key), name="/".join(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._wakes[key].set()

    async def close(self) -> None:
        """Let passes end that have begun."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    async def _loop(self, key: Key) -> None:
        wake, failures, after = self._wakes[key], 0, 0.0
        while not self._stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), after)
                await asyncio.sleep(SETTLE)
            wake.clear()
            try:
                found = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._reconcile, *key
                )
                failures = 0
            except LostLease as error:
                _log.error("%s/%s: %s", *key, error)
                self.lost = True
                return self._stop.set()
            except Exception as error:
                known = isinstance(error, LineageError)
                _log.warning("%s/%s: %s; trying again", *key, error, exc_info=not known)
                found = min(_FIRST * 2**failures, _LAST)
                failures = min(failures + 1, 10)
            if found is None and not wake.is_set():
                del self._wakes[key]
                self._generations.pop(key, None)
                return None
            after = found or 0.0
        return None
