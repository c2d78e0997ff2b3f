"""How many actions began when, by state: bars as SVG, each a link that narrows to its time. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lineage.graph import ActionNode
from ui import kinds, words

WIDTH, HEIGHT, FOOT = 1080, 74, 16
BARS = 72
_SIZES = [
    n * unit
    for unit, numbers in (
        (words.SECOND, (1, 5, 15, 30)),
        (words.MINUTE, (1, 5, 15, 30)),
        (words.HOUR, (1, 3, 6, 12)),
        (words.DAY, (1, 2, 7, 14, 30, 90, 180, 365)),
    )
    for n in numbers
]
ORDER = ("failed", "canceled", "running", "unknown", "complete")
"""From the ground up: what needs a look stands where one can compare it."""


@dataclass(frozen=True, slots=True)
class Bar:
    since: int
    until: int
    counts: tuple[tuple[str, int], ...]

    @property
    def height(self) -> int:
        return sum(count for _, count in self.counts)


def bars(actions: Sequence[ActionNode], since: int | None, until: int | None) -> list[Bar]:
    """Whole hours, days … of the time asked for, else of the time in which there are any."""
    if not actions:
        return []
    times = [action.started for action in actions]
    first = min(times) if since is None else since
    last = max(times) if until is None else max(until - 1, first)
    size = next((s for s in _SIZES if (last - first) / s < BARS - 1), None)
    if size is None:
        size = -(-(last - first) // (BARS - 1) // (365 * words.DAY)) * 365 * words.DAY
    begin = first // size * size
    counts: dict[int, Counter[str]] = {n: Counter() for n in range((last - begin) // size + 1)}
    for action in actions:
        place = (action.started - begin) // size
        if place in counts:
            counts[place][kinds.state(action.state)] += 1
    return [
        Bar(begin + n * size, begin + (n + 1) * size,
            tuple((state, found[state]) for state in ORDER if found[state]))
        for n, found in counts.items()
    ]  # fmt: skip


def histogram(found: Sequence[Bar], href: Callable[[int, int], str]) -> Markup:
    """The bars; what failed is marked by a cross above its bar as well."""
    most = max(bar.height for bar in found)
    step = WIDTH / max(len(found), 12)
    out = Markup('<path class="c-grid" d="M0 {}.5H{}"/>').format(HEIGHT, WIDTH)
    for n, bar in enumerate(found):
        out += _bar(bar, round(n * step, 1), round(max(step - 2, 2), 1), most, href)
    out += _ends(found, round(step * len(found), 1))
    says = f"Actions by the time they began, from {words.utc(found[0].since)} to "
    return Markup(
        '<svg class="histogram" viewBox="0 0 {} {}" width="{}" height="{}" role="group" '
        'aria-label="{}">{}</svg>'
    ).format(WIDTH, HEIGHT + FOOT, WIDTH, HEIGHT + FOOT, says + words.utc(found[-1].until), out)


def _bar(bar: Bar, x: float, width: float, most: int, href: Callable[[int, int], str]) -> Markup:
    if not bar.height:
        return Markup("")
    said = ", ".join(f"{count:,} {state}" for state, count in bar.counts)
    out, y = Markup(""), float(HEIGHT)
    for state, count in bar.counts:
        tall = round(max(2.0, count / most * (HEIGHT - 14)), 1)
        y = round(y - tall, 1)
        out += Markup('<rect class="h-{}" x="{}" y="{}" width="{}" height="{}"/>').format(
            state, x, y, width, tall
        )
    if dict(bar.counts).get("failed"):
        middle = round(x + width / 2, 1)
        out += Markup('<path class="h-cross" d="M{} {}l5 5m0-5l-5 5"/>').format(
            round(middle - 2.5, 1), round(y - 9, 1)
        )
    return Markup(
        '<a href="{}"><title>{} – {}: {}</title><rect class="f-hit" x="{}" y="0" width="{}" '
        'height="{}"/>{}</a>'
    ).format(
        href(bar.since, bar.until), words.utc(bar.since), words.utc(bar.until), said, x, width,
        HEIGHT, out,
    )  # fmt: skip


def _ends(found: Sequence[Bar], end: float) -> Markup:
    """Days for long times, hours for short ones, at the beginning and at the end."""
    long = found[-1].until - found[0].since > 2 * words.DAY
    show = words.day if long else words.utc
    out = Markup('<text class="c-tick" x="0" y="{}">{}</text>').format(
        HEIGHT + FOOT - 2, show(found[0].since)
    )
    return out + Markup('<text class="c-tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
        end, HEIGHT + FOOT - 2, show(found[-1].until)
    )
