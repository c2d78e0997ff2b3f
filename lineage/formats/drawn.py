"""What else an answer can be: JSON, and the pictures somebody who can draw makes of it.

No `FORMAT` here: a picture takes Graphviz, which formats do not know. The server gives
`every` what draws, the command line only asks for names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from lineage.errors import RenderError
from lineage.formats import Detail, Format

if TYPE_CHECKING:
    from lineage.graph import Graph

Picture = Literal["dot", "svg", "png"]
Draw = Callable[[Any, Any], bytes]

_PICTURES: tuple[tuple[Picture, str, tuple[str, ...], str], ...] = (
    ("dot", "text/vnd.graphviz", (".dot", ".gv"), "Graphviz' own language"),
    ("svg", "image/svg+xml", (".svg",), "a picture that scales, with links"),
    ("png", "image/png", (".png",), "a picture"),
)


def every(draw: Draw | None = None) -> Mapping[str, Format]:
    """All formats by name: those of the registry, JSON and the pictures."""
    from lineage.formats import REGISTRY  # made by listing this module among others

    pictures: dict[str, Format] = {
        name: Format(
            name, media, suffixes, says, graph=partial(_drawn, draw or _nobody, name), plain=True
        )
        for name, media, suffixes, says in _PICTURES
    }
    return {**REGISTRY, "json": _JSON, **pictures}


def _drawn(draw: Draw, name: Picture, graph: Graph, _: Detail) -> bytes:
    return draw(graph, name)


def _nobody(graph: Any, name: Any) -> bytes:
    raise RenderError(f"{name} is drawn by the server; ask /api/v1/lineage?format={name}")


def _json(graph: Graph, _: Detail) -> bytes:
    import orjson

    return orjson.dumps(graph.json())


_JSON = Format(
    "json",
    "application/json",
    (".json",),
    "nodes and edges as /api/v1/lineage answers",
    _json,
    plain=True,
)
