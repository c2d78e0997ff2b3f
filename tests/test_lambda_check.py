"""`lineage lambda-check`: passes what keeps the contract, names each rule that is broken."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lineage.conformance import Answer, violations
from lineage.needs_sync import NeedsSync

from . import test_cli
from .test_cli import Run

run = test_cli.run
ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs" / "lambdas.md"
RULES = ROOT / "lineage" / "conformance.py"
Handler = Callable[[BaseHTTPRequestHandler], None]
GOOD = NeedsSync(True, {"name": "projects/p/models/TCN1"}, {"reason": "newer"}).json()


@contextmanager
def serving(answer: Handler) -> Iterator[str]:
    """A real HTTP server that answers so; its address."""

    class Lambda(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Lambda)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/needsSync"
    finally:
        server.shutdown()
        server.server_close()


def send(
    to: BaseHTTPRequestHandler, body: bytes, status: int = 200, kind: str = "application/json",
    **headers: str,
) -> None:  # fmt: skip
    to.send_response(status)
    to.send_header("Content-Type", kind)
    to.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(body)


def answering(body: Any = None, **more: Any) -> Handler:
    raw = body if isinstance(body, bytes) else json.dumps(GOOD if body is None else body).encode()
    return lambda to: send(to, raw, **more)


def changing() -> Handler:
    """Acts when it is asked, so the second answer is another."""
    asked = count()
    return lambda to: send(to, json.dumps({**GOOD, "needsSync": next(asked) == 0}).encode())


def hanging(to: BaseHTTPRequestHandler) -> None:
    threading.Event().wait(2)


def dripping(to: BaseHTTPRequestHandler) -> None:
    to.send_response(200)
    to.end_headers()
    for _ in range(20):
        to.wfile.write(b" ")
        to.wfile.flush()
        threading.Event().wait(0.1)


def check(run: Run, url: str, *options: str) -> tuple[int, list[str]]:
    done = run("lambda-check", url, "--json", *options)
    answer = json.loads(done.out)
    assert answer["passed"] is (done.code == 0)
    return done.code, [violation["name"] for violation in answer["violations"]]


def test_a_good_lambda_passes(run: Run) -> None:
    """One that answers as the article's does, and nothing is said against it."""
    with serving(answering(kind="application/json; charset=UTF-8")) as url:
        assert check(run, url, "--parameter", "name") == (0, [])
        assert "keeps the contract" in run("lambda-check", url).out


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        pytest.param(answering(status=201), ["status", "error form"], id="201 is no 200"),
        pytest.param(answering(b"boom", status=500), ["status", "error form"], id="mute error"),
        pytest.param(
            answering(b"", status=302, Location="http://example.org/"), ["redirect"], id="redirect"
        ),
        pytest.param(answering(kind="text/html"), ["content type"], id="content type"),
        pytest.param(answering(b"yes"), ["JSON"], id="no JSON"),
        pytest.param(answering({**GOOD, "age": float("nan")}), ["JSON"], id="NaN"),
        pytest.param(answering([GOOD]), ["JSON"], id="a list"),
        pytest.param(answering({**GOOD, "kind": "Sync"}), ["kind"], id="kind"),
        pytest.param(answering({**GOOD, "apiVersion": "v1"}), ["apiVersion"], id="version"),
        pytest.param(answering({**GOOD, "needsSync": "true"}), ["needsSync"], id="a quoted bool"),
        pytest.param(answering({**GOOD, "parameters": None}), ["parameters"],
                     id="no parameters"),
        pytest.param(answering({**GOOD, "parameters": {"name": 7}}), ["parameters"], id="a number"),
        pytest.param(answering({**GOOD, "parameters": {}}), ["declared parameter"], id="missing"),
        pytest.param(answering({**GOOD, "parameters": {"name": "a", "nmae": "a"}}),
                     ["undeclared parameter"], id="undeclared"),
        pytest.param(answering({**GOOD, "NeedsSync": False}), ["duplicate"], id="colliding case"),
        pytest.param(answering(b'{"kind":"NeedsSync","apiVersion":"v1alpha1","needsSync":false,'
                               b'"parameters":{"name":"a","name":"b"}}'), ["duplicate"], id="twice"),
        pytest.param(answering({**GOOD, "metadata": {"creationTimestamp": "now"}}), ["metadata"],
                     id="a time that is none"),
        pytest.param(answering({**GOOD, "errors": [{"message": "no"}]}), ["errors"], id="errors"),
        pytest.param(answering({**GOOD, "log": "x" * 2**21}), ["size"], id="large"),
        pytest.param(changing(), ["repeat"], id="not safe"),
        pytest.param(hanging, ["slow"], id="hangs"),
        pytest.param(dripping, ["slow", "content type", "JSON"], id="drips"),
    ],
)  # fmt: skip
def test_each_violation_is_named(run: Run, broken: Handler, named: list[str]) -> None:
    """A real server that breaks one rule: exit code 1, and the rule by its name."""
    with serving(broken) as url:
        code, found = check(run, url, "--parameter", "name", "--timeout", "0.5")
        assert (code, list(dict.fromkeys(found))) == (1, named)


def test_what_was_seen_and_the_remedy_are_told(run: Run) -> None:
    """People read what came and what to do about it; nothing moves their cursor."""
    with serving(answering({**GOOD, "kind": "\x1b[2J"})) as url:
        out = run("lambda-check", url).out
    assert "kind: " in out and 'write "kind": "NeedsSync"' in out
    assert "\x1b" not in out


def test_an_error_in_the_right_form_is_repeated_to_the_user() -> None:
    """A lambda that cannot answer now breaks one rule only, and its own words say why."""
    [violation] = violations(Answer(500, {}, NeedsSync(False, errors=("no model",)).body(), 0.1))
    assert (violation.name, violation.seen) == ("status", "status 500: no model")


def test_the_python_lambda_of_the_documentation_passes(run: Run) -> None:
    """What is shown is what works."""
    [shown] = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", shown.replace("8090", str(port))],
                               stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/needsSync"
        for _ in range(100):
            found = check(run, url, "--parameter", "name")
            if found != (1, ["unreachable"]):
                break
            threading.Event().wait(0.1)
        assert found == (0, [])
    finally:
        process.terminate()
        process.wait(10)


def test_the_go_lambda_of_the_documentation_answers_the_contract() -> None:
    """Its body, since a compiler is not everywhere."""
    [shown] = re.findall(r"^```go\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    body = "".join(re.findall("`(.*?)`", shown)).encode()
    assert violations(Answer(200, {"content-type": "application/json"}, body, 0.1)) == []


def test_every_violation_is_in_the_documentation() -> None:
    """The names are looked up there."""
    named = set(re.findall(r'Violation\(\s*"([^"]+)"', RULES.read_text()))
    named |= {"kind", "apiVersion", "unreachable"}
    text = DOCS.read_text()
    assert [name for name in sorted(named) if f"`{name}`" not in text] == []


def test_a_lambda_that_is_not_there(run: Run) -> None:
    """No server at the address is a violation as well, not a crash."""
    with serving(answering()) as url:
        pass
    assert check(run, url) == (1, ["unreachable"])
    assert check(run, "nonsense") == (1, ["unreachable"])
