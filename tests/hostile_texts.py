"""Texts that databases, and the SQL on the way to them, get wrong; and records full of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lineage.errors import LineageError
from lineage.identity import identify

TEXTS = (
    # What ends a literal, or begins something in one.
    "\\", "C:\\models\\v1\\", "\\'", "\\\\'", "'); DROP TABLE Artifact; --", "O'Brien", "''", '"',
    "`x`", "$1 $$ $tag$", "%s %(x)s :ids :1 ? {} {0}", "E'\\x41'", "\\u0041\\101\\x41",
    "); CREATE TABLE pwned (i int); --\\", "/* */ -- # ;", "100%", "under_score", "bang!%_", "%", "_",
    # What the escaping of `lineage.store.literal` is made of.
    "⧵", "⧹", "⧹⧵⧵⧹\\", "a⧵b", "a\\b",
    # Equal to some collation, and not to us.
    "trainer", "Trainer", "TRAINER", "trainer ", " trainer", "tráiner", "tra\u0301iner", "straße",
    "STRASSE", "strasse", "İI", "ıi", "ﬁ", "fi", "a\u200bb", "ab", "a\u00adb", "Æ", "ae", "ĳ", "ij",
    "カ", "か", "ｶ", "１", "1", "01", "1.0", "1e0", "+1",
    # Beyond the basic plane, from right to left, ends of the ranges.
    "😀", "😁", "👩\u200d👩\u200d👧", "🇩🇪", "𝔘nicode", "שלום", "مرحبا", "\u202egnp.exe", "\ufeffbom",
    "\uffff", "\U0010ffff", "\ue000", "日本語の名前", "한국어",
    # Blanks and controls.
    "tab\tnew\nline\r\n", "\x01\x1b[31m\x7f", " ", "\u00a0", "trailing\t", "trailing\u3000",
    # Words that mean something to somebody.
    "NULL", "null", "None", "true", "NaN", "-0", "undefined", "__proto__", "display_name",
    "lineage.record", "mlmd://artifact/1", "{\"a\": [1]}", "<script>alert(1)</script>", "=1+1", "..",
    # Long.
    "x" * 256, "😀" * 256, "\\" * 256, "x" * 255 + "y", "ü" * 128, "'" * 256,
)  # fmt: skip
LONG = 5_000
URI = 4_096


def at(minute: int) -> str:
    return f"2021-03-{1 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00Z"


def reference(
    type_: str, uri: str, version: str | None = None, **more: Any
) -> dict[str, Any] | None:
    """None where the rules of identity refuse it: control characters, mostly."""
    try:
        identify(uri, version, type_)
        for alias in more.get("aliases", ()):
            identify(alias, None, type_)
    except LineageError:
        return None
    given = {"type": type_, "uri": uri, "version": version, **more}
    return {name: value for name, value in given.items() if value is not None}


def record(number: int, text: str) -> dict[str, Any]:
    """An action that has the text wherever one goes."""
    one, other = TEXTS[number - 1], TEXTS[number - 2]
    long = (text * LONG)[:LONG]
    inputs = [
        reference("Dataset", f"gs://hostile/{text}", f"v {text}", role=text[:128], name=text),
        reference("Dataset", f"table {text}", properties={text: text, one: long}),
        reference("Notebook", (text * URI)[:URI], aliases=[f"alias {text}", f"alias {other}"]),
        reference("Model", f"models/{one}", text),
    ]
    outputs = [
        reference("Model", f"models/{text}", text, name=one, role=text[:128], evidence="observed"),
        reference(
            "Metrics", f"metrics/{number}", properties={text: number / 7, one: True, "p": text}
        ),
        reference("Deployment", f"k8s://c/{text}/Deployment/{one}".replace("\\", "-"), f"{number}"),
    ]
    code = {"repo": "https://hostile.example/o/r", "commit": f"{number:040x}", "path": text}
    return {
        "key": f"hostile/{text}"[:512], "type": ("train", "deploy", "evaluate")[number % 3],
        "name": text, "controller": {"cluster": one, "namespace": other, "name": text},
        "state": "failed" if number % 5 == 0 else "complete", "by": text, "error": long,
        "started_at": at(number), "ended_at": at(number + 1), "reported_at": at(number + 2),
        "params": {text: long, one: number}, "links": {text: f"https://hostile.example/?q={text}"},
        "trigger": {"wanted": text, "observed": one, "reason": long},
        "parent": f"hostile/{one}"[:512], "code": code,
        "inputs": [each for each in inputs if each], "outputs": [each for each in outputs if each],
    }  # fmt: skip


def records() -> Iterator[dict[str, Any]]:
    """One for each text; each shares artifacts with those before it."""
    for number, text in enumerate(TEXTS):
        yield record(number, text)
