"""The formats of others: one module a format, found by listing this package.

A module that exports `FORMAT` is a format; nothing else names it. Formats are pure: bytes
in or out, no I/O, no clock. They import nothing heavy when they are imported, so that the
base install can read and list them; what writes a graph imports what it needs when called.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lineage.errors import BadRequest

if TYPE_CHECKING:
    from lineage.graph import Graph
    from lineage.merge import ActionState, ArtifactState


@dataclass(frozen=True, slots=True)
class Detail:
    """What a graph's nodes do not carry: all that is known of each, by id.

    `artifacts` holds at least those on the edges of `actions`, even where the graph was cut;
    `measured` for a model the actions that evaluated it, which are seldom in the graph.
    """

    actions: Mapping[str, ActionState]
    artifacts: Mapping[str, ArtifactState]
    measured: Mapping[str, Sequence[ActionState]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Format:
    """One format; each direction is there or None.

    * `graph`: an answer to "where did this come from", as bytes.
    * `each`: one action with the artifacts on its edges, as whole lines (or none). A whole
      store in this format is `head` and the lines of its actions, one after the other.
    * `read`: the records a file holds, as on the wire; `lineage.model` judges them later.
      Raises `InvalidRecord` with the place in the file and the remedy.
    """

    name: str
    media: str
    suffixes: tuple[str, ...]
    """With their dot, the usual one first: `.prov.json`. The longest that fits a name counts."""
    says: str
    graph: Callable[[Graph, Detail], bytes] | None = None
    each: Callable[[ActionState, Mapping[str, ArtifactState]], bytes] | None = None
    read: Callable[[bytes], Iterable[dict[str, Any]]] | None = None
    head: bytes = b""
    lines: str = ""
    """The media type of a whole store, where it is not `media`."""
    plain: bool = False
    """`graph` is content with nodes and edges: it may be given an empty detail."""

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "media": self.media, "suffixes": list(self.suffixes),
                "says": self.says, "graph": self.graph is not None,
                "store": self.each is not None, "import": self.read is not None}  # fmt: skip


def find(name: str, among: Iterable[Format] | None = None) -> Format:
    """The format of that name.

    Raises:
        BadRequest: there is none; lists those there are.
    """
    known = {one.name: one for one in (REGISTRY.values() if among is None else among)}
    if name not in known:
        raise BadRequest(f"format: '{name}' is none of {', '.join(known)}")
    return known[name]


def of_file(name: str, among: Iterable[Format] | None = None) -> Format | None:
    """The format whose suffix a file's name ends in; the longest suffix wins."""
    fits = [
        (len(suffix), one)
        for one in (REGISTRY.values() if among is None else among)
        for suffix in one.suffixes
        if name.lower().endswith(suffix)
    ]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def to_json(document: Any, indent: int | None = None) -> bytes:
    """A document in the one form it has: names sorted, a line break at the end."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(
        document, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=indent,
        separators=separators,
    )  # fmt: skip
    return text.encode() + b"\n"


def _listed() -> Mapping[str, Format]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    found = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
    return MappingProxyType({one.name: one for one in sorted(found, key=lambda f: str(f.name))})


# Last, because the modules import what stands above.
REGISTRY: Mapping[str, Format] = _listed()
"""Every format by its name, in the order of the names."""
