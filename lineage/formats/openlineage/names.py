"""What a thing is called in OpenLineage and here: (namespace, name) ↔ URI, runId ↔ key. Pure.

OpenLineage names a dataset by a namespace, where it lives, and a name within. A namespace
that is the front of a URI (`s3://lake`) makes a URI with the name, so that whoever reports
the file by its address means the same artifact. Any other namespace stays the first part of
a name without a scheme, its own slashes encoded: no two pairs make one name.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

from lineage.identity import action_id
from lineage.model import MAX_KEY

RUN = "openlineage/Run/"
INTEGRATION = "LINEAGE"
"""What the job type of our own events says."""
NOWHERE = "default"
"""The namespace that is written where there is none."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LAST_UUID = re.compile(r"(?:.*/)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z", re.DOTALL)


def uri_of(namespace: str, name: str) -> str:
    """The URI of a dataset; `identify` makes it canonical."""
    if namespace == "file":
        namespace = "file://"
    if not _SCHEME.match(namespace):
        namespace = namespace.replace("%", "%25").replace("/", "%2F")
        return f"{namespace}/{name}" if namespace else name
    # A name is no URI: what would end the path there is part of the name here.
    name = name.replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    if namespace.endswith("://"):
        return namespace + name
    return f"{namespace.rstrip('/')}/{name.lstrip('/')}"


def dataset_of(uri: str) -> tuple[str, str]:
    """Namespace and name of a canonical URI."""
    scheme = _SCHEME.match(uri)
    if scheme is None:
        namespace, slash, name = uri.partition("/")
        return (unquote(namespace), name) if slash and namespace and name else (NOWHERE, uri)
    authority, _, path = uri[scheme.end() :].partition("/")
    if not authority:
        return scheme[0].removesuffix("://"), "/" + unquote(path)
    return scheme[0] + authority, unquote(path) or "/"


def key_of(run_id: str) -> str:
    """The key of a run that nobody gave another."""
    return RUN + run_id


def run_id_of(key: str) -> str:
    """The runId of an action: the UUID its key ends in (a Kubernetes uid is one), else one
    made from the key, always the same."""
    found = _LAST_UUID.match(key)
    return found[1] if found else str(uuid5(NAMESPACE_URL, "lineage:" + key))


def bounded_key(text: str) -> str:
    """A key of at most `MAX_KEY` characters; a longer one ends in its hash."""
    return text if len(text) <= MAX_KEY else f"{text[: MAX_KEY - 33]}~{action_id(text)}"


def is_address(text: str) -> bool:
    """Whether it has the form of an absolute URI, as `producer` and `schemaURL` must."""
    try:
        return bool(urlsplit(text).scheme) and not re.search(r"[\s\x00-\x1f\x7f]", text)
    except ValueError:
        return False
