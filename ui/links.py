"""Addresses: of our own pages, of forges, of whatever a record links to. Pure.

A value from a record becomes a hyperlink only through `external`, which lets http and
https pass and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from urllib.parse import quote, urlencode, urlsplit

from lineage.graph import ActionNode, Node
from lineage.identity import action_id

AS_OF: ContextVar[str] = ContextVar("as_of", default="")
"""The moment the page is about: whoever looks at the past stays there from link to link."""
_PATH_SAFE = re.compile(r"[A-Za-z0-9_~:@=,+.\-]+(?:/[A-Za-z0-9_~:@=,+.\-]+)*\Z")
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")


def artifact(id_: str) -> str:
    return page("/artifacts/" + quote(id_, safe=""))


def action(key: str) -> str:
    """A key that survives as a path is its own address; any other goes by its id."""
    dots = {".", ".."} & set(key.split("/"))
    return page("/actions/" + (key if _PATH_SAFE.match(key) and not dots else action_id(key)))


def panel(node: Node) -> str:
    """What the panel at the side shows of it."""
    return page(f"/panel/{'actions' if isinstance(node, ActionNode) else 'artifacts'}/{node.id}")


def page(path: str, **query: object) -> str:
    """A path with the parameters that are set, in the order given."""
    asked = {"as_of": AS_OF.get(), **query} if not path.startswith("/api/v1/openapi") else query
    given = [(name, str(value)) for name, value in asked.items() if value not in (None, "")]
    return path + ("?" + urlencode(given) if given else "")


def now(path: str, query: Iterable[tuple[str, str]]) -> str:
    """The same page without its moment."""
    given = [(name, value) for name, value in query if name not in ("as_of", "at")]
    return path + ("?" + urlencode(given) if given else "")


def lineage(of: str, **query: object) -> str:
    return page("/lineage", of=of, **query)


def external(url: object) -> str | None:
    """The URL if a browser may follow it, else None."""
    try:
        parts = urlsplit(str(url).strip())
    except ValueError:
        return None
    whole = parts.scheme in ("http", "https") and bool(parts.netloc)
    return parts.geturl() if whole and not re.search(r"[\s\\]", parts.geturl()) else None


def commit(uri: str, version: str | None) -> str | None:
    """Where a forge shows this commit of a `git+https://` repository."""
    base, host = _forge(uri)
    if base is None:
        return external(uri)
    if version is None or not _COMMIT.match(version):
        return base
    return f"{base}{_infix(host)}/commit{'s' if 'bitbucket' in host else ''}/{version}"


def compare(uri: str, old: str | None, new: str | None) -> str | None:
    """Where a forge shows what changed between two commits of one repository."""
    base, host = _forge(uri)
    if base is None or not old or not new or not (_COMMIT.match(old) and _COMMIT.match(new)):
        return None
    return f"{base}{_infix(host)}/compare/{old}...{new}"


def _infix(host: str) -> str:
    return "/-" if "gitlab" in host else ""


def _forge(uri: str) -> tuple[str | None, str]:
    if not uri.startswith("git+https://"):
        return None, ""
    url = external(uri.removeprefix("git+"))
    return (url.split("#")[0] if url else None), urlsplit(uri).hostname or ""
