"""What became of a round, and of many together. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .ledger import Book


@dataclass
class Summary:
    """What became of one round."""

    seed: int
    engine: str
    struck: dict[str, int]
    sent: int = 0
    acknowledged: int = 0
    actions: int = 0
    """Keys among the acknowledged reports."""
    damaged: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    made_up: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What else went wrong, in words."""
    recovery: float = 0.0
    """Seconds until all answered again, once nothing was done to it any more."""
    slowest: float = 0.0
    seconds: float = 0.0

    def read(self, book: Book) -> None:
        """The figures of a ledger."""
        self.sent, self.acknowledged = len(book.sent), len(book.acknowledged)
        self.actions = len({report["key"] for report in book.owed.values()})
        self.damaged, self.slowest = len(book.damaged), book.slowest
        self.refused = dict(book.refused)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.made_up or self.complaints)

    def json(self) -> dict[str, Any]:
        return asdict(self)


def total(done: Sequence[Summary]) -> dict[str, Any]:
    """The figures of all rounds together."""
    struck: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for one in done:
        struck.update(one.struck)
        refused.update(one.refused)
    return {
        "rounds": len(done),
        **{name: sum(getattr(one, name) for one in done)
           for name in ("sent", "acknowledged", "actions", "damaged")},
        **{name: sum(len(getattr(one, name)) for one in done)
           for name in ("lost", "doubled", "made_up", "complaints")},
        "refused": dict(refused),
        "faults": dict(sorted(struck.items())),
        "slowest_recovery": round(max((one.recovery for one in done), default=0.0), 2),
        "slowest_answer": round(max((one.slowest for one in done), default=0.0), 2),
        "seconds": round(sum(one.seconds for one in done)),
    }  # fmt: skip


def failure(one: Summary) -> str:
    """What went wrong in a round, and how to see it again."""
    words = [f"Round {one.seed} on {one.engine} failed, struck by {', '.join(one.struck)}:"]
    for name in ("lost", "doubled", "made_up", "complaints"):
        found = getattr(one, name)
        words += [f"  {name.replace('_', ' ')}: {what}" for what in found[:5]]
        words += [f"  … and {len(found) - 5} more"] if len(found) > 5 else []
    words.append(f"  python -m tests.chaos --rounds 1 --engine {one.engine} --seed {one.seed}")
    return "\n".join(words)


def counts(figures: dict[str, Any]) -> str:
    """In a line."""
    return (
        f"{figures['acknowledged']:,} acknowledged, {figures['lost']} lost, "
        f"{figures['doubled']} doubled, {figures['made_up']} made up"
    )
