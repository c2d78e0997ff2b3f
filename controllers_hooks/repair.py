"""A record as it came from a controller, made one that can be recorded. Pure but for its log."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import ValidationError

from lineage.identity import without_credentials
from lineage.model import TERMINAL, Action, Reference, invalid

_log = logging.getLogger("lineage.hook")


def payload(record: Action | dict[str, Any]) -> tuple[bytes, bool]:
    """What goes over the wire, and whether it ends its action. Raises as `sound` does."""
    action = sound(record)
    return action.model_dump_json(exclude_defaults=True).encode(), action.state in TERMINAL


def reason(error: Exception) -> Exception:
    """Why a record was not taken, without its content."""
    return invalid(error) if isinstance(error, ValidationError) else error


def sound(record: Action | dict[str, Any]) -> Action:
    """The record as an action, without credentials. What cannot be recorded is left out,
    also of a record that is a dict (so it is logged once).

    Raises:
        ValidationError: what is wrong is something an action cannot be without.
    """
    action = record if isinstance(record, Action) else _repaired(record)
    if any(map(_shows, (*action.inputs, *action.outputs))):
        # The server drops them too, but they must not reach the disk either.
        return action.model_copy(
            update={"inputs": _hidden(action.inputs), "outputs": _hidden(action.outputs)}
        )
    return action


def _repaired(record: dict[str, Any]) -> Action:
    try:
        return Action.model_validate(record)
    except ValidationError as error:
        for place in {e["loc"][:2] for e in error.errors()}:
            _leave_out(record, *place)
        for side in ("inputs", "outputs"):
            record[side] = [r for r in record.get(side, ()) if r is not None]
        action = Action.model_validate(record)
        _log.warning("%s is recorded without a part of it: %s", action.key, invalid(error))
        return action


def _leave_out(record: dict[str, Any], name: int | str = "", part: int | str = "") -> None:
    """Of inputs, params and the like the one entry, of anything else the whole field."""
    whole = record.get(str(name))
    if isinstance(whole, (list, tuple)) and isinstance(part, int):
        record[str(name)] = [None if n == part else r for n, r in enumerate(whole)]
    elif isinstance(whole, dict) and part in whole and name != "controller":
        record[str(name)] = {k: v for k, v in whole.items() if k != part}
    else:
        record.pop(str(name), None)


def _shows(reference: Reference) -> bool:
    return any("@" in uri or "?" in uri for uri in (reference.uri, *reference.aliases))


def _hidden(references: tuple[Reference, ...]) -> tuple[Reference, ...]:
    return tuple(
        reference.model_copy(
            update={
                "uri": without_credentials(reference.uri),
                "aliases": tuple(map(without_credentials, reference.aliases)),
            }
        )
        for reference in references
    )
