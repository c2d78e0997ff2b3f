"""Whether a browser sends what a page of another site made it send. Pure.

Browsers say from where a request comes (`Sec-Fetch-Site`, or `Origin` of whatever changes
something); a page cannot forge these. Programs say nothing, and are asked for a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_LOCAL = re.compile(r"(localhost|([a-z0-9-]+\.)+localhost|127(\.\d+){3}|\[::1\])(:\d+)?\Z")


class Asked(NamedTuple):
    """The headers that tell; "" = not sent."""

    host: str
    origin: str
    site: str

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> Asked:
        host = origin = site = b""
        for name, value in headers:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
        return cls(*(part.decode("latin-1").strip().lower() for part in (host, origin, site)))

    @property
    def browser(self) -> bool:
        return bool(self.origin or self.site)


def foreign(asked: Asked) -> bool:
    """Whether a page of another site asks."""
    if asked.site:
        return asked.site not in ("same-origin", "none")
    return bool(asked.origin) and asked.origin.partition("://")[2] != asked.host


def rebound(asked: Asked) -> bool:
    """Whether a server on this machine is asked by a name that is not this machine's."""
    return bool(asked.host) and _LOCAL.match(asked.host) is None
