"""From what a parser read to an action that the server takes. No I/O but a log line.

Objects are other people's: one wrong digest or an endless parameter must not keep a run
out of the record. What cannot be recorded is left out, and the log says so.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from pydantic import ValidationError

from controllers_hooks.observers.objects import Record, moment
from lineage.model import Action, invalid

_log = logging.getLogger("lineage.observe")
_VITAL = ("key", "type", "controller")


def sound(record: Record) -> Action | None:
    """The action, less what is not valid of it; None when nothing can be saved."""
    record = {name: value for name, value in record.items() if value is not None}
    start, end = moment(record.get("started_at")), moment(record.get("ended_at"))
    if start and end and end < start:
        del record["started_at"]  # clocks of two machines; the end is what others build on
    try:
        return _action(record)
    except ValidationError as error:
        _log.warning("%s is recorded without a part: %s", record.get("key"), invalid(error))
        reduced = _without(record, [e["loc"] for e in error.errors(include_input=False)])
    try:
        return _action(reduced)
    except ValidationError as error:
        _log.error("%s cannot be recorded: %s", record.get("key"), invalid(error))
        return None


def _action(record: Record) -> Action:
    return Action.model_validate_json(json.dumps(record))


def _without(record: Record, places: list[tuple[Any, ...]]) -> Record:
    """Of lists and groups the one entry, of anything else the whole field."""
    out = dict(record)
    for field in {place[0] for place in places if place and place[0] not in _VITAL}:
        parts = {place[1] for place in places if place[0] == field and len(place) > 1}
        whole = out.get(field)
        if isinstance(whole, list) and parts:
            out[field] = [one for n, one in enumerate(whole) if n not in parts]
        elif isinstance(whole, dict) and parts:
            out[field] = {name: one for name, one in whole.items() if name not in parts}
        else:
            out.pop(field, None)
    return out
