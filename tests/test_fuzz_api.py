"""The whole OpenAPI fuzzed: `tests/fuzz_api.py`, as a run of its own.

Schemathesis gives the tests of all operations one name, of which a run that is shared among
processes would keep only the last.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from .browsing import ROOT


@pytest.mark.timeout(1200)
def test_ten_thousand_requests_find_nothing() -> None:
    """No 5xx, only what is documented, of every operation; it counts its requests itself."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "tests/fuzz_api.py"],
        cwd=ROOT, text=True, capture_output=True, check=False,
    )  # fmt: skip
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    (made,) = re.findall(r"^([\d,]+) requests: ", done.stdout, re.MULTILINE)
    assert int(made.replace(",", "")) >= 10_000
    assert re.search(r"\b3\d passed", done.stdout)
