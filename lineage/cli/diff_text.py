"""The answer of `/diff` as text of rich: pure, prints nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from lineage.cli.target import clean
from ui import words

View = dict[str, Any]

MAX_ROWS = 50
_TITLES = {
    "models": "Models", "inputs": "Data and other inputs", "code": "Code",
    "params": "Parameters", "metrics": "Metrics", "images": "Images",
    "actions": "Who acted", "durations": "Took",
}  # fmt: skip
_ONE = {
    "models": "model", "inputs": "input", "code": "commit", "params": "parameter",
    "metrics": "metric", "images": "image", "actions": "action", "durations": "duration",
}  # fmt: skip
_BAR = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"
_NONE = Text("–", "dim")


def draw(answer: View) -> Group:
    parts: list[RenderableType] = [_heads(answer)]
    for section in answer["sections"]:
        if section["items"]:
            parts += [_title(section), _table(section)]
    parts.append(_same(answer))
    if answer["truncated"]:
        parts.append(Text("More stands behind them than was compared; --max-nodes raises "
                          "the limit.", "yellow"))  # fmt: skip
    return Group(*parts)


def _heads(answer: View) -> RenderableType:
    """One slot at two times is named once, above them."""
    heads = [answer["a"], answer["b"]]
    places = {head["node"]["uri"] for head in heads if head["kind"] == "slot"}
    one = len(places) == 1 and all(head["kind"] == "slot" for head in heads)
    out = Table.grid(padding=(0, 2))
    for side, head in zip("ab", heads, strict=True):
        node = head["node"]
        called = f"{node['type']} {node['name']}" if node["kind"] == "action" else node["name"]
        if models := ", ".join(model["name"] for model in head["models"]):
            called = models if one else f"{called}: {models}"
        version = words.version(node.get("version"))
        out.add_row(Text(side, "bold cyan"), Text(clean(called), "bold"),
                    Text(clean(version), "dim"), Text(clean(_when(head)), "dim"))  # fmt: skip
    title = [Text(clean(places.pop()), "dim")] if one else []
    return Group(*title, out)


def _when(head: View) -> str:
    if head["since"] is None:
        return str(head["node"].get("started_at") or "")
    if head["until"] is not None:
        return f"live {head['since']} – {head['until']}"
    return f"live since {head['since']}" + (f", at {head['at']}" if head["at"] else "")


def _title(section: View) -> Text:
    out = Text("\n").append(_TITLES[section["section"]], "bold")
    return out.append(f"  {section['same']} the same", "dim") if section["same"] else out


def _table(section: View) -> RenderableType:
    name, items = section["section"], section["items"][:MAX_ROWS]
    told = name == "params" or len({item.get("of") for item in items}) > 1
    rows = Table.grid(*([Column()] if told else []), padding=(0, 2))
    for justify in ("left", "right", "left", "left", "right", "right", "left"):
        rows.add_column(justify=justify, overflow="fold")
    most = max((abs(item["delta"]) for item in items if "delta" in item), default=0)
    of = ""
    for item in items:
        first = [Text("" if item["of"] == of else clean(item["of"]), "dim")] if told else []
        bar = _bar(item["delta"] / most) if name == "metrics" and item.get("delta") else Text()
        rows.add_row(*first, *_cells(item, name), bar)
        of = item.get("of", "")
        for part in item.get("properties", ()):
            rows.add_row(*_cells(part, name, "  "))
    parts: list[RenderableType] = [rows]
    parts += [Text(_short(item["link"]), "dim") for item in items if "link" in item]
    if len(section["items"]) > len(items):
        more = len(section["items"]) - len(items)
        parts.append(Text(f"and {more} more; --json lists them", "yellow"))
    return Padding(Group(*parts), (0, 0, 0, 2))


def _short(link: str) -> str:
    """Forges find a commit by its first digits as well."""
    return re.sub("[0-9a-f]{40,64}", lambda commit: commit[0][:7], clean(link))


def _cells(item: View, section: str, indent: str = "") -> Iterator[Text]:
    yield Text(indent + clean(item["name"]), "dim" if indent else "")
    yield _value(item["a"], section, item["b"])
    yield Text("→", "dim")
    yield _value(item["b"], section, item["a"])
    yield _delta(item, section)
    relative = item.get("relative")
    yield Text("" if relative is None else f"{_signed(relative * 100, '.3g')}\u00a0%", "dim")


def _value(value: Any, section: str, other: Any) -> Text:
    if value is None:
        return _NONE
    if section == "durations":
        return Text(words.duration(round(value * 1_000_000)))
    if isinstance(value, float):
        return Text(f"{value:.{_places(value, other)}f}" if abs(value) < 1e6 else f"{value:.4g}")
    if not isinstance(value, dict):
        return Text(clean(words.value(value)))
    if value["kind"] == "action":
        return Text(clean(value["name"]))
    return Text(clean(_thing(value, other or {})))


def _thing(value: View, other: View) -> str:
    """What tells it from the other one."""
    told = [words.version(value.get("version"))]
    if other.get("uri") != value["uri"]:
        told.insert(0, value["name"])
    if value.get("path") != other.get("path"):
        told.append(value.get("path") or "")
    if value.get("dirty"):
        told.append("dirty")
    return " ".join(filter(None, told)) or "no version"


def _places(*values: Any) -> int:
    """Decimals, two at least, that show four digits of each."""
    written = [f"{v:.4g}" for v in values if isinstance(v, float)]
    return max(2, *(len(w.partition(".")[2]) for w in written if "e" not in w), 0)


def _delta(item: View, section: str) -> Text:
    delta = item.get("delta")
    if delta is None:
        return Text()
    if section == "durations":
        return Text(("+" if delta > 0 else "−") + words.duration(round(abs(delta) * 1_000_000)))
    form = f".{_places(item['a'], item['b'], delta)}f" if abs(delta) >= 1e-4 else ".2g"
    return Text(_signed(delta, form), _colour(delta) if section == "metrics" else "")


def _signed(number: float, form: str) -> str:
    """With a minus as wide as the plus, so that columns stand."""
    text = f"{abs(number):,}" if isinstance(number, int) else f"{abs(number):{form}}"
    return ("+" if number > 0 else "−") + text


def _colour(delta: float) -> str:
    return "green" if delta > 0 else "red"


def _bar(share: float) -> Text:
    """As long as the change is large beside the largest one."""
    eighths = max(1, round(abs(share) * _BAR * 8))
    return Text("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip(), _colour(share))


def _same(answer: View) -> Text:
    alike = [s for s in answer["sections"] if s["same"] and (answer["same"] or not s["items"])]
    told = ", ".join(words.count(s["same"], _ONE[s["section"]]) for s in alike)
    if answer["same"]:
        return Text("\nNothing differs", "green").append(
            f"; compared: {told}" if told else "", "dim"
        )
    return Text(f"\nThe same: {told}" if told else "", "dim")
