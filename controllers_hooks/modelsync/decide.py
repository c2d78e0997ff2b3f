"""What to do about one ModelSync now: the whole behaviour of the controller in one function.

Pure: no clock, no request. The same state always leads to the same decision, so a pass that
was cut off anywhere is simply made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import Literal, NamedTuple

from controllers_hooks.modelsync import build
from controllers_hooks.modelsync.parameters import mapped
from controllers_hooks.modelsync.runs import Asked, Run, active, seconds
from controllers_hooks.modelsync.spec import ModelSync, Problem
from controllers_hooks.observers.objects import Object, get, text
from lineage.identity import without_credentials
from lineage.model import REDACTED, looks_secret
from lineage.needs_sync import NeedsSync

NEEDS_SYNC_ERROR, CREATE_RUN_ERROR, CREATE_RUN = "NeedsSyncError", "CreateRunError", "CreateRun"


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds. `resync`: between two questions; `retry`: after an error; `backoff`: between
    the end of a run and the same again, doubled each time, at most `longest`; `least`: between
    the end of a run and any other."""

    resync: float = 60.0
    retry: float = 60.0
    backoff: float = 60.0
    longest: float = 6 * 3600.0
    least: float = 10.0
    keep_placeholder: bool = False


class Failure(NamedTuple):
    """The lambda gave no answer that counts, and why."""

    error: str


class Notice(NamedTuple):
    """An event about the ModelSync."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Warning"


@dataclass(frozen=True, slots=True)
class Decision:
    """`ask` the lambda and decide again, `create` the `run`, or `wait`; then look again `after`
    so many seconds, or when something happens. `trigger` = wanted, observed, reason."""

    what: Literal["ask", "create", "wait"]
    reason: str
    message: str
    after: float
    ready: bool = True
    notices: tuple[Notice, ...] = ()
    trigger: Mapping[str, str] = field(default_factory=dict)
    run: Object | None = None


def decide(
    sync: ModelSync,
    runs: Sequence[Run],
    answer: NeedsSync | Failure | None,
    now: float,
    settings: Settings,
) -> Decision:
    """`runs`: those of this ModelSync; `answer`: the lambda's, None = it was not asked."""
    if going_on := active(runs):
        return Decision("wait", "RunActive", f"{going_on[0].name} is running", settings.resync)
    if not sync.url:
        return _error(NEEDS_SYNC_ERROR, "NeedsSyncUrl is required", settings)
    if answer is None:
        return Decision("ask", "Asking", f"asking {without_credentials(sync.url)}", 0)
    if isinstance(answer, Failure):
        said = f"Could not fetch {without_credentials(sync.url)}; error {answer.error}"
        return _error(NEEDS_SYNC_ERROR, said, settings)
    if not answer.needs_sync:
        trigger = _trigger(answer, answer.parameters, "the lambda needs no sync")
        return Decision("wait", "InSync", "the lambda needs no sync", settings.resync,
                        trigger=trigger)  # fmt: skip
    return _act(sync, runs, answer, now, settings)


def _act(
    sync: ModelSync, runs: Sequence[Run], answer: NeedsSync, now: float, settings: Settings
) -> Decision:
    given = mapped(sync, answer.parameters, settings.keep_placeholder)
    draft = build.draft(sync, given.values)
    trigger = _trigger(answer, given.values, f"needsSync from {without_credentials(sync.url)}")
    if problems := (*sync.problems, *given.problems, *draft.problems):
        return _refused(problems, settings, trigger)
    last = latest(sync, runs)
    asked, start = next_run(last, draft.fingerprint, sync.wanted, settings)
    if last and now < start:
        said = f"the next run after {last.name} is due {_iso(start)}"
        after = min(start - now, settings.resync)
        return Decision("wait", "BackingOff", said, after, trigger=trigger)
    run = build.pipeline_run(sync, draft, asked, trigger)
    return Decision("create", CREATE_RUN, f"Created PipelineRun; {run['metadata']['name']}",
                    settings.resync, notices=_undeclared(given.undeclared), trigger=trigger,
                    run=run)  # fmt: skip


class Past(NamedTuple):
    """What is known of the run before: also when history limits have deleted it."""

    name: str
    asked: Asked
    failed: bool
    ended: float


def latest(sync: ModelSync, runs: Sequence[Run]) -> Past | None:
    """The newest run, from the runs there are and from what the status remembers."""
    remembered = get(sync.status, "lastRun")
    found = [(run.age, Past(run.name, run.asked, run.state == "failed", seconds(run.ended_at)))
             for run in runs if run.state != "active"]  # fmt: skip
    if ended := seconds(text(remembered, "finishedAt")):
        past = Past(text(remembered, "name"), Asked.read(get(remembered, "asked")),
                    text(remembered, "state") == "failed", ended)  # fmt: skip
        found.append(((past.asked.attempt, ended, past.name), past))
    return max(found, key=itemgetter(0))[1] if found else None


def next_run(last: Past | None, draft: str, wanted: str, settings: Settings) -> tuple[Asked, float]:
    """What the next run is, and when it may start.

    The same again waits, longer each time; so does anything after a failure, unless somebody
    changed the spec since.
    """
    if last is None:
        return Asked(draft, wanted, 1), 0
    attempt, streak = last.asked.attempt + 1, last.asked.streak
    again = last.asked.run == draft or (last.failed and last.asked.wanted in (wanted, ""))
    if not again:
        return Asked(draft, wanted, attempt), last.ended + settings.least
    pause = min(settings.backoff * 2 ** min(streak, 30), settings.longest)
    return Asked(draft, wanted, attempt, streak + 1), last.ended + pause


def _error(reason: str, message: str, settings: Settings) -> Decision:
    notice = Notice(reason, message)
    return Decision("wait", reason, message, settings.retry, ready=False, notices=(notice,))


def _refused(
    problems: Sequence[Problem], settings: Settings, trigger: Mapping[str, str]
) -> Decision:
    said = f"Unable to create PipelineRun; error {'; '.join(map(str, problems))}"
    notice = Notice(CREATE_RUN_ERROR, said)
    return Decision("wait", CREATE_RUN_ERROR, said, settings.retry, ready=False,
                    notices=(notice,), trigger=trigger)  # fmt: skip


def _undeclared(names: Sequence[str]) -> tuple[Notice, ...]:
    if not names:
        return ()
    listed = ", ".join(repr(name) for name in names)
    said = f"left out what the lambda gives and spec.parameters does not declare: {listed}"
    return (Notice(NEEDS_SYNC_ERROR, said),)


def _trigger(answer: NeedsSync, values: Mapping[str, str], reason: str) -> dict[str, str]:
    """What the lambda says about it, under whatever prefix, else what can be told without it."""
    said = {key.rpartition("/")[2]: value for key, value in answer.annotations.items()}
    shown = {name: REDACTED if looks_secret(name) else value for name, value in values.items()}
    wanted = said.get("wanted") or (json.dumps(shown, ensure_ascii=False) if shown else "")
    return {
        "wanted": clipped(wanted),
        "observed": clipped(said.get("observed", "")),
        "reason": clipped(said.get("reason") or reason),
    }


def clipped(text: str, most: int = 1000) -> str:
    """A text that fits into an event or an annotation, and says so if it was longer."""
    note = f" … ({len(text)} characters in all)"
    return text if len(text) <= most else text[: most - len(note)] + note


def _iso(time: float) -> str:
    return datetime.fromtimestamp(round(time), UTC).isoformat().replace("+00:00", "Z")
