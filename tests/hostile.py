"""What somebody who means harm, or nothing at all, would write: texts, values, bytes, documents.

One corpus for every door: parsers (test_fuzz_formats.py) and the way from a hook to a page
(test_hostile.py).
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

MARK = "window.executed = 1"
TEXTS = {
    "script": f"<script>{MARK}</script>",
    "closing": f"</script></title></style></svg>--><script>{MARK}</script>",
    "comment": f"--><script>{MARK}</script><!--",
    "image": f"\"><img src=x onerror='{MARK}'>",
    "svg": f"<svg onload={MARK}><a xlink:href=javascript:{MARK}>x</a></svg>",
    "entity": f"&lt;script&gt;{MARK}&lt;/script&gt;&#0;&#x1b;",
    "cdata": f"]]><script>{MARK}</script><![CDATA[",
    "attribute": f"' onmouseover='{MARK}' autofocus onfocus='{MARK}",
    "javascript": f"javascript:{MARK}",
    "javascript with a tab": f"java\tscript:{MARK}",
    "data uri": f"data:text/html,<script>{MARK}</script>",
    "template": "{{ 7919*7907 }}{% include 'base.html' %}${7919*7907}#{7919*7907}",
    "format": "%s%n%x {0.__class__.__mro__} %(name)s",
    "long": "very-long-label-" * 313,
    "unbroken": "W" * 5000,
    "right to left": "مرحبا \u202egpj.exe\u202c שלום \u2067x\u2069",
    "emoji": "🙂👩‍👩‍👧‍👦🇩🇪 e\u0301\u0323 Z͑ͫ̓ͪ̂ͫ̽͏a̴l̷g̶o",
    "beyond": "\ufdd0\ufffe\U0010ffff\U0001f4a9",
    "quotes": "\"'`´“”«»''\"\"",
    "backslashes": '\\N\\G\\\\\\"\\u0022\\x00\\',
    "newlines": "one\ntwo\r\nthree\tfour\u2028five\x0b\x0c\x85six",
    "header": "x\r\nSet-Cookie: a=b\r\n\r\n<html>",
    "controls": "\x01\x02\x07\x08\x1b[31m\x7f\x9b31m\ufeff\uffff",
    "terminal": "\x1b]0;owned\x07\x1b[2J\x1b[1;1H\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "nul": "a\x00b",
    "surrogate": "half \ud83d of a pair",
    "prototype": "__proto__",
    "constructor": "constructor.prototype",
    "dot": 'a"];evil[label="x"]; }',
    "html label": "<<table><tr><td>x</td></tr></table>>",
    "mermaid": 'a"]-->b\nclick n0 href "javascript:alert(1)"\n%%{init: {}}%%',
    "csv": '=HYPERLINK("http://evil","x")',
    "csv command": "=cmd|' /C calc'!A0",
    "csv sign": "+1+1",
    "csv at": "@SUM(1+1)*cmd|'/C calc'!A0",
    "csv tab": "\t=1+1",
    "csv wide": "＝1+1",
    "yaml": "&a [*a, *a]\n!!python/object/apply:os.system ['x']",
    "json": '{"key": "x", "key": "y"}',
    "sql": "'; DROP TABLE Artifact; --",
    "sql wide": "%' OR 1=1 ESCAPE '\\' --_%[a-z]*",
    "full text": 'a" OR b* NEAR(x) ^c -d:e (f',
    "regex": "(a+)+$ [[:alpha:]] \\",
    "path": "../../../etc/passwd?a=1&b=2#c%00%2e%2e",
    "windows path": "..\\..\\boot.ini",
    "dots": "..",
    "dot alone": ".",
    "slashes": "//a///b/",
    "encoded twice": "%252e%252e%252f%2525",
    "encoded badly": "%zz%%1%ff%c0%ae",
    "query": "?as_of=2020&of=x&of=y;z=1#frag",
    "null of mlmd": "__MLMD_NULL__",
    "node of mlmd": "mlmd://execution/1",
    "big node of mlmd": "mlmd://artifact/9223372036854775808",
    "type of mlmd": "system.Execution",
    "hash": "0" * 32,
    "node id": "0" * 16 + "a" + "0" * 14 + "1",
    "number": "9223372036854775808",
    "huge number": "1" + "0" * 400,
    "infinity": "NaN -Infinity 1e999",
    "blank": " \t ",
    "empty": "",
    "route": "batch",
    "route below": "x/versions",
    "reserved names": "CON\u0000.txt",
}  # fmt: skip

texts = st.sampled_from(list(TEXTS.values())) | st.text(
    st.characters(exclude_categories=()), max_size=40
)
numbers = st.sampled_from(
    [0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.1, -0.0, 1e308, 5e-324]
)
junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts.map(str), inner, max_size=3),
    max_leaves=6,
)
"""JSON values of any type, none of them expected."""


def nested(depth: int, around: Any = None) -> Any:
    """Lists in lists."""
    for _ in range(depth):
        around = [around]
    return around


def deep(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """JSON too deep for anything that calls itself."""
    return opening * depth + closing * depth


def places(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values of a document, its own among them."""
    out = [at]
    inner = document.items() if isinstance(document, dict) else ()
    for name, value in inner or (enumerate(document) if isinstance(document, list) else ()):
        out += places(value, (*at, name))
    return out


@st.composite
def mutated(draw: st.DrawFn, seeds: list[Any]) -> Any:
    """A document that is right but for one to four places."""
    document = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(places(document)))
        if not path:
            continue
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        what = draw(st.sampled_from(["replace", "remove", "repeat", "wrap", "add"]))
        if what == "remove":
            del parent[path[-1]]
        elif what == "wrap":
            parent[path[-1]] = [parent[path[-1]]]
        elif what == "add" and isinstance(parent, dict):
            parent[draw(texts)] = draw(junk)
        elif what == "repeat" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
        else:
            parent[path[-1]] = draw(junk)
    return document


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


@st.composite
def spoiled(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Bytes that were a document: cut, doubled, written over, in another encoding."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 20))
        what = draw(st.sampled_from(["cut", "over", "in", "twice", "bom", "utf-16", "flip"]))
        if what == "cut":
            data = data[:at]
        elif what == "over":
            data = data[:at] + draw(st.binary(max_size=size)) + data[at + size :]
        elif what == "in":
            data = data[:at] + draw(st.sampled_from(ODD)) + data[at:]
        elif what == "twice":
            data = data[:at] + data
        elif what == "bom":
            data = b"\xef\xbb\xbf" + data
        elif what == "utf-16":
            data = data.decode("utf-8", "replace").encode("utf-16")
        elif data:
            at = min(at, len(data) - 1)
            data = data[:at] + bytes([data[at] ^ (1 << size % 8)]) + data[at + 1 :]
    return data


ODD = [
    b"\0", b"\xff", b"\xed\xa0\x80", b"\xc0\xae", b"\n", b"\r", b"NaN", b"-Infinity", b"1e999",
    b"9" * 5001, b"[" * 1200, b'{"a":' * 1200, b'"\\ud800"', b'"\\u0000"', b"//", b"'", b",", b"]}",
    b'"key":"again",', b"\xe2\x80\xa8",
]  # fmt: skip
