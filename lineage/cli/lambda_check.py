"""`lineage lambda-check`: does a lambda, in whatever language, keep the NeedsSync contract?"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from lineage.cli.target import Json, clean, console, print_json

if TYPE_CHECKING:
    import httpx2

    from lineage.conformance import Answer, Violation


def lambda_check(
    url: Annotated[str, typer.Argument(help="The address a controller would ask.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option(help="A parameter the controller declares; repeat for more."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=300, help="Seconds a controller waits.")
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Ask a lambda twice, as a controller does, and name every rule its answers break.

    Example: `lineage lambda-check 'http://127.0.0.1:8080/lambda/needs-train?controller=trainer'`
    """
    found = _checked(url, parameter or [], timeout)
    if as_json:
        print_json({"url": url, "passed": not found, "violations": [v._asdict() for v in found]})
    elif not found:
        typer.echo("The lambda keeps the contract.")
    else:
        out = console()
        for one in found:
            out.print(f"{one.name}: {clean(one.seen)}", style="red", soft_wrap=True)
            out.print(f"  {clean(one.remedy)}", soft_wrap=True)
    sys.exit(1 if found else 0)


def _checked(url: str, declared: list[str], timeout: float) -> list[Violation]:
    import httpx2

    from lineage.conformance import Violation, repeated, violations

    answers: list[Answer] = []
    try:
        with httpx2.Client(timeout=timeout, follow_redirects=False) as client:
            for _ in range(2):
                answers.append(_ask(client, url, timeout))
    except httpx2.TimeoutException:
        return [Violation("slow", f"no answer within {timeout:g} s",
                          f"answer within {timeout:g} s: the controller waits")]  # fmt: skip
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        seen = str(error) or type(error).__name__
        return [Violation("unreachable", seen, "check the address, and that the lambda runs")]
    first, second = answers
    found = [*violations(first, declared, timeout), *repeated(first, second)]
    return list(dict.fromkeys([*found, *violations(second, declared, timeout)]))


def _ask(client: httpx2.Client, url: str, timeout: float) -> Answer:
    from lineage.conformance import MOST_BYTES, Answer

    began = time.monotonic()
    body = b""
    with client.stream("GET", url) as response:
        for part in response.iter_bytes():
            body += part
            # A lambda that drips its answer would never run into the client's own timeout.
            if len(body) > MOST_BYTES or time.monotonic() - began > timeout:
                break
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, body, time.monotonic() - began)
