"""Identity: when are two mentions the same thing? Pure; knows no store and no wire.

Controllers never refer to each other. Two actions are connected because they name the
same artifact, so everything in lineage rests on the few rules of this module:

* `identify` gives the canonical URI, the version and the id of a mention;
* `action_id` gives the id of an action from the key its recorder chose;
* `lineage.uris` has the forms of addresses.

The rules are idempotent (`identify(*identify(x))` changes nothing) and total over
well-formed input; anything else raises `MalformedIdentity` saying what to write instead.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from lineage.errors import MalformedIdentity
from lineage.uris import CONTROL, DIGEST_LENGTHS, canonical
from lineage.uris import MAX_URI as MAX_URI
from lineage.uris import is_digest as is_digest
from lineage.uris import without_credentials as without_credentials

MAX_VERSION = 512

_HEX = re.compile(r"[0-9a-f]+\Z")
_COMMIT = re.compile(r"[0-9A-Fa-f]{7,64}\Z")

NODE = "mlmd://"
"""How the nodes of other tools are named: kind and number in their store."""
_NODE = re.compile(NODE + r"(execution|artifact)/([1-9]\d{0,16})\Z")
NODES = "0" * 16
"""What the ids of such nodes begin with, and no hash does."""
_NODE_ID = re.compile(NODES + r"([ae])([0-9a-f]{15})\Z")


class Identity(NamedTuple):
    """A canonical mention. `id` = hash(uri, version): the artifact's id everywhere."""

    uri: str
    version: str | None
    id: str


def action_id(key: str) -> str:
    """The id of the action with this key: 32 hex digits, the same in every store.

    `mlmd://execution/42` is no key of a recorder but names a node (see `node_id`).
    """
    if key.startswith(NODE) and (node := _NODE.match(key)) and node[1] == "execution":
        return node_id("execution", int(node[2]))
    return _hash("action", key)


def node_id(kind: str, number: int) -> str:
    """The id of a node another tool wrote ("execution" | "artifact"), which has no key: its
    number in that one store, led by zeros that no hash begins with."""
    return f"{NODES}{kind[0]}{number:015x}"


def node_number(kind: str, id: str) -> int | None:
    """The number `node_id` was made from."""
    if not id.startswith(NODES):
        return None
    node = _NODE_ID.match(id)
    return int(node[2], 16) if node and node[1] == kind[0] else None


def node_named(kind: str, name: str) -> int | None:
    """The number in `mlmd://execution/42` or `mlmd://artifact/42`."""
    node = _NODE.match(name) if name.startswith(NODE) else None
    return int(node[2]) if node and node[1] == kind else None


def artifact_id(uri: str, version: str | None) -> str:
    """The id of a *canonical* URI at a version (None = version not known)."""
    return _hash("artifact", uri) if version is None else _hash("artifact", uri, version)


@lru_cache(maxsize=16384)
def identify(uri: str, version: str | None = None, type: str = "Artifact") -> Identity:
    """The identity of a mention.

    A version inside the URI (an image's digest or tag, a commit after `@`) is taken when
    none is given; a digest beats a declared version (docs/architecture.md).

    Raises:
        MalformedIdentity: the URI or the version cannot be one.
    """
    place, inner = canonical(uri, type)
    declared = _version(version) if version is not None else None
    found = _version(inner) if inner is not None else None
    if declared is None or (found is not None and is_digest(found) and not is_digest(declared)):
        declared = found
    if declared is not None and _COMMIT.match(declared):
        declared = declared.lower()
    return Identity(place, declared, artifact_id(place, declared))


def canonical_uri(uri: str, type: str = "Artifact") -> str:
    """The canonical form of a URI; the family of every version it ever had."""
    return canonical(uri, type)[0]


def _hash(*parts: str) -> str:
    return blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _version(version: str) -> str | None:
    version = version.strip()
    if len(version) > MAX_VERSION:
        raise MalformedIdentity(f"a version has at most {MAX_VERSION} characters")
    if CONTROL.search(version):
        raise MalformedIdentity("a version holds no control characters")
    algorithm, colon, digits = version.partition(":")
    length = DIGEST_LENGTHS.get(algorithm.lower())
    if colon and length:
        digits = digits.lower()
        if len(digits) != length or not _HEX.match(digits):
            raise MalformedIdentity(
                f"'{algorithm}:' must be followed by {length} hexadecimal digits; "
                "write the whole digest, or a version without that prefix"
            )
        return f"{algorithm.lower()}:{digits}"
    return version or None
