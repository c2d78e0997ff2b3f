"""The hook a controller holds: makes acts, checks reports, puts them into the outbox.

Lineage never breaks a controller: nothing of ours is raised, whatever goes wrong is logged
and counted. A report is on disk when a call returns; `controllers_hooks.sender` delivers.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

from controllers_hooks import place
from controllers_hooks.act import Act, current
from controllers_hooks.outbox import Outbox, Statistics
from controllers_hooks.sender import Sender
from lineage.errors import LineageError

if TYPE_CHECKING:
    from lineage.client import Client
    from lineage.config import Settings
    from lineage.model import Action

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger("lineage.hook")


class Hook:
    """Reports the acts of one controller. Safe to share between threads, and to fork."""

    def __init__(
        self,
        controller: str,
        *,
        namespace: str = "",
        cluster: str = "",
        url: str = "http://127.0.0.1:8080",
        token: str | None = None,
        outbox: str | Path | None = None,
        outbox_size: int = 256 * 2**20,
        timeout: float = 30.0,
    ) -> None:
        """`outbox`: the directory where reports wait, by default one of the controller's own
        below the user's state; `outbox_size`: the most bytes in it. `timeout`: seconds the
        sender waits for the server (the controller never does)."""
        # The record's rules need pydantic: paid here, neither by the import nor by a call.
        from controllers_hooks import repair

        self._repair = repair
        self._invalid = 0
        self._silent = False
        self._controller = {"cluster": cluster, "namespace": namespace, "name": controller}
        directory = Path(outbox) if outbox else place.outbox(controller, namespace, cluster)
        self._outbox = Outbox(directory, outbox_size)
        self._outbox.deliver_with(
            Sender(directory, lambda: _client(url, token, timeout), self._outbox.counts)
        )

    @classmethod
    def from_env(cls, controller: str | None = None, **options: Any) -> Self:
        """A hook from the LINEAGE_* settings (docs/settings.md); what is given here wins, and
        what nobody gives is found out where it can be (docs/hooks.md). A wrong setting is
        logged and left out; it does not raise."""
        given = {name: options.pop(name) for name in ("timeout",) if name in options}
        settings = _settings(controller=controller, **options)
        return cls(
            settings.controller or place.controller(os.environ),
            namespace=settings.namespace or place.namespace(os.environ),
            cluster=settings.cluster or place.cluster(os.environ),
            url=settings.url,
            token=settings.token or None,
            outbox=settings.outbox or None,
            outbox_size=settings.outbox_size,
            **given,
        )

    @property
    def failed(self) -> int:
        """Reports of this process that were lost: not valid, or no room (see `statistics`)."""
        return self._invalid + self._outbox.counts.refused + self._outbox.counts.dropped

    @property
    def outbox(self) -> Path:
        """The directory where reports wait."""
        return self._outbox.directory

    def statistics(self) -> Statistics:
        """What became of the reports of this process, and how much waits."""
        return self._outbox.statistics()

    @property
    def current(self) -> Act:
        """The innermost act going on here; outside of any, one that is never sent."""
        return current.get() or Act(lambda record: False, "none", "none")

    def action(self, type: str, key: str | None = None, name: str | None = None) -> Act:
        """An act, to be used with `with` or `async with`.

        `key` is stable for the act, so that a retry lands on the same action
        (`tekton.dev/PipelineRun/<uid>`); left out, every entry is an action of its own.
        """
        return Act(self._send, key or self._random_key(type), type, name)

    def wraps(
        self, type: str, key: Callable[..., str] | str | None = None, name: str | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """A decorator: each call of the function, plain or async, is an action.

        `key` may be a function of the same arguments. Inside, `hook.current` is the act.
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            def act(*args: P.args, **kwargs: P.kwargs) -> Act:
                return self.action(type, self._key_of(key, args, kwargs), name or function.__name__)

            if inspect.iscoroutinefunction(function):

                @wraps(function)
                async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                    async with act(*args, **kwargs):
                        return await function(*args, **kwargs)

                return cast(Callable[P, R], awaited)

            @wraps(function)
            def called(*args: P.args, **kwargs: P.kwargs) -> R:
                with act(*args, **kwargs):
                    return function(*args, **kwargs)

            return called

        return decorate

    def record(self, action: Action | Mapping[str, Any]) -> bool:
        """Report what another process did, as often as you see it; False when it was lost.

        A mapping is a record as on the wire; the controller is filled in.
        """
        return self._send(dict(action) if isinstance(action, Mapping) else action)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until the server has answered all that waits now; False if it has not by then."""
        try:
            return self._outbox.flush(timeout)
        except Exception:
            _log.warning("the outbox could not be flushed", exc_info=True)
            return False

    def close(self, timeout: float = 5.0) -> bool:
        """Flush, and let go of the outbox; a later report opens it again."""
        flushed = self.flush(timeout)
        try:
            self._outbox.close()
        except OSError as error:
            _log.warning("the outbox %s could not be closed: %s", self.outbox, error)
        return flushed

    def _send(self, record: Action | dict[str, Any]) -> bool:
        try:
            if isinstance(record, dict):
                record.setdefault("controller", self._controller)
            payload, last = self._repair.payload(record)
            return self._outbox.put(payload, last)
        except Exception as error:  # whatever it is, it is not the controller's trouble
            self._lost(error)
            return False

    def _lost(self, error: Exception) -> None:
        self._invalid += 1
        first, self._silent = not self._silent, True
        reason = self._repair.reason(error)
        # A mistake repeated on every reconcile must not fill the log.
        level = logging.WARNING if first else logging.DEBUG
        _log.log(level, "a report was lost (%d so far): %s", self._invalid, reason)

    def _random_key(self, type: str) -> str:
        return f"{self._controller['name']}/{type}/{os.urandom(16).hex()}"

    def _key_of(
        self, key: Callable[..., str] | str | None, args: Any, kwargs: Mapping[str, Any]
    ) -> str | None:
        if not callable(key):
            return key
        try:
            return str(key(*args, **kwargs))
        except Exception:
            _log.warning("the function that makes keys failed; using a random key", exc_info=True)
            return None


def _client(url: str, token: str | None, timeout: float) -> Client:
    from lineage.client import Client

    return Client(url, token, timeout=timeout)


def _settings(**given: Any) -> Settings:
    """Those that can be read; a controller must start whatever they are."""
    from lineage.config import Settings

    try:
        return Settings.from_env(os.environ, **given)
    except LineageError as error:
        _log.error("a setting of the hook is left out: %s", error)
    sound: dict[str, str] = {}
    for name, value in os.environ.items():
        try:
            Settings.from_env({name: value})
        except LineageError:
            continue
        sound[name] = value
    try:
        return Settings.from_env(sound, **given)
    except LineageError as error:
        _log.error("the options of the hook are left out: %s", error)
        return Settings.from_env(sound)
