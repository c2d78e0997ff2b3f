"""Tokens: how one is made, how it is kept, how one that is presented is recognised. Pure.

A token is 256 random bits, so one SHA-256 is enough to keep it by: there is nothing to guess,
and a slow hash would be paid with every request. A *session* is what a browser carries instead
of the token it logged in with: derived from the token, not leading back to it, kept by its hash
as well. So who steals the file can do nothing with it, who steals a cookie has no token, and
replicas that read one file need no other secret.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lineage.access.scopes import SCOPES, Access, Scope, scopes
from lineage.errors import LineageError

PREFIX = "lin_"
"""Begins every token, so that scanners for secrets find one that leaked."""
MOST = 1000
LONGEST = 128
"""Characters of a token or session that are looked at."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")
_SESSION = b"lineage session"
_HASH = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token. `hash` and `session` are SHA-256 in hexadecimal digits."""

    name: str
    hash: str
    session: str
    scopes: frozenset[Scope]
    namespaces: frozenset[str] | None
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None

    @property
    def access(self) -> Access:
        return Access(self.name, self.scopes, self.namespaces)

    def status(self, now: datetime) -> str:
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"

    def json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "hash": self.hash,
            "session": self.session,
            "scopes": [s for s in SCOPES if s in self.scopes],
            "namespaces": None if self.namespaces is None else sorted(self.namespaces),
            "created": _text(self.created),
            "expires": _text(self.expires),
            "revoked": _text(self.revoked),
        }


class BadTokens(LineageError):
    """A file of tokens that is none, or a token that cannot be made."""

    status = 500
    title = "The tokens are not valid"


def make(
    name: str,
    of: Iterable[str],
    namespaces: Iterable[str],
    created: datetime,
    expires: datetime | None,
) -> tuple[str, Token]:
    """A new token, and what is to be kept of it.

    Raises:
        BadTokens: the name or the scopes cannot be.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    raw = {
        "name": name, "hash": _hash(secret), "session": _hash(session(secret)),
        "scopes": list(of), "namespaces": sorted(set(namespaces)) or None,
        "created": _text(created), "expires": _text(expires), "revoked": None,
    }  # fmt: skip
    return secret, _token(raw)


def session(token: str) -> str:
    """What a browser carries for a token."""
    return hmac.new(token.encode(), _SESSION, hashlib.sha256).hexdigest()


def recognised(
    tokens: Sequence[Token], presented: str, now: datetime, browser: bool
) -> Token | str:
    """The token that was presented, as itself or (`browser`) as its session; else why not.

    Every hash is compared, and in constant time: how long it takes says nothing.
    """
    digest = _hash(presented) if len(presented) <= LONGEST else ""
    found: Token | None = None
    for one in tokens:
        if hmac.compare_digest(digest, one.session if browser else one.hash):
            found = one
    if found is None:
        return "this token is not known here"
    status = found.status(now)
    return found if status == "valid" else f"the token {found.name} is {status}"


def revoked(tokens: Sequence[Token], name: str, now: datetime) -> list[Token]:
    """The same without the token of this name.

    Raises:
        BadTokens: there is none.
    """
    if name not in {one.name for one in tokens}:
        known = ", ".join(sorted(one.name for one in tokens)) or "none at all"
        raise BadTokens(f"no token is called {name!r}; there are {known}")
    return [
        replace(one, revoked=now) if one.name == name and one.revoked is None else one
        for one in tokens
    ]


def dump(tokens: Sequence[Token]) -> str:
    return json.dumps({"tokens": [one.json() for one in tokens]}, indent=1) + "\n"


def load(text: str) -> list[Token]:
    """
    Raises:
        BadTokens: with what is wrong; never with what stands there.
    """
    try:
        raw = json.loads(text)["tokens"]
        found = [_token(one) for one in raw]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadTokens("this is no file of tokens; `lineage token create` makes one") from error
    if len(found) > MOST:
        raise BadTokens(f"there are {len(found):,} tokens; {MOST:,} is the most")
    if len({one.name for one in found}) < len(found):
        raise BadTokens("two tokens have the same name; the audit log could not tell them apart")
    return found


def _token(raw: dict[str, Any]) -> Token:
    name, of, namespaces = raw["name"], raw["scopes"], raw["namespaces"]
    if not NAME.match(name):
        raise BadTokens("a token's name has up to 64 letters, digits and . _ - @")
    if not (_HASH.match(raw["hash"]) and _HASH.match(raw["session"])):
        raise BadTokens(f"the hashes of the token {name} are none")
    try:
        found = scopes(of)
    except ValueError as error:
        raise BadTokens(f"{name}: {error}") from error
    if not found:
        raise BadTokens(f"{name}: a token needs a scope: {', '.join(SCOPES)}")
    if namespaces is not None and "admin" in found:
        raise BadTokens(f"{name}: admin is of all namespaces; leave out them, or admin")
    if namespaces is not None and not all(isinstance(n, str) and n for n in namespaces):
        raise BadTokens(f"{name}: its namespaces are not names")
    created = _moment(raw["created"])
    assert created is not None
    return Token(
        name, raw["hash"], raw["session"], found,
        None if namespaces is None else frozenset(namespaces),
        created, _moment(raw.get("expires")), _moment(raw.get("revoked")),
    )  # fmt: skip


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
