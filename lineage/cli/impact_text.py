"""The answer of `/impact` as text of rich: pure, prints nothing."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lineage.cli.target import clean
from ui import words

View = dict[str, Any]

MAX_PERIODS = 10
MAX_NAMES = 5
_MOST_STEPS = 9


def draw(answer: View) -> Group:
    parts: list[RenderableType] = [_head(answer)]
    slots = answer["slots"]
    served = sum(1 for slot in slots if slot["serving"])
    told = f"{served} serving now" if answer["as_of"] is None else f"{served} serving then"
    parts.append(Text("\n").append("Slots", "bold").append(f"  {told}, {len(slots)} in all", "dim"))
    for slot in slots:
        parts.append(Padding(_slot(slot), (0, 0, 0, 2)))
    if not slots:
        parts.append(Text("  none served what came of it", "dim"))
    parts += [*_rest(answer)]
    if answer["truncated"]:
        parts.append(Text("\nMore came of it than was looked at; --max-nodes raises the limit.",
                          "yellow"))  # fmt: skip
    return Group(*parts)


def _head(answer: View) -> Text:
    first, count = answer["of"]["items"][0], answer["of"]["count"]
    version = "all versions" if count > 1 else words.version(first.get("version"))
    return Text.assemble(
        (clean(first["name"]), "bold"),
        "  ", (clean(" ".join(filter(None, (first["type"], version)))), "dim"),
        "" if answer["as_of"] is None else (f"  as of {answer['as_of']}", "yellow"),
    )  # fmt: skip


def _slot(slot: View) -> Group:
    mark, style = ("●", "green") if slot["serving"] else ("○", "dim")
    if not slot["periods"]:
        mark, style = "○", "yellow"
    where = "/".join(part for part in (slot["cluster"], slot["namespace"]) if part)
    head = Text.assemble(
        (mark, style), " ", (clean(slot["name"]), "bold"), "  ", (clean(where), "dim")
    )
    if slot["claimed"]:
        head.append("  claimed only", "yellow")
    return Group(head, Padding(_periods(slot), (0, 0, 0, 2)), Padding(_path(slot), (0, 0, 0, 2)))


def _periods(slot: View) -> Table:
    out = Table.grid(padding=(0, 2))
    periods = slot["periods"][::-1]
    for period in periods[:MAX_PERIODS]:
        models = ", ".join(model["name"] for model in period["models"])
        until = Text("now", "green") if period["until"] is None else Text(period["until"])
        out.add_row(Text(period["since"]), Text("–", "dim"), until, Text(clean(models)),
                    Text(clean(f"{period['action']['type']} {period['action']['name']}"), "dim"))  # fmt: skip
    if len(periods) > MAX_PERIODS:
        out.add_row(Text(f"and {len(periods) - MAX_PERIODS} before", "yellow"))
    if not periods:
        out.add_row(Text("said to be put there; nothing that was seen says so", "dim"))
    return out


def _path(slot: View) -> Text:
    out = Text()
    steps = slot["path"]
    if len(steps) > _MOST_STEPS:
        steps = [*steps[:4], None, *steps[-4:]]
    for step in steps:
        if out:
            out.append(" → ", "yellow" if step and step["claimed"] else "dim")
        if step is None:
            out.append(f"… {len(slot['path']) - 8} more …", "dim")
        else:
            name = f"{step['type']} {step['name']}" if step["kind"] == "action" else step["name"]
            out.append(clean(name), "dim" if step["kind"] == "action" else "")
    return out


def _rest(answer: View) -> list[RenderableType]:
    found = [("Model", answer["models"])] if answer["models"]["count"] else []
    found += [(one["type"], one) for one in answer["artifacts"]]
    found += [(one["type"], one) for one in answer["actions"]]
    if not found:
        return []
    out = Table.grid(padding=(0, 2))
    for justify in ("right", "left", "left"):
        out.add_column(justify=justify, overflow="fold")
    for type_, some in found:
        names = ", ".join(clean(item["name"]) for item in some["items"][:MAX_NAMES])
        more = some["count"] - min(MAX_NAMES, len(some["items"]))
        out.add_row(Text(str(some["count"])), Text(clean(type_)),
                    Text(names, "dim").append(f", and {more} more" if more else "", "dim"))  # fmt: skip
    return [Text("\nAlso", "bold"), Padding(out, (0, 0, 0, 2))]
