"""Settings: one table, read once at the start of a process. Knows nothing of what they steer.

The fields of `Settings` *are* the table: name, default, kind and meaning stand in one
place, the environment variable is `LINEAGE_` and the name in capitals. `docs/settings.md`
is compared with it by a test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, NamedTuple, Self

from lineage.address import Address
from lineage.errors import LineageError

PREFIX = "LINEAGE_"


class InvalidSetting(LineageError, ValueError):
    """A setting that is not known, or a value it cannot have."""

    status = 500
    title = "The settings are not valid"


def _text(value: str) -> str:
    return value.strip()


def _store(value: str) -> str:
    Address.parse(value.strip())
    return value.strip()


def _flag(value: str) -> bool:
    lowered = value.strip().lower()
    if lowered not in ("true", "1", "yes", "on", "false", "0", "no", "off"):
        raise ValueError("write true or false")
    return lowered in ("true", "1", "yes", "on")


def _count(value: str) -> int:
    if not value.strip().isdecimal() or int(value) < 1:
        raise ValueError("write a whole number from 1")
    return int(value)


def _rate(value: str) -> int:
    if not value.strip().isdecimal():
        raise ValueError("write a whole number, 0 for no limit")
    return int(value)


def _port(value: str) -> int:
    if not value.strip().isdecimal() or int(value) > 65535:
        raise ValueError("write a port number from 0 to 65535")
    return int(value)


_UNITS = {"": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def _size(value: str) -> int:
    match = re.fullmatch(r"\s*([1-9]\d*)\s*([a-z]*)\s*", value.lower())
    if not match or match[2] not in _UNITS:
        raise ValueError("write a number of bytes, or one with KiB, MiB or GiB, such as 4MiB")
    return int(match[1]) * _UNITS[match[2]]


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 86_400:
        raise ValueError("write a number of seconds, such as 30 or 0.5")
    return seconds


def _level(value: str) -> str:
    if value.strip().lower() not in ("debug", "info", "warning", "error"):
        raise ValueError("write debug, info, warning or error")
    return value.strip().lower()


def _format(value: str) -> str:
    if value.strip().lower() not in ("text", "json"):
        raise ValueError("write text or json")
    return value.strip().lower()


def _setting(default: Any, meaning: str, parse: Callable[[str], Any], secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"meaning": meaning, "parse": parse})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, with its default."""

    store: str = _setting(
        "lineage.db", "The database: a path of a SQLite file, mysql://… or postgresql://….",
        _store, secret=True,
    )  # fmt: skip
    cache: str = _setting(
        "", "The directory of the search index of a store on a server; empty = the user's.", _text
    )
    host: str = _setting("127.0.0.1", "The address the server listens on.", _text)
    port: int = _setting(8080, "The port the server listens on; 0 = any free one.", _port)
    mlmd_port: int = _setting(0, "The port for ML Metadata's own clients; 0 = none.", _port)
    read_only: bool = _setting(False, "Answer questions, refuse to record.", _flag)
    insecure: bool = _setting(False, "Let anyone who reaches a public address in.", _flag)
    tokens: str = _setting("", "The file of tokens; empty = nobody is asked for one.", _text)
    tls_cert: str = _setting("", "The certificate to serve with, PEM, with its chain.", _text)
    tls_key: str = _setting("", "The private key of the certificate, PEM.", _text)
    proxies: str = _setting(
        "", "Addresses of proxies that say who asks, by comma: 10.0.0.7, 10.1.0.0/16.", _text
    )
    user_header: str = _setting("X-Forwarded-User", "Where such a proxy names the user.", _text)
    groups_header: str = _setting(
        "X-Forwarded-Groups", "Where it names the user's groups, by comma.", _text
    )
    groups: str = _setting(
        "", "What groups may: sre=read, ml=read+write@label-bot; * = all.", _text
    )
    audit: str = _setting("", "The file that each write is told to; - = standard output.", _text)
    rate: int = _setting(
        1000, "Requests a second of one token, or of one address without; 0 = any.", _rate
    )
    max_body: int = _setting(4 * 2**20, "The most bytes of one action.", _size)
    max_batch_body: int = _setting(32 * 2**20, "The most bytes of one batch.", _size)
    max_nodes: int = _setting(20_000, "The most nodes of one graph.", _count)
    openlineage_size: int = _setting(
        2**30, "The most bytes of OpenLineage events kept for replay, compressed.", _size
    )
    request_timeout: float = _setting(30.0, "Seconds until a request is given up.", _seconds)
    draw_timeout: float = _setting(10.0, "Seconds Graphviz may take for one drawing.", _seconds)
    log_level: str = _setting("info", "debug, info, warning or error.", _level)
    log_format: str = _setting("text", "text, or json for whoever collects logs.", _format)
    url: str = _setting("http://127.0.0.1:8080", "Client: the server to talk to.", _text)
    token: str = _setting("", "Client: the bearer token, if the server wants one.", _text, True)
    cluster: str = _setting("", "Hook: the cluster of the controller.", _text)
    namespace: str = _setting("", "Hook: the namespace of the controller.", _text)
    controller: str = _setting("", "Hook: the name of the controller.", _text)
    outbox: str = _setting("", "Hook: the directory where reports wait; see outbox.md.", _text)
    outbox_size: int = _setting(256 * 2**20, "Hook: the most bytes that may wait.", _size)
    repo: str = _setting("", "Hook: the repository the code is from.", _text)
    commit: str = _setting("", "Hook: the commit the code is from.", _text)
    image: str = _setting("", "Hook: the image the code runs in, best with its digest.", _text)

    @classmethod
    def from_env(cls, environ: Mapping[str, str], **overrides: Any) -> Self:
        """Settings, each from the first place that gives it:

        1. `overrides` (command-line options; None = not given),
        2. `environ`,
        3. the default.

        Raises:
            InvalidSetting: an unknown `LINEAGE_*` variable, or a value that cannot be.
        """
        known = {setting.env: setting for setting in table()}
        values: dict[str, Any] = {}
        for name, value in environ.items():
            if not name.startswith(PREFIX) or _of_kubernetes(name, value):
                continue
            if name not in known:
                raise InvalidSetting(_unknown(name, list(known)))
            values[known[name].name] = known[name].read(value)
        for setting in known.values():
            if (given := overrides.pop(setting.name, None)) is not None:
                values[setting.name] = setting.read(str(given))
        if overrides:
            raise TypeError(f"no such setting: {', '.join(overrides)}")
        return cls(**values)


class Setting(NamedTuple):
    """One row of the table."""

    name: str
    env: str
    type: str
    default: Any
    meaning: str
    parse: Callable[[str], Any]

    def read(self, value: str) -> Any:
        try:
            return self.parse(value)
        except ValueError as error:
            # The value is not repeated: it may be a token.
            raise InvalidSetting(f"{self.name} ({self.env}) cannot be that: {error}.") from error


def table() -> list[Setting]:
    """Every setting, in the order of the documentation."""
    return [
        Setting(
            f.name,
            PREFIX + f.name.upper(),
            str(f.type),
            f.default,
            f.metadata["meaning"],
            f.metadata["parse"],
        )
        for f in fields(Settings)
    ]


# A Service called `lineage` (or `lineage-…`) makes Kubernetes set such variables in every
# container of its namespace; LINEAGE_PORT=tcp://… is one of them. They are not ours.
_SERVICE_LINK = re.compile(
    r"LINEAGE_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)"
)


def _of_kubernetes(name: str, value: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    return name.endswith("_PORT") and value.startswith(("tcp://", "udp://", "sctp://"))


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1, 0.0)
    return f"{name} is not a setting; did you mean {near[0]}? docs/settings.md lists them all."
