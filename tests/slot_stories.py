"""What happens to slots, and a plain model of it: a list of states, and no cleverness.

A story is a list of steps, each a minute of its own. `reports` is what recorders would send
of it, `told` what must be answered about it. The two share nothing but the steps.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lineage.times import iso, microseconds

from .strategies import EPOCH

VERBS = (
    "roll", "roll", "roll", "back", "again", "canary", "alone", "shift", "promote", "take",
    "commit", "claim", "delete", "fail",
)  # fmt: skip
Record = dict[str, Any]
Share = tuple[str, str, float | None]
"""Version, model, percent (None = all, and nobody said so)."""


@dataclass(frozen=True)
class Step:
    """`live` is what holds the slot from then on; the rest is how it came to be said."""

    minute: int
    verb: str
    key: str
    live: tuple[Share, ...]
    said: tuple[Share, ...]
    evidence: str

    @property
    def at(self) -> int:
        return microseconds(EPOCH + timedelta(minutes=self.minute))


def story(slot: str, seed: int, length: int) -> list[Step]:
    """The same for the same seed."""
    dice = random.Random(f"{slot}/{seed}")
    made, steps, live = 0, list[Step](), tuple[Share, ...]()
    gone: list[tuple[str, str]] = []
    minute = 0
    for number in range(length):
        minute += dice.randint(1, 3)
        verb = dice.choice(VERBS)
        made += 1
        new = (f"v{made}", f"models/{slot[6:]}/{dice.randint(1, 4)}")
        said: tuple[Share, ...] = ()
        evidence = dice.choice(["observed", "reported"])
        main = live[0] if live else None
        if verb == "roll":
            said = ((*new, dice.choice([None, 100])),)
            live = said
        elif verb == "back" and gone:
            old = dice.choice(gone)
            version = dice.choice([old[0], new[0]])  # a revision again, or a new one of the model
            said = live = ((version, old[1], None),)
        elif verb == "again" and live:
            said = live
        elif verb == "canary" and len(live) == 1:
            percent = dice.choice([5, 10, 50])
            said = live = ((*live[0][:2], 100 - percent), (*new, percent))
        elif verb == "alone" and len(live) == 1 and live[0][2] is None:
            said = ((*new, 20),)
            live = ((*live[0][:2], 80), *said)
        elif verb == "shift" and len(live) == 2:
            percent = dice.choice([15, 30, 60])
            said = live = ((*live[0][:2], 100 - percent), (*live[1][:2], percent))
        elif verb == "promote" and len(live) == 2:
            said = ((*live[0][:2], 0), (*live[1][:2], 100))
            live = said[1:]
        elif verb == "take" and len(live) == 2:
            said = ((*live[0][:2], 100), (*live[1][:2], 0))
            live = said[:1]
        elif verb == "delete" and live:
            said, live = ((f"deleted-{made}", "", 0),), ()
        elif verb in ("commit", "claim", "fail"):
            said = ((*new, None),)
            evidence = {"commit": "committed", "claim": "claimed", "fail": "observed"}[verb]
        else:
            continue
        if main is not None and main[:2] not in [one[:2] for one in live]:
            gone.append(main[:2])
        steps.append(Step(minute, verb, f"{slot}/{number}", live, said, evidence))
    return _with_trees(steps)


def _with_trees(steps: list[Step]) -> list[Step]:
    """Until the cluster was first seen, what a commit says is live."""
    out, tree = list[Step](), tuple[Share, ...]()
    seen = False
    for step in steps:
        seen = seen or step.verb not in ("commit", "claim", "fail")
        tree = step.said if step.verb == "commit" else tree
        out.append(step if seen else Step(**{**vars(step), "live": tree}))
    return out


def reports(slot: str, step: Step) -> Iterator[Record]:
    """One act for each version it speaks of, as observers report them."""
    for version, model, percent in step.said:
        name = {"type": "Deployment", "uri": slot, "version": version}
        said = {} if step.evidence == "reported" else {"evidence": step.evidence}
        share = {} if percent is None else {"properties": {"traffic": percent}}
        act: Record = {
            "key": f"{step.key}/{version}",
            "type": "deploy",
            "controller": {"name": "deployer"},
            "started_at": _time(step.minute, -30),
            "reported_at": _time(step.minute, -30),
            "state": "running",
        }
        if model:
            act["inputs"] = [{"type": "Model", "uri": model, "role": "model", **_claim(step)}]
        yield act
        done = {"state": "failed" if step.verb == "fail" else "complete"}
        times = {"ended_at": _time(step.minute, 0), "reported_at": _time(step.minute, 0)}
        yield {**act, **done, **times, "outputs": [{**name, **said, **share}]}


def told(steps: Sequence[Step]) -> list[Record]:
    """The periods and gaps, by when they began."""
    states = [s for s in steps if s.verb not in ("claim", "fail")]
    first = next((n for n, s in enumerate(states) if s.verb != "commit"), len(states))
    states = [s for n, s in enumerate(states) if n < first or s.verb != "commit"]
    out: list[Record] = []
    for n, state in enumerate(states):
        before = states[n - 1].live if n else ()
        # What a tree held is not the same period as what the cluster showed then.
        kept = () if n == first else before
        for share in state.live:
            if share not in kept:
                out.append(_period(states, n, share, first))
        if before and not state.live:
            out.append({"since": state.at, "until": _until(states, n, lambda s: not s.live)})
    return out


def _period(states: list[Step], n: int, share: Share, first: int) -> Record:
    border = len(states) if n >= first else first
    until = _until(states[:border], n, lambda s: share in s.live)
    if until is None and border < len(states):
        until = states[border].at
    back = _back(states, n, share[1])
    last = next((m for m in range(n, border) if share not in states[m].live), border)
    spoken = [s.evidence for s in states[n:last] if share[:2] in [said[:2] for said in s.said]]
    best = min(spoken or [_evidence(states, n, share)], key=KINDS.index)
    best = min(best, _evidence(states, n, share), key=KINDS.index)
    return {
        "since": states[n].at, "until": until, "version": share[0], "models": [share[1]],
        "traffic": share[2], "evidence": best, "rollback": back is not None, "back_to": back,
    }  # fmt: skip


KINDS = ["observed", "reported", "committed"]


def _evidence(states: list[Step], n: int, share: Share) -> str:
    """Of the last word about this version, since it is how its being there is known."""
    return next(
        s.evidence for s in reversed(states[: n + 1]) if share[:2] in [one[:2] for one in s.said]
    )


def _back(states: list[Step], n: int, model: str) -> tuple[int, int] | None:
    """When this model was live before, if something else was in between."""
    with_it = [m for m in range(n) if model in _models(states[m])]
    if not with_it:
        return None
    last = with_it[-1]
    return _span(states, last, model) if any(s.live for s in states[last + 1 : n]) else None


def _span(states: list[Step], n: int, model: str) -> tuple[int, int]:
    """The last period that held it: since its share and version were so, until they were not."""
    share = next(s for s in states[n].live if s[1] == model)
    first = next((m for m, s in enumerate(states) if s.verb != "commit"), len(states))
    begin = n
    while begin and share in states[begin - 1].live and begin != first:
        begin -= 1
    return states[begin].at, states[n + 1].at


def _models(state: Step) -> list[str]:
    return [model for _, model, _ in state.live]


def _until(states: list[Step], n: int, holds: Any) -> int | None:
    return next((s.at for s in states[n:] if not holds(s)), None)


def _claim(step: Step) -> Record:
    return {"evidence": "claimed"} if step.verb == "claim" else {}


def _time(minute: int, seconds: int) -> str:
    return iso(microseconds(EPOCH + timedelta(minutes=minute, seconds=seconds)))
