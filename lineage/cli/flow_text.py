"""The answer of `/flow` as text of rich, one line a pass: pure, prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from string import ascii_lowercase
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lineage.cli.target import clean

View = dict[str, Any]
_INDENT = ""  # a column of nothing, and the space after it
Who = tuple[str, ...]

_MARKS = {
    "taken": ("●", "green"), "running": ("◐", "blue"), "failed": ("✗", "red"),
    "waiting": ("○", "yellow"), "skipped": ("–", "dim"), "nothing": ("·", "dim"),
}  # fmt: skip
_STYLES = {"failed": "red", "canceled": "yellow", "running": "blue"}
_UNITS = (
    (31_557_600 * 2, 31_557_600, "y"),
    (86_400 * 2, 86_400, "d"),
    (3600 * 2, 3600, "h"),
    (120, 60, "min"),
    (0, 1, "s"),
)


class Picture:
    """The answer of `/flow` as text. Ages are told from `now`."""

    def __init__(self, answer: View, now: datetime) -> None:
        self._answer = answer
        self._now = now
        whos = [_who(view["controller"]) for view in answer["controllers"]]
        self._names = _names(whos)
        # As things flow, and then those that are in no chain.
        chained = [_who(who) for chain in answer["chains"] for who in chain["controllers"]]
        self._places = {who: n for n, who in enumerate(dict.fromkeys([*chained, *whos]))}

    def draw(self) -> Group:
        parts: list[RenderableType] = [Text("Controllers", "bold"), self._controllers()]
        if self._answer["edges"]:
            parts += [Text("\nWho feeds whom", "bold"), self._edges()]
        else:
            parts.append(Text("\nNone has read what another wrote.", "dim"))
        for chain in self._answer["chains"]:
            parts += [Text("\n") + self._heading(chain), self._passes(chain)]
            if chain["truncated"]:
                more = chain["passes"] - len(chain["rows"])
                parts.append(Text(f"  and {more} before; --limit shows more", "dim"))
        if self._answer["truncated"]:
            parts.append(Text("\nThere are more chains; --namespace narrows them.", "yellow"))
        return Group(*parts)

    def _controllers(self) -> Table:
        table = _table()
        for view in sorted(self._answer["controllers"], key=lambda v: self._place(v["controller"])):
            states = Text()
            for state, count in view["states"].items():
                states.append(", " if states else "").append(
                    clean(f"{count} {state}"), _STYLES.get(state, "")
                )
            if not view["actions"]:
                states.append(f"{view['parts']} parts of other actions", "dim")
            table.add_row(
                _INDENT,
                Text(self._name(view["controller"])),
                Text(clean(", ".join(view["types"])), "dim"),
                states,
                Text(f"every {span(86_400 / view['per_day'])}" if view["per_day"] else "", "dim"),
                self._last(view),
                self._reach(view),
            )
        return table

    def _last(self, view: View) -> Text:
        last = view["last"]
        if last is None:
            return Text()
        return Text(clean(f"last {self._ago(last['started_at'])}"), _STYLES.get(last["state"], ""))

    def _reach(self, view: View) -> Text:
        if not view["truncated"]:
            return Text()
        return Text(f"only the latest {view['actions'] + view['parts']}, since "
                    f"{self._ago(view['since'])}", "dim")  # fmt: skip

    def _edges(self) -> Table:
        table = _table()
        for edge in sorted(self._answer["edges"], key=lambda e: self._place(e["source"])):
            counts = Text()
            for state, count in edge["counts"].items():
                if count:
                    counts.append("  " if counts else "").append(*_MARKS[state])
                    counts.append(f" {count} {state}")
            source, target = self._name(edge["source"]), self._name(edge["target"])
            lag = edge["lag_seconds"]
            table.add_row(
                _INDENT,
                Text(f"{source} → {'itself' if source == target else target}"),
                Text(clean(" ".join(filter(None, (edge["type"], edge["role"])))), "dim"),
                counts,
                Text("" if lag is None else f"usually after {span(lag)}", "dim"),
            )
        return table

    def _heading(self, chain: View) -> Text:
        text = Text()
        for letter, who in _letters(chain["controllers"]):
            text.append(" → " if text else "", "dim").append(letter, "bold cyan").append(" ")
            text.append(self._name(who), "bold")
        told = f"{chain['arrived']} of {chain['passes']} arrived"
        return text.append(f"   {told}", "dim")

    def _passes(self, chain: View) -> Table:
        table = _table()
        for row in chain["rows"]:
            cells: list[Text] = []
            before: View = {}
            coming = any(cell["state"] == "running" for cell in row["cells"])
            for letter, cell in _letters(row["cells"]):
                place = Text.assemble(
                    ("→ " if cells else "", "dim"), (f"{letter}[{row['index']}] ", "cyan")
                )
                cells.append(place + self._cell(cell, before, coming))
                before = cell
            table.add_row(_INDENT, *cells)
        return table

    def _cell(self, cell: View, before: View, coming: bool) -> Text:
        action, state = cell["action"], cell["state"]
        if state == "made":
            age = self._ago(action["started_at"])
            return Text(things(cell["artifacts"])).append(f"  {age}", "dim")
        mark, style = _MARKS[state]
        if action is not None:
            lag = (_time(action["started_at"]) - _time(cell["since"])).total_seconds()
            told = "" if state == "taken" else f"{action['state']} "
            return Text.assemble(
                (mark, style), f" {clean(action['name'])} ", (clean(told), style),
                (f" +{span(max(lag, 0))}", "dim"),
            )  # fmt: skip
        words = state
        if state == "nothing":
            words = "nothing to take"
        elif state == "waiting":
            words = "to come" if coming else "missing"
            if before["action"] is not None and not coming:
                words += f" for {span(self._age(cell['since']))}"
        return Text(f"{mark} {words}", "dim" if coming else style)

    def _place(self, who: View) -> int:
        return self._places[_who(who)]

    def _name(self, who: View) -> str:
        return self._names[_who(who)]

    def _age(self, time: str) -> float:
        return max((self._now - _time(time)).total_seconds(), 0)

    def _ago(self, time: str) -> str:
        return f"{span(self._age(time))} ago"


def span(seconds: float) -> str:
    """`5 min`, `3 h`: one unit is enough to see what is late."""
    size, unit = next((size, unit) for least, size, unit in _UNITS if seconds >= least)
    return f"{seconds // size:.0f} {unit}"


def things(artifacts: Sequence[View]) -> str:
    """`issues.csv@c5c5c5c5`, the first of several by name."""
    if not artifacts:
        return "nothing"
    first = artifacts[0]
    version = (first["version"] or "").rpartition(":")[2]
    name = first["name"] + (f"@{version[:8]}" if version else "")
    return clean(name + (f" and {len(artifacts) - 1} more" if len(artifacts) > 1 else ""))


def _letters(items: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for n, item in enumerate(items):
        yield ascii_lowercase[n] if n < len(ascii_lowercase) else f"z{n}", item


def _names(whos: Sequence[Who]) -> dict[Who, str]:
    """Without the cluster or namespace that all of them share."""
    shared = [len({who[part] for who in whos}) == 1 for part in (0, 1)] + [False]
    return {
        who: clean("/".join(t for t, same in zip(who, shared, strict=True) if t and not same))
        for who in whos
    }


def _who(controller: View) -> Who:
    return controller["cluster"], controller["namespace"], controller["name"]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _table() -> Table:
    """Columns that line up and nothing else; long texts are folded, never cut."""
    return Table.grid(padding=(0, 2, 0, 0))
