"""What of an action or an artifact can be found, and by which terms an index finds it. Pure.

A node's *texts* are named values (its key, a parameter); its *facets* are what filters ask for.
Both make its *body*, and the body makes its *terms*: whoever has a body can say exactly
which terms stand in an index for it.

Terms are the trigrams of tokens, a token with `^` before and `$` behind: so one kind of term
serves whole tokens, beginnings and parts. Of a hash only the beginning counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from lineage.merge import ActionState, ArtifactState

VERSION = 1
"""Of everything here that an index depends on. Another one means: build it again."""
MAX_TEXT = 1000
"""Characters of one value that can be found."""
MAX_TEXTS = 500
"""Values of one node that can be found."""
NAMES = frozenset({"key", "name", "uri", "version", "commit"})
"""Texts that name the node: equal to one of these is the best match there is."""

FACETS = ("type", "state", "namespace", "controller")

TOKEN = re.compile(r"[0-9a-z\x80-\U0010ffff]+")
_HASH = re.compile(r"[0-9a-f]{32,}\Z")
_HASH_LENGTH = 32
_HASH_START = 12
_HEX = re.compile(r"[0-9a-f]{13,}\Z")

State = ActionState | ArtifactState
Facets = dict[str, str]


class Text(NamedTuple):
    """A value that can be found, and what it is: `name`, `params`, …"""

    field: str
    value: str


def texts(state: State) -> list[Text]:
    """Everything a search looks at, the most telling first, within the bounds."""
    found = _of_action(state) if isinstance(state, ActionState) else _of_artifact(state)
    seen = (Text(field, value[:MAX_TEXT]) for field, value in found if value)
    return [text for text, _ in zip(seen, range(MAX_TEXTS), strict=False)]


def facets(state: State) -> Facets:
    """What filters ask for, by name; "" = it has none."""
    if isinstance(state, ArtifactState):
        return {"type": state.type}
    _, namespace, controller = state.get("controller") or ("", "", "")
    values = (state.get("type"), state.get("state"), namespace, controller)
    return {name: value or "" for name, value in zip(FACETS, values, strict=True)}


def faceted(facets: Facets) -> Iterator[tuple[str, str]]:
    """(name, value) of every filter that lets these facets through."""
    for name, value in facets.items():
        yield name, value
        if name == "controller":
            yield name, f"{facets['namespace']}/{value}"


def body(state: State) -> str:
    """A line of the facets, then one a text, folded."""
    first = "\t".join(re.sub(r"[\t\n]", " ", value) for value in facets(state).values())
    return "\n".join((first, *dict.fromkeys(fold(text.value) for text in texts(state))))


def facets_of(body: str) -> Facets:
    """The facets a body begins with."""
    return dict(zip(FACETS, body.partition("\n")[0].split("\t"), strict=False))


def terms(body: str) -> set[str]:
    """What stands in an index for this body."""
    tokens = set(TOKEN.findall(body.partition("\n")[2]))
    found = {facet_term(*facet) for facet in faceted(facets_of(body))}
    return found.union(*map(_token_terms, tokens))


@lru_cache(maxsize=1000)
def facet_term(name: str, value: str) -> str:
    return "=" + blake2b(f"{name}:{fold(value)}".encode(), digest_size=6).hexdigest()


def grams(piece: str, start: bool, end: bool) -> list[str]:
    """Terms that every text with this piece of a token has; `start` and `end`: of a token.

    Empty when the piece is too short to say anything by itself.
    """
    if _HEX.match(piece):
        piece, end = piece[:_HASH_START], False  # it may be the beginning of a hash
    padded = "^" * start + piece + "$" * end
    if start and len(padded) == 2:
        return [padded]
    return [padded[i : i + 3] for i in range(len(padded) - 2)]


def fold(text: str) -> str:
    """Without case, and never longer or shorter: places in it are places in the text."""
    if text.isascii():
        return text.lower()
    return "".join(small if len(small := c.lower()) == 1 else c for c in text)


def hashes(folded: str) -> list[tuple[int, int]]:
    """(start, end) of the hashes in a text: nothing that begins inside of one is found."""
    if len(folded) < _HASH_LENGTH:
        return []
    tokens = TOKEN.finditer(folded)
    return [m.span() for m in tokens if len(m[0]) >= _HASH_LENGTH and _HASH.match(m[0])]


def _of_action(state: ActionState) -> Iterator[tuple[str, str]]:
    yield "key", state.key
    yield "name", state.get("name") or ""
    source = state.get("code.source") or {}
    yield "commit", source.get("commit") or ""
    yield "controller", "/".join(part for part in state.get("controller") or () if part)
    for field in ("by", "parent", "error"):
        yield field, state.get(field) or ""
    yield "code", " ".join(str(source[n]) for n in ("repo", "path") if n in source)
    yield "image", state.get("code.image") or ""
    yield from _nested(state.fields.items(), "params", "trigger", "links")


def _of_artifact(state: ArtifactState) -> Iterator[tuple[str, str]]:
    yield "uri", state.uri
    yield "name", state.name or ""
    yield "version", state.version or ""
    for alias in sorted(state.aliases):
        yield "alias", alias
    yield from _nested(state.fields.items(), "properties")


def _nested(fields: Iterable[tuple[str, tuple[int, object]]], *of: str) -> Iterator[Text]:
    """`params.epochs` as the text `epochs=10` of the field `params`."""
    for field, (_, value) in sorted(fields):
        group, dot, name = field.partition(".")
        if dot and group in of:
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            yield Text(group, f"{name}={shown}")


@lru_cache(maxsize=2000)
def _token_terms(token: str) -> frozenset[str]:
    padded = f"^{token[:_HASH_START]}" if _HASH.match(token) else f"^{token}$"
    return frozenset((padded[:2], *(padded[i : i + 3] for i in range(len(padded) - 2))))
