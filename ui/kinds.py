"""What each kind of thing looks like: a word, an icon, a colour class. Pure data.

Icons are our own, drawn as strokes on a 16 × 16 grid, so that one path serves the pages'
symbols and the graph alike. Colour never stands alone: a word goes with it.
"""

from __future__ import annotations

from typing import NamedTuple

ICONS = {
    "out": "M6 3H3v10h3M7 8h7M11 5l3 3-3 3",
    "brand": "M1.5 4.5h3.2c4 0 3.6 7 7.6 7M1.5 11.5h3.2c2 0 2.9-1.7 3.8-3.5M12 8h2.5",
    "live": "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z",
    "lineage": "M3.5 5.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM3.5 13.5a1.5 1.5 0 1 0 0-3"
    " 1.5 1.5 0 0 0 0 3ZM12.5 9.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM5 4c3.5 0 3 4 6 4"
    "M5 12c3.5 0 3-4 6-4",
    "flow": "M2 4.5h8.5M8 2l2.5 2.5L8 7M14 11.5H5.5M8 9l-2.5 2.5L8 14",
    "moon": "M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z",
    "link": "M6.5 9.5l3-3M7 4.5l1.2-1.2a3 3 0 0 1 4.3 4.3L11.3 8.8M9 11.5l-1.2 1.2a3 3 0 0 1-4.3-4.3"
    "L4.7 7.2",
    "compare": "M5 2v12M11 2v12M2.5 5L5 2l2.5 3M8.5 11l2.5 3 2.5-3",
    "activity": "M1.5 8h3l2-5 3.5 10 2-5h2.5",
    "search": "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.5 10.5l3.5 3.5",
    "dataset": "M2.5 4c0-1.1 2.5-2 5.5-2s5.5.9 5.5 2-2.5 2-5.5 2-5.5-.9-5.5-2ZM2.5 4v8"
    "c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2V4M2.5 8c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2",
    "model": "M8 1.8l5.5 3.1v6.2L8 14.2l-5.5-3.1V4.9ZM2.7 5L8 8l5.3-3M8 8v6",
    "code": "M5 4L1.5 8 5 12M11 4l3.5 4-3.5 4M9.2 3L6.8 13",
    "metrics": "M2 14h12M4 14V8.5M8 14V3M12 14V6",
    "image": "M2.5 5h11v8.5h-11ZM4.5 2.5h7M2.5 8.5h11M6.5 8.5v2h3v-2",
    "config": "M2 4.5h6M12 4.5h2M10 6.5v-4M2 11.5h2M8 11.5h6M6 13.5v-4",
    "pullrequest": "M4 6a1.7 1.7 0 1 0 0-3.4A1.7 1.7 0 0 0 4 6ZM4 6v7.5M12 13.5a1.7 1.7 0 1 0"
    " 0-3.4 1.7 1.7 0 0 0 0 3.4ZM12 10V6.5c0-1.4-.8-2-2-2H7.5M9 2.5l-2 2 2 2",
    "slot": "M2 3h12v4H2ZM2 9h12v4H2ZM4.5 5h.1M4.5 11h.1M8 5h3.5M8 11h3.5",
    "notebook": "M4 2h9v12H4ZM2.5 5H5M2.5 8H5M2.5 11H5M7 5.5h3.5",
    "artifact": "M3.5 1.8h6L13 5.2v9H3.5ZM9.3 2v3.4h3.5",
    "complete": "M3 8.5l3.2 3.2L13 4.8",
    "failed": "M4 4l8 8M12 4l-8 8",
    "running": "M8 12.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM8 5.5V8l1.8 1.2",
    "canceled": "M8 13A5 5 0 1 0 8 3a5 5 0 0 0 0 10ZM4.6 4.6l6.8 6.8",
    "unknown": "M6 6.2C6 3.4 10 3.6 10 6c0 1.7-2 1.6-2 3.4M8 12.4v.2",
    "external": "M6.5 3H3v10h10V9.5M9 2.5h4.5V7M13.2 2.8L7.5 8.5",
    "chevron": "M6 4l4 4-4 4",
    "warning": "M8 2L15 14H1ZM8 6.5v3.2M8 11.8v.2",
    "clock": "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8l2.3 1.6",
    "export": "M8 2v7.5M5 6.8l3 3 3-3M2.5 12v1.8h11V12",
}


class Kind(NamedTuple):
    """`slug` names the icon and the colour (CSS class `t-<slug>`)."""

    slug: str
    word: str
    light: str
    """The colour on white, for SVG files and PNG, which have no style sheet; `dark` likewise."""
    dark: str


_KINDS = {
    "dataset": Kind("dataset", "Dataset", "#0072b2", "#5db2e8"),
    "model": Kind("model", "Model", "#d55e00", "#f08b4b"),
    "code": Kind("code", "Code", "#6f5aa8", "#a998e0"),
    "notebook": Kind("notebook", "Notebook", "#6f5aa8", "#a998e0"),
    "metrics": Kind("metrics", "Metrics", "#00805d", "#4fd0a5"),
    "image": Kind("image", "Image", "#2f86b8", "#86c8f0"),
    "config": Kind("config", "Config", "#8a6d00", "#e0c04a"),
    "pullrequest": Kind("pullrequest", "Pull request", "#b8518f", "#e08dc0"),
    "deployment": Kind("slot", "Slot", "#1b1c1f", "#e8e8ea"),
}
ALL = frozenset(_KINDS.values())
STATES = ("complete", "failed", "running", "canceled", "unknown")
STATE_COLOURS = {
    "complete": "#2b8a57",
    "failed": "#c0392b",
    "running": "#3b5bdb",
    "canceled": "#6d7078",
    "unknown": "#6d7078",
}


def kind(type_: str) -> Kind:
    """How artifacts of this type look; a type we do not know keeps its own name."""
    short = type_.rpartition(".")[2] if type_.startswith(("system.", "google.")) else type_
    found = _KINDS.get(short.lower().replace("_", "").replace(" ", ""))
    return found or Kind("artifact", short, "#6d7078", "#a3a6ae")


def state(name: str) -> str:
    return name if name in STATES else "unknown"
