"""The NeedsSync contract: what a lambda answers when a controller asks whether to act.

Written as the label bot's own server writes it, byte for byte, and read as its controller
reads it (Go's `encoding/json`): that pair is the specification, there is no other one
(docs/lambdas.md). Knows no HTTP and no lineage, so hooks and server can share it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from lineage.errors import LineageError

KIND = "NeedsSync"
API_VERSION = "v1alpha1"
_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
"""Go writes JSON that may stand inside HTML."""


class MalformedAnswer(LineageError):
    """A lambda answered something that is no NeedsSync; says where and what to write instead."""

    status = 502
    title = "The lambda's answer is not a NeedsSync"


@dataclass(frozen=True, slots=True)
class NeedsSync:
    """One answer: whether to act, with which parameters, and (in `annotations`) why."""

    needs_sync: bool
    parameters: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {"creationTimestamp": None}
        if self.annotations:
            metadata["annotations"] = dict(sorted(self.annotations.items()))
        out: dict[str, Any] = {
            "kind": KIND,
            "apiVersion": API_VERSION,
            "metadata": metadata,
            "needsSync": self.needs_sync,
            "parameters": dict(sorted(self.parameters.items())),
        }
        if self.errors:
            out["errors"] = [{"message": message} for message in self.errors]
        return out

    def body(self) -> bytes:
        """The bytes that the original's server would write."""
        text = json.dumps(self.json(), ensure_ascii=False, separators=(",", ":"))
        return text.translate(_ESCAPED).encode("utf-8", "replace")


class Members(list[tuple[str, Any]]):
    """A JSON object as its members, in order: a name may stand there twice."""


def parse(body: bytes) -> Any:
    """JSON with every object as `Members` and every number as a float.

    Raises:
        MalformedAnswer: it is not JSON.
    """
    try:
        # Text, not bytes: for those json.loads would guess UTF-16, which Go never reads.
        return json.loads(
            body.decode("utf-8", "replace"),
            object_pairs_hook=Members,
            parse_int=float,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        _malformed(place, f"is not JSON: {error.msg}; answer one JSON object")
    except RecursionError as error:
        raise MalformedAnswer("body: is nested too deeply; answer one flat JSON object") from error


def read(body: bytes) -> NeedsSync:
    """An answer as Go decodes it: unknown members are ignored, names match in any case, of
    two the last wins, what is missing or null is false or empty, other types are refused.

    Raises:
        MalformedAnswer: the place, and what belongs there.
    """
    needs, errors = False, tuple[str, ...]()
    parameters: dict[str, str] = {}
    annotations: dict[str, str] = {}
    for name, value in members("body", parse(body)):
        if is_(name, "needsSync"):
            # null leaves what an earlier member of that name has said.
            needs = needs if value is None else _of(bool, name, value, "true or false")
        elif is_(name, "parameters"):
            parameters = _texts(name, value, parameters)
        elif is_(name, "metadata"):
            for inner, content in members(name, value):
                if is_(inner, "annotations"):
                    annotations = _texts(f"{name}.{inner}", content, annotations)
        elif is_(name, "errors"):
            errors = tuple(_messages(name, value))
        elif (is_(name, "kind") or is_(name, "apiVersion")) and value is not None:
            _of(str, name, value, "a text")
    return NeedsSync(needs, parameters, annotations, errors)


def is_(name: str, expected: str) -> bool:
    """Whether Go takes a member of this name for the expected one."""
    return len(name) == len(expected) and name.casefold() == expected.casefold()


def members(at: str, value: Any) -> Members:
    return Members() if value is None else _of(Members, at, value, "an object")


def _texts(at: str, value: Any, before: dict[str, str]) -> dict[str, str]:
    """A map of texts. A second one of that name adds to the first; null empties it."""
    if value is None:
        return {}
    return before | {
        name: "" if text is None else _of(str, f"{at}.{name}", text, 'a text ("…")')
        for name, text in members(at, value)
    }


def _messages(at: str, value: Any) -> Iterator[str]:
    for n, one in enumerate([] if value is None else _of(list, at, value, "a list")):
        message = ""
        for name, text in members(f"{at}.{n}", one):
            if is_(name, "message") and text is not None:
                message = _of(str, f"{at}.{n}.{name}", text, "a text")
        yield message


def _of(kind: type[Any], at: str, value: Any, wanted: str) -> Any:
    # `Members` is a list to Python, and an object to everyone else.
    if not isinstance(value, kind) or (kind is list and isinstance(value, Members)):
        _malformed(at, f"is {_kind(value)}; write {wanted}")
    return value


def _kind(value: Any) -> str:
    words = {bool: "a boolean", float: "a number", str: "a text", list: "a list"}
    return words.get(type(value), "an object")


def _no_constant(name: str) -> NoReturn:
    _malformed("body", f"holds {name}, which is not JSON; leave it out or write it as a text")


def _malformed(at: str, message: str) -> NoReturn:
    raise MalformedAnswer(f"{at}: {message}", [{"at": at, "message": message}])
