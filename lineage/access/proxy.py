"""Who an authenticating proxy says is asking: believed of its own address only. Pure.

    proxies   addresses or networks, by comma: 10.0.0.7, 10.1.0.0/16
    groups    what members of a group may, by comma: sre=read, ml=read+write@label-bot+triage

The first group of the setting that the user is in decides; `*` is anyone the proxy knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from lineage.access.scopes import Access, scopes
from lineage.config import InvalidSetting

Network = IPv4Network | IPv6Network
ANYONE = "*"
LONGEST = 256


class Peer(NamedTuple):
    """Who is at the other end: its address, and whether it came over TLS."""

    address: str
    secure: bool


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxies that are believed, and what their users may."""

    networks: tuple[Network, ...]
    user_header: bytes
    groups_header: bytes
    rules: tuple[tuple[str, Access], ...]

    @classmethod
    def parse(cls, proxies: str, user: str, groups: str, rules: str) -> Proxy | None:
        """None = no proxy is configured.

        Raises:
            InvalidSetting: one of the texts is not what it should be.
        """
        networks = tuple(_network(one) for one in _listed(proxies))
        if not networks:
            if _listed(rules):
                raise InvalidSetting("groups (LINEAGE_GROUPS) says what users of a proxy may, but "
                                     "LINEAGE_PROXIES names none.")  # fmt: skip
            return None
        found = tuple(_rule(one) for one in _listed(rules))
        return cls(networks, user.lower().encode(), groups.lower().encode(), found)

    def believes(self, peer: str) -> bool:
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:  # a Unix socket has none
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.networks)

    def peer(self, headers: Sequence[tuple[bytes, bytes]]) -> Peer:
        """For whom the proxy asks: the last address that it added itself."""
        said = ",".join(v.decode("latin-1") for k, v in headers if k == b"x-forwarded-for")
        scheme = next((v for k, v in headers if k == b"x-forwarded-proto"), b"")
        return Peer(said.rpartition(",")[2].strip()[:64], scheme.strip().lower() == b"https")

    def access(self, headers: Sequence[tuple[bytes, bytes]]) -> Access | None:
        """Who the proxy says is asking; None = nobody, or nobody who may anything."""
        user = _one(headers, self.user_header)
        if not user:
            return None
        groups = {ANYONE, *_listed(_one(headers, self.groups_header))}
        for group, access in self.rules:
            if group in groups:
                return Access(f"{user[:LONGEST]} (proxy)", access.scopes, access.namespaces)
        return Access(f"{user[:LONGEST]} (proxy)", frozenset())


def _one(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    """A header that is there once; twice, somebody may have put theirs before the proxy's."""
    found = [value for key, value in headers if key == name]
    return found[0].decode("utf-8", "replace").strip() if len(found) == 1 else ""


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidSetting(
            f"proxies (LINEAGE_PROXIES): '{text}' is no address; write 10.0.0.7 or 10.1.0.0/16."
        ) from error


def _rule(text: str) -> tuple[str, Access]:
    group, equals, may = text.partition("=")
    words, at, where = may.partition("@")
    try:
        if not (group.strip() and equals):
            raise ValueError("it names no group, or nothing that it may")
        found = scopes(word.strip() for word in words.split("+"))
        namespaces = frozenset(n.strip() for n in where.split("+") if n.strip()) if at else None
        if namespaces is not None and ("admin" in found or not namespaces):
            raise ValueError("admin is of all namespaces, any other of those after @")
    except ValueError as error:
        raise InvalidSetting(
            f"groups (LINEAGE_GROUPS): '{text}': {error}; write ml=read+write@label-bot."
        ) from error
    return group.strip(), Access(group.strip(), found, namespaces)
