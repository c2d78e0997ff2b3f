"""`lineage forward`: what is recorded here, told to another OpenLineage backend.

It hears `/api/v1/events` and writes down the last one that was delivered, so that after any
stop it goes on there. An event may be sent twice; OpenLineage's consumers expect that.
"""

from __future__ import annotations

import json
import os
import time
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from lineage.cli.target import Target, clean, console
from lineage.errors import LineageError, ServerUnreachable, StoreUnavailable

if TYPE_CHECKING:
    import httpx2

BEGINNING = "0-0"
AT_ONCE = 1000
"""Events of the past a server tells one listener; then there may be more."""
OVERLAP = 2000
"""Milliseconds that are heard again after a stop: a commit may carry an earlier time."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
RETRIED = {408, 425, 429, 500, 502, 503, 504}
TIMEOUT = 30.0


def forward(
    ctx: typer.Context,
    to: Annotated[
        str, typer.Option(help="The other backend; /api/v1/lineage when it has no path.")
    ],
    api_key_env: Annotated[
        str | None, typer.Option(help="The environment variable that holds its API key.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Where the last event is written down.")
    ] = None,
) -> None:
    """Send every action as OpenLineage events to another backend, now and from now on.

    Runs until it is stopped, and goes on where it was. What the other refuses is shown.

    Example: `lineage forward --to https://marquez.example --api-key-env MARQUEZ_KEY`
    """
    target: Target = ctx.obj
    other = Other(to, _secret(api_key_env))
    file = state or _usual(other.url)
    last = _read(file)
    typer.echo(f"Forwarding to {clean(other.url)} after event {last}; noted in {file}")
    with target.client() as client:
        after, pause = _again(last), 0
        while True:
            heard = 0
            try:
                for id_, seen in client.events(after):
                    found = client.graph(seen["id"], "openlineage", depth=1)
                    for event in json.loads(found):
                        other.send(event)
                    last, pause = id_, 0
                    _write(file, last)
                    heard += 1
                    if heard == AT_ONCE:
                        break
            except (ServerUnreachable, StoreUnavailable) as error:
                console(stderr=True).print(clean(error.detail), style="yellow", soft_wrap=True)
            if heard != AT_ONCE:
                time.sleep(PAUSES[min(pause, len(PAUSES) - 1)])
                pause += 1
            # After a whole page the next one; else what was late is heard as well.
            after = last if heard == AT_ONCE else _again(last)


class Other:
    """The other backend. What it refuses for good is shown and passed over."""

    def __init__(self, url: str, key: str | None) -> None:
        """
        Raises:
            LineageError: it is not an address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise LineageError(f"'{url}' is no address; write one such as https://marquez.example")
        self.url = url if parts.path.strip("/") else f"{url.rstrip('/')}/api/v1/lineage"
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http: httpx2.Client | None = None

    def send(self, event: dict[str, Any]) -> None:
        """Returns once it took the event, however long that is."""
        import httpx2

        self._http = self._http or httpx2.Client(timeout=TIMEOUT, headers=self._headers)
        for attempt in range(10**9):
            try:
                answer = self._http.post(self.url, json=event)
                if answer.is_success:
                    return
                said = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code not in RETRIED:
                    self._say(f"refused {event['run']['runId']}: {said}", "red")
                    return
            except httpx2.HTTPError as error:
                said = str(error) or type(error).__name__
            self._say(f"{self.url}: {said}; trying again", "yellow")
            time.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])

    def _say(self, text: str, style: str) -> None:
        console(stderr=True).print(clean(text), style=style, soft_wrap=True)


def _secret(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not (key := os.environ.get(variable, "").strip()):
        raise LineageError(f"{variable} is not set; it should hold the API key")
    return key


def _usual(url: str) -> Path:
    """A file of its own for each backend."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(home, "lineage", f"forward-{blake2b(url.encode(), digest_size=6).hexdigest()}")


def _read(file: Path) -> str:
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return BEGINNING
    stamp, _, number = text.partition("-")
    if not (stamp.isdecimal() and number.isdecimal()):
        raise LineageError(f"{file} holds no event's id; delete it to begin from the beginning")
    return text


def _write(file: Path, last: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    part.write_text(last + "\n")
    part.replace(file)


def _again(last: str) -> str:
    stamp = int(last.partition("-")[0])
    return f"{max(0, stamp - OVERLAP)}-0" if stamp else BEGINNING
