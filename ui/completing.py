"""What can be written in the field of the selection: fields with the values they have in this
graph, and the things that stand in it. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from lineage.graph import ActionNode, Node
from lineage.queries.terms import FIELDS
from ui import kinds, names, words

MOST = 200
LONGEST = 300
"""Nobody reads a longer one in a list; it can still be typed."""
# Blanks and brackets part words, a plus at an end means steps, and some words mean something.
_QUOTED = re.compile(r"[\s()]|^\d*\+|\+\d*$|^(?:and|or|not)$", re.IGNORECASE)


def completions(whole: Iterable[Node], shown: Iterable[Node]) -> list[tuple[str, str]]:
    """(what is written, what it is): of the whole graph the fields, the most frequent first, and
    of what is shown the references."""
    counts = Counter(field for node in whole for field in _fields(node))
    found = {
        f"{name}:{_quoted(value)}": words.count(count, "node")
        for (name, value), count in counts.most_common()
        if _can_be_written(value)
    }
    for node in shown:
        text = _reference(node)
        if _can_be_written(text):
            found.setdefault(_quoted(text), _called(node))
    return list(found.items())[:MOST]


def _fields(node: Node) -> Iterator[tuple[str, str]]:
    action = isinstance(node, ActionNode)
    yield "kind", "action" if action else "artifact"
    yield "type", node.type
    if isinstance(node, ActionNode):
        yield "state", node.state
        yield "controller", f"{node.namespace}/{node.controller}"
        yield "namespace", node.namespace


def _reference(node: Node) -> str:
    if isinstance(node, ActionNode):
        return node.key
    return node.uri + (f"@{node.version}" if node.version else "")


def _called(node: Node) -> str:
    if isinstance(node, ActionNode):
        return words.middle(words.clean(names.act(node)), 60)
    return f"{kinds.kind(node.type).word} {words.middle(names.title(node), 50)}"


def _can_be_written(text: str) -> bool:
    return 0 < len(text) <= LONGEST and '"' not in text


def _quoted(text: str) -> str:
    field = text.partition(":")[0].lower() in FIELDS
    return f'"{text}"' if field or _QUOTED.search(text) else text
