"""Does a lambda keep the NeedsSync contract? Pure: an answer in, violations out.

Stricter than `lineage.needs_sync.read`: what one controller forgives another may not. The
rules are those of docs/lambdas.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from lineage.needs_sync import API_VERSION, KIND, MalformedAnswer, Members, is_, parse

MOST_BYTES = 1024 * 1024
MEMBERS = ("kind", "apiVersion", "metadata", "needsSync", "parameters", "errors")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)\Z")


class Answer(NamedTuple):
    """What came back: header names in lower case, at most `MOST_BYTES` + 1 bytes, seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Violation(NamedTuple):
    """A rule that was broken: its name, what was seen, what to do."""

    name: str
    seen: str
    remedy: str


def violations(
    answer: Answer, declared: Collection[str] = (), timeout: float = 10.0
) -> list[Violation]:
    """Every rule one answer breaks. `declared` = the parameters the controller asks for."""
    return list(_check(answer, declared, timeout))


def repeated(first: Answer, second: Answer) -> list[Violation]:
    """Asking must change nothing: the same question at once gets the same answer."""
    if (one := _decision(first)) == (two := _decision(second)):
        return []
    return [
        Violation(
            "repeat", f"first {one}, then {two}",
            "decide from what is, and change nothing: a controller asks as often as it likes",
        )
    ]  # fmt: skip


def _check(answer: Answer, declared: Collection[str], timeout: float) -> Iterator[Violation]:
    if answer.seconds > timeout:
        yield Violation("slow", f"answered after {answer.seconds:.1f} s",
                        f"answer within {timeout:g} s: the controller waits")  # fmt: skip
    if len(answer.body) > MOST_BYTES:
        yield Violation("size", "the body is over 1 MiB", "answer the decision, not its data")
        return
    if 300 <= answer.status < 400:
        to = answer.headers.get("location", "nowhere")
        yield Violation("redirect", f"status {answer.status} to {to}",
                        "answer at the address itself, or check that one")  # fmt: skip
        return
    if answer.status != 200:
        yield from _failure(answer)
        return
    kind = answer.headers.get("content-type", "")
    if not re.fullmatch(r'application/json(\s*;\s*charset="?utf-8"?)?', kind.strip(), re.I):
        yield Violation("content type", kind or "none", "send Content-Type: application/json")
    try:
        answer.body.decode()
    except UnicodeDecodeError as error:
        yield Violation("encoding", str(error), "write UTF-8")
    try:
        body = parse(answer.body)
    except MalformedAnswer as error:
        yield Violation("JSON", error.detail, "answer one JSON object and nothing else")
        return
    if not isinstance(body, Members):
        yield Violation("JSON", f"not an object: {_short(body)}", "answer one JSON object")
        return
    yield from _members(body)
    yield from _content(_by_name(body), declared)


def _failure(answer: Answer) -> Iterator[Violation]:
    messages = _messages(answer.body)
    said = f": {'; '.join(messages)}" if messages else ""
    yield Violation("status", f"status {answer.status}{_short_text(said)}",
                    "answer 200 and nothing else when there is an answer")  # fmt: skip
    if not messages:
        yield Violation(
            "error form", f"status {answer.status} with {_short_text(answer.body.decode('utf-8', 'replace')) or 'no body'}",
            'say why: {"kind": "NeedsSync", …, "errors": [{"message": "…"}]}',
        )  # fmt: skip


def _messages(body: bytes) -> list[str]:
    try:
        found = _by_name(parse(body)).get("errors")
    except MalformedAnswer:
        return []
    errors = found if type(found) is list else []
    texts = [_by_name(one).get("message") for one in errors]
    return [text for text in texts if isinstance(text, str) and text]


def _members(body: Members) -> Iterator[Violation]:
    """Names as they are written: Go reads them in any case, other languages do not."""
    for expected in MEMBERS:
        written = [name for name, _ in body if is_(name, expected)]
        if len(written) > 1:
            yield Violation("duplicate", f"{' and '.join(written)} mean one member",
                            f"write {expected} once")  # fmt: skip
        elif written and written[0] != expected:
            yield Violation("spelling", written[0], f"write {expected}")


def _content(body: dict[str, Any], declared: Collection[str]) -> Iterator[Violation]:
    for name, expected in (("kind", KIND), ("apiVersion", API_VERSION)):
        if body.get(name) != expected:
            yield Violation(name, _short(body.get(name)), f'write "{name}": "{expected}"')
    if not isinstance(needs := body.get("needsSync"), bool):
        yield Violation("needsSync", _short(needs), "write true or false, without quotes")
    yield from _parameters(body.get("parameters"), declared, needs is True)
    yield from _metadata(body.get("metadata"))
    if body.get("errors"):
        yield Violation("errors", f"status 200 with {_short(body['errors'])}",
                        "answer errors with status 500")  # fmt: skip


def _parameters(value: Any, declared: Collection[str], needs: bool) -> Iterator[Violation]:
    if not isinstance(value, Members):
        yield Violation("parameters", _short(value), "write an object, {} where there are none")
        return
    names = [name for name, _ in value]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Violation("duplicate", f"parameters.{name} stands there twice", "write it once")
    for name, text in value:
        if not isinstance(text, str):
            yield Violation(
                "parameters", f"{name} is {_short(text)}", "write every value as a text"
            )
    for name in declared:
        if needs and not dict(value).get(name):
            yield Violation("declared parameter", f"{name} is missing or empty",
                            "give every parameter of the controller with needsSync true")  # fmt: skip
    for name in names:
        if not name or (declared and name not in declared):
            yield Violation("undeclared parameter", repr(name),
                            "leave it out, or declare it in the controller")  # fmt: skip


def _metadata(value: Any) -> Iterator[Violation]:
    if value is None:
        return
    if not isinstance(value, Members):
        yield Violation("metadata", _short(value), "write an object, or leave it out")
        return
    content = _by_name(value)
    created = content.get("creationTimestamp")
    if created is not None and not (isinstance(created, str) and _TIME.match(created)):
        yield Violation("metadata", f"creationTimestamp is {_short(created)}",
                        "write null or a time such as 2020-07-23T17:45:27Z")  # fmt: skip
    notes = content.get("annotations")
    texts = isinstance(notes, Members) and all(isinstance(text, str) for _, text in notes)
    if notes is not None and not texts:
        yield Violation("metadata", f"annotations are {_short(notes)}",
                        "write an object of texts, or leave it out")  # fmt: skip


def _decision(answer: Answer) -> tuple[Any, ...]:
    try:
        body = _by_name(parse(answer.body))
    except MalformedAnswer:
        return (answer.status,)
    return answer.status, body.get("needsSync"), sorted(_by_name(body.get("parameters")).items())


def _by_name(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Members) else {}


def _short(value: Any) -> str:
    if value is None:
        return "missing or null"
    return _short_text(repr(dict(value) if isinstance(value, Members) else value))


def _short_text(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"
