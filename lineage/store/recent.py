"""The latest actions of each controller, in SQL: whatever else a store holds, and how much.

Starts have an index, controllers have another, and no index has both. So the latest starts
are walked back for all controllers at once, which soon finds enough of the busy ones; of
those that act seldom, all actions are looked at, since these are few.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

from lineage.merge import ActionState
from lineage.store import codec
from lineage.store.ports import Recent, share
from lineage.store.select import RECORDS, action_of, fetch

WALKED = 4
"""Starts looked at for each one wanted, before the rest is left to each controller alone."""
_ALWAYS = "9999-12-31T23:59:59.999999Z"  # sorts after every time, by the rules of any language

_CONTROLLERS = f"""
SELECT c.id, c.name, p.string_value FROM Context c
JOIN ContextProperty p ON p.context_id = c.id AND p.name = 'display_name'
WHERE c.type_id IN (SELECT id FROM Type WHERE name = '{codec.CONTROLLER}') ORDER BY c.name
"""
# CROSS JOIN and + keep SQLite on the index of starts, newest first.
_WALK = f"""
SELECT a.context_id, s.string_value, s.execution_id FROM ExecutionProperty s
CROSS JOIN Association a ON a.execution_id = s.execution_id
WHERE s.name = '{codec.STARTED}' AND s.is_custom_property = 1 AND s.string_value <= :until
  AND +a.context_id IN (SELECT value FROM json_each(:ids))
ORDER BY s.string_value DESC
"""
_OWN = f"""
SELECT * FROM (
  SELECT a.context_id, s.string_value, s.execution_id,
    RANK() OVER (PARTITION BY a.context_id ORDER BY s.string_value DESC) AS place
  FROM Association a CROSS JOIN ExecutionProperty s ON s.execution_id = a.execution_id
    AND s.name = '{codec.STARTED}' AND s.is_custom_property = 1
  WHERE a.context_id IN (SELECT value FROM json_each(:ids)) AND s.string_value <= :until
) ranked WHERE place <= :each
"""

Starts = list[tuple[str, int]]
"""(start, MLMD id of the action), newest first."""


def latest(
    db: Connection, each: int, namespace: str | None, until: int | None
) -> dict[tuple[str, str, str], Recent]:
    """See `lineage.store.ports.Reader.latest`.

    An action that changed its controller is in the window of both, and given for the last.
    """
    contexts = {
        id_: name
        for id_, name, path in db.execute(text(_CONTROLLERS))
        if namespace is None or codec.split_controller(path)[1] == namespace
    }
    each = share(each, len(contexts))
    limit = _ALWAYS if until is None else codec.sortable(until)
    starts = _starts(db, contexts, each + 1, limit)
    states = _load(db, [id_ for rows in starts.values() for _, id_ in rows])
    out: dict[tuple[str, str, str], Recent] = {}
    for context, rows in starts.items():
        mine = [s for _, id_ in rows if _name(s := states[id_]) == contexts[context]]
        if mine:
            mine.sort(key=lambda s: (-s.started, s.id))
            cluster, namespace_, name = mine[0].get("controller")
            out[cluster, namespace_, name] = Recent(mine[:each], len(rows) > each)
    return out


def _starts(
    db: Connection, contexts: Mapping[int, str], each: int, until: str
) -> dict[int, Starts]:
    """Per controller its `each` latest, and all that started together with the last of them."""
    found = _walk(db, list(contexts), each, until)
    short = [context for context in contexts if len(found[context]) < each]
    for context in short:
        found[context] = []
    for context, start, id_, _ in fetch(db, _OWN, short, until=until, each=each):
        found[context].append((start, id_))
    return {context: _cut(rows, each) for context, rows in found.items()}


def _walk(db: Connection, contexts: Sequence[int], each: int, until: str) -> dict[int, Starts]:
    found: dict[int, Starts] = {context: [] for context in contexts}
    wanting, last = len(contexts), ""
    budget = WALKED * each * len(contexts)
    rows = db.execute(text(_WALK), {"ids": json.dumps(contexts), "until": until})
    for context, start, id_ in rows:
        # Only between two starts, so that those of one moment stay together.
        if start != last and (not wanting or budget <= 0):
            break
        found[context].append((start, id_))
        wanting -= len(found[context]) == each
        budget, last = budget - 1, start
    rows.close()
    return found


def _cut(rows: Starts, each: int) -> Starts:
    rows.sort(reverse=True)
    return [row for row in rows if row[0] >= rows[each - 1][0]] if len(rows) > each else rows


def _load(db: Connection, ids: Sequence[int]) -> dict[int, ActionState]:
    sql = RECORDS["Execution"].replace("''", "execution_id", 1)
    return {row[0]: action_of(("", row[1])) for row in fetch(db, sql, dict.fromkeys(ids))}


def _name(state: ActionState) -> str:
    """What the context of an action's controller is called."""
    return next(name for type_, name, _ in codec.contexts(state) if type_ == codec.CONTROLLER)
