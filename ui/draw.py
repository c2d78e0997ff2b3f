"""Layout + places → SVG, drawn by us: cards, pills, icons, curves. Pure.

Every shape carries presentation attributes (the light theme) *and* a class, so a file
stands alone while a page's style sheet recolours it; neither needs an inline style.

What is put together here is our own words and numbers, as plain text, because a graph of
2000 nodes has 30,000 pieces; whatever comes from a record passes `_said` on its way in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

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
_FILE_STYLE = (
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
    edges = "".join(
        _arrow(a, places.curves[a.source, a.target])
        for a in layout.arrows
        if (a.source, a.target) in places.curves
    )
    focus = next((b for b in layout.boxes if b.focus), None)
    drawn = ((b, places.centres[b.id]) for b in layout.boxes)
    nodes = "".join(_node(b, centre, link, b is focus, file) for b, centre in drawn)
    size = f'width="{width}" height="{height}"'
    paper = f'<rect class="g-paper" x="{-PAD}" y="{-PAD}" {size} fill="#fbfbfa"/>'
    role = "img" if file else "group"  # a page's has links inside
    whole = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="{role}" '
        'aria-label="Lineage graph; the table below says the same in words" '
        f'{size} viewBox="{-PAD} {-PAD} {width} {height}" font-family="{_said(_SANS)}">'
        f'{_FILE_STYLE + paper if file else ""}<g data-world="">{edges}{nodes}</g></svg>'
    )
    return Markup(whole)  # noqa: S704  # see above: every text was escaped


def _said(text: object) -> str:
    """A text that others wrote, fit to stand between tags and in an attribute."""
    return str(escape(text))


def _node(box: Box, centre: Point, link: str | None, first: bool, file: bool) -> str:
    x, y = round(centre[0] - box.width / 2, 1), round(centre[1] - box.height / 2, 1)
    if isinstance(box.node, Stack):
        inside, slug = _stack(box, box.node), "g-stack"
    elif isinstance(box.node, ActionNode):
        inside, slug = _pill(box, box.node.state), f"s-{kinds.state(box.node.state)}"
    else:
        inside = _twin(box) if box.twin else _card(box)
        slug = f"t-{box.kind.slug}"
    drawn = (
        f'<g class="g-node {slug}{" g-focus" if box.focus else ""}"{"" if file else _data(box)}'
        f' transform="translate({x} {y})"><title>{_said(box.full)}</title>{inside}</g>'
    )
    if first and not file:
        drawn = f'<g id="focus">{drawn}</g>'
    if link is None or not (href := box.href):
        return drawn
    return f'<a href="{_said(link.rstrip("/") + href)}">{drawn}</a>'


def _data(box: Box) -> str:
    """What a page's script needs to know of a node."""
    node = box.node
    said = {"data-id": node.id}
    if isinstance(node, Stack):
        said["data-open"] = box.opens
    else:
        said |= {"data-href": links.lineage(node.id), "data-panel": links.panel(node)}
    pairs = (f' {name}="{_said(value)}"' for name, value in said.items())
    return f' id="{box.id}"' + "".join(pairs)


def _stack(box: Box, stack: Stack) -> str:
    """A card with the edge of another behind it."""
    back = (
        '<path class="g-behind" fill="none" stroke="#d9dad7" '
        f'd="M5 {box.height + 2.5}h{box.width - 7.5}a5 5 0 0 0 5-5V5"/>'
    )
    kind = box.kind
    out = back + _frame(box, radius=6, fill="#ffffff", css="g-card")
    icon = "activity" if stack.action else kind.slug
    out += _icon(icon, 11, 7, "#6d7078" if stack.action else kind.light)
    out += _text(_said(box.title), 33, 18, 12, weight=600)
    return out + _text(_said(box.chip), 33, 32, 10, css="g-muted", fill="#6d7078")


def _card(box: Box) -> str:
    kind = box.kind
    out = _frame(box, radius=6, fill="#ffffff", css="g-card")
    out += (
        f'<path class="g-bar" fill="{kind.light}" d="M3.5 .5H6a3 3 0 0 0-2.5 3v{box.height - 7}'
        'a3 3 0 0 0 2.5 3H3.5a3 3 0 0 1-3-3V3.5a3 3 0 0 1 3-3Z"/>'
    )
    out += _icon(kind.slug, 12, 8, kind.light)
    out += _text(_said(box.title), 34, 19.5, 12.5, weight=600)
    out += _text(_said(box.word), 34, 35, 10.5, css="g-type", fill=kind.light)
    if box.chip:
        at = round(34 + measure(box.word, 10.5) + 7, 1)
        out += _text(_said(box.chip), at, 35, 10.5, css="g-muted g-mono", fill="#6d7078")
    if box.live:
        out += (
            f'<rect class="g-live" x="{box.width - 37}" y="25" width="30" height="14" rx="7" '
            'fill="#dff1e6"/>'
        )
        out += _text("live", box.width - 22, 35, 9.5, "g-live-word", "#1d6f44", 600, "middle")
    return out


def _twin(box: Box) -> str:
    kind = box.kind
    out = _frame(box, radius=13, fill="#ffffff", css="g-card g-small", dash="2 3")
    out += _icon(kind.slug, 8, 6.5, kind.light, scale=0.8)
    out += _text(_said(box.title), 26, 17, 10.5)
    if box.chip:
        at = round(26 + measure(box.title, 10.5) + 5, 1)
        out += _text(_said(box.chip), at, 17, 9.5, css="g-muted g-mono", fill="#6d7078")
    return out


def _pill(box: Box, state: str) -> str:
    name = kinds.state(state)
    colour = kinds.STATE_COLOURS[name]
    calm = name in ("complete", "unknown")
    out = _frame(
        box, radius=box.height / 2, fill="#f4f4f1", css="g-pill", stroke=None if calm else colour
    )
    out += _icon(name, 10, 5, colour, scale=0.8)
    verb = f'<tspan font-weight="600">{_said(box.title)}</tspan> {_said(box.word)}'
    out += _text(verb, 27, 15.5, 11.5)
    return out + _text(_said(box.chip), 27, 28, 10, css="g-muted", fill="#6d7078")


def _frame(
    box: Box, radius: float, fill: str, css: str, stroke: str | None = None, dash: str = ""
) -> str:
    line = "#3b5bdb" if box.focus else stroke or "#d9dad7"
    return (
        f'<rect class="g-box {css}" x=".5" y=".5" width="{box.width - 1}" '
        f'height="{box.height - 1}" rx="{radius}" fill="{fill}" stroke="{line}" '
        f'stroke-width="{1.75 if box.focus else 1}"{_dashed(dash)}/>'
    )


def _dashed(dash: str | None) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


def _icon(slug: str, x: float, y: float, colour: str, scale: float = 1) -> str:
    return (
        f'<path class="g-icon" transform="translate({x} {y}) scale({scale})" '
        f'd="{kinds.ICONS[slug]}" fill="none" stroke="{colour}" stroke-width="1.3" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _text(
    markup: str,
    x: float,
    y: float,
    size: float,
    css: str = "g-ink",
    fill: str = "#1b1c1f",
    weight: int = 400,
    anchor: str = "start",
) -> str:
    family = f' font-family="{_MONO}"' if "g-mono" in css else ""
    return (
        f'<text class="{css}" x="{x}" y="{y}" font-size="{size}" fill="{fill}" '
        f'font-weight="{weight}" text-anchor="{anchor}"{family}>{markup}</text>'
    )


def _arrow(arrow: Arrow, curve: tuple[Point, ...]) -> str:
    colour = "#c0392b" if arrow.style == "claimed" else "#a3a6ad"
    points = list(curve)
    head = ""
    if arrow.style not in ("same", "folded"):
        (x, y), angle = points[-1], _angle(points)
        points[-1] = (x - 5 * math.cos(angle), y - 5 * math.sin(angle))
        head = (
            f'<path class="g-head" fill="{colour}" transform="translate({x:.1f} {y:.1f}) '
            f'rotate({math.degrees(angle):.0f})" d="M0 0L-7 -3.2V3.2Z"/>'
        )
    (x, y), rest = points[0], points[1:]
    steps = " ".join(f"{a:.1f} {b:.1f}" for a, b in rest)
    width = 1 if arrow.style == "claimed" else 1.3
    return (
        f'<g class="g-link e-{arrow.style}" data-from="{arrow.source}" data-to="{arrow.target}">'
        f'<title>{_said(arrow.says)}</title><path class="g-edge" d="M{x:.1f} {y:.1f}C{steps}" '
        f'fill="none" stroke="{colour}" stroke-width="{width}"{_dashed(_DASH.get(arrow.style))}/>'
        f"{head}</g>"
    )


def _angle(points: list[Point]) -> float:
    """The direction in which a curve arrives."""
    (x, y) = points[-1]
    for a, b in reversed(points[:-1]):
        if math.hypot(x - a, y - b) > 0.5:
            return math.atan2(y - b, x - a)
    return 0.0
