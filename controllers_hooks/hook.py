"""The hook a controller holds: makes acts, sends reports, swallows and counts what fails.

Lineage never breaks a controller: whatever goes wrong here is logged and counted. Until
there is a durable outbox, a report that no server took is lost.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping
from functools import wraps
from threading import Lock
from typing import Any, ParamSpec, Self, TypeVar, cast
from uuid import uuid4

from pydantic import ValidationError

from controllers_hooks.act import Act, current
from lineage.client import Client
from lineage.config import Settings
from lineage.errors import LineageError
from lineage.model import Action, invalid

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger("lineage.hook")


class Hook:
    """Reports the acts of one controller. Safe to share between threads.

    `failed` counts the reports that were lost.
    """

    def __init__(
        self,
        controller: str,
        *,
        namespace: str = "",
        cluster: str = "",
        url: str = "http://127.0.0.1:8080",
        token: str | None = None,
        timeout: float = 2.0,
    ) -> None:
        """`timeout`: seconds for each step of a request, so that a controller never hangs."""
        self.failed = 0
        self._controller = {"cluster": cluster, "namespace": namespace, "name": controller}
        self._client = Client(url, token, timeout=timeout)
        self._lock = Lock()
        self._silent = False
        self._misconfigured: LineageError | None = None

    @classmethod
    def from_env(cls, controller: str | None = None, **options: Any) -> Self:
        """A hook from LINEAGE_CONTROLLER, LINEAGE_NAMESPACE, LINEAGE_CLUSTER, LINEAGE_URL and
        LINEAGE_TOKEN; what is given here wins. A wrong setting is logged and makes every
        report fail, but does not raise."""
        timeout = options.pop("timeout", 2.0)
        try:
            settings, wrong = Settings.from_env(os.environ, controller=controller, **options), None
        except LineageError as error:
            settings, wrong = Settings(), error
        hook = cls(
            settings.controller,
            namespace=settings.namespace,
            cluster=settings.cluster,
            url=settings.url,
            token=settings.token or None,
            timeout=timeout,
        )
        hook._misconfigured = wrong
        return hook

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
        return self._send(action if isinstance(action, Action) else dict(action))

    def close(self) -> None:
        self._client.close()

    def _send(self, record: Action | dict[str, Any]) -> bool:
        try:
            if self._misconfigured is not None:
                raise self._misconfigured
            if not isinstance(record, Action):
                record.setdefault("controller", self._controller)
                record = _sound(record)
            self._client.record(record)
        except Exception as error:  # whatever it is, it is not the controller's trouble
            self._lost(error)
            return False
        self._silent = False
        return True

    def _lost(self, error: Exception) -> None:
        with self._lock:
            self.failed += 1
            first, self._silent = not self._silent, True
        reason = invalid(error) if isinstance(error, ValidationError) else error
        # Once an outage: a server that is away for a day must not fill the log.
        level = logging.WARNING if first else logging.DEBUG
        _log.log(level, "a report was lost (%d so far): %s", self.failed, reason)

    def _random_key(self, type: str) -> str:
        return f"{self._controller['name']}/{type}/{uuid4().hex}"

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


def _sound(record: dict[str, Any]) -> Action:
    """The record as an action; what cannot be recorded is left out of both (logged once).

    Raises:
        ValidationError: what is wrong is something an action cannot be without.
    """
    try:
        return Action.model_validate(record)
    except ValidationError as error:
        for place in {e["loc"][:2] for e in error.errors()}:
            _leave_out(record, *place)
        for side in ("inputs", "outputs"):
            record[side] = [r for r in record.get(side, ()) if r is not None]
        action = Action.model_validate(record)
        _log.warning("%s is recorded without a part of it: %s", action.key, invalid(error))
        return action


def _leave_out(record: dict[str, Any], name: int | str = "", part: int | str = "") -> None:
    """Of inputs, params and the like the one entry, of anything else the whole field."""
    whole = record.get(str(name))
    if isinstance(whole, (list, tuple)) and isinstance(part, int):
        record[str(name)] = [None if n == part else r for n, r in enumerate(whole)]
    elif isinstance(whole, dict) and part in whole and name != "controller":
        record[str(name)] = {k: v for k, v in whole.items() if k != part}
    else:
        record.pop(str(name), None)
