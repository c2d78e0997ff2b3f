"""The selection syntax as terms: what `lineage.queries.selection` evaluates. Pure.

    2+REF+1                      REF, two steps back and one step on; + alone = all the way
    +REF and type:Model          of everything upstream only the models
    (+A or +B) and not state:failed
    controller:label-bot/*       by field; * stands for anything

A step is an edge of the graph: from an artifact to an action, or back. The idea of writing
it so is Dagster's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lineage.errors import BadRequest

FIELDS = ("kind", "type", "name", "state", "controller", "namespace")
"""What a node can be chosen by."""
MAX_LENGTH = 2000
MAX_WORDS = 100
_TOKEN = re.compile(r'\s*([()]|(?:"[^"]*"|[^\s()"])+)')
_WALK = re.compile(r'(?:(\d*)\+)?("[^"]*"|.+?)(?:\+(\d*))?', re.DOTALL)
_WANTED = "a reference, a field such as type:Model, not or ("


@dataclass(frozen=True, slots=True)
class Name:
    """A reference: what `lineage.queries.lineage.resolve` understands."""

    ref: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field is like a pattern, in which * stands for anything."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Walk:
    """Everything within so many steps of it; None = all the way, 0 = not that way."""

    of: Term
    up: int | None
    down: int | None


@dataclass(frozen=True, slots=True)
class Not:
    of: Term


@dataclass(frozen=True, slots=True)
class Both:
    a: Term
    b: Term


@dataclass(frozen=True, slots=True)
class Either:
    a: Term
    b: Term


Term = Name | Field | Walk | Not | Both | Either


def parse(text: str) -> Term:
    """The expression as a tree.

    Raises:
        BadRequest: with the place, and what is expected there.
    """
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text = text.rstrip()
        self._at = 0
        if len(text) > MAX_LENGTH:
            raise BadRequest(f"select: at most {MAX_LENGTH:,} characters; this has {len(text):,}")
        self._tokens: list[tuple[str, int]] = []
        while self._at < len(text):
            match = _TOKEN.match(text, self._at)
            if match is None:
                raise BadRequest("select: a quotation mark is never closed")
            self._tokens.append((match[1], match.start(1)))
            self._at = match.end()
        if not 0 < len(self._tokens) <= MAX_WORDS:
            raise BadRequest(f"select: write 1 to {MAX_WORDS} words, for example 2+REF+1")
        self._at = 0

    def whole(self) -> Term:
        term = self._either()
        if self._token:
            raise self._expected("and, or, or the end")
        return term

    def _either(self) -> Term:
        term = self._both()
        while self._take("or"):
            term = Either(term, self._both())
        return term

    def _both(self) -> Term:
        term = self._one()
        while self._take("and"):
            term = Both(term, self._one())
        return term

    def _one(self) -> Term:
        if self._take("not"):
            return Not(self._one())
        before = self._steps(r"(\d*)\+")
        if self._take("("):
            term = self._either()
            if not self._take(")"):
                raise self._expected(")")
            return _walk(before, term, self._steps(r"\+(\d*)"))
        if before is not None or self._token.lower() in ("", ")", "and", "or"):
            raise self._expected(_WANTED if before is None else "(")
        match = _WALK.fullmatch(self._token)
        assert match is not None
        self._at += 1
        return _walk(match[1], _atom(match[2]), match[3])

    @property
    def _token(self) -> str:
        """The one that comes now; empty at the end."""
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self, word: str) -> bool:
        taken = self._token.lower() == word
        self._at += taken
        return taken

    def _steps(self, pattern: str) -> str | None:
        """The steps before or after a bracket: 2+( or )+1."""
        match = re.fullmatch(pattern, self._token)
        self._at += match is not None
        return match[1] if match else None

    def _expected(self, what: str) -> BadRequest:
        if not self._token:
            return BadRequest(f"select: it ends where {what} is expected")
        token, at = self._tokens[self._at]
        return BadRequest(f"select: character {at + 1}, '{token}': {what} is expected here")


def has_field(term: Term) -> bool:
    """Whether anything in it is chosen by a field."""
    match term:
        case Field():
            return True
        case Walk(of) | Not(of):
            return has_field(of)
        case Both(a, b) | Either(a, b):
            return has_field(a) or has_field(b)
    return False


def _atom(text: str) -> Term:
    field, colon, pattern = text.partition(":")
    if colon and field.lower() in FIELDS:
        return Field(field.lower(), pattern.replace('"', ""))
    return Name(text.replace('"', ""))


def _walk(before: str | None, term: Term, after: str | None) -> Term:
    if before is None and after is None:
        return term
    return Walk(term, _number(before), _number(after))


def _number(steps: str | None) -> int | None:
    """No plus = not that way; a plus without a number = all the way."""
    if steps is None:
        return 0
    return int(steps[:6]) if steps else None
