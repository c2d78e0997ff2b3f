"""What of one side is compared with what of another. Pure, and the same from either end.

The two are walked together from their starts: what was read in the same role by two acts that
are compared is compared, and so are the acts that made it. What is left over is compared by
its identity: the same thing, the same URI, the same type and role, the nearest first.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lineage.queries.comparing.sides import Act, Near, Side, Thing, order

Sort = tuple[str, ...]
Stage = Callable[[Side, Near], Sort | None]


@dataclass(slots=True)
class Alignment:
    """Keys: `pairs` are to be compared, `same` are on both sides, others only on one."""

    pairs: list[tuple[str, str]]
    same: list[str]
    only_a: list[str]
    only_b: list[str]


def align(a: Side, b: Side) -> Alignment:
    pairs = _together(a, b)
    taken_a, taken_b = {x for x, _ in pairs}, {y for _, y in pairs}
    mine, other, both = _nearest_first(a), _nearest_first(b), _keys(a) & _keys(b)
    left_a = [n for n in mine if n.key not in taken_a and n.key not in both]
    left_b = [n for n in other if n.key not in taken_b and n.key not in both]
    pairs += match(a, left_a, b, left_b, (_identity, _sort))
    taken_a, taken_b = {x for x, _ in pairs}, {y for _, y in pairs}
    both -= taken_a | taken_b
    same = [n.key for n in mine if n.key in both]
    return Alignment(
        pairs,
        same,
        [n.key for n in left_a if n.key not in taken_a],
        [n.key for n in left_b if n.key not in taken_b],
    )


def match(
    a: Side, of_a: Sequence[Near], b: Side, of_b: Sequence[Near], stages: Iterable[Stage]
) -> list[tuple[str, str]]:
    """Pairs of keys: per stage those of one sort, in their order; the rest tries the next."""
    out: list[tuple[str, str]] = []
    for stage in stages:
        sorts_a, sorts_b = _sorted_by(stage, a, of_a), _sorted_by(stage, b, of_b)
        found = [
            pair
            for sort in sorted(sorts_a.keys() & sorts_b.keys())
            for pair in zip(sorts_a[sort], sorts_b[sort], strict=False)
        ]
        out += [(x.key, y.key) for x, y in found]
        done_a, done_b = {x.key for x, _ in found}, {y.key for _, y in found}
        of_a = [n for n in of_a if n.key not in done_a]
        of_b = [n for n in of_b if n.key not in done_b]
    return out


def _together(a: Side, b: Side) -> list[tuple[str, str]]:
    """The pairs that a walk from the two starts meets. Where both are behind both, nothing
    new lies behind them, so there it ends."""
    out: list[tuple[str, str]] = []
    taken_a, taken_b, both = set[str](), set[str](), _keys(a) & _keys(b)
    queue = deque(_starts(a, b))
    while queue:
        x, y = queue.popleft()
        if x == y or x in taken_a or y in taken_b:
            continue
        out.append((x, y))
        taken_a.add(x)
        taken_b.add(y)
        if not both.issuperset((x, y)):
            near_a, near_b = a.near.get(x, ()), b.near.get(y, ())
            queue.extend(match(a, near_a, b, near_b, (_itself, _identity, _sort, _role)))
    return out


def _starts(a: Side, b: Side) -> list[tuple[str, str]]:
    """The two starts; of a model and a slot it is the model and the one behind the slot."""
    if (a.start in a.acts) == (b.start in b.acts) and (
        a.start in a.acts or _type(a, a.start) == _type(b, b.start)
    ):
        return [(a.start, b.start)]
    found = [
        (_type(a, a.start), a.start, near.key)
        for near in _nearest_first(b)
        if _type(b, near.key) == _type(a, a.start)
    ][:1]
    found += [
        (_type(b, b.start), near.key, b.start)
        for near in _nearest_first(a)
        if _type(a, near.key) == _type(b, b.start)
    ][:1]
    return [(x, y) for _, x, y in sorted(found)][:1]


def _type(side: Side, key: str) -> tuple[bool, str]:
    one = side.acts.get(key) or side.things[key]
    return key in side.acts, one.node.type


def _itself(side: Side, near: Near) -> Sort:
    return (near.key,)


def _identity(side: Side, near: Near) -> Sort:
    """The family of a thing, the controller and the type of an act."""
    if near.key in side.things:
        return (side.things[near.key].node.uri,)
    node = side.acts[near.key].node
    return (node.type, node.cluster, node.namespace, node.controller)


def _sort(side: Side, near: Near) -> Sort:
    if near.key in side.things:
        return (side.things[near.key].node.type, near.role)
    return ("", side.acts[near.key].node.type)


def _role(side: Side, near: Near) -> Sort | None:
    """Two acts that made what is compared are compared, whoever they are."""
    return None if near.key in side.things else (near.role,)


def _sorted_by(stage: Stage, side: Side, of: Sequence[Near]) -> dict[Sort, list[Near]]:
    out: dict[Sort, list[Near]] = defaultdict(list)
    seen = set[str]()
    for near in of:
        if near.key not in seen and (sort := stage(side, near)) is not None:
            seen.add(near.key)
            out[sort].append(near)
    return out


def _nearest_first(side: Side) -> list[Near]:
    everything: list[Thing | Act] = [*side.things.values(), *side.acts.values()]
    everything.sort(key=lambda one: (one.distance, *order(one)))
    return [Near(False, one.role if isinstance(one, Thing) else "", one.key) for one in everything]


def _keys(side: Side) -> set[str]:
    return side.things.keys() | side.acts.keys()
