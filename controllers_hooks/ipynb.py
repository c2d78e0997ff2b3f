"""What a notebook says about its own run: pure, from the JSON of the file to plain values.

The status is that of the notebook, not the exit code of what ran it: wrappers swallow errors.
papermill writes `metadata.papermill`; of other runners only the cells are left to judge by.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from lineage.errors import LineageError

MIME = "application/vnd.lineage+json"
# Cells that papermill puts in are not the author's: they do not count.
_DEEPEST = 20
_INSERTED = {"injected-parameters", "papermill-error-cell-tag"}

Cell = Mapping[str, Any]


class InvalidNotebook(LineageError, ValueError):
    """A file that is no notebook, or says nothing of a run."""

    status = 422
    title = "The notebook cannot be recorded"


class Run(NamedTuple):
    """One run of a notebook; `inputs` and `outputs` are references as on the wire."""

    state: str
    error: str | None
    started_at: datetime | None
    ended_at: datetime | None
    params: dict[str, Any]
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    source: str | None


def run_of(notebook: Mapping[str, Any]) -> Run:
    """What the notebook says.

    Raises:
        InvalidNotebook: it is none of format 4, or it was never run.
    """
    cells = notebook.get("cells")
    if not isinstance(cells, Sequence) or isinstance(cells, str):
        raise InvalidNotebook("this is no notebook of format 4; `jupyter nbconvert` makes one")
    cells = [cell for cell in cells if isinstance(cell, Mapping)]
    papermill = _mapping(_mapping(notebook.get("metadata")).get("papermill"))
    error = _error(cells, papermill)
    started, ended = (_time(papermill.get(name)) for name in ("start_time", "end_time"))
    source = papermill.get("input_path")
    return Run(
        state="failed" if error else _state(cells, papermill),
        error=error,
        started_at=started,
        ended_at=ended,
        params={**_defaults(cells), **_mapping(papermill.get("parameters"))},
        inputs=_declared(notebook, cells, "input"),
        outputs=_declared(notebook, cells, "output"),
        source=source if isinstance(source, str) else None,
    )


def _state(cells: list[Cell], papermill: Mapping[str, Any]) -> str:
    unfinished = any(_status(c) in ("pending", "running") for c in cells if _source(c).strip())
    if papermill:
        ended = papermill.get("end_time") is not None
        return "complete" if ended and not unfinished else "running"
    code = [c for c in cells if c.get("cell_type") == "code" and _source(c).strip()]
    if not any(c.get("execution_count") or _outputs(c) for c in code):
        raise InvalidNotebook("this notebook was not run; run it, or run it with papermill")
    return "complete"


def _error(cells: list[Cell], papermill: Mapping[str, Any]) -> str | None:
    """The first cell that failed, by its place among the author's, and what it said."""
    own = [cell for cell in cells if not _tags(cell) & _INSERTED]
    for cell in cells:
        said = next((o for o in _outputs(cell) if o.get("output_type") == "error"), None)
        if said and not _fatal(cell, said):
            said = None
        if said is None and _status(cell) != "failed":
            continue
        place = next((n for n, one in enumerate(own, 1) if one is cell), None)
        where = f"cell {place} of {len(own)}" if place else "the cell of injected parameters"
        number = cell.get("execution_count")
        where += f" (In [{number}])" if number else ""
        what = f"{said.get('ename')}: {said.get('evalue')}" if said else "failed"
        return f"{where}: {what}"
    return "papermill reports an exception" if papermill.get("exception") else None


def _fatal(cell: Cell, said: Mapping[str, Any]) -> bool:
    if said.get("ename") == "SystemExit" and said.get("evalue") in ("", "0", "None"):
        return False
    # Jupyter's own tag for a cell that is meant to fail.
    return "raises-exception" not in _tags(cell) or _status(cell) == "failed"


def _defaults(cells: list[Cell]) -> dict[str, Any]:
    """The plain values that the cell tagged `parameters` assigns."""
    found: dict[str, Any] = {}
    for cell in cells:
        if "parameters" not in _tags(cell):
            continue
        for name, value in _assigned(_source(cell)):
            if name is not None:
                found[name] = value
    return found


def _declared(notebook: Mapping[str, Any], cells: list[Cell], side: str) -> list[dict[str, Any]]:
    """References of one side: metadata, tagged cells, and what helpers displayed."""
    found: list[Any] = []
    for place in (notebook, *cells):
        given = _mapping(_mapping(place.get("metadata")).get("lineage"))
        found += _references(given.get(f"{side}s", []))
    for cell in cells:
        if f"lineage-{side}" in _tags(cell):
            found += _literals(_source(cell))
        for output in _outputs(cell):
            shown = _mapping(_mapping(output.get("data")).get(MIME))
            found += _references(shown.get(side, []))
    return [one for n, one in enumerate(found) if one not in found[:n]]


def _references(value: Any, within: int = 0) -> list[dict[str, Any]]:
    """One reference, or lists of them; what lies deeper than `_DEEPEST` lists is none."""
    if isinstance(value, str):
        return [{"uri": value}]
    if isinstance(value, Mapping):
        return [dict(value)] if "uri" in value else []
    if isinstance(value, Sequence) and within < _DEEPEST:
        return [one for item in value for one in _references(item, within + 1)]
    return []


def _literals(source: str) -> list[dict[str, Any]]:
    """JSON, or Python literals: bare or assigned to names."""
    try:
        return _references(json.loads(source))
    except (ValueError, RecursionError):
        return [one for _, value in _assigned(source) for one in _references(value)]


def _assigned(source: str) -> Iterator[tuple[str | None, Any]]:
    """(name, value) of every statement that is a literal; code is never run."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return
    for statement in statements:
        if not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr)):
            continue
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        name = targets[0].id if isinstance(targets[0], ast.Name) else None
        try:
            value = ast.literal_eval(statement.value)  # type: ignore[arg-type]
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        yield name, value


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    # Older papermills write UTC without saying so.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _status(cell: Cell) -> Any:
    return _mapping(_mapping(cell.get("metadata")).get("papermill")).get("status")


def _tags(cell: Cell) -> set[str]:
    tags = _list(_mapping(cell.get("metadata")).get("tags"))
    return {tag for tag in tags if isinstance(tag, str)}


def _source(cell: Cell) -> str:
    source = cell.get("source") or ""
    return source if isinstance(source, str) else "".join(map(str, _list(source)))


def _outputs(cell: Cell) -> list[Mapping[str, Any]]:
    return [o for o in _list(cell.get("outputs")) if isinstance(o, Mapping)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
