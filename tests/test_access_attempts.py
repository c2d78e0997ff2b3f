"""Attempts to get in, and what each got: docs/security.md shows them as they happened here.

After a change on purpose: LINEAGE_WRITES_TABLES=1 pytest tests/test_access_attempts.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ui.pages
from lineage.access.scopes import need
from lineage.app import create_app
from lineage.config import Settings

from . import attempts_wire  # noqa: F401  adds its own
from .attempts import ATTEMPTS, SHARED, THEIRS, A, Site, wait
from .conftest import start_server
from .doors import doors

PAGE = Path(__file__).parent.parent / "docs" / "security.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp
    local = start_server(folder("local"))
    with (
        doors(folder("locked")) as locked,
        doors(folder("behind"), LINEAGE_PROXIES="127.0.0.1", LINEAGE_GROUPS="sre=read") as behind,
        doors(folder("slow"), LINEAGE_RATE="5") as slow,
    ):
        locked.token("reader", "read")
        locked.token("writer", "write")
        locked.token("bot", "read", "write", of=("label-bot",))
        locked.token("ops", "admin")
        locked.token("expired", "admin", until=-1)
        locked.token("revoked", "admin")
        locked.revoke("revoked")
        slow.token("reader", "read")
        wait(lambda: locked.ask("GET", f"{A}/formats", "reader").status == 200)
        wait(lambda: slow.ask("GET", f"{A}/formats", "reader").status == 200)
        inputs = [{"uri": SHARED, "version": "1"}]
        locked.client("ops").record({
            "key": THEIRS, "type": "deploy", "controller": {"name": "c", "namespace": "theirs"},
            "inputs": inputs, "outputs": [{"uri": "secret://theirs", "version": "1"}],
        })  # fmt: skip
        locked.client("bot").record({
            "key": "bot/1", "type": "train",
            "controller": {"name": "c", "namespace": "label-bot"}, "inputs": inputs,
        })  # fmt: skip
        yield Site(locked, behind, slow, local)
    local.stop()


@pytest.fixture(scope="module")
def table(site: Site) -> str:
    rows = ["| Attempt | | Got |", "|---|---|---|"]
    before = ""
    for kind, what, how in ATTEMPTS:
        rows.append(f"| {kind if kind != before else ''} | {what} | {how(site)} |")
        before = kind
    return "\n".join(rows) + "\n"


def kept(name: str, table: str) -> None:
    """The page shows this table between the marks of this name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    text = PAGE.read_text("utf-8")
    shown = text[text.index(begin) + len(begin) : text.index(end)]
    if os.environ.get("LINEAGE_WRITES_TABLES"):
        PAGE.write_text(text.replace(begin + shown, begin + table), "utf-8")
        return
    assert shown.strip().splitlines() == table.strip().splitlines()


def test_attempts_got_what_the_documentation_says(site: Site, table: str) -> None:
    """Each is made anew, against real servers; and nothing of what was refused is there."""
    kept("attempts", table)
    keys = {one["key"] for one in site.locked.client("ops").actions()}
    assert keys == {THEIRS, "bot/1", "bot/blabel-bot"}
    their = site.locked.client("ops").action(THEIRS)
    assert their["controller"]["namespace"] == "theirs"


def test_what_a_route_needs_is_what_the_documentation_says() -> None:
    """The table is made from the routes there are, and from the decision itself."""
    documented = create_app(Settings()).openapi()["paths"]
    found = [(m.upper(), path) for path, methods in documented.items() for m in methods]
    found += [*pages(ui.pages.router.routes), ("GET", "/static/…"), ("GET", f"{A}/openapi.json")]
    table: dict[str, list[str]] = {}
    for method, path in sorted(set(found), key=lambda one: one[::-1]):
        scope, whole = need(method, re.sub(r"\{.*?\}", "x", path))
        words = f"`{scope}`" if scope else "nothing"
        words += ", of all namespaces" * (whole and scope != "admin")
        table.setdefault(words, []).append(f"`{method} {path}`")
    order = ("nothing", "`read`", "`read`, of all namespaces", "`write`", "`admin`")
    assert table.keys() == set(order)
    rows = ["| Needs | |", "|---|---|", *(f"| {one} | {', '.join(table[one])} |" for one in order)]
    kept("needs", "\n".join(rows) + "\n")


def pages(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """FastAPI keeps routers that are included as they are, or their routes."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from pages(inner.routes)
        else:
            yield from (
                (method, re.sub(r":\w+}", "}", route.path)) for method in route.methods - {"HEAD"}
            )
