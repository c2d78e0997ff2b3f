"""What differs between two artifacts, actions or slots, with everything behind them.

Only what differs is listed, of the rest how much is the same. Seen from the other end it is
the same answer with `a` and `b` exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lineage.queries.comparing.differences import Name, Section, sections
from lineage.queries.comparing.heads import Head, before, head
from lineage.queries.comparing.sides import side
from lineage.store.ports import Reader


@dataclass(frozen=True, slots=True)
class Diff:
    a: Head
    b: Head
    sections: Mapping[Name, Section]
    truncated: bool

    @property
    def same(self) -> bool:
        return not any(section.items for section in self.sections.values())

    def json(self) -> dict[str, Any]:
        return {
            "a": self.a.json(),
            "b": self.b.json(),
            "same": self.same,
            "truncated": self.truncated,
            "sections": [
                {"section": name, "items": [i.json() for i in section.items], "same": section.same}
                for name, section in self.sections.items()
            ],
        }


def diff(reader: Reader, a: str, b: str | None = None, max_nodes: int = 2000) -> Diff:
    """From `a` to `b`; without `b`, to `a` from what came before it."""
    later = head(reader, a if b is None else b)
    earlier = before(reader, later) if b is None else head(reader, a)
    one = side(earlier.reader, earlier.id, max_nodes)
    two = side(later.reader, later.id, max_nodes)
    return Diff(earlier, later, sections(one, two), one.truncated or two.truncated)
