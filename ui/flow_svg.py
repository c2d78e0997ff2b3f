"""The Flow page's picture: controllers as cards, between them what passes, placed by Graphviz.

What passes stands in a box of its own between two cards, so that its words never lie on a
line. Drawn with classes only: the page's style sheet colours it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from lineage.queries.flowing.acts import Who
from ui import kinds, links, svg, words
from ui.draw import PAD, Places, Point
from ui.flowing import Card, Flowing, Wire
from ui.layout import Arrow, Layout, fit, measure

MOST = 80
"""Links that are drawn; the page says how many more there are."""
MARKS = {
    "taken": "taken", "running": "running", "failed": "failed", "waiting": "waiting",
    "skipped": "skipped", "nothing": "nothing", "made": "taken",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """A box as `ui.dot.skeleton` wants it."""

    id: str
    of: Card | Wire
    title: str
    second: str
    width: int
    height: int


def picture(flow: Flowing, now: int, chosen: str, ask: Mapping[str, object]) -> svg.Picture:
    """The cards that anything passes between. `ask`: what the links keep of the address."""
    wires = flow.wires[:MOST]
    linked = {who for wire in wires for who in wire.link[:2]}
    cards = {c.who: _card(f"c{n}", c, now) for n, c in enumerate(flow.cards) if c.who in linked}
    labels = [_wire(f"w{n}", wire) for n, wire in enumerate(wires)]
    arrows = [arrow for label in labels for arrow in _arrows(label, cards)]
    layout = Layout((*cards.values(), *labels), tuple(arrows))  # type: ignore[arg-type]
    places = svg.place(layout)
    drawn = Markup("").join(_curve(arrow, places) for arrow in arrows)
    drawn += Markup("").join(
        _box(shape, places.centres[shape.id], chosen, ask) for shape in (*cards.values(), *labels)
    )
    width, height = round(places.width + 2 * PAD), round(places.height + 2 * PAD)
    whole = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="group" aria-label="Who feeds '
        'whom; the tables below say the same" width="{}" height="{}" viewBox="{} {} {} {}">{}</svg>'
    ).format(width, height, -PAD, -PAD, width, height, drawn)
    return svg.Picture(whole, width, height)


def mark(state: str, x: float = 0, y: float = 0) -> Markup:
    """A state as a shape of 12 by 12, told apart without its colour."""
    inside = {
        "taken": '<circle cx="6" cy="6" r="4.5"/>',
        "running": '<circle cx="6" cy="6" r="4.2" fill="none"/><path d="M6 1.8a4.2 4.2 0 0 1 0 8.4Z"/>',
        "failed": '<path d="M2.2 2.2l7.6 7.6M9.8 2.2l-7.6 7.6" fill="none"/>',
        "waiting": '<circle cx="6" cy="6" r="4.2" fill="none" stroke-dasharray="2.4 1.8"/>',
        "skipped": '<path d="M2.5 6h7" fill="none"/>',
        "nothing": '<circle cx="6" cy="6" r="1.2"/>',
    }[MARKS.get(state, "nothing")]
    return Markup('<g class="f-mark f-{}" transform="translate({} {})">{}</g>').format(
        MARKS.get(state, "nothing"),
        x,
        y,
        Markup(inside),  # noqa: S704  # our own constants
    )


def _card(id_: str, card: Card, now: int) -> Shape:
    title = fit(card.name.rpartition("/")[2] or card.name, 190, 13)
    ago = f"last {words.ago(card.last.started, now)}" if card.last else "only parts of others"
    second = fit(" · ".join(t for t in (card.types, card.every or ago) if t), 210, 11)
    wide = max(measure(title, 13), measure(second, 11), 46 * len(card.states))
    return Shape(id_, card, title, second, max(140, round(wide) + 34), 68)


def _wire(id_: str, wire: Wire) -> Shape:
    word = kinds.kind(wire.link.type).word
    title = fit(" ".join(t for t in (word, wire.what) if t), 150, 11)
    counts = sum(22 + 7 * len(f"{count:,}") for _, count in wire.counts)
    wide = max(measure(title, 11) + 30, counts + 16)
    return Shape(id_, wire, title, "", round(wide) + 14, 42)


def _arrows(label: Shape, cards: Mapping[Who, Shape]) -> tuple[Arrow, Arrow]:
    wire = label.of
    assert isinstance(wire, Wire)
    source, target = (cards[who].id for who in wire.link[:2])
    return (
        Arrow(source, label.id, wire.newest, "out"),
        Arrow(label.id, target, wire.newest, "in"),
    )


def _curve(arrow: Arrow, places: Places) -> Markup:
    points = places.curves.get((arrow.source, arrow.target))
    if not points:
        return Markup("")
    (x, y), *rest = points
    steps = " ".join(f"{a:.1f} {b:.1f}" for a, b in rest)
    head = Markup("")
    if arrow.says == "in":
        head = Markup('<path class="g-head" d="M{:.1f} {:.1f}l-7-3.4v6.8Z"/>').format(*points[-1])
    return Markup(
        '<g class="f-link f-{}"><path class="g-edge" fill="none" d="M{:.1f} {:.1f}C{}"/>{}</g>'
    ).format(arrow.style, x, y, steps, head)


def _box(shape: Shape, centre: Point, chosen: str, ask: Mapping[str, object]) -> Markup:
    x, y = round(centre[0] - shape.width / 2, 1), round(centre[1] - shape.height / 2, 1)
    of = shape.of
    if isinstance(of, Card):
        href = links.page("/activity", controller=of.who[2], namespace=of.who[1])
        body, says, css = _card_body(shape, of), _card_says(of), "f-card"
    else:
        href = links.page("/flow", **{**ask, "edge": of.key}) + "#passes"
        css = f"f-wire f-{of.newest} t-{kinds.kind(of.link.type).slug}"
        css += " f-chosen" if of.key == chosen else ""
        body, says = _wire_body(shape, of), _wire_says(of)
    return Markup(
        '<a href="{}"><g class="{}" transform="translate({} {})"><title>{}</title>{}</g></a>'
    ).format(href, css, x, y, says, body)


def _card_body(shape: Shape, card: Card) -> Markup:
    out = Markup('<rect class="g-box g-card" x=".5" y=".5" width="{}" height="{}" rx="6"/>').format(
        shape.width - 1, shape.height - 1
    )
    out += Markup(
        '<text class="g-ink" x="14" y="22" font-size="13" font-weight="600">{}</text>'
        '<text class="g-muted" x="14" y="39" font-size="11">{}</text>'
    ).format(shape.title, shape.second)
    at = 14
    for state, count in card.states:
        name = kinds.state(state)
        out += Markup(
            '<g class="s-{}"><path class="g-icon" transform="translate({} 47) scale(.8)" d="{}" '
            'fill="none" stroke-width="1.6"/><text class="f-count" x="{}" y="57.5" '
            'font-size="11.5">{:,}</text></g>'
        ).format(name, at, kinds.ICONS[name], at + 17, count)
        at += 32 + 7 * len(f"{count:,}")
    return out


def _wire_body(shape: Shape, wire: Wire) -> Markup:
    slug = kinds.kind(wire.link.type).slug
    out = Markup(
        '<rect class="g-box g-pill" x=".5" y=".5" width="{}" height="{}" rx="8"/>'
        '<path class="g-icon" transform="translate(9 6) scale(.8)" d="{}" fill="none" '
        'stroke-width="1.5"/><text class="g-ink" x="28" y="17" font-size="11">{}</text>'
    ).format(shape.width - 1, shape.height - 1, kinds.ICONS[slug], shape.title)
    at = 10.0
    for state, count in wire.counts:
        out += mark(state, at, 23.5)
        out += Markup(
            '<text class="f-count f-{}" x="{}" y="33.5" font-size="11">{:,}</text>'
        ).format(state, at + 15, count)
        at += 22 + 7 * len(f"{count:,}")
    return out


def _card_says(card: Card) -> str:
    said = ", ".join(f"{count:,} {state}" for state, count in card.states)
    return words.middle(words.clean(" — ".join((card.name, said, "show its actions"))), 300)


def _wire_says(wire: Wire) -> str:
    said = ", ".join(f"{count:,} {state}" for state, count in wire.counts)
    usually = f" — usually after {wire.usually}" if wire.usually else ""
    return f"{wire.source} → {wire.target}: {said}{usually} — show what passed"
