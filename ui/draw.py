"""Layout + places → SVG, drawn by us: cards, pills, icons, curves. Pure.

Every shape carries presentation attributes (the light theme) *and* a class, so a file
stands alone while a page's style sheet recolours it; neither needs an inline style.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from lineage.graph import ActionNode
from ui import kinds, links
from ui.fold import Stack
from ui.layout import Arrow, Box, Layout, measure

Point = tuple[float, float]
PAD = 18
_SANS = "system-ui, -apple-system, 'Segoe UI', sans-serif"
_MONO = "ui-monospace, Menlo, Consolas, monospace"
_DASH = {"inferred": "5 4", "same": "1.5 4", "folded": "2 3"}
_DARK_KINDS = "".join(
    f".t-{k.slug} .g-bar,.t-{k.slug} .g-type{{fill:{k.dark}}}.t-{k.slug} .g-icon{{stroke:{k.dark}}}"
    for k in sorted({*kinds.ALL, kinds.kind("Artifact")})
)
_FILE_STYLE = Markup(  # noqa: S704  # made of our own constants only
    "<style>@media (prefers-color-scheme: dark) {"
    ".g-paper{fill:#131417}.g-card{fill:#191b1f}.g-box{stroke:#383b42}.g-pill{fill:#22242a}"
    ".g-ink{fill:#e8e8ea}.g-muted{fill:#9a9da5}.g-edge{stroke:#6d7078}.g-head{fill:#6d7078}"
    ".e-claimed .g-edge{stroke:#f08579}.e-claimed .g-head{fill:#f08579}.g-live{fill:#1b3527}"
    ".g-live-word{fill:#5cc98d}.g-focus .g-box{stroke:#8aa2ff}.s-failed .g-box{stroke:#f08579}"
    f"{_DARK_KINDS}}}</style>"
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where Graphviz put things, y downwards: a centre for each box, a curve for each arrow."""

    width: float
    height: float
    centres: Mapping[str, Point]
    curves: Mapping[tuple[str, str], tuple[Point, ...]]


def svg(layout: Layout, places: Places, link: str | None, *, file: bool) -> Markup:
    """The picture; `file` adds what a page brings itself (background, dark colours)."""
    width, height = round(places.width + 2 * PAD), round(places.height + 2 * PAD)
    edges = Markup("").join(
        _arrow(a, places.curves[a.source, a.target])
        for a in layout.arrows
        if (a.source, a.target) in places.curves
    )
    focus = next((b for b in layout.boxes if b.focus), None)
    drawn = ((b, places.centres[b.id]) for b in layout.boxes)
    nodes = Markup("").join(_node(b, centre, link, b is focus, file) for b, centre in drawn)
    paper = Markup("")
    role = "img" if file else "group"  # a page's has links inside
    if file:
        paper = _FILE_STYLE + Markup(
            '<rect class="g-paper" x="{}" y="{}" width="{}" height="{}" fill="#fbfbfa"/>'
        ).format(-PAD, -PAD, width, height)
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="{}" '
        'aria-label="Lineage graph; the table below says the same in words" '
        'width="{}" height="{}" viewBox="{} {} {} {}" font-family="{}">{}'
        '<g data-world="">{}{}</g></svg>'
    ).format(role, width, height, -PAD, -PAD, width, height, _SANS, paper, edges, nodes)


def _node(box: Box, centre: Point, link: str | None, first: bool, file: bool) -> Markup:
    x, y = round(centre[0] - box.width / 2, 1), round(centre[1] - box.height / 2, 1)
    if isinstance(box.node, Stack):
        inside, slug = _stack(box, box.node), "g-stack"
    elif isinstance(box.node, ActionNode):
        inside, slug = _pill(box, box.node.state), f"s-{kinds.state(box.node.state)}"
    else:
        inside = _twin(box) if box.twin else _card(box)
        slug = f"t-{box.kind.slug}"
    body = Markup('<g class="g-node {}{}"{} transform="translate({} {})"><title>{}</title>{}</g>')
    focus = " g-focus" if box.focus else ""
    data = Markup("") if file else _data(box)
    drawn = body.format(slug, focus, data, x, y, box.full, inside)
    if first and not file:
        drawn = Markup('<g id="focus">{}</g>').format(drawn)
    if link is None or not box.href:
        return drawn
    return Markup('<a href="{}">{}</a>').format(link.rstrip("/") + box.href, drawn)


def _data(box: Box) -> Markup:
    """What a page's script needs to know of a node."""
    node = box.node
    said = {"data-id": node.id}
    if isinstance(node, Stack):
        said["data-open"] = box.opens
    else:
        said |= {"data-href": links.lineage(node.id), "data-panel": links.panel(node)}
    pairs = (Markup(' {}="{}"').format(name, value) for name, value in said.items())
    return Markup(' id="{}"').format(box.id) + Markup("").join(pairs)


def _stack(box: Box, stack: Stack) -> Markup:
    """A card with the edge of another behind it."""
    back = Markup(
        '<path class="g-behind" fill="none" stroke="#d9dad7" d="M5 {}h{}a5 5 0 0 0 5-5V5"/>'
    ).format(box.height + 2.5, box.width - 7.5)
    kind = box.kind
    out = back + _frame(box, radius=6, fill="#ffffff", css="g-card")
    icon = "activity" if stack.action else kind.slug
    out += _icon(icon, 11, 7, "#6d7078" if stack.action else kind.light)
    out += _text(box.title, 33, 18, 12, weight=600)
    return out + _text(box.chip, 33, 32, 10, css="g-muted", fill="#6d7078")


def _card(box: Box) -> Markup:
    kind = box.kind
    out = _frame(box, radius=6, fill="#ffffff", css="g-card")
    out += Markup(
        '<path class="g-bar" fill="{}" d="M3.5 .5H6a3 3 0 0 0-2.5 3v{}a3 3 0 0 0 2.5 3H3.5a3 3 0 0 1-3-3V3.5a3 3 0 0 1 3-3Z"/>'
    ).format(kind.light, box.height - 7)
    out += _icon(kind.slug, 12, 8, kind.light)
    out += _text(box.title, 34, 19.5, 12.5, weight=600)
    out += _text(box.word, 34, 35, 10.5, css="g-type", fill=kind.light)
    if box.chip:
        at = 34 + measure(box.word, 10.5) + 7
        out += _text(box.chip, round(at, 1), 35, 10.5, css="g-muted g-mono", fill="#6d7078")
    if box.live:
        out += Markup(
            '<rect class="g-live" x="{}" y="25" width="30" height="14" rx="7" fill="#dff1e6"/>'
        ).format(box.width - 37)
        out += _text("live", box.width - 22, 35, 9.5, "g-live-word", "#1d6f44", 600, "middle")
    return out


def _twin(box: Box) -> Markup:
    kind = box.kind
    out = _frame(box, radius=13, fill="#ffffff", css="g-card g-small", dash="2 3")
    out += _icon(kind.slug, 8, 6.5, kind.light, scale=0.8)
    out += _text(box.title, 26, 17, 10.5)
    if box.chip:
        at = round(26 + measure(box.title, 10.5) + 5, 1)
        out += _text(box.chip, at, 17, 9.5, css="g-muted g-mono", fill="#6d7078")
    return out


def _pill(box: Box, state: str) -> Markup:
    name = kinds.state(state)
    colour = kinds.STATE_COLOURS[name]
    calm = name in ("complete", "unknown")
    out = _frame(
        box, radius=box.height / 2, fill="#f4f4f1", css="g-pill", stroke=None if calm else colour
    )
    out += _icon(name, 10, 5, colour, scale=0.8)
    verb = Markup('<tspan font-weight="600">{}</tspan> {}').format(box.title, box.word)
    out += _text(verb, 27, 15.5, 11.5)
    return out + _text(box.chip, 27, 28, 10, css="g-muted", fill="#6d7078")


def _frame(
    box: Box, radius: float, fill: str, css: str, stroke: str | None = None, dash: str = ""
) -> Markup:
    line = "#3b5bdb" if box.focus else stroke or "#d9dad7"
    return Markup(
        '<rect class="g-box {}" x=".5" y=".5" width="{}" height="{}" rx="{}" fill="{}" '
        'stroke="{}" stroke-width="{}"{}/>'
    ).format(
        css, box.width - 1, box.height - 1, radius, fill, line, 1.75 if box.focus else 1,
        Markup(' stroke-dasharray="{}"').format(dash) if dash else "",
    )  # fmt: skip


def _icon(slug: str, x: float, y: float, colour: str, scale: float = 1) -> Markup:
    return Markup(
        '<path class="g-icon" transform="translate({} {}) scale({})" d="{}" fill="none" '
        'stroke="{}" stroke-width="1.3" stroke-linecap="round" stroke-linejoin="round"/>'
    ).format(x, y, scale, kinds.ICONS[slug], colour)


def _text(
    text: str,
    x: float,
    y: float,
    size: float,
    css: str = "g-ink",
    fill: str = "#1b1c1f",
    weight: int = 400,
    anchor: str = "start",
) -> Markup:
    family = Markup(' font-family="{}"').format(_MONO) if "g-mono" in css else ""
    return Markup(
        '<text class="{}" x="{}" y="{}" font-size="{}" fill="{}" font-weight="{}" '
        'text-anchor="{}"{}>{}</text>'
    ).format(css, x, y, size, fill, weight, anchor, family, text)


def _arrow(arrow: Arrow, curve: tuple[Point, ...]) -> Markup:
    colour = "#c0392b" if arrow.style == "claimed" else "#a3a6ad"
    points = list(curve)
    head = Markup("")
    if arrow.style not in ("same", "folded"):
        tip, angle = points[-1], _angle(points)
        points[-1] = (tip[0] - 5 * math.cos(angle), tip[1] - 5 * math.sin(angle))
        head = Markup(
            '<path class="g-head" fill="{}" transform="translate({:.1f} {:.1f}) rotate({:.0f})" '
            'd="M0 0L-7 -3.2V3.2Z"/>'
        ).format(colour, *tip, math.degrees(angle))
    (x, y), rest = points[0], points[1:]
    steps = " ".join(f"{a:.1f} {b:.1f}" for a, b in rest)
    dash = _DASH.get(arrow.style)
    return Markup(
        '<g class="g-link e-{}" data-from="{}" data-to="{}"><title>{}</title><path class="g-edge" d="M{:.1f} {:.1f}C{}" '
        'fill="none" stroke="{}" stroke-width="{}"{}/>{}</g>'
    ).format(
        arrow.style, arrow.source, arrow.target, arrow.says, x, y, steps, colour, 1 if arrow.style == "claimed" else 1.3,
        Markup(' stroke-dasharray="{}"').format(dash) if dash else "", head,
    )  # fmt: skip


def _angle(points: list[Point]) -> float:
    """The direction in which a curve arrives."""
    (x, y) = points[-1]
    for a, b in reversed(points[:-1]):
        if math.hypot(x - a, y - b) > 0.5:
            return math.atan2(y - b, x - a)
    return 0.0
