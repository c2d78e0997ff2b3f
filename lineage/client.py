"""The REST client: one method a route, errors as this package's own. Knows no store.

Requests are plain values and answers plain JSON, so what the server shows is what a
caller gets. httpx2 is imported at the first request: a controller that imports the hooks
should not pay for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from lineage.errors import InvalidRecord, LineageError, ServerUnreachable
from lineage.model import Action

if TYPE_CHECKING:
    import httpx2

JSON = "application/json"
NDJSON = "application/x-ndjson"
Answer = dict[str, Any]
Moment = datetime | str | None


class Client:
    """Talks to one server; safe to share between threads.

    Every method raises the `LineageError` of the server's answer, with its detail and
    errors, or `ServerUnreachable`. Times are datetimes or ISO 8601 texts.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        token: str | None = None,
        *,
        timeout: float = 60.0,
        socket: str | None = None,
    ) -> None:
        """`timeout` in seconds; `socket` = path of a Unix socket the server listens on."""
        self.url = url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._socket = socket

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if "_http" in self.__dict__:
            self._http.close()
            del self.__dict__["_http"]

    def record(self, action: Action | Mapping[str, Any]) -> Answer:
        """Record one report: `{"id", "key", "outcome": "created" | "merged" | "unchanged"}`."""
        if isinstance(action, Action):
            key, body = action.key, action.model_dump_json(exclude_defaults=True).encode()
        else:
            key, body = _key(action), json.dumps(action, default=_plain).encode()
        return self._json("PUT", f"/actions/{_segment(key)}", content=body, kind=JSON)

    def batch(
        self, body: bytes | Iterable[bytes], ndjson: bool = True, verdicts: str = "all"
    ) -> Answer:
        """Record many: NDJSON (or a JSON array) as it is, or an iterable of such pieces.

        The answer counts outcomes and holds a verdict for each item; an item that is
        refused does not keep the others out. `verdicts="failed"` lists only those.
        """
        asked = {} if verdicts == "all" else {"verdicts": verdicts}
        kind = NDJSON if ndjson else JSON
        return self._json("POST", "/actions/batch", asked, content=body, kind=kind)

    def action(self, key: str, as_of: Moment = None) -> Answer:
        """An action by its key or id."""
        return self._json("GET", f"/actions/{_segment(key)}", {"as_of": as_of})

    def actions(self, **filters: Any) -> Iterator[Answer]:
        """Every action that passes (type, state, controller, namespace, q, since, until, as_of)."""
        return self._pages("/actions", filters)

    def artifact(self, id: str, as_of: Moment = None) -> Answer:
        return self._json("GET", f"/artifacts/{_segment(id)}", {"as_of": as_of})

    def artifacts(self, **filters: Any) -> Iterator[Answer]:
        """Every artifact that passes (type, uri, q, as_of)."""
        return self._pages("/artifacts", filters)

    def versions(self, id: str, as_of: Moment = None) -> Iterator[Answer]:
        """Every version of the thing this artifact is one version of."""
        return self._pages(f"/artifacts/{_segment(id)}/versions", {"as_of": as_of})

    def controllers(self, as_of: Moment = None) -> Iterator[Answer]:
        return self._pages("/controllers", {"as_of": as_of})

    def lineage(self, of: str | None = None, **options: Any) -> Answer:
        """The graph around an artifact id, URI, URI@version or action key.

        Options: select, direction, depth, types, max_nodes. `truncated` says that a limit cut it.
        """
        return self._json("GET", "/lineage", params={"of": of, **options, "format": "json"})

    def graph(self, of: str | None, format: str = "svg", **options: Any) -> bytes:
        """The same graph drawn or written: svg, png, dot, json, or one of `formats`."""
        params = {"of": of, **options, "format": format}
        return self._bytes("GET", f"/api/v1/lineage{_query(params)}")

    def live(self, as_of: Moment = None, namespace: str | None = None) -> Answer:
        """What is live, now or at a past moment: `{"as_of", "slots"}`, however many pages."""
        return self._whole("/live", "slots", {"as_of": as_of, "namespace": namespace})

    def history(self, slot: str, as_of: Moment = None) -> Answer:
        """What was live in a slot (`k8s://cluster/namespace/kind/name`), from when to when:
        `{"as_of", "slot", "periods"}`, what began last first, however many pages."""
        return self._whole(f"/live/{_segment(slot)}/history", "periods", {"as_of": as_of})

    def impact(self, of: str, **options: Any) -> Answer:
        """What a thing reaches, live slots first. Options: as_of, max_nodes."""
        return self._json("GET", "/impact", params={"of": of, **options})

    def diff(self, a: str, b: str | None = None, **options: Any) -> Answer:
        """What differs between two artifacts, actions or slots (`SLOT@time`); without `b`,
        between `a` and what came before it. Options: as_of, max_nodes."""
        return self._json("GET", "/diff", params={"a": a, "b": b, **options})

    def stale(self, **options: Any) -> Answer:
        """Live slots with something newer behind them. Options: as_of, namespace, max_age."""
        return self._json("GET", "/stale", params=options)

    def flow(self, **options: Any) -> Answer:
        """Which controller feeds which, and what was not taken up.

        Options: as_of, namespace, window, limit.
        """
        return self._json("GET", "/flow", params=options)

    def search(self, q: str, **options: Any) -> Answer:
        """What has a name, URI, commit, digest, parameter or property like this, best first."""
        return self._json("GET", "/search", params={"q": q, **options})

    def stats(self) -> Answer:
        """How much the store holds."""
        return self._json("GET", "/stats")

    def reindex(self) -> Answer:
        """Build the search index again: `{"behind": nodes to go}`; `stats` shows how far."""
        return self._json("POST", "/reindex")

    def formats(self) -> list[Answer]:
        """What a graph or the whole store can be written as, and what can be imported."""
        items: list[Answer] = self._json("GET", "/formats")["items"]
        return items

    def export(self, format: str = "ndjson") -> Iterator[bytes]:
        """Everything, in chunks of bytes: NDJSON, or one of `formats` that holds a store.

        Recording the NDJSON elsewhere copies the store.
        """
        with self._answer("GET", f"/api/v1/export{_query({'format': format})}") as response:
            yield from response.iter_bytes()

    def openlineage(self, events: bytes) -> Answer:
        """Record OpenLineage events, given as a JSON array: `{"status", "summary",
        "failed_events"}`. One that fails does not keep the others out."""
        return self._json("POST", "/lineage/batch", content=events, kind=JSON)

    def raw_events(self, after: int = 0) -> Answer:
        """A page of the OpenLineage events that are kept: `{"items", "after", "removed"}`."""
        return self._json("GET", "/lineage/events", {"after": after})

    def events(self, after: str | None = None) -> Iterator[tuple[str, Answer]]:
        """What is recorded from now on, or since the event of the id `after`: (id, action).
        Ends when the server does, or has more to tell than it can; ask again after the last."""
        with self._answer("GET", f"/api/v1/events{_query({'after': after})}") as response:
            said: dict[str, str] = {}
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    said[name] = value
                    continue
                if said.get("event") == "recorded":
                    yield said["id"], json.loads(said["data"])
                said = {}

    def health(self) -> bool:
        """Whether the server is ready to answer.

        Raises:
            ServerUnreachable: nothing answered at all.
        """
        try:
            self._bytes("GET", "/readyz")
        except ServerUnreachable:
            raise
        except LineageError:
            return False
        return True

    @cached_property
    def _http(self) -> httpx2.Client:
        import httpx2

        headers = {"accept": "application/json, application/problem+json, */*"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        transport = httpx2.HTTPTransport(uds=self._socket) if self._socket else None
        with _translated(self.url):
            return httpx2.Client(
                base_url=self.url, headers=headers, timeout=self._timeout, transport=transport
            )

    @contextmanager
    def _answer(
        self, method: str, path: str, content: bytes | Iterable[bytes] | None = None, kind: str = ""
    ) -> Iterator[httpx2.Response]:
        headers = {"content-type": kind} if kind else None
        with (
            _translated(self.url),
            self._http.stream(method, path, content=content, headers=headers) as response,
        ):
            if not response.is_success:
                raise _problem(response.status_code, response.read(), self.url)
            yield response

    def _bytes(
        self, method: str, path: str, content: bytes | Iterable[bytes] | None = None, kind: str = ""
    ) -> bytes:
        with self._answer(method, path, content, kind) as response:
            return response.read()

    def _json(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        kind: str = "",
    ) -> Answer:
        body = self._bytes(method, f"/api/v1{path}{_query(params or {})}", content, kind)
        try:
            answer: Answer = json.loads(body)
        except ValueError as error:
            raise _foreign(self.url, "something that is not JSON") from error
        return answer

    def _whole(self, path: str, name: str, params: Mapping[str, Any]) -> Answer:
        """An answer that is a list and more, its pages put together."""
        answer = page = self._json("GET", path, params)
        while page.get("cursor") is not None:
            page = self._json("GET", path, {**params, "cursor": page["cursor"]})
            answer = {**page, name: [*answer[name], *page[name]]}
        return answer

    def _pages(self, path: str, filters: Mapping[str, Any]) -> Iterator[Answer]:
        params = {"limit": 500, **filters}
        while True:
            page = self._json("GET", path, params=params)
            yield from page["items"]
            if page.get("cursor") is None:
                return
            params["cursor"] = page["cursor"]


def _key(action: Mapping[str, Any]) -> str:
    key = action.get("key")
    if not isinstance(key, str) or not key:
        places = [{"at": "key", "message": "is missing; it is required"}]
        raise InvalidRecord("key: is missing; it is required", places)
    return key


def _segment(text: str) -> str:
    """One segment of a path. Dots are encoded as well: `..` would climb out of the path."""
    encoded = quote(text, safe="")
    return encoded.replace(".", "%2E") if text in (".", "..") else encoded


def _query(params: Mapping[str, Any]) -> str:
    pairs = [
        f"{quote(name)}={quote(_written(value), safe='')}"
        for name, value in params.items()
        if value is not None
    ]
    return "?" + "&".join(pairs) if pairs else ""


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(sorted(str(item) for item in value))
    return str(value)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a record holds JSON values and datetimes, not {type(value).__name__}")


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """httpx2's errors as ours; the only place that knows them."""
    import httpx2

    try:
        yield
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        raise ServerUnreachable(
            f"'{url}' is not an address of a server; write one such as http://127.0.0.1:8080"
        ) from error
    except httpx2.TimeoutException as error:
        raise ServerUnreachable(
            f"{url} did not answer in time; try again, or with a longer timeout"
        ) from error
    except httpx2.RequestError as error:
        reason = str(error) or type(error).__name__
        raise ServerUnreachable(
            f"no server answered at {url} ({reason}); "
            "start one with `lineage serve`, or name another with --url or LINEAGE_URL"
        ) from error


def _problem(status: int, body: bytes, url: str) -> LineageError:
    """The error an answer stands for (RFC 9457)."""
    try:
        problem = json.loads(body)
        title, detail = str(problem["title"]), str(problem.get("detail") or problem["title"])
        found = [dict(place) for place in problem.get("errors") or ()]
    except (ValueError, KeyError, TypeError):
        return _foreign(url, f"HTTP status {status}", status)
    error = _class_of(status, title)(detail, found)
    # An instance speaks for its answer, also where no class of ours has that status.
    error.status, error.title = status, title
    return error


def _class_of(status: int, title: str) -> type[LineageError]:
    """By title where several classes share a status, else the first with the status."""
    known = [kind for kind in _tree(LineageError) if kind.status == status]
    return next((k for k in known if k.title == title), known[0] if known else LineageError)


def _tree(kind: type[LineageError]) -> Iterator[type[LineageError]]:
    """The errors a server can send: not those a process raises about itself."""
    if kind.__module__ == "lineage.errors" and kind is not ServerUnreachable:
        yield kind
        for child in kind.__subclasses__():
            yield from _tree(child)


def _foreign(url: str, what: str, status: int = 502) -> LineageError:
    error = LineageError(f"{url} answered {what}, unlike a lineage server; check the address")
    error.status = status
    return error
