"""A difference as rows for a page: what stood on either side, and by how much it changed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lineage.graph import ActionNode
from lineage.queries.comparing.differences import Item, Name, Section
from lineage.queries.comparing.heads import Head
from ui import kinds, links, names, words
from ui.judged import judged

TITLES: Mapping[Name, str] = {
    "models": "Models", "inputs": "Data and other inputs", "code": "Code",
    "params": "Parameters", "metrics": "Metrics", "images": "Images",
    "actions": "Who acted", "durations": "Took",
}  # fmt: skip
ONE: Mapping[Name, str] = {
    "models": "model", "inputs": "input", "code": "commit", "params": "parameter",
    "metrics": "metric", "images": "image", "actions": "action", "durations": "duration",
}  # fmt: skip
MOST = 100
"""Rows of a section; the page says how many more there are."""
_DIGEST = re.compile("[0-9a-f]{40,64}")


@dataclass(frozen=True, slots=True)
class Value:
    """One side. `slug` names the icon of a thing; empty `text` = not there."""

    text: str
    title: str = ""
    href: str = ""
    slug: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """`share` of the largest change of its section, with its sign."""

    name: str
    of: str
    a: Value
    b: Value
    delta: str = ""
    relative: str = ""
    share: float = 0.0
    judged: str = ""
    """ok | bad, where it is known whether more of it is better."""
    link: str | None = None
    range: str = ""
    part: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    name: Name
    title: str
    rows: tuple[Row, ...]
    more: int
    same: str
    bars: bool
    several: bool
    """Whether the rows belong to more than one thing, so that each has to say to which."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two is called, and when it was."""

    kind: str
    slug: str
    title: str
    chip: str
    href: str
    ref: str
    since: int | None
    until: int | None


def side(head: Head) -> Side:
    node, period = head.node, head.period
    # What was found as "the one before" has no reference of its own, but an id.
    ref = head.id if head.ref.startswith("before ") else head.ref
    if isinstance(node, ActionNode):
        slug = kinds.state(node.state)
        return Side(node.type, slug, names.act(node), "", links.action(node.key), ref,
                    node.started, None)  # fmt: skip
    kind = kinds.kind(node.type)
    title, chip = names.title(node), names.chip(node)
    if period is not None:
        chip = ", ".join(names.short(model) for model in period.models[:2]) or chip
    since, until = (period.since, period.until) if period else (None, None)
    return Side(kind.word, kind.slug, title, chip, links.artifact(node.id), ref, since, until)


def blocks(sections: Mapping[Name, Section]) -> list[Block]:
    """The sections in which anything differs."""
    return [_block(name, section) for name, section in sections.items() if section.items]


def alike(sections: Mapping[Name, Section], all_: bool) -> list[str]:
    """`12 parameters`, of sections in which nothing differs."""
    return [
        words.count(section.same, ONE[name])
        for name, section in sections.items()
        if section.same and (all_ or not section.items)
    ]


def _block(name: Name, section: Section) -> Block:
    items = section.items[:MOST]
    most = max((abs(item.delta) for item in items if item.delta is not None), default=0)
    rows = tuple(row for item in items for row in _rows(name, item, most))
    return Block(
        name,
        TITLES[name],
        rows,
        len(section.items) - len(items),
        words.count(section.same, ONE[name]) if section.same else "",
        name in ("metrics", "durations") and most > 0,
        name == "params" or len({item.of for item in items}) > 1,
    )


def _rows(section: Name, item: Item, most: float) -> Iterator[Row]:
    delta = item.delta
    link = links.external(item.link) if item.link else None
    yield Row(
        words.clean(item.name),
        words.clean(item.of or ""),
        _value(item.a, section, item.b),
        _value(item.b, section, item.a),
        _delta(item, section),
        "" if item.relative is None else f"{_signed(item.relative * 100, '.3g')}\u00a0%",
        delta / most if delta and most else 0.0,
        judged(item.name.rpartition(".")[2], delta) if section == "metrics" else "",
        link,
        _DIGEST.sub(lambda commit: commit[0][:7], link).rpartition("/")[2] if link else "",
    )
    for part in item.properties:
        yield Row(
            words.clean(part.name), "", _value(part.a, section, part.b),
            _value(part.b, section, part.a), _delta(part, section), part=True,
        )  # fmt: skip


def _value(value: Any, section: Name, other: Any) -> Value:
    if value is None:
        return Value("")
    if section == "durations" and isinstance(value, (int, float)):
        return Value(words.duration(round(value * 1_000_000)))
    if isinstance(value, float):
        text = f"{value:.{_places(value, other)}f}" if abs(value) < 1e6 else f"{value:.4g}"
        return Value(text, repr(value))
    if not isinstance(value, dict):
        text = words.clean(words.value(value))
        return Value(text or "empty", str(value))
    if value["kind"] == "action":
        title = f"{value['state']}, {value['started_at']}"
        href, slug = links.action(value["key"]), kinds.state(value["state"])
        return Value(words.clean(f"{value['type']} {value['name']}"), title, href, slug)
    version = value.get("version")
    whole = value["uri"] + (f"@{version}" if version else "")
    told = _told(value, other if isinstance(other, dict) else {})
    return Value(told, whole, links.artifact(value["id"]), kinds.kind(value["type"]).slug)


def _told(value: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """What tells it from the other one."""
    told = [words.version(value.get("version"))]
    if other.get("uri") != value["uri"]:
        told.insert(0, words.clean(value["name"]))
    if value.get("path") != other.get("path"):
        told.append(words.clean(value.get("path") or ""))
    if value.get("dirty"):
        told.append("with local changes")
    return " ".join(filter(None, told)) or "no version"


def _places(*values: Any) -> int:
    """Decimals, two at least, that show four digits of each."""
    written = [f"{v:.4g}" for v in values if isinstance(v, float)]
    return max(2, *(len(w.partition(".")[2]) for w in written if "e" not in w), 0)


def _delta(item: Item, section: Name) -> str:
    delta = item.delta
    if not delta:
        return ""
    if section == "durations":
        return ("+" if delta > 0 else "−") + words.duration(round(abs(delta) * 1_000_000))
    form = f".{_places(item.a, item.b, delta)}f" if abs(delta) >= 1e-4 else ".2g"
    return _signed(delta, form)


def _signed(number: float, form: str) -> str:
    """With a minus as wide as the plus, so that columns stand."""
    text = f"{abs(number):,}" if isinstance(number, int) else f"{abs(number):{form}}"
    return ("+" if number > 0 else "−") + text
