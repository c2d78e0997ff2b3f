"""What a scope allows, and what a request needs. Pure; whatever is not named here needs most.

`docs/security.md` shows the table, made from here and from the routes there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from lineage.errors import Forbidden, LineageError, Unauthorized

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, and what they may. `namespaces` None = all of them."""

    name: str
    scopes: frozenset[Scope]
    namespaces: frozenset[str] | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def records(self, namespace: str) -> LineageError | None:
        """Why an action of this namespace is not theirs to record."""
        if self.namespaces is None or namespace in self.namespaces:
            return None
        return Forbidden(
            f"controller.namespace: {self.name} records for {', '.join(sorted(self.namespaces))} "
            f"only, and this action is of {namespace[:256] or 'no namespace'}"
        )


EVERYONE = Access("", frozenset(SCOPES))
"""Whoever reaches a server that asks nobody who they are."""


class Need(NamedTuple):
    """`scope` None = anyone; `whole` = of all namespaces, since the answer cannot be divided."""

    scope: Scope | None
    whole: bool = False


_OPEN = ("/healthz", "/readyz", "/login", "/logout")
_STATIC = "/static/"
_READING = ("GET", "HEAD", "OPTIONS")
_RECORDING = {"/actions/batch": "POST", "/lineage": "POST", "/lineage/batch": "POST"}
_ACTION = f"{API}/actions/"
_WHOLE = (f"{API}/stats", f"{API}/lineage/events", "/metrics")


def need(method: str, path: str) -> Need:
    """What a request needs. `path` is decoded, as the router matches it: two ways to read a
    path would be a way around."""
    reading = method in _READING
    if path in _OPEN or (reading and path.startswith(_STATIC)):
        return Need(None)
    if reading:
        return Need("read", path in _WHOLE)
    inside = path.removeprefix(API) if path.startswith(API + "/") else ""
    if _RECORDING.get(inside) == method or (method == "PUT" and path.startswith(_ACTION)):
        return Need("write")
    return Need("admin", True)


def refusal(access: Access | None, needed: Need) -> LineageError | None:
    """Why `access` (None = nobody we know) may not do what needs this; None = they may."""
    scope, whole = needed
    if scope is None:
        return None
    if access is None:
        return Unauthorized("send a token as `Authorization: Bearer …`; `lineage token` makes them")
    if not access.may(scope):
        has = " and ".join(s for s in SCOPES if s in access.scopes) or "nothing"
        return Forbidden(f"this needs the scope {scope}; {access.name} has {has}")
    if whole and access.namespaces is not None:
        return Forbidden(f"this is about all namespaces; {access.name} is of some of them only")
    return None


def scopes(words: Iterable[str]) -> frozenset[Scope]:
    """
    Raises:
        ValueError: one is no scope.
    """
    found: set[Scope] = set()
    for word in words:
        if word not in SCOPES:
            raise ValueError(f"'{word}' is not a scope; there are {', '.join(SCOPES)}")
        found.add(word)
    return frozenset(found)
