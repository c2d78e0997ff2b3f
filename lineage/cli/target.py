"""Which server a command talks to, and how it speaks to people: shared by all commands."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from lineage.config import Settings
from lineage.errors import LineageError

if TYPE_CHECKING:
    from rich.console import Console

    from lineage.client import Client

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@dataclass(frozen=True, slots=True)
class Target:
    """The global options: a server's address, or a store file, and a token."""

    url: str | None
    store: str | None
    token: str | None

    def settings(self, **overrides: Any) -> Settings:
        return Settings.from_env(os.environ, **overrides)

    def database(self) -> str:
        """The store itself, for those who keep it: `--store`, else LINEAGE_STORE."""
        if self.url:
            raise typer.BadParameter("this works on the database, not on a server: give --store.")
        return self.settings(store=self.store).store

    @contextmanager
    def client(self, read_only: bool = True) -> Iterator[Client]:
        """A client of the server, or of a server of our own over the store file."""
        if self.url and self.store:
            raise typer.BadParameter("--url and --store exclude each other; give one of them.")
        settings = self.settings(url=self.url, token=self.token)
        if self.store:
            from lineage.embedded import embedded

            with embedded(self.store, read_only, settings) as client:
                yield client
        else:
            from lineage.client import Client

            with Client(settings.url, settings.token or None) as client:
                yield client


def moment(text: str) -> str:
    """A time as the API wants it; a bare date is its beginning, 00:00 UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"'{text}' is not a time; write 2020-07-23 or 2020-07-23T17:45:27Z."
        ) from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()


def console(stderr: bool = False) -> Console:
    """A console that shows all there is: piped, it is as wide as its longest line."""
    from rich.console import Console

    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    width = 10_000 if piped and "COLUMNS" not in os.environ else None
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def print_json(answer: Any) -> None:
    text = json.dumps(answer, indent=2, ensure_ascii=False)
    # JSON escapes some of what moves a cursor by itself; to escape the rest changes no value.
    sys.stdout.write(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def fail(error: LineageError) -> NoReturn:
    """One line in red, the places below it, exit code 1."""
    out = console(stderr=True)
    out.print(f"Error: {clean(error.detail)}", style="red", soft_wrap=True)
    for place in error.errors:
        line = f"{place.get('at', '')}: {place.get('message', '')}"
        if line not in error.detail:
            out.print(f"  {clean(line)}", soft_wrap=True)
    raise SystemExit(1)


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: Any) -> str:
    """Text of a record for a terminal: whoever wrote it must not move the cursor."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(text))
