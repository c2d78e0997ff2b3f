"""A server on any of the databases, and a client of it, for what must hold on all of them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from tests import databases
from tests.conftest import Server, start_server
from tests.every_question import API
from tests.hostile_texts import records

SERVERS = ("mariadb", "postgresql")
ENGINES = ("sqlite", *SERVERS)
EXAMPLES = sorted((Path(__file__).parent.parent / "examples" / "label_bot").glob("*.ndjson"))


def new_store(engine: str, folder: Path) -> Path | str:
    """A store that nobody has used: a file's path, or a database's URL."""
    return folder / "lineage.db" if engine == "sqlite" else databases.shared(engine).create()


class Running:
    """A server and a client of it; `again` starts another one on the same store."""

    def __init__(self, engine: str, folder: Path, *options: str, store: Path | str = "") -> None:
        self.engine, self.folder, self._options = engine, folder, options
        self.store = store or new_store(engine, folder)
        self.begin()

    def begin(self) -> None:
        self.server: Server = start_server(self.folder, *self._options, store=self.store)
        self.http = httpx2.Client(base_url=self.server.url, timeout=60)

    def again(self, kill: bool) -> None:
        self.server.kill() if kill else self.server.stop()
        self.http.close()
        self.begin()

    def close(self) -> None:
        self.http.close()
        if self.server.process.poll() is None:
            self.server.stop()

    def get(self, path: str, **query: Any) -> Any:
        found = self.http.get(API + path, params=query)
        assert found.status_code == 200, (path, query, found.text[:500])
        return found.json()

    def put(self, key: str, **fields: Any) -> httpx2.Response:
        body = {"type": "train", "controller": {"name": "contract"}, **fields}
        return self.http.put(f"{API}/actions/{quote(key, safe='')}", json=body)

    def batch(self, some: Sequence[Any]) -> Any:
        lines = b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in some)
        media = {"content-type": "application/x-ndjson"}
        found = self.http.post(f"{API}/actions/batch", content=lines, headers=media)
        assert found.status_code == 200, found.text[:500]
        return found.json()

    def record(self, some: Sequence[Any]) -> None:
        """A batch of which nothing is refused."""
        refused = [r for r in self.batch(some)["results"] if r["outcome"] is None]
        assert not refused, (len(refused), refused[:3])

    def all(self, path: str, limit: int, **query: Any) -> list[Any]:
        """The items of a list, page by page."""
        page = self.get(path, limit=limit, **query)
        items: list[Any] = page["items"]
        while page["cursor"]:
            assert len(page["items"]) == limit
            page = self.get(path, limit=limit, cursor=page["cursor"], **query)
            items += page["items"]
        return items

    def wait_for_the_index(self) -> None:
        deadline = time.monotonic() + 60
        while (index := self.get("/stats")["index"])["status"] != "ready" or index["behind"]:
            assert time.monotonic() < deadline, f"the search index does not catch up: {index}"
            time.sleep(0.05)

    def export(self) -> bytes:
        return self.http.get(f"{API}/export").content


def known() -> list[bytes]:
    """The records of the label bot, and the hostile ones."""
    bot = [line for file in EXAMPLES for line in file.read_bytes().splitlines()]
    return bot + [json.dumps(one).encode() for one in records()]


def fill(running: Running) -> None:
    """One by one, so that MLMD numbers the nodes alike: some lists are in that order."""
    for one in map(json.loads, known()):
        key = quote(one["key"], safe="")
        assert running.http.put(f"{API}/actions/{key}", json=one).status_code == 201
    running.wait_for_the_index()
