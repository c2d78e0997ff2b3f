"""The PipelineRuns of one ModelSync: how they ended, in which order, which are too many. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from controllers_hooks.modelsync.spec import GROUP, KIND, ModelSync
from controllers_hooks.observers.mapping import GROUP as OURS
from controllers_hooks.observers.objects import (
    Object,
    annotation,
    condition,
    get,
    moment,
    name,
    owner,
    text,
    uid,
)

ASKED = f"{OURS}/asked"
State = Literal["active", "succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Why a run has the name it has: what was asked for (`run`), from which spec (`wanted`),
    as the how-manieth run (`attempt`), and how many before it were no better (`streak`)."""

    run: str = ""
    wanted: str = ""
    attempt: int = 0
    streak: int = 0

    def json(self) -> Object:
        return {"run": self.run, "wanted": self.wanted, "attempt": self.attempt,
                "streak": self.streak}  # fmt: skip

    @classmethod
    def read(cls, found: object) -> Asked:
        """Of a run of somebody else, nothing is known."""

        def number(field: str) -> int:
            value = get(found, field)
            return value if isinstance(value, int) else 0

        return cls(text(found, "run"), text(found, "wanted"), number("attempt"), number("streak"))


@dataclass(frozen=True, slots=True)
class Run:
    name: str
    uid: str
    state: State
    asked: Asked
    started_at: str
    ended_at: str
    terminating: bool
    obj: Object

    @property
    def age(self) -> tuple[int, float, str]:
        """Sorts from the oldest to the newest."""
        return self.asked.attempt, seconds(self.ended_at) or float("inf"), self.name


def owned(objects: Iterable[Object], modelsync_uid: str) -> list[Run]:
    """The runs this very ModelSync controls; one of the same name before it had another uid."""
    return [run(obj) for obj in objects if _owner(obj) == modelsync_uid]


def owner_name(obj: Object) -> str:
    """The name of the ModelSync that controls an object; empty when none does."""
    return text(owner(obj), "name") if _owner(obj) else ""


def run(obj: Object) -> Run:
    """Succeeded or failed as the condition says, anything else is still active."""
    found = condition(obj, "Succeeded")
    states: dict[str, State] = {"True": "succeeded", "False": "failed"}
    state = states.get(text(found, "status"), "active")
    ended = (
        text(obj, "status.completionTime")
        or text(found, "lastTransitionTime")
        or text(obj, "metadata.creationTimestamp")
    )
    return Run(
        name=name(obj),
        uid=uid(obj),
        state=state,
        asked=Asked.read(_json(annotation(obj, ASKED))),
        started_at=text(obj, "status.startTime"),
        ended_at="" if state == "active" else ended,
        terminating=bool(get(obj, "metadata.deletionTimestamp")),
        obj=obj,
    )


def active(runs: Iterable[Run]) -> list[Run]:
    return [one for one in runs if one.state == "active"]


def excess(runs: Sequence[Run], sync: ModelSync) -> list[Run]:
    """The finished runs over the limits: of either end the first ones by `startTime`, those
    without one before all others."""
    out: list[Run] = []
    for state, limit in (("succeeded", sync.keep_succeeded), ("failed", sync.keep_failed)):
        some = [one for one in runs if one.state == state and not one.terminating]
        some.sort(key=lambda one: (seconds(one.started_at), one.name))
        out += some[: max(len(some) - limit, 0)]
    return out


def seconds(time: str) -> float:
    """Since 1970; 0 when it is no time."""
    found = moment(time)
    return found.timestamp() if found else 0.0


def _owner(obj: Object) -> str:
    found = owner(obj)
    ours = text(found, "kind") == KIND and text(found, "apiVersion").startswith(f"{GROUP}/")
    return text(found, "uid") if ours else ""


def _json(raw: str) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
