"""What a search asks for, and how well a node answers it. Pure.

    label bot            both words, anywhere in the node's texts
    "label bot"          these words beside each other
    max_age_days=30      a parameter or property
    type:Model state:failed controller:label-bot/*   filters, as elsewhere

How well: equal to a name of the node, then whole tokens, then the beginning of one, then a part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import islice
from typing import Any

from lineage.errors import BadRequest
from lineage.findable import (
    NAMES,
    TOKEN,
    State,
    Text,
    facet_term,
    faceted,
    facets,
    fold,
    grams,
    hashes,
    texts,
)
from lineage.store.ports import Kind

KINDS: tuple[Kind, ...] = ("action", "artifact")
MOST_TERMS = 24
"""Terms the index is asked for at once. More would not find less, only slower."""
MOST_WORDS = 30
MOST_PLACES = 50
"""Places of a word in one value that are looked at."""
EXCERPT = 160
"""Characters of a value that a match shows."""
_WORD = re.compile(r'"([^"]+)"|([^\s"]+)')
_FILTER = re.compile(r"(kind|type|state|controller|namespace):(.+)", re.DOTALL)
_ACTIONS_ONLY = frozenset({"state", "controller", "namespace"})


class Rank(IntEnum):
    """How well something matches; the lower the better."""

    EQUAL = 0
    WHOLE = 1
    BEGINNING = 2
    PART = 3
    NONE = 4


@dataclass(frozen=True)
class Word:
    """Something to be found as it stands, folded."""

    text: str

    @cached_property
    def pieces(self) -> list[tuple[str, bool, bool]]:
        """Its tokens, and whether each surely begins and ends there."""
        found = TOKEN.finditer(self.text)
        return [(m[0], m.start() > 0, m.end() < len(self.text)) for m in found]

    @cached_property
    def anchored(self) -> bool:
        """Too short for a part of a token: only the beginning of one counts."""
        return not any(grams(*piece) for piece in self.pieces)

    def terms(self, rank: Rank) -> Iterator[str]:
        last = len(self.pieces) - 1
        for n, (piece, start, end) in enumerate(self.pieces):
            begins = n == 0 and (rank <= Rank.BEGINNING or self.anchored)
            yield from grams(piece, start or begins, end or (n == last and rank <= Rank.WHOLE))

    def places(self, value: str, folded: str) -> Iterator[tuple[Rank, int]]:
        """Where it stands in a value, and how."""
        inside = hashes(folded)
        place = folded.find(self.text)
        while place >= 0:
            end = place + len(self.text)
            begins = place == 0 or not (_token(folded[place]) and _token(folded[place - 1]))
            hidden = any(start < place < stop for start, stop in inside)
            if (begins or not self.anchored) and not hidden:
                if not _boundary(value, folded, place):
                    yield Rank.PART, place
                else:
                    yield Rank.WHOLE if _boundary(value, folded, end) else Rank.BEGINNING, place
            place = folded.find(self.text, place + 1)


@dataclass(frozen=True)
class Query:
    """What is asked for. `text` = the words as they were written, for what equals them."""

    text: str
    words: tuple[Word, ...]
    filters: tuple[tuple[str, str], ...]
    kinds: tuple[Kind, ...]

    def terms(self, rank: Rank, now: bool = True) -> list[str]:
        """What the index must have for a node to match so well or better.

        `now`: the state asked for is the one of today.
        """
        found = [term for word in self.words for term in word.terms(rank)]
        found += [
            facet_term(*_exact(name, value))
            for name, value in self.filters
            if not _pattern(_exact(name, value)[1]) and (now or name != "state")
        ]
        distinct = list(dict.fromkeys(found))
        step = max(1.0, len(distinct) / MOST_TERMS)
        return [distinct[int(n * step)] for n in range(min(MOST_TERMS, len(distinct)))]


@dataclass(frozen=True, slots=True)
class Match:
    """Where a value matches: `spans` are (start, end) in `text`, which is a part of the value
    when that is long."""

    field: str
    text: str
    spans: tuple[tuple[int, int], ...]
    cut: bool

    def json(self) -> dict[str, Any]:
        return {"field": self.field, "text": self.text, "spans": self.spans, "cut": self.cut}


def parse(q: str, kind: Kind | None = None, type: str | None = None) -> Query:
    """The words and filters of a search.

    Raises:
        BadRequest: there is nothing to look for, or a kind that does not exist.
    """
    filters = [("type", type)] if type else []
    kinds = set(KINDS if kind is None else (kind,))
    words: list[Word] = []
    plain: list[str] = []
    for found in _WORD.finditer(q):
        filter = _FILTER.fullmatch(found[0])
        if filter is None:
            plain.append(found[0])
            word = Word(fold(found[1] or found[2]).strip())
            words += [word] if word.pieces else []
        elif filter[1] != "kind":
            filters.append((filter[1], filter[2]))
        elif filter[2] not in KINDS:
            raise BadRequest(f"q: kind is {' or '.join(KINDS)}, not '{filter[2][:40]}'")
        else:
            kinds &= {filter[2]}
    if len(words) + len(filters) > MOST_WORDS:
        raise BadRequest(f"q: at most {MOST_WORDS} words and filters; leave some out")
    if not (words or filters or len(kinds) < len(KINDS)):
        raise BadRequest("q: nothing to look for; write a letter, a digit or type:Model")
    if any(name in _ACTIONS_ONLY for name, _ in filters):
        kinds &= {"action"}
    # One phrase, or without filters the text as it is: blanks and quotes in a name count.
    phrase = len(plain) == 1 and plain[0].startswith('"')
    text = " ".join(plain) if filters or len(kinds) < 2 else q.strip()
    text = text.strip('"') if phrase else text
    return Query(text, tuple(words), tuple(filters), tuple(k for k in KINDS if k in kinds))


def passes(query: Query, state: State) -> bool:
    """Whether the filters let it through."""
    has = [(name, fold(value)) for name, value in faceted(facets(state))]
    return all(
        any(name == wanted and fnmatchcase(value, fold(pattern)) for name, value in has)
        for wanted, pattern in query.filters
    )


def match(query: Query, state: State) -> tuple[Rank, list[Match]] | None:
    """How well the node's texts match, and where; None = they do not."""
    values = [(text, fold(text.value)) for text in texts(state)]
    equal = fold(query.text)
    for text, folded in values:
        name = folded.removeprefix("sha256:") if folded.removeprefix("sha256:") == equal else folded
        if equal and text.field in NAMES and name == equal:
            return Rank.EQUAL, [_excerpt(text, [(len(folded) - len(equal), len(folded))])]
    worst, where = Rank.WHOLE, dict[Text, list[tuple[int, int]]]()
    for word in query.words:
        best: tuple[Rank, Text, list[int]] | None = None
        for text, folded in values:
            places = list(islice(word.places(text.value, folded), MOST_PLACES))
            if places and (best is None or min(places)[0] < best[0]):
                best = min(places)[0], text, [place for _, place in places]
        if best is None:
            return None
        worst = max(worst, best[0])
        where.setdefault(best[1], []).extend((p, p + len(word.text)) for p in best[2])
    return worst, [_excerpt(text, spans) for text, spans in where.items()]


def _excerpt(text: Text, spans: list[tuple[int, int]]) -> Match:
    value, spans = text.value, _disjoint(spans)
    start = max(0, min(spans[0][0] - EXCERPT // 4, len(value) - EXCERPT))
    shown = value[start : start + EXCERPT]
    inside = ((a - start, min(b - start, len(shown))) for a, b in spans)
    kept = tuple((a, b) for a, b in inside if a < b)
    return Match(text.field, shown, kept, len(shown) < len(value))


def _disjoint(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start < out[-1][1]:
            out[-1] = out[-1][0], max(end, out[-1][1])
        else:
            out.append((start, end))
    return out


def _token(character: str) -> bool:
    return TOKEN.match(character) is not None


def _boundary(value: str, folded: str, at: int) -> bool:
    """Whether a token begins or ends here, also inside `areaJupyter` and `TCN4131`."""
    if at in (0, len(value)) or not (_token(folded[at - 1]) and _token(folded[at])):
        return True
    before, after = value[at - 1], value[at]
    return (before.islower() and after.isupper()) or before.isdigit() != after.isdigit()


def _exact(name: str, value: str) -> tuple[str, str]:
    """`controller:label-bot/*` is a namespace, and the index knows those."""
    namespace, slash, rest = value.rpartition("/")
    return (
        ("namespace", namespace)
        if name == "controller" and rest == "*" and slash
        else (name, value)
    )


def _pattern(value: str) -> bool:
    return any(c in value for c in "*?[")
