"""What differs between two sides, section by section. Pure.

Values that differ are listed with what they belong to; what is alike is counted. An act that
only one side has is listed as an act, not once more for each of its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lineage.graph import ActionNode
from lineage.queries.comparing.forge import compare
from lineage.queries.comparing.pairs import Alignment, align
from lineage.queries.comparing.sides import Act, Side, Thing
from lineage.queries.measured import is_metrics

Name = Literal["models", "inputs", "code", "params", "metrics", "images", "actions", "durations"]
SECTIONS: tuple[Name, ...] = (
    "models", "inputs", "code", "params", "metrics", "images", "actions", "durations",
)  # fmt: skip
_SECTION_OF: dict[str, Name] = {"Model": "models", "Code": "code", "Image": "images"}
Pair = tuple[Thing | None, Thing | None]


@dataclass(frozen=True, slots=True)
class Item:
    """One difference. None = not there on that side; `of` = what the value belongs to;
    `refs` = the ids of the nodes that hold the values."""

    name: str
    a: Any
    b: Any
    refs: tuple[str | None, str | None] = (None, None)
    of: str | None = None
    link: str | None = None
    properties: tuple[Item, ...] = ()

    @property
    def delta(self) -> float | None:
        if not _is_number(self.a) or not _is_number(self.b):
            return None
        return self.b - self.a if _both_int(self.a, self.b) else float(f"{self.b - self.a:.12g}")

    @property
    def relative(self) -> float | None:
        """Of what `a` was; None where that is nothing."""
        delta = self.delta
        return float(f"{delta / abs(self.a):.6g}") if delta is not None and self.a else None

    def json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"name": self.name, "a": self.a, "b": self.b}
        for name in ("delta", "relative", "of", "link"):
            if (value := getattr(self, name)) is not None:
                out[name] = value
        if self.properties:
            out["properties"] = [item.json() for item in self.properties]
        if self.refs != (None, None):
            out["refs"] = {"a": self.refs[0], "b": self.refs[1]}
        return out


@dataclass(slots=True)
class Section:
    items: list[Item] = field(default_factory=list)
    same: int = 0


def sections(a: Side, b: Side) -> dict[Name, Section]:
    aligned = align(a, b)
    out: dict[Name, Section] = {name: Section() for name in SECTIONS}
    _compare_things(out, a, b, aligned)
    _compare_acts(out, a, b, aligned)
    for name in ("metrics", "durations"):
        out[name].items.sort(key=_largest_first)
    return out


def _compare_things(out: dict[Name, Section], a: Side, b: Side, aligned: Alignment) -> None:
    pairs: list[Pair] = [(a.things[x], b.things[y]) for x, y in aligned.pairs if x in a.things]
    pairs += [(a.things[key], None) for key in aligned.only_a if key in a.things]
    pairs += [(None, b.things[key]) for key in aligned.only_b if key in b.things]
    pairs = [pair for pair in pairs if not _is_slot(pair)]
    for x, y in sorted(pairs, key=_nearest_first):
        section = out[_section(x, y)]
        if _section(x, y) == "metrics":
            _add_values(section, _name(x, y), x, y, _values(x), _values(y))
        else:
            section.items.append(_thing(x, y))
    for key in aligned.same:
        if key in a.things and not _is_slot(pair := (a.things[key], b.things[key])):
            section = out[_section(*pair)]
            known = _values(pair[0]) | _values(pair[1])
            section.same += len(known) if section is out["metrics"] else 1


def _compare_acts(out: dict[Name, Section], a: Side, b: Side, aligned: Alignment) -> None:
    for x, y in aligned.pairs:
        if x in a.acts:
            _compare_two(out, a.acts[x], b.acts[y])
    alone = [(a.acts[key], True) for key in aligned.only_a if key in a.acts]
    alone += [(b.acts[key], False) for key in aligned.only_b if key in b.acts]
    for act, in_a in sorted(alone, key=lambda one: (one[0].distance, one[0].key)):
        mine, other = (act, None) if in_a else (None, act)
        nodes = mine and mine.node.json(), other and other.node.json()
        out["actions"].items.append(Item(act.node.type, *nodes, refs=(_id(mine), _id(other))))
    for key in aligned.same:
        if key in a.acts:
            out["actions"].same += 1
            out["durations"].same += _duration(a.acts[key].node) is not None
            out["params"].same += len(_params(a.acts[key]))


def _compare_two(out: dict[Name, Section], x: Act, y: Act) -> None:
    name = "/".join(sorted({x.node.type, y.node.type}))
    refs = (x.key, y.key)
    changed = [
        Item(what, of_x, of_y)
        for what, of in _ACTOR.items()
        if (of_x := of(x)) != (of_y := of(y))
    ]  # fmt: skip
    if changed:
        nodes = x.node.json(), y.node.json()
        out["actions"].items.append(Item(name, *nodes, refs, properties=tuple(changed)))
    else:
        out["actions"].same += 1
    _add_values(out["params"], name, x, y, _params(x), _params(y))
    took = {name: _duration(x.node)}, {name: _duration(y.node)}
    _add_values(out["durations"], None, x, y, *took)


_ACTOR: dict[str, Callable[[Act], Any]] = {
    "type": lambda act: act.node.type,
    "controller": lambda act: "/".join(
        part for part in (act.node.cluster, act.node.namespace, act.node.controller) if part
    ),
    "by": lambda act: act.state.get("by"),
    "state": lambda act: act.node.state,
}


def _add_values(
    section: Section,
    of: str | None,
    x: Thing | Act | None,
    y: Thing | Act | None,
    mine: Mapping[str, Any],
    others: Mapping[str, Any],
) -> None:
    refs = (_id(x), _id(y))
    for name in sorted(mine.keys() | others.keys()):
        if name in mine and name in others and _equal(mine[name], others[name]):
            section.same += mine[name] is not None
        else:
            section.items.append(Item(name, mine.get(name), others.get(name), refs, of))


def _thing(x: Thing | None, y: Thing | None) -> Item:
    properties = Section()
    link = None
    if x and y:
        _add_values(properties, None, None, None, x.node.properties, y.node.properties)
        if x.node.type == y.node.type == "Code" and x.node.uri == y.node.uri:
            link = compare(x.node.uri, x.node.version, y.node.version)
    return Item(
        _name(x, y),
        x and x.json(),
        y and y.json(),
        (_id(x), _id(y)),
        link=link,
        properties=tuple(properties.items),
    )


def _is_slot(pair: Pair) -> bool:
    """Where something was put is what is compared, or its name; not what it came from."""
    return any(one and one.distance == 0 and one.node.type == "Deployment" for one in pair)


def _section(x: Thing | None, y: Thing | None) -> Name:
    type_ = min(one.node.type for one in (x, y) if one)
    return "metrics" if is_metrics(type_) else _SECTION_OF.get(type_, "inputs")


def _name(x: Thing | None, y: Thing | None) -> str:
    """What both are called, else what they were read as."""
    names = {_called(one) for one in (x, y) if one}
    if len(names) == 1:
        return names.pop()
    roles = {one.role for one in (x, y) if one and one.role}
    return "/".join(sorted(roles or {one.node.type.lower() for one in (x, y) if one}))


def _called(thing: Thing) -> str:
    """A repository needs its owner to be told from others."""
    if thing.node.type == "Code" and not thing.node.name:
        return "/".join(thing.node.uri.rstrip("/").rsplit("/", 2)[-2:])
    return thing.node.label


def _id(one: Thing | Act | None) -> str | None:
    return None if one is None else one.node.id


def _values(thing: Thing | None) -> dict[str, Any]:
    return {} if thing is None else thing.node.properties


def _params(act: Act) -> dict[str, Any]:
    prefix = "params."
    return {n[len(prefix) :]: v for n, (_, v) in act.state.fields.items() if n.startswith(prefix)}


def _duration(node: ActionNode) -> float | None:
    """In seconds."""
    return None if node.ended is None else (node.ended - node.started) / 1_000_000


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _both_int(a: Any, b: Any) -> bool:
    return isinstance(a, int) and isinstance(b, int)


def _equal(a: Any, b: Any) -> bool:
    """1 is 1.0, but no truth."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _nearest_first(pair: Pair) -> tuple[Any, ...]:
    there = [one for one in pair if one]
    return (min(t.distance for t in there), _name(*pair), sorted(t.key for t in there))


def _largest_first(item: Item) -> tuple[Any, ...]:
    delta = item.delta
    return (
        delta is None,
        -abs(delta or 0),
        item.of or "",
        item.name,
        sorted(filter(None, item.refs)),
    )
