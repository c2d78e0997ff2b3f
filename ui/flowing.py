"""What the Flow page says, as plain data: controllers, links with their passes, chains. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2s
from string import ascii_lowercase

from lineage.graph import ActionNode, ArtifactNode, action_node, artifact_node
from lineage.queries.flowing.acts import Act, Who, Window
from lineage.queries.flowing.chains import Cell, Chain
from lineage.queries.flowing.flow import STATES, Flow, lag, last, per_day
from lineage.queries.flowing.passes import Link, Pass
from ui import words

STRIP = 60
"""Passes of a chain that are drawn as shapes; as many rows as are asked for say them in words."""
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Card:
    """One controller as its window shows it."""

    who: Who
    name: str
    types: str
    states: tuple[tuple[str, int], ...]
    every: str
    last: ActionNode | None
    success: ActionNode | None
    failure: ActionNode | None
    acts: int
    parts: int
    since: int | None
    """When the window begins, where there are older actions."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One link between two controllers: what passes over it, and what became of it."""

    key: str
    link: Link
    source: str
    target: str
    what: str
    counts: tuple[tuple[str, int], ...]
    newest: str
    usually: str
    waiting: int | None
    """Since when (µs) the oldest that was not taken up waits."""
    passes: tuple[Pass, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """One thing that passed over a link, or did not. `after` is empty where nobody took it."""

    index: int
    things: tuple[ArtifactNode, ...]
    at: int
    maker: ActionNode
    state: str
    taker: ActionNode | None
    after: str
    waited: int


@dataclass(frozen=True, slots=True)
class Square:
    """A cell of a chain. `words` say what its shape and colour show."""

    state: str
    words: str
    act: ActionNode | None
    things: tuple[ArtifactNode, ...]
    after: str
    at: int


@dataclass(frozen=True, slots=True)
class Row:
    index: int
    squares: tuple[Square, ...]


@dataclass(frozen=True, slots=True)
class Law:
    """a[i] → b[i] → c[i]: the rows newest first."""

    heads: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    arrived: int
    missing: int
    """Rows whose end is neither there, nor on its way, nor made up for by a later one."""


@dataclass(frozen=True, slots=True)
class Flowing:
    cards: tuple[Card, ...]
    wires: tuple[Wire, ...]
    laws: tuple[Law, ...]
    truncated: bool

    @property
    def linked(self) -> frozenset[Who]:
        return frozenset(who for wire in self.wires for who in wire.link[:2])


def flowing(flow: Flow, now: int) -> Flowing:
    """The answer of `lineage.queries.flowing.flow` for a page."""
    called = names(flow.windows)
    # As things flow, and then those that are in no chain.
    order = dict.fromkeys([w for c in flow.chains for w in c.controllers] + sorted(flow.windows))
    place = {who: n for n, who in enumerate(order)}
    wires = [_wire(link, found, flow, called) for link, found in flow.links.items()]
    wires.sort(key=lambda wire: (place[wire.link.source], place[wire.link.target], wire.what))
    return Flowing(
        tuple(_card(who, flow.windows[who], called[who]) for who in order),
        tuple(wires),
        tuple(_law(chain, called, now) for chain in flow.chains),
        flow.truncated,
    )


def names(whos: Iterable[Who]) -> dict[Who, str]:
    """Without the cluster or namespace that all of them share."""
    whos = list(whos)
    shared = [len({who[part] for who in whos}) == 1 for part in (0, 1)] + [False]
    return {
        who: words.clean("/".join(t for t, s in zip(who, shared, strict=True) if t and not s))
        for who in whos
    }


def key(link: Link) -> str:
    """Short, and safe in an address whatever a controller is called."""
    return blake2s(repr(tuple(link)).encode(), digest_size=6).hexdigest()


def passed(wire: Wire, most: int) -> list[Passed]:
    """What passed over a link, the newest first."""
    return [_passed(one, len(wire.passes) - n) for n, one in enumerate(wire.passes[:most])]


def _passed(one: Pass, index: int) -> Passed:
    taker = _node(one.takers[0] if one.takers else None)
    waited = max(0, taker.started - one.at) if taker else 0
    return Passed(
        index,
        tuple(artifact_node(thing) for thing in one.artifacts),
        one.at,
        action_node(one.maker.state),
        one.state,
        taker,
        words.duration(waited) if taker else "",
        waited,
    )


def _card(who: Who, window: Window, name: str) -> Card:
    acts = window.acts
    states = Counter(str(act.state.get("state") or "unknown") for act in acts)
    types = sorted({str(act.state.get("type")) for act in acts})
    rate = per_day(acts)
    return Card(
        who,
        name,
        words.clean(", ".join(types)),
        tuple(sorted(states.items())),
        f"every {words.duration(round(_DAY / rate))}" if rate else "",
        _node(acts[-1] if acts else None),
        _node(last(acts, "complete")),
        _node(last(acts, "failed")),
        len(acts),
        window.parts,
        window.since,
    )


def _wire(link: Link, found: Sequence[Pass], flow: Flow, called: Mapping[Who, str]) -> Wire:
    counts = Counter(one.state for one in found)
    usually = lag(found, flow.windows[link.target].since)
    waiting = [one.at for one in found if one.state == "waiting"]
    return Wire(
        key(link),
        link,
        called[link.source],
        called[link.target],
        words.clean(link.role if link.role not in ("", link.type.lower()) else ""),
        tuple((state, counts[state]) for state in STATES if counts[state]),
        found[0].state,
        "" if usually is None else words.duration(round(usually * 1_000_000)),
        min(waiting) if waiting else None,
        tuple(found),
    )


def _law(chain: Chain, called: Mapping[Who, str], now: int) -> Law:
    count = len(chain.rows)
    rows = tuple(Row(count - n, tuple(_squares(row, now))) for n, row in enumerate(chain.rows))
    return Law(
        tuple(zip(letters(), (called[who] for who in chain.controllers), strict=False)),
        rows,
        sum(row.squares[-1].state == "taken" for row in rows),
        sum(any(square.words.startswith("missing") for square in row.squares) for row in rows),
    )


def letters() -> Iterator[str]:
    yield from ascii_lowercase
    n = 26
    while True:
        yield f"z{n}"
        n += 1


def _squares(row: Sequence[Cell], now: int) -> Iterator[Square]:
    coming = any(cell.state == "running" for cell in row)
    before: Cell | None = None
    for cell in row:
        act = _node(cell.act)
        things = tuple(artifact_node(one) for one in cell.artifacts)
        after = ""
        if act is not None and cell.state != "made":
            after = words.duration(max(0, act.started - cell.since))
        yield Square(cell.state, _says(cell, before, coming, now), act, things, after, cell.since)
        before = cell


def _says(cell: Cell, before: Cell | None, coming: bool, now: int) -> str:
    if cell.act is not None:
        return "made" if cell.state == "made" else str(cell.act.state.get("state") or cell.state)
    if cell.state == "nothing":
        return "nothing to take"
    if cell.state != "waiting":
        return cell.state
    if coming:
        return "to come"
    if before is None or before.act is None:
        return "missing"
    return f"missing for {words.span(max(0, now - cell.since))}"


def _node(act: Act | None) -> ActionNode | None:
    return None if act is None else action_node(act.state)
