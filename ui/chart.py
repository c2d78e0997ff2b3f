"""Numbers across versions as a line chart: SVG made here, coloured by the page's style sheet. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ui import words

WIDTH, HEIGHT = 760, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 132, 12, 26
MOST = 5
"""Lines in all; the table beside them has all the numbers."""
ALIKE = 20
"""How much larger one measure may be than another of the same chart."""
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4")


@dataclass(frozen=True, slots=True)
class Point:
    """One version: what it is called, where it leads, and its numbers by measure."""

    name: str
    href: str
    values: Mapping[str, float]
    current: bool = False


def charts(points: Sequence[Point], measures: Sequence[str]) -> list[Markup]:
    """One line a measure; measures of very different size in charts of their own, as beside
    thousands of tokens every accuracy is zero. Empty where there is nothing to compare."""
    shown = [m for m in measures if sum(m in p.values for p in points) > 1][:MOST]
    groups: list[tuple[float, list[str]]] = []
    for measure in shown:
        size = max(abs(p.values[measure]) for p in points if measure in p.values)
        for other, group in groups:
            if max(size, other) <= ALIKE * min(size, other) or size == other:
                group.append(measure)
                break
        else:
            groups.append((size, [measure]))
    return [chart(points, group) for _, group in groups]


def chart(points: Sequence[Point], shown: Sequence[str]) -> Markup:
    """A line for each of these measures, the oldest left."""
    low, high, step = scale([p.values[m] for p in points for m in shown if m in p.values])
    frame = _Frame(len(points), low, high)
    out = _grid(frame, low, high, step) + _ticks(frame, points)
    for n, measure in enumerate(shown):
        out += _line(frame, points, measure, n)
    out += _labels(frame, points, shown)
    says = f"{', '.join(shown)} across {len(points)} versions; the table says the same"
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" width="{}" height="{}" role="group" aria-label="{}">'
        "{}</svg>"
    ).format(WIDTH, HEIGHT, WIDTH, HEIGHT, words.clean(says), out)


def scale(values: Sequence[float]) -> tuple[float, float, float]:
    """Round numbers around the values: the lowest, the highest, and the step between lines."""
    low, high = min(values), max(values)
    span = high - low or abs(high) or 1.0
    rough = span / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= rough * 0.999)
    if high == low:
        return low - 2 * step, high + 2 * step, step
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


@dataclass(frozen=True, slots=True)
class _Frame:
    count: int
    low: float
    high: float

    def x(self, n: int) -> float:
        room = WIDTH - LEFT - RIGHT
        return round(LEFT + (room / 2 if self.count == 1 else room * n / (self.count - 1)), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _grid(frame: _Frame, low: float, high: float, step: float) -> Markup:
    out = Markup("")
    for n in range(round((high - low) / step) + 1):
        value = low + n * step
        y = frame.y(value)
        out += Markup(
            '<path class="c-grid" d="M{} {}H{}"/><text class="c-tick" x="{}" y="{}" '
            'text-anchor="end">{}</text>'
        ).format(LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 3.5, f"{value:.4g}")
    return out


def _ticks(frame: _Frame, points: Sequence[Point]) -> Markup:
    """The first, the last, the one the page is about: more would lie on each other."""
    out = Markup("")
    for n, point in enumerate(points):
        if point.current:
            x = frame.x(n)
            out += Markup('<path class="c-here" d="M{} {}V{}"/>').format(x, TOP, HEIGHT - BOTTOM)
    here = {n for n, p in enumerate(points) if p.current and 0.12 < n / len(points) < 0.85}
    for n in sorted({0, len(points) - 1} | here):
        anchor = "start" if n == 0 else "end" if n == len(points) - 1 else "middle"
        out += Markup('<text class="c-tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            frame.x(n), HEIGHT - 8, anchor, points[n].name
        )
    return out


def _line(frame: _Frame, points: Sequence[Point], measure: str, number: int) -> Markup:
    places = [
        (frame.x(n), frame.y(p.values[measure]), p)
        for n, p in enumerate(points)
        if measure in p.values
    ]
    steps = " ".join(f"{x} {y}" for x, y, _ in places)
    dash = Markup(' stroke-dasharray="{}"').format(_DASHES[number]) if number else Markup("")
    out = Markup('<path class="c-line c-{}" d="M{}"{}/>').format(number, steps, dash)
    for x, y, point in places:
        says = f"{point.name}: {measure} {words.value(point.values[measure])}"
        out += Markup(
            '<a href="{}" tabindex="{}"><circle class="c-dot c-{}{}" cx="{}" cy="{}" r="{}">'
            "<title>{}</title></circle></a>"
        ).format(
            point.href, 0 if point.current else -1, number, " c-current" if point.current else "",
            x, y, 4.5 if point.current else 3 if len(points) <= 40 else 2, words.clean(says),
        )  # fmt: skip
    return out


def _labels(frame: _Frame, points: Sequence[Point], shown: Sequence[str]) -> Markup:
    """The names of the lines at their ends, pushed apart where they would touch."""
    ends = []
    for n, measure in enumerate(shown):
        last = next(p for p in reversed(points) if measure in p.values)
        ends.append((frame.y(last.values[measure]), n, measure, last.values[measure]))
    out, below = Markup(""), -99.0
    for y, n, measure, value in sorted(ends):
        below = max(y + 4, below + 14)
        out += Markup(
            '<text class="c-name c-{}" x="{}" y="{:.1f}">{} <tspan class="c-value">{}</tspan></text>'
        ).format(n, WIDTH - RIGHT + 12, below, words.middle(words.clean(measure), 14),
                 words.value(value))  # fmt: skip
    return out
