"""Asking a lambda on a real wire: 200 only, bounded in time and size, errors surfaced."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from controllers_hooks.modelsync.ask import MAX_BODY, Lambdas
from controllers_hooks.modelsync.decide import Failure
from lineage.needs_sync import NeedsSync
from tests.lambdas import Lambda, serving


@pytest.fixture
def lambda_(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambda]:
    monkeypatch.setenv("NO_PROXY", "*")
    with serving() as found:
        yield found


def ask(found: Lambda, timeout: float = 10) -> NeedsSync | Failure:
    asking = Lambdas(timeout)
    try:
        return asking.ask(found.url)
    finally:
        asking.close()


def test_an_answer_is_read(lambda_: Lambda) -> None:
    """By one GET of the address as it is, also where that leads elsewhere."""
    lambda_.body = {"needsSync": True, "parameters": {"name": "m"}, "unknown": [1]}
    assert ask(lambda_) == NeedsSync(True, {"name": "m"})
    lambda_.status = 302
    assert ask(lambda_) == NeedsSync(True, {"name": "m"})
    assert lambda_.asked == ["GET /needsSync", "GET /needsSync", "GET /elsewhere"]


@pytest.mark.parametrize("status", [201, 204, 400, 404, 500, 503])
def test_only_200_is_an_answer(lambda_: Lambda, status: int) -> None:
    """Whatever the body says; what it says about the error is passed on."""
    lambda_.status = status
    lambda_.body = {"needsSync": True, "errors": [{"message": "Error getting latest model; x"}]}
    found = ask(lambda_)
    assert isinstance(found, Failure)
    said = "no body" if status == 204 else "Error getting latest model; x"
    assert found.error == f"the lambda answers {status}, not 200: {said}"


def test_a_body_that_is_no_needs_sync_is_quoted(lambda_: Lambda) -> None:
    """A proxy's page with its beginning, a wrong type with its place."""
    lambda_.status, lambda_.body = 502, b"<html>" + b"x" * 10_000
    found = ask(lambda_)
    assert isinstance(found, Failure)
    assert found.error.startswith("the lambda answers 502, not 200: <html>xx")
    assert len(found.error) < 600 and "10006 characters in all" in found.error
    lambda_.status, lambda_.body = 200, {"needsSync": "yes"}
    assert ask(lambda_) == Failure("needsSync: is a text; write true or false")


def test_an_answer_with_errors_is_none(lambda_: Lambda) -> None:
    """The original acted on it; a lambda that could not look should not decide."""
    lambda_.body = {"needsSync": True, "errors": [{"message": "no git"}]}
    assert ask(lambda_) == Failure("the lambda answers 200 with errors: no git")


def test_time_and_size_are_bounded(lambda_: Lambda) -> None:
    """Also when a lambda sends a byte now and then, or never ends."""
    lambda_.body, lambda_.drip = b" " * 1000, 0.05
    began = time.monotonic()
    assert ask(lambda_, timeout=0.4) == Failure("no whole answer within 0.4 s")
    assert time.monotonic() - began < 5
    lambda_.drip = 1.0
    slow = ask(lambda_, timeout=0.3)
    assert isinstance(slow, Failure) and slow.error.endswith("answer within 0.3 s")
    lambda_.body, lambda_.drip = b" " * (MAX_BODY + 1), 0.0
    assert ask(lambda_) == Failure(f"the answer is over {MAX_BODY} bytes")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "ftp://host/x", "no url", "http://[", ""])
def test_an_address_that_leads_nowhere_is_an_error_like_any_other(url: str) -> None:
    """Nothing is raised."""
    found = Lambdas(2).ask(url)
    assert isinstance(found, Failure) and found.error
