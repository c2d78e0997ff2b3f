"""Recording for whoever asks: what a token of some namespaces may not record is refused, and
every write is told to the audit log, if there is one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from lineage.access.audit import Audit, line
from lineage.api.requests import get_access
from lineage.errors import Forbidden, LineageError
from lineage.identity import action_id
from lineage.model import Action
from lineage.store.ports import Guarded, Reader, Verdict

PEER = "lineage.peer"
"""Where `lineage.api.guard` leaves the address of who asks, behind a proxy too."""
_ACTION = re.compile(r"/actions/(?!batch\Z).*")
_MANY = 50
"""Lines of the audit log from which on they are written in a thread."""


async def recorded(request: Request, actions: Sequence[Action]) -> list[Verdict]:
    """One verdict each, in order.

    Raises:
        LineageError: as the recorder does; then nothing was recorded.
    """
    audit: Audit | None = getattr(request.app.state, "audit", None)
    if audit is None:
        return await _recorded(request, actions)
    try:
        verdicts = await _recorded(request, actions)
    except LineageError as error:
        await _tell(audit, request, [Verdict("", None, error)] * len(actions), actions)
        raise
    await _tell(audit, request, verdicts, actions)
    return verdicts


def refusals(request: Request, actions: Sequence[Action]) -> Mapping[str, LineageError]:
    """By key, why actions cannot be recorded by who asks, as far as can be told beforehand."""
    access = get_access(request)
    reader: Reader = request.app.state.reader
    known = reader.actions_by_id(sorted({action_id(a.key) for a in actions}))
    owners = {state.key: state.get("controller")[1] for state in known.values()}
    out: dict[str, LineageError] = {}
    for action in actions:
        namespace = action.controller.namespace
        if (no := access.records(namespace)) is not None:
            out[action.key] = no
        elif owners.get(action.key, namespace) != namespace:
            out[action.key] = Forbidden("this run is of another namespace")
    return out


def peer(request: Request) -> str:
    """The address of who asks; "" = a Unix socket."""
    return str(request.scope.get(PEER) or (request.client.host if request.client else ""))


async def _recorded(request: Request, actions: Sequence[Action]) -> list[Verdict]:
    access, recorder = get_access(request), request.app.state.recorder
    if access.namespaces is None:
        all_: list[Verdict] = await recorder.record(actions)
        return all_
    refused = [access.records(action.controller.namespace) for action in actions]
    mine = [Guarded.of(a) for a, no in zip(actions, refused, strict=True) if no is None]
    found = iter(await recorder.record(mine) if mine else [])
    return [
        next(found) if no is None else Verdict(action_id(action.key), None, no)
        for action, no in zip(actions, refused, strict=True)
    ]


async def _tell(
    audit: Audit, request: Request, verdicts: Sequence[Verdict], actions: Sequence[Action]
) -> None:
    who, address, now = get_access(request).name, peer(request), datetime.now(UTC)
    did = f"{request.method} {_ACTION.sub('/actions', request.url.path)}"
    lines = (
        line(now, who, address, did, action.key, *_outcome(verdict))
        for action, verdict in zip(actions, verdicts, strict=True)
    )
    if len(actions) < _MANY:
        audit.write(lines)
    else:
        await run_in_threadpool(audit.write, lines)


def _outcome(verdict: Verdict) -> tuple[str, int]:
    if verdict.error is not None or verdict.outcome is None:
        return "refused", verdict.error.status if verdict.error else 500
    return verdict.outcome, 201 if verdict.outcome == "created" else 200
