"""Carries out the calls of a plan, and says what became of each report."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from lineage.errors import Forbidden, LineageError
from lineage.identity import action_id
from lineage.model import Action
from lineage.store.encode import Call
from lineage.store.mlmd import Ids, Mlmd
from lineage.store.plan import Plan
from lineage.store.ports import Verdict

_OF_OTHERS = "key: it is the key of an action of another namespace; choose one of your own"


def commit(mlmd: Mlmd, calls: Sequence[Call]) -> None:
    """Each call is sent before the one before it is answered, unless it needs its ids."""
    sent: deque[tuple[Call, Callable[[], Ids]]] = deque()
    for call in calls:
        while sent and (call.is_open or len(sent) > 1):
            _identified(*sent.popleft())
        call.close()
        sent.append((call, mlmd.begin(call.request)))
    while sent:
        _identified(*sent.popleft())


def verdicts(actions: Sequence[Action], plan: Plan) -> list[Verdict]:
    pairs = zip(actions, plan.outcomes, strict=True)
    return [
        failed(action, Forbidden(_OF_OTHERS))
        if outcome is None
        else Verdict(action_id(action.key), outcome)
        for action, outcome in pairs
    ]


def failed(action: Action, error: LineageError) -> Verdict:
    return Verdict(action_id(action.key), None, error)


def _identified(call: Call, ids: Callable[[], Ids]) -> None:
    execution_ids, artifact_ids = ids()
    for node, id_ in zip(call.actions, execution_ids, strict=True):
        node.ident.mlmd_id = id_
    for node, id_ in zip(call.artifacts, artifact_ids, strict=True):
        node.ident.mlmd_id = id_
