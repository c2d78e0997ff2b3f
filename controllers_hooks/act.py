"""One act of a controller while it goes on. Gathers; sending is the hook's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from controllers_hooks.things import plain, text_of

if TYPE_CHECKING:
    from lineage.model import Code, Reference

Send = Callable[[dict[str, Any]], bool]
current: ContextVar[Act | None] = ContextVar("lineage_act", default=None)


class Act:
    """`with hook.action(…) as act:` reports `running` on entry, the end on exit.

    The end is `complete`; `failed`, with the error, when an exception passes (it goes on
    unchanged); `canceled` when the work was interrupted. Every method but `report` gives
    the act back, so calls can be chained; none raises.
    """

    def __init__(self, send: Send, key: str, type: str, name: str | None = None) -> None:
        self.key = key
        self._send = send
        self._last = datetime.min.replace(tzinfo=UTC)
        self._token: Token[Act | None] | None = None
        self._record: dict[str, Any] = {"key": key, "type": type, "inputs": [], "outputs": []}
        if name is not None:
            self._record["name"] = name

    def reads(self, *references: Reference | str) -> Self:
        """Inputs. A bare URI stands for an artifact of no special type."""
        self._record["inputs"] += map(dumped, references)
        return self

    def writes(self, *references: Reference | str) -> Self:
        """Outputs. A bare URI stands for an artifact of no special type."""
        self._record["outputs"] += map(dumped, references)
        return self

    def params(self, params: Mapping[str, Any] | None = None, /, **more: Any) -> Self:
        """Parameters: text, numbers, booleans. Names that look like secrets are redacted."""
        self._mapping("params").update(
            {text_of(k): plain(v) for k, v in {**(params or {}), **more}.items()}
        )
        return self

    def links(self, links: Mapping[str, str] | None = None, /, **more: str) -> Self:
        """Addresses worth a click: a log, a rendered notebook, a pull request."""
        self._mapping("links").update(
            {text_of(k): text_of(v) for k, v in {**(links or {}), **more}.items()}
        )
        return self

    def code(
        self,
        repo: Code | str | None = None,
        commit: str | None = None,
        path: str | None = None,
        image: str | None = None,
        dirty: bool | None = None,
    ) -> Self:
        """What runs: a commit of a repository, a path in it, the image it runs in; or
        `Code.detect()`, and what to say otherwise."""
        given = {"repo": repo, "commit": commit, "path": path, "image": image, "dirty": dirty}
        if repo is not None and not isinstance(repo, str):
            self._mapping("code").update(repo.model_dump(exclude_none=True))
            del given["repo"]
        self._mapping("code").update({k: v for k, v in given.items() if v is not None})
        return self

    def trigger(
        self, wanted: str | None = None, observed: str | None = None, reason: str | None = None
    ) -> Self:
        """Why the controller acts: what it wanted, what it saw."""
        given = {"wanted": wanted, "observed": observed, "reason": reason}
        self._mapping("trigger").update({k: v for k, v in given.items() if v is not None})
        return self

    def adds(
        self,
        inputs: Iterable[Mapping[str, Any]] = (),
        outputs: Iterable[Mapping[str, Any]] = (),
        code: Mapping[str, Any] | None = None,
    ) -> Self:
        """Inputs, outputs and code as on the wire."""
        self._record["inputs"] += map(dict, inputs)
        self._record["outputs"] += map(dict, outputs)
        self._mapping("code").update(code or {})
        return self

    def by(self, who: str) -> Self:
        """On whose behalf: a user or a service account."""
        self._record["by"] = who
        return self

    def parent(self, key: str) -> Self:
        """The key of the action this one is a part of."""
        self._record["parent"] = key
        return self

    def fail(self, error: str) -> Self:
        """It failed, though no exception will pass."""
        self._record.update(state="failed", error=_bounded(text_of(error)))
        return self

    def cancel(self) -> Self:
        """It was given up: neither done nor failed."""
        self._record["state"] = "canceled"
        return self

    def report(self) -> bool:
        """Report what is known now; False when it was lost. Entry and exit do so themselves."""
        # Two reports never share a moment, even where the clock stood still or went back:
        # the later one must win.
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        self._record["reported_at"] = self._last
        return self._send(self._record)

    def __enter__(self) -> Self:
        self._begin()
        self.report()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._end(error)
        self.report()

    # A report is one write to a local file: no await would be cheaper than that.
    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, _)

    def _begin(self) -> None:
        self._token = current.set(self)
        self._record.update(state="running", started_at=datetime.now(UTC))

    def _end(self, error: BaseException | None) -> None:
        if self._token is not None:
            try:
                current.reset(self._token)
            except ValueError:  # left in another context than entered, as generators can be
                current.set(None)
            self._token = None
        started = self._record.get("started_at") or datetime.now(UTC)
        self._record["ended_at"] = max(datetime.now(UTC), started)
        state, text = _outcome(error)
        if error is not None or self._record["state"] == "running":
            self._record["state"] = state
        if text is not None:
            self._record.setdefault("error", text)  # what the controller said itself stays

    def _mapping(self, name: str) -> dict[str, Any]:
        mapping: dict[str, Any] = self._record.setdefault(name, {})
        return mapping


def dumped(reference: Reference | str) -> dict[str, Any]:
    """A reference as on the wire; a bare URI stands for one of no special type."""
    if hasattr(reference, "model_dump"):
        out: dict[str, Any] = reference.model_dump(exclude_defaults=True)
        return out
    return {"uri": text_of(reference)}


def _outcome(error: BaseException | None) -> tuple[str, str | None]:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "complete", None
    text = _bounded(f"{type(error).__name__}: {text_of(error)}")
    # asyncio's CancelledError by name: a controller without asyncio should not load it.
    stopped = isinstance(error, (KeyboardInterrupt, GeneratorExit))
    if stopped or type(error).__name__ == "CancelledError":
        return "canceled", text
    return "failed", text


def _bounded(text: str) -> str:
    """A traceback of a megabyte would make the whole report too large; say what is missing."""
    from lineage.model import MAX_VALUE

    text = text.replace("\x00", "\\0")
    if len(text) <= MAX_VALUE:
        return text
    note = f" … ({len(text)} characters in all)"
    return text[: MAX_VALUE - len(note)] + note
