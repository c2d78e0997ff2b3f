"""Answers of the API as trees and tables of rich: pure, prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from lineage.cli.target import clean

View = dict[str, Any]
MAX_ENTRIES = 50
STATES = {"complete": "green", "failed": "red", "running": "blue", "canceled": "yellow",
          "agree": "green", "disagree": "yellow"}  # fmt: skip


def action(view: View) -> Tree:
    tree = _root(view.get("name") or view["key"], f"{view['type']} action", view.get("state"))
    where = [view["controller"].get(part) for part in ("cluster", "namespace", "name")]
    _facts(
        tree,
        ("key", view["key"]),
        ("id", view["id"]),
        ("controller", "/".join(part for part in where if part)),
        ("started", view.get("started_at")),
        ("ended", view.get("ended_at")),
        ("by", view.get("by")),
        ("parent", view.get("parent")),
        ("error", view.get("error")),
    )
    for name in ("trigger", "code", "params", "links"):
        _branch(tree, name, (f"{k}: {v}" for k, v in (view.get(name) or {}).items()))
    _branch(tree, "inputs", map(_mention, view["inputs"]))
    _branch(tree, "outputs", map(_mention, view["outputs"]))
    for output in view["outputs"]:
        if output["type"] == "Metrics":
            _branch(tree, "metrics", _measured(output.get("properties") or {}))
    return tree


def artifact(view: View) -> Tree:
    tree = _root(view.get("name") or view["uri"], view["type"], None)
    _facts(tree, ("uri", view["uri"]), ("version", view.get("version")), ("id", view["id"]))
    _branch(tree, "also known as", view.get("aliases") or ())
    _branch(tree, "properties", (f"{k}: {v}" for k, v in (view.get("properties") or {}).items()))
    _branch(tree, "produced by", map(_act, view.get("produced_by") or ()))
    _branch(tree, "read by", map(_act, view.get("read_by") or ()))
    others = [v for v in view.get("versions") or () if v["id"] != view["id"]]
    _branch(
        tree, "other versions", (f"{v.get('version') or 'no version'} ({v['id']})" for v in others)
    )
    return tree


def slot(view: View) -> Tree:
    tree = _root(view["slot"], "slot", view["status"])
    _facts(
        tree,
        ("model", names(view["models"])),
        ("since", view["since"]),
        ("by", _act(view["action"])),
        ("evidence", view["evidence"]),
        ("code", names(view["code"])),
    )
    _branch(tree, "way here", (f"{a['started_at']}: {_act(a)}" for a in view["way"]))
    _branch(tree, "what is said", map(_judged, view["agreement"]))
    _branch(tree, "history", map(_period, view["history"]))
    for training in view["trained_by"]:
        tree.add(Text("trained by", "dim")).add(action(training))
    return tree


def table(slots: Iterable[View]) -> Table:
    """One row a slot; long texts are folded, never cut."""
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Slot", "Model", "Since", "By", "Evidence", "Status"):
        out.add_column(heading, overflow="fold")
    for view in slots:
        status = Text(view["status"], STATES.get(view["status"], ""))
        cells = (view["slot"], names(view["models"]), view["since"], _act(view["action"]),
                 view["evidence"])  # fmt: skip
        out.add_row(*(Text(clean(cell)) for cell in cells), status)
    return out


def periods(views: Iterable[View], still: str = "now") -> Table:
    """One row a period or gap of a slot, what began last first; `still` = it has not ended."""
    out = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("From", "To", "Live", "Version", "By", "Evidence"):
        out.add_column(heading, overflow="fold")
    for view in views:
        version = view["deployment"] and (view["deployment"]["version"] or "")
        cells = (view["since"], view["until"] or still, _held(view), version or "",
                 _act(view["action"]), view["evidence"] or "")  # fmt: skip
        out.add_row(*(Text(clean(cell)) for cell in cells))
    return out


def disagreements(slots: Iterable[View]) -> Iterator[str]:
    for view in slots:
        for said in view["agreement"]:
            if not said["agrees"]:
                yield clean(f"{view['slot']}: {_said(said)}; live is {names(view['models'])}.")


def names(nodes: Iterable[View]) -> str:
    return ", ".join(node["name"] for node in nodes) or "none known"


def _root(name: str, kind: str, state: str | None) -> Tree:
    text = Text.assemble((clean(name), "bold"), "  ", (clean(kind), "dim"))
    if state:
        text.append("  ").append(clean(state), STATES.get(state, ""))
    return Tree(text, guide_style="dim")


def _facts(tree: Tree, *facts: tuple[str, Any]) -> None:
    for name, value in facts:
        if value:
            tree.add(Text.assemble((f"{name}: ", "dim"), clean(value)))


def _branch(tree: Tree, name: str, entries: Iterable[str]) -> None:
    lines = list(entries)
    if not lines:
        return
    branch = tree.add(Text(f"{name} ({len(lines)})", "dim"))
    for line in lines[:MAX_ENTRIES]:
        branch.add(Text(clean(line)))
    if len(lines) > MAX_ENTRIES:
        branch.add(Text(f"and {len(lines) - MAX_ENTRIES} more; --json lists them all", "yellow"))


def _mention(view: View) -> str:
    version = f"@{view['version']}" if view.get("version") else ""
    notes = ", ".join(view[n] for n in ("role", "evidence") if view.get(n))
    return f"{view['type']} {view['uri']}{version}" + (f" ({notes})" if notes else "")


def _measured(properties: View) -> Iterator[str]:
    """`jupyter.precision` and `jupyter.recall` are one line: a reader compares them."""
    lines: dict[str, list[str]] = {}
    for name, value in sorted(properties.items()):
        of, _, measure = name.rpartition(".")
        lines.setdefault(of or measure, []).append(f"{measure} {value}" if of else str(value))
    return (f"{of}: {', '.join(values)}" for of, values in lines.items())


def _act(view: View) -> str:
    state = f", {view['state']}" if view.get("state") not in (None, "complete") else ""
    return f"{view['type']} {view.get('name') or view['key']}{state}"


def _said(view: View) -> str:
    verb = {"claimed": "claims", "committed": "committed"}.get(view["evidence"], "shows")
    held = names(view["models"]) if view["deployment"] else "nothing"
    return f"{_act(view['action'])} {verb} {held} ({view['since']})"


def _judged(view: View) -> str:
    return f"{view['evidence']}: {_said(view)}, {'agrees' if view['agrees'] else 'disagrees'}"


def _period(view: View) -> str:
    return f"{view['since']} – {view['until'] or 'now'}: {_held(view)}, {_act(view['action'])}"


def _held(view: View) -> str:
    if view["deployment"] is None:
        return "nothing"
    share = "" if view["traffic"] in (None, 100) else f" {view['traffic']:g} %"
    back = f" (rollback to {view['back_to']['since']})" if view["rollback"] else ""
    return names(view["models"]) + share + back
