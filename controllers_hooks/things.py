"""What an action reads and writes: one constructor for each type of artifact."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lineage.model import Evidence, Reference

_log = logging.getLogger("lineage.hook")


class Kind(NamedTuple):
    """Makes references of one type: `Dataset("gs://b/issues.csv", "sha256:…")`."""

    type: str

    def __call__(
        self,
        uri: str,
        version: str | None = None,
        *,
        name: str | None = None,
        role: str | None = None,
        evidence: Evidence | None = None,
        properties: Mapping[str, Any] | None = None,
        aliases: Sequence[str] = (),
    ) -> Reference:
        """`version` is a digest where one is known, else a generation, commit or snapshot.

        Never raises: a reference that cannot be one is logged now, and left out of the
        report later.
        """
        from pydantic import ValidationError

        from lineage.model import Reference, invalid

        given: dict[str, Any] = {
            "type": self.type,
            "uri": uri,
            "version": version,
            "role": role,
            "name": name,
            "evidence": evidence,
            "properties": {text_of(k): plain(v) for k, v in (properties or {}).items()},
            "aliases": tuple(aliases),
        }
        try:
            return Reference(**given)
        except ValidationError as error:
            # The URI itself stays out of the log: it may carry credentials.
            _log.warning("a %s will not be recorded: %s", self.type, invalid(error))
            return Reference.model_construct(**given)


def plain(value: Any) -> Any:
    """A value as the record can hold it: numbers of numpy too, anything else as its text."""
    try:
        if hasattr(value, "item") and not hasattr(value, "__len__"):
            value = value.item()
    except Exception:
        return text_of(value)
    if isinstance(value, float) and value - value != 0:
        return str(value)  # NaN and infinities are no JSON
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value if isinstance(value, (bool, int, float, str)) else text_of(value)


def text_of(value: Any) -> str:
    """Its text; of an object whose `__str__` fails, its type's name."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


Artifact = Kind("Artifact")
Config = Kind("Config")
Dataset = Kind("Dataset")
Deployment = Kind("Deployment")
Image = Kind("Image")
Metrics = Kind("Metrics")
Model = Kind("Model")
Notebook = Kind("Notebook")
PullRequest = Kind("PullRequest")
