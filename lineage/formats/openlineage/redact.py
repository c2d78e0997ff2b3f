"""What must not be kept of an event: credentials in addresses, values whose names are secrets'.

Events carry whole environments and connection strings (`environmentVariables`, `dataSource`).
They are cleaned before anything looks at them, so the event that is kept for replay and the
graph that was made of it never differ. Pure.
"""

from __future__ import annotations

from typing import Any

from lineage.errors import InvalidRecord
from lineage.identity import without_credentials
from lineage.model import REDACTED, looks_secret

DEEPEST = 100


def redacted(value: Any, depth: int = 0) -> Any:
    """The same JSON without them.

    Raises:
        InvalidRecord: it is nested deeper than `DEEPEST`.
    """
    if isinstance(value, str):
        return without_credentials(value)
    if not isinstance(value, (dict, list)):
        return value
    if depth > DEEPEST:
        message = f"is nested deeper than {DEEPEST}; send the facet without what lies below"
        raise InvalidRecord(f"body: {message}", [{"at": "body", "message": message}])
    if isinstance(value, list):
        return [redacted(one, depth + 1) for one in value]
    named = any(looks_secret(str(value[n])) for n in ("name", "key") if n in value)
    return {
        name: REDACTED
        if _scalar(inner) and (looks_secret(name) or (named and name == "value"))
        else redacted(inner, depth + 1)
        for name, inner in value.items()
    }


def _scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
