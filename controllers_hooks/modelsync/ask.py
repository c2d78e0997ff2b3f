"""Asking a lambda: one GET, 200 only, bounded in time and size. Knows no ModelSync."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

from controllers_hooks.modelsync.decide import Failure, clipped
from lineage.errors import LineageError
from lineage.needs_sync import NeedsSync, read

if TYPE_CHECKING:
    import httpx2

MAX_BODY = 2**20


class Lambdas:
    """Asks any lambda; safe to share between threads. `timeout` = seconds for a whole answer."""

    def __init__(self, timeout: float = 10.0) -> None:
        self._timeout = timeout

    def ask(self, url: str) -> NeedsSync | Failure:
        """Its answer, or why there is none. An answer that lists errors is none either."""
        import httpx2

        deadline = time.monotonic() + self._timeout
        try:
            with self._http.stream("GET", url) as answer:
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MAX_BODY:
                        return Failure(f"the answer is over {MAX_BODY} bytes")
                    if time.monotonic() > deadline:
                        return Failure(f"no whole answer within {self._timeout:g} s")
        except httpx2.TimeoutException:
            return Failure(f"no answer within {self._timeout:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            return Failure(str(error) or type(error).__name__)
        return _answer(answer.status_code, body)

    def close(self) -> None:
        self._http.close()

    @cached_property
    def _http(self) -> httpx2.Client:
        import httpx2

        headers = {"accept": "application/json", "user-agent": "lineage-modelsync"}
        return httpx2.Client(timeout=self._timeout, headers=headers, follow_redirects=True)


def _answer(code: int, body: bytes) -> NeedsSync | Failure:
    try:
        found = read(body)
    except LineageError as error:
        if code == 200:
            return Failure(error.detail)
        said = clipped(body.decode(errors="replace").strip(), 500)
    else:
        said = "; ".join(found.errors) or clipped(body.decode(errors="replace").strip(), 500)
        if code == 200:
            return Failure(f"the lambda answers 200 with errors: {said}") if found.errors else found
    return Failure(f"the lambda answers {code}, not 200: {said or 'no body'}")
