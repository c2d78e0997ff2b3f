"""in-toto statements wherever they lie: by themselves, one a line, in a DSSE envelope or
bundle, in the annotations Tekton Chains leaves on what it signed. Pure.

Signatures are not checked: that takes a key, and `cosign` does it. Knows no predicate.
Statement: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md; Chains:
the annotation `chains.tekton.dev/payload-{taskrun|pipelinerun}-<uid>`, base64.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from lineage.errors import InvalidRecord

TYPES = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
_PAYLOAD = "chains.tekton.dev/payload-"
_KINDS = {"taskrun": "TaskRun", "pipelinerun": "PipelineRun"}


@dataclass(frozen=True, slots=True)
class Found:
    """A statement, the place it was found at, and what the object around it says of the run:
    its `kind` and `uid`, its metadata and status; all empty without one."""

    at: str
    body: dict[str, Any]
    kind: str = ""
    uid: str = ""
    around: dict[str, Any] = field(default_factory=dict)


def statements(text: bytes) -> Iterator[Found]:
    """Every statement of a file: one JSON document, or one a line.

    Raises:
        InvalidRecord: the file holds something else, or nothing.
    """
    found = False
    for at, document in _documents(text):
        for one in _within(at, document):
            found = True
            yield one
    if not found:
        refuse("file", "holds no statement: Tekton Chains has not signed these objects")


def refuse(at: str, message: str) -> NoReturn:
    raise InvalidRecord(f"{at}: {message}", [{"at": at, "message": message}])


def _documents(text: bytes) -> Iterator[tuple[str, Any]]:
    try:
        yield "", json.loads(text)
    except RecursionError:
        refuse("file", "is nested too deeply")
    except ValueError:
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        for number, line in lines:
            yield f"line {number}", _parsed(f"line {number}", line)


def _parsed(at: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(at, f"is not JSON ({error})")


def _within(at: str, document: Any) -> Iterator[Found]:
    if isinstance(document, list):
        for number, one in enumerate(document):
            yield from _within(_join(at, str(number)), one)
    elif not isinstance(document, dict):
        refuse(at or "file", "is not an object; give a statement, an envelope or a Tekton run")
    elif "_type" in document:
        if document["_type"] not in TYPES:
            refuse(_join(at, "_type"), f"is none of {', '.join(TYPES)}")
        yield Found(at or "statement", document)
    elif "dsseEnvelope" in document:
        yield from _within(_join(at, "dsseEnvelope"), document["dsseEnvelope"])
    elif "payloadType" in document:
        yield from _decoded(_join(at, "payload"), document.get("payload"))
    elif isinstance(document.get("items"), list):
        yield from _within(_join(at, "items"), document["items"])
    elif isinstance(document.get("metadata"), dict):
        yield from _signed(at, document)
    else:
        refuse(at or "file", "is no in-toto statement, DSSE envelope or object of Tekton's")


def _signed(at: str, obj: dict[str, Any]) -> Iterator[Found]:
    annotations = obj["metadata"].get("annotations")
    for name, value in annotations.items() if isinstance(annotations, dict) else ():
        kind, _, uid = name.removeprefix(_PAYLOAD).partition("-")
        if name.startswith(_PAYLOAD) and kind in _KINDS:
            for one in _decoded(_join(at, f"metadata.annotations.{name}"), value):
                yield replace(one, kind=_KINDS[kind], uid=uid, around=obj)


def _decoded(at: str, payload: Any) -> Iterator[Found]:
    """Chains writes the standard alphabet, others of DSSE may write the URL-safe one."""
    try:
        text = base64.b64decode(str(payload).translate({45: "+", 95: "/"}), validate=True)
    except (ValueError, binascii.Error) as error:
        refuse(at, f"is not base64 ({error})")
    document = _parsed(at, text)
    if not isinstance(document, dict) or "_type" not in document:
        refuse(at, "holds no in-toto statement")
    yield from _within(at, document)


def _join(at: str, more: str) -> str:
    return f"{at}.{more}" if at else more
