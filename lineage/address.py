"""What `--store` names: a path of a SQLite file, or a database on a server. Pure.

`mysql://user:password@host:port/database` (MariaDB too), `postgresql://…` the same. Knows no
driver and opens nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import quote, unquote, urlsplit

PORTS = {"mysql": 3306, "postgresql": 5432}
_SCHEMES = {
    "mysql": "mysql",
    "mariadb": "mysql",
    "postgresql": "postgresql",
    "postgres": "postgresql",
}
# What ml-metadata puts into its SQL as it is (docs/mlmd.md, trap 11).
_NAMES = {"mysql": r"[A-Za-z0-9_$]{1,64}", "postgresql": r"[a-z_][a-z0-9_]{0,62}"}


@dataclass(frozen=True, slots=True)
class Address:
    """A database on a server. Everything is set: without a port, or a database, ml-metadata
    would end its process instead of saying so (docs/mlmd.md, trap 3)."""

    engine: Literal["mysql", "postgresql"]
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str

    @classmethod
    def parse(cls, store: str) -> Self | None:
        """None = a path.

        Raises:
            ValueError: it is neither; says what is missing, and never the password.
        """
        scheme, there, _ = store.partition("://")
        if not there:
            return None
        engine = _SCHEMES.get(scheme.partition("+")[0].lower())
        if engine is None:
            raise ValueError("write a path, mysql://… or postgresql://…")
        try:
            parts = urlsplit(store)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(_WRITTEN.format(engine)) from error
        database = unquote(parts.path.removeprefix("/"))
        if not (host and parts.username and database) or parts.query or parts.fragment:
            raise ValueError(_WRITTEN.format(engine))
        if not re.fullmatch(_NAMES[engine], database):
            raise ValueError(_CALLED[engine])
        user, password = unquote(parts.username), unquote(parts.password or "")
        return cls(engine, host, port or PORTS[engine], user, password, database)  # type: ignore[arg-type]

    def __str__(self) -> str:
        """As it may be shown: without the password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.engine}://{quote(self.user, safe='')}@{host}:{self.port}/{self.database}"


def shown(store: str) -> str:
    """A store as it may be shown."""
    return str(Address.parse(store) or store)


_WRITTEN = (
    "write {}://user:password@host:port/database, nothing after it, with %40 for @, %3A for :, "
    "%2F for /, %23 for # and %25 for % in the password"
)
_CALLED = {
    "mysql": "name a database of letters, digits and _",
    "postgresql": "name a database of small letters, digits and _: ml-metadata finds no other",
}
