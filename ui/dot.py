"""Graph → DOT text. Pure; `ui.svg` runs it.

No text of a record is ever part of DOT's own grammar: node ids are synthetic, texts stand
in HTML labels as escaped XML or in quoted strings with `\\` and `"` escaped, and the only
URLs are those of our own pages (docs/mlmd.md, Graphviz).
"""

from __future__ import annotations

from collections import Counter
from html import escape

from lineage.graph import ActionNode, Graph
from ui import kinds
from ui.layout import Arrow, Box, Layout, lay

MANY = 200
_FAST = "splines=line, nslimit=1, nslimit1=1, mclimit=.3, "
_EDGES = {
    "recorded": 'color="#9a9da5"',
    "inferred": 'color="#9a9da5", style=dashed',
    "same": 'color="#9a9da5", style=dotted, arrowhead=none',
    "claimed": 'color="#c0392b", penwidth=0.8',
}


def dot(graph: Graph, live: frozenset[str], link: str | None, now: int) -> str:
    """The graph as DOT, left to right; `link` is the viewer's base URL (None = no links)."""
    layout = lay(graph, live, now)
    lines = [
        "digraph lineage {",
        f"  graph [{_spacing(layout)}, bgcolor=white, pad=0.3];",
        '  node [fixedsize=true, margin=0, penwidth=1, fontname="Helvetica", fontsize=9];',
        "  edge [arrowsize=0.6, penwidth=1.1, tailport=e, headport=w];",
        *(_node(box, link) for box in layout.boxes),
        *(_edge(arrow) for arrow in layout.arrows),
        "}",
    ]
    return "\n".join(lines) + "\n"


def skeleton(layout: Layout) -> str:
    """Sizes and connections only: all Graphviz needs to place what we draw ourselves."""
    # Without a label Graphviz has no text to measure, which took a third of its time.
    node = 'node [shape=box, fixedsize=true, label=""]'
    lines = [f"digraph {{ graph [{_spacing(layout)}]; {node};"]
    lines += [f"{b.id} [{_size(b)}];" for b in layout.boxes]
    lines += [
        f"{a.source} -> {a.target} [dir=none, tailport=e, headport=w];" for a in layout.arrows
    ]
    lines += [f"{{rank=same; {a} -> {b} [style=invis];}}" for a, b in layout.beside]
    return "\n".join(lines) + "}\n"


def _spacing(layout: Layout) -> str:
    fast = _FAST if len(layout.boxes) > MANY else ""
    sides = [
        *(("out", a.source) for a in layout.arrows),
        *(("in", a.target) for a in layout.arrows),
    ]
    fan = max(Counter(sides).values(), default=0)
    ranks = round(min(0.42 + 0.04 * fan, 0.9), 2)  # wide fans need room to bend
    return f"{fast}rankdir=LR, nodesep=0.22, ranksep={ranks}"


def _size(box: Box) -> str:
    return f"width={box.width / 72:.4f}, height={box.height / 72:.4f}"


def _node(box: Box, link: str | None) -> str:
    attributes = [_size(box), f"tooltip={_quote(box.full)}"]
    if isinstance(box.node, ActionNode):
        colour = kinds.STATE_COLOURS[kinds.state(box.node.state)]
        attributes += ['shape=box, style="rounded,filled", fillcolor="#f6f6f4"']
        calm = box.node.state in ("complete", "unknown")
        line = "#d0d1cd" if calm else colour
        attributes += [f'color="{line}"', f"label=<{_pill(box, colour)}>"]
    else:
        edge = "#3b5bdb" if box.focus else "#d5d6d3"
        attributes += ['shape=box, style="filled", fillcolor=white', f'color="{edge}"']
        attributes += [f"label=<{_card(box)}>"]
    if link is not None:
        attributes += [f"URL={_quote(link.rstrip('/') + box.href)}"]
    return f"  {box.id} [{', '.join(attributes)}];"


def _card(box: Box) -> str:
    colour = box.kind.light
    second = [f'<FONT COLOR="{colour}" POINT-SIZE="8">{_text(box.word)}</FONT>']
    if box.chip:
        chip = f'  <FONT FACE="Courier" COLOR="#4b4e55" POINT-SIZE="8">{_text(box.chip)}</FONT>'
        second.append(chip)
    if box.live:
        second.append('  <FONT COLOR="#2b8a57" POINT-SIZE="8"><B>live</B></FONT>')
    title = f'<FONT COLOR="#1b1c1f" POINT-SIZE="9.5"><B>{_text(box.title)}</B></FONT>'
    cell = title + (" " if box.twin else '<BR ALIGN="LEFT"/>') + "".join(second)
    bar = f'<TD BGCOLOR="{colour}" WIDTH="3" HEIGHT="{box.height - 3}" FIXEDSIZE="true"></TD>'
    body = f'<TD ALIGN="LEFT" BALIGN="LEFT" WIDTH="{box.width - 10}">{cell}</TD>'
    table = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3">'
    return f"{table}<TR>{bar}{body}</TR></TABLE>"


def _pill(box: Box, colour: str) -> str:
    return (
        f'<FONT COLOR="{colour}"><B>{_text(box.title)}</B></FONT>'
        f'<FONT COLOR="#1b1c1f"> {_text(box.word)}</FONT><BR/>'
        f'<FONT COLOR="#6d7078" POINT-SIZE="8">{_text(box.chip)}</FONT>'
    )


def _edge(arrow: Arrow) -> str:
    style = _EDGES[arrow.style]
    return f"  {arrow.source} -> {arrow.target} [{style}, tooltip={_quote(arrow.says)}];"


def _text(text: str) -> str:
    # An HTML label is XML; an empty element would be a syntax error for Graphviz.
    return escape(text, quote=True) or " "


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
