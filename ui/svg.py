"""The only door to Graphviz: runs it, bounded in time and output, and translates its failures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from graphviz.backend import dot_command
from markupsafe import Markup

from lineage.errors import RenderError
from lineage.graph import Graph
from ui import draw as drawing
from ui.dot import MANY, dot, skeleton
from ui.fold import Folded
from ui.layout import Layout, lay

Format = Literal["svg", "png", "dot"]
TIMEOUT = 10.0
"""Seconds. A graph that takes longer is too large to be read."""
MOST = 64 * 1024 * 1024
"""Bytes of output; a PNG of 2000 nodes has about a tenth of it."""
_DPI = 144
_LARGE_DPI = 72
"""Of graphs with more than `MANY` nodes: at twice that, 500 nodes took 3 s and gave 115 megapixels."""


class Picture(NamedTuple):
    """A drawing and its size in pixels."""

    svg: Markup
    width: float
    height: float

    @property
    def snug(self) -> bool:
        """A little too wide for a page: better shrunk a little than scrolled."""
        return 800 < self.width < 1700

    @property
    def scrolls(self) -> bool:
        return self.width >= 1700 or self.height > 700


def draw(
    graph: Graph, format: Format, live: frozenset[str] = frozenset(), link: str | None = "/"
) -> bytes:
    """The graph as a file. `link` is the viewer's base URL, None = nothing is a link.

    Raises:
        RenderError: Graphviz is missing, failed, or took longer than `TIMEOUT`.
    """
    now = time.time_ns() // 1000
    if format == "svg":
        layout = lay(graph, live, now)
        return str(drawing.svg(layout, place(layout), link, file=True)).encode()
    text = dot(graph, live, link, now).encode()
    large = len(graph.nodes) > MANY
    return text if format == "dot" else run(text, "png", _LARGE_DPI if large else _DPI)


def inline(
    folded: Folded, live: frozenset[str], now: int, opens: Callable[[str], str] | None = None
) -> Picture:
    """The graph for a page, coloured by the page's style sheet; `opens` gives the address
    that opens a stack."""
    layout = lay(folded.graph, live, now, folded.stacks, opens)
    places = place(layout)
    return Picture(drawing.svg(layout, places, "/", file=False), places.width, places.height)


def place(layout: Layout) -> drawing.Places:
    """Positions by Graphviz, in pixels from the top left."""
    if not layout.boxes:
        return drawing.Places(0, 0, {}, {})
    return _read(run(skeleton(layout).encode(), "plain").decode())


def run(source: bytes, format: str, dpi: int = _DPI) -> bytes:
    """What `dot` makes of this DOT text; PNG at twice the density of a screen."""
    command = [binary(), *dot_command.command("dot", format)[1:]]
    if format == "png":
        command.append(f"-Gdpi={dpi}")
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
        stdin.write(source)
        stdin.seek(0)
        # The server's environment may hold secrets; Graphviz needs to find its fonts only.
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "LC_ALL")}
        process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=env
        )
        assert process.stdout is not None
        clock = threading.Timer(TIMEOUT, process.kill)
        clock.start()
        try:
            out = process.stdout.read(MOST + 1)
        finally:
            in_time = clock.is_alive()
            clock.cancel()
            process.stdout.close()
            if len(out) > MOST:
                process.kill()
            code = process.wait()
        stderr.seek(0)
        _judge(code, in_time, len(out), stderr.read(500).decode("utf-8", "replace"))
    return out


def binary() -> str:
    """`dot` on PATH, else the one the `graphviz-pure` wheel put beside this Python."""
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("dot") or shutil.which("graphviz-pure")
    found = found or shutil.which("graphviz-pure", path=scripts)
    if found is None:
        raise RenderError(
            "Graphviz is not installed; run `pip install graphviz-pure`, or install your "
            "system's graphviz package. Tables and the formats json and mermaid need neither."
        )
    return found


def _judge(code: int, in_time: bool, size: int, said: str) -> None:
    smaller = "ask for less: a smaller depth, one direction, or a smaller max_nodes"
    if size > MOST:
        raise RenderError(f"The drawing is larger than {MOST >> 20} MiB; {smaller}.")
    if code != 0 and not in_time:
        raise RenderError(f"Graphviz needed longer than {TIMEOUT:.0f} s; {smaller}.")
    if code < 0:
        raise RenderError(f"Graphviz crashed (signal {-code}) on this graph; {smaller}.")
    if code != 0:
        raise RenderError(f"Graphviz failed: {said.strip() or f'exit code {code}'}; {smaller}.")


def _read(plain: str) -> drawing.Places:
    """Graphviz' `plain` format: inches from the bottom left, one line a thing."""
    lines = [line.split() for line in plain.replace("\\\n", "").splitlines()]
    width, height = (float(n) * 72 for n in lines[0][2:4])
    centres, curves = {}, {}

    def point(x: str, y: str) -> drawing.Point:
        return float(x) * 72, height - float(y) * 72

    for line in lines[1:]:
        if line[0] == "node":
            centres[line[1]] = point(line[2], line[3])
        elif line[0] == "edge":
            numbers = line[4 : 4 + 2 * int(line[3])]
            pairs = zip(numbers[::2], numbers[1::2], strict=True)
            curves[line[1], line[2]] = tuple(point(x, y) for x, y in pairs)
    return drawing.Places(width, height, centres, curves)
