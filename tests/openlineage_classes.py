"""OpenLineage's own Python classes as a strict validator: they are made from its JSON schemas.

Their constructors refuse fields that are missing or unknown, UUIDs and times that are none.
What they let pass is looked at here: the types they declare, what the schemas require though
the classes fill it in, URIs, zones, and that a facet stands where its kind belongs.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import types
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import attr
from openlineage.client import generated
from openlineage.client.generated import base

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+\Z")
_URIS = ("producer", "schemaURL", "_producer", "_schemaURL", "url")
_REQUIRED = ("producer", "schemaURL", "_producer", "_schemaURL")
_EVENTS = {name: getattr(base, name) for name in ("RunEvent", "JobEvent", "DatasetEvent")}


class Invalid(Exception):
    """Where, and what is wrong there."""


def validate(event: dict[str, Any]) -> None:
    """An event of any of the three kinds.

    Raises:
        Invalid: it breaks the schema it names.
    """
    kind = _EVENTS.get(_last(event.get("schemaURL")))
    if kind is None:
        raise Invalid(f"schemaURL: {event.get('schemaURL')!r} is no event's")
    _object(kind, event, "event")
    if datetime.fromisoformat(event["eventTime"]).tzinfo is None:
        raise Invalid("event.eventTime: no zone")


def _object(kind: Any, value: Any, at: str) -> Any:
    """An instance of an attrs class, made from JSON that must fit it exactly."""
    if not isinstance(value, dict):
        raise Invalid(f"{at}: no object")
    hints, fields = get_type_hints(kind), {field.name: field for field in attr.fields(kind)}
    needed = {n for n, f in fields.items() if f.default is attr.NOTHING or n in _REQUIRED}
    own = _is_own(kind)
    if wrong := (needed - value.keys()) | (set() if own else value.keys() - fields.keys()):
        raise Invalid(f"{at}: {sorted(wrong)} missing or unknown")
    known = {name: value[name] for name in value.keys() & fields.keys()}
    for name in known.keys() & set(_URIS):
        if not isinstance(known[name], str) or not _URI.match(known[name]):
            raise Invalid(f"{at}.{name}: {known[name]!r} is no URI")
    made = {name: _value(hints[name], one, f"{at}.{name}") for name, one in known.items()}
    try:
        return kind(**{fields[n].alias: v for n, v in made.items() if fields[n].init})
    except (TypeError, ValueError) as error:
        raise Invalid(f"{at}: {error}") from error


def _value(hint: Any, value: Any, at: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _any_of(inner, value, at)
    if origin is list and isinstance(value, list):
        return [_value(inner[0], one, f"{at}[{n}]") for n, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {name: _value(inner[1], one, f"{at}.{name}") for name, one in value.items()}
    if attr.has(hint):
        return _object(_facet(hint, value, at), value, at)
    if isinstance(hint, type) and issubclass(hint, Enum):
        if value not in {one.value for one in hint}:
            raise Invalid(f"{at}: {value!r} is no {hint.__name__}")
        return hint(value)
    if hint is Any or hint is type(value) or (hint is float and type(value) is int):
        return value
    raise Invalid(f"{at}: {value!r} is no {hint}")


def _any_of(hints: tuple[Any, ...], value: Any, at: str) -> Any:
    said = []
    for hint in hints:
        try:
            return _value(hint, value, at)
        except Invalid as error:
            said.append(str(error))
    raise Invalid("; or ".join(said))


def _facet(kind: Any, value: Any, at: str) -> Any:
    """Of a place for facets, the class that its `_schemaURL` names."""
    if not issubclass(kind, base.BaseFacet) or not isinstance(value, dict):
        return kind
    named = _facets().get(_last(value.get("_schemaURL")), kind)
    if not issubclass(named, kind):
        raise Invalid(f"{at}: {named.__name__} is no {kind.__name__}")
    return named


def _is_own(kind: Any) -> bool:
    """A facet that the standard does not have may hold what it likes."""
    return kind.__module__ == base.__name__ and issubclass(kind, base.BaseFacet)


@cache
def _facets() -> dict[str, Any]:
    found = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for one in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(one, type) and issubclass(one, base.BaseFacet):
                found[one.__name__] = one
    return found


def _last(url: Any) -> str:
    return str(url).rpartition("/")[2]
