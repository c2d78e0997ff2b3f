"""Lists of what other tools wrote: actions by their start, controllers, the latest of each.

Their starts are MLMD's times of creation. Whose an action is stands in contexts, which MLMD
cannot find by action without an index of ours, so what asks for it looks at all actions of
others at once. Whoever has very many migrates (docs/other-stores.md).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from lineage.identity import NODE, node_named
from lineage.merge import ActionState
from lineage.store import codec
from lineage.store.filters import escaped, pattern
from lineage.store.foreign import conventions as foreign
from lineage.store.foreign.rows import Types, actions
from lineage.store.ports import ActionFilter, Recent, share
from lineage.times import microseconds

Who = tuple[str, str, str]
Place = tuple[str, int]
"""In the list of actions: start (as `codec.sortable` writes it) and MLMD's id."""
_FEW = 10_000
_PIPELINES = "(SELECT value FROM json_each(:pipelines))"
_RUNS = "(SELECT value FROM json_each(:runs))"
_SHOWN = "n.type_id IN (SELECT value FROM json_each(:shown))"
_TOLD = """(SELECT p.string_value FROM ExecutionProperty p
  WHERE p.execution_id = n.id AND p.name = '{}' ORDER BY p.is_custom_property DESC LIMIT 1)"""
# Who acted, exactly as `foreign.action` says it.
_WHO = f"""
SELECT n.id, n.create_time_since_epoch AS began,
  COALESCE(c.name, {_TOLD.format("pipeline_name")}, t.name) AS name,
  COALESCE(r.namespace, {_TOLD.format(codec.NAMESPACE)}, '') AS namespace
FROM Execution n JOIN Type t ON t.id = n.type_id
LEFT JOIN (
  SELECT m.execution_id, MIN(x.name) AS name FROM Context x
  JOIN Association m ON m.context_id = x.id WHERE x.type_id IN {_PIPELINES}
  GROUP BY m.execution_id
) c ON c.execution_id = n.id
LEFT JOIN (
  SELECT m.execution_id, MIN(q.string_value) AS namespace FROM ContextProperty q
  JOIN Association m ON m.context_id = q.context_id
  WHERE q.name = '{codec.NAMESPACE}' AND q.is_custom_property = 1 AND q.string_value IS NOT NULL
  GROUP BY m.execution_id
) r ON r.execution_id = n.id
WHERE {_SHOWN}
"""
_PARTS = f"""n.id IN (
  SELECT m.execution_id FROM Context x JOIN Association m ON m.context_id = x.id
  WHERE x.name = :run AND x.type_id IN {_RUNS}
  UNION SELECT p.execution_id FROM ExecutionProperty p
  WHERE p.name IN ({", ".join(repr(name) for name in foreign.RUN_PROPERTIES)})
    AND p.is_custom_property = 1 AND p.string_value = :run)"""
_NAMED = f"""(LOWER(n.name) LIKE :q ESCAPE '!' OR EXISTS (
  SELECT 1 FROM ExecutionProperty p WHERE p.execution_id = n.id
    AND p.name IN ({", ".join(repr(name) for name in foreign.NAMES)})
    AND LOWER(p.string_value) LIKE :q ESCAPE '!') OR n.id = :number)"""


class Listed(NamedTuple):
    """Actions in their places; `end` = as far as was looked, None = to the end."""

    items: list[tuple[Place, ActionState]]
    end: Place | None


def page(
    db: Connection, known: Types, filter: ActionFilter, before: Place | None, limit: int
) -> Listed:
    """The next actions, the latest start first; fewer than `limit` where the filter says more
    than SQL could ask for."""
    if not known.actions:
        return Listed([], None)
    where, values = _where(known, filter)
    if before is not None:
        at, last = _micros(before[0]), before[1]
        where.append("n.create_time_since_epoch <= :at")
        values |= {"at": at // 1000, "last": last}
        if at % 1000 == 0:  # else a start of ours, between two of MLMD's milliseconds
            where.append("(n.create_time_since_epoch < :at OR n.id < :last)")
    some = f"SELECT 1 FROM Execution n WHERE {where[0]} LIMIT {_FEW + 1}"
    count = db.execute(text(f"SELECT COUNT(*) FROM ({some}) x"), values).scalar_one()
    if not count:
        return Listed([], None)
    # A few of them among very many of ours: + keeps SQLite off the index of times.
    began = "n.create_time_since_epoch" if count > _FEW else "+n.create_time_since_epoch"
    sql = f"""SELECT n.id, n.create_time_since_epoch FROM Execution n
    WHERE {" AND ".join(where)} ORDER BY {began} DESC, n.id DESC LIMIT :limit"""
    rows = db.execute(text(sql), {**values, "limit": limit + 1}).all()
    states = actions(db, [row[0] for row in rows[:limit]], folded=True)
    places = {id_: (codec.sortable(ms * 1000), id_) for id_, ms in rows[:limit]}
    found = [(at, states[id_]) for id_, at in places.items() if id_ in states]
    end = places[rows[limit - 1][0]] if len(rows) > limit else None
    return Listed([one for one in found if _acts(one[1], filter)], end)


def merged(a: Listed, b: Listed, limit: int) -> tuple[list[ActionState], Place | None]:
    """A page of two lists in one order, and the place to go on from (None = the end)."""
    ends = [end for end in (a.end, b.end) if end is not None]
    last = max(ends, default=None)
    items = sorted((*a.items, *b.items), key=lambda item: item[0], reverse=True)
    # Beyond the end of either list the other may have something in between.
    sure = [item for item in items if last is None or item[0] >= last]
    if len(sure) > limit:
        sure = sure[:limit]
        last = sure[-1][0]
    return [state for _, state in sure], last


def controllers(db: Connection, known: Types, until: int | None) -> Counter[Who]:
    """How many actions each has, of those started before `until` (µs)."""
    found: Counter[Who] = Counter()
    if known.shown:
        sql = f"SELECT name, namespace, COUNT(*) FROM ({_WHO}) w WHERE began < :until GROUP BY 1, 2"
        values = {**_lists(known), "until": 2**62 if until is None else _ms(until)}
        for name, namespace, count in db.execute(text(sql), values):
            found[_who(name, namespace)] += count
    return found


def latest(
    db: Connection, known: Types, each: int, namespace: str | None, until: int | None
) -> Mapping[Who, Recent]:
    """See `lineage.store.ports.Reader.latest`."""
    if not known.shown:
        return {}
    sql = f"""
    SELECT id, name, namespace FROM (
      SELECT w.*, ROW_NUMBER() OVER (PARTITION BY name, namespace ORDER BY began DESC, id) AS place
      FROM ({_WHO}) w WHERE began < :until
    ) v WHERE place <= :each ORDER BY place
    """
    values = {**_lists(known), "until": 2**62 if until is None else _ms(until + 1)}
    found: dict[Who, list[int]] = defaultdict(list)
    for id_, name, of in db.execute(text(sql), {**values, "each": each + 1}):
        who = _who(name, of)
        if namespace in (None, who[1]):
            found[who].append(id_)
    each = share(each, len(found))
    states = actions(db, [id_ for ids in found.values() for id_ in ids[:each]])
    return {
        who: Recent([states[id_] for id_ in ids[:each]], len(ids) > each)
        for who, ids in found.items()
    }


def together(
    ours: Mapping[Who, Recent], theirs: Mapping[Who, Recent], each: int
) -> dict[Who, Recent]:
    """The latest of both: a controller of ours may be called like a pipeline."""
    out = {**theirs, **ours}
    for who in ours.keys() & theirs.keys():
        both = ours[who].actions + theirs[who].actions
        both.sort(key=lambda state: (-state.started, state.id))
        more = ours[who].more or theirs[who].more or len(both) > each
        out[who] = Recent(both[:each], more)
    return out


def span(db: Connection, known: Types) -> tuple[int | None, int | None]:
    """When the first began and the last (µs)."""
    sql = f"SELECT MIN(create_time_since_epoch), MAX(create_time_since_epoch) FROM Execution n WHERE {_SHOWN}"
    rows = db.execute(text(sql), {"shown": json.dumps(known.shown)})
    first, last = rows.one()
    return (None, None) if first is None else (first * 1000, last * 1000)


def by_key(db: Connection, known: Types) -> list[int]:
    """MLMD's ids of all actions that are shown, in the order of their keys."""
    key = "name"
    if known.actions:
        key = f"CASE WHEN {_SHOWN} THEN '{NODE}execution/' || n.id ELSE n.name END"
    folded = ", ".join(map(str, known.folded))
    where = f"WHERE n.type_id NOT IN ({folded})" if folded else ""
    sql = f"SELECT n.id FROM Execution n {where} ORDER BY {key}"
    return [row[0] for row in db.execute(text(sql), {"shown": json.dumps(known.shown)})]


def _where(known: Types, filter: ActionFilter) -> tuple[list[str], dict[str, Any]]:
    """The first condition is the one on the type, which has an index."""
    where, values = [_SHOWN], _lists(known)
    if filter.type is not None:
        of_type = [i for i, k in known.actions.items() if foreign.action_type(*k) == filter.type]
        values["shown"] = json.dumps(of_type)
    if filter.state is not None:
        where.append("n.last_known_state IN (SELECT value FROM json_each(:states))")
        values["states"] = json.dumps(foreign.states_of(filter.state))
    for name, moment, compared in (("since", filter.since, ">="), ("until", filter.until, "<")):
        if moment is not None:
            where.append(f"n.create_time_since_epoch {compared} :{name}")
            values[name] = _ms(moment)
    if filter.parent is not None:
        where.append(_PARTS)
        values["run"] = filter.parent.removeprefix(foreign.PARENT)
    if filter.q:
        where.append(_NAMED)
        values |= {"q": pattern(filter.q), "number": node_named("execution", filter.q)}
    whose = []
    if filter.controller is not None:
        whose.append("(name = :controller OR name LIKE :tail ESCAPE '!')")
        values |= {
            "controller": filter.controller,
            "tail": f"%pipeline/{escaped(filter.controller)}",
        }
    if filter.namespace is not None:
        whose.append("(namespace = :namespace OR namespace = '')")
        values["namespace"] = filter.namespace
    if whose:
        where.append(f"n.id IN (SELECT id FROM ({_WHO}) w WHERE {' AND '.join(whose)})")
    return where, values


def _lists(known: Types) -> dict[str, Any]:
    ids = {"shown": known.shown, "pipelines": known.named(foreign.CONTROLLERS),
           "runs": known.named(foreign.RUNS)}  # fmt: skip
    return {name: json.dumps(some) for name, some in ids.items()}


def _acts(state: ActionState, filter: ActionFilter) -> bool:
    """SQL lets through a name that only ends like the one asked for."""
    _, namespace, name = state.get("controller")
    asked = filter.controller in (None, name) and filter.namespace in (None, namespace)
    return asked and (filter.within is None or namespace in filter.within)


def _who(name: str, namespace: str) -> Who:
    return "", namespace or foreign.controller_namespace(name), foreign.controller_name(name)


def _micros(sortable: str) -> int:
    return microseconds(datetime.fromisoformat(sortable))


def _ms(micros: int) -> int:
    """The first millisecond that is not before it."""
    return -(-micros // 1000)
