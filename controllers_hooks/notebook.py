"""Notebooks as actions: run one with papermill, record one that ran, declare from inside.

    run_notebook(hook, "train.ipynb", "out.ipynb", {"epochs": 3})   # in a controller
    record_input(Dataset("gs://b/issues.csv"))                      # in a notebook

The only module that knows papermill, and only while it runs a notebook. How a notebook is
read is `controllers_hooks.ipynb`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from controllers_hooks.act import Act, dumped
from controllers_hooks.code import Code
from controllers_hooks.hook import Hook
from controllers_hooks.ipynb import MIME, InvalidNotebook, Run, run_of
from controllers_hooks.things import plain
from lineage.model import Reference

__all__ = ["InvalidNotebook", "read", "record_input", "record_output", "run_notebook"]

_log = logging.getLogger("lineage.hook")


def run_notebook(
    hook: Hook,
    path: str | Path,
    output: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    type: str = "process",
    key: str | None = None,
    trigger: Mapping[str, str] | None = None,
    **papermill: Any,
) -> Any:
    """Run a notebook with papermill as an action, and give back what papermill does.

    The state, the inputs and the outputs are those the executed notebook tells.
    `trigger`: why it runs (wanted, observed, reason); `papermill`: further options of
    `papermill.execute_notebook`.

    Raises:
        PapermillExecutionError: a cell failed; whatever papermill raises passes unchanged.
    """
    from papermill import execute_notebook  # type: ignore[import-untyped]

    with hook.action(type, key, name=Path(path).stem).trigger(**(trigger or {})) as act:
        act.params({name: _scalar(value) for name, value in (parameters or {}).items()})
        try:
            return execute_notebook(str(path), str(output), dict(parameters or {}), **papermill)
        finally:
            _tell(act, Path(path), Path(output))


def read(path: str | Path, source: str | Path | None = None) -> dict[str, Any]:
    """The record of a notebook that ran: all but its controller and type.

    `source` is the notebook that was run; papermill notes it, else it is this one. The key
    and the times are those of the run, so the same file always gives the same record.

    Raises:
        InvalidNotebook: the file is no notebook, or was never run.
        OSError: the file cannot be read.
    """
    path = Path(path)
    content = path.read_bytes()
    run = run_of(_document(content))
    record: dict[str, Any] = {
        "key": f"notebook/{path.stem}/{_moment(run) or sha256(content).hexdigest()[:32]}",
        "name": path.stem,
        "state": run.state,
        "params": {name: _scalar(value) for name, value in run.params.items()},
        **_things(run, path, content, _source(run, path, source)),
    }
    optional = {
        "error": run.error,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "reported_at": run.ended_at or run.started_at,
    }
    return record | {name: value for name, value in optional.items() if value is not None}


def record_input(*references: Reference | str) -> None:
    """From inside a notebook: this run reads that. The output of the cell keeps it."""
    _display("input", references)


def record_output(*references: Reference | str) -> None:
    """From inside a notebook: this run writes that."""
    _display("output", references)


def _display(side: str, references: tuple[Reference | str, ...]) -> None:
    made = [dumped(reference) for reference in references]
    text = "\n".join(f"lineage {side}: {one['uri']}" for one in made)
    try:
        from IPython import display
    except ImportError:
        _log.warning("%s (not in a notebook: it is not recorded)", text)
        return
    display.display({MIME: {side: made}, "text/plain": text}, raw=True)  # type: ignore[no-untyped-call]


def _tell(act: Act, source: Path, output: Path) -> None:
    """What the executed notebook says, as far as there is one; never raises."""
    try:
        content = output.read_bytes()
        run = run_of(_document(content))
        things = _things(run, output, content, source)
        act.adds(things["inputs"], things["outputs"], things.get("code"))
        act.params({name: _scalar(value) for name, value in run.params.items()})
        if run.state == "failed":
            act.fail(run.error or "the notebook failed")
    except Exception as error:
        _log.warning("what the notebook %s says is not recorded: %s", output, error)


def _source(run: Run, path: Path, given: str | Path | None) -> Path:
    if given is not None:
        return Path(given)
    return Path(run.source) if run.source and Path(run.source).is_file() else path


def _things(run: Run, path: Path, content: bytes, source: Path) -> dict[str, Any]:
    """Inputs, outputs and code. Source code is path @ commit, else the file by its digest."""
    code = Code.detect(source)
    inputs = list(run.inputs)
    # Files changed since the commit, or of no repository at all, are only known by content.
    if source != path and source.is_file() and (code.dirty is not False or not code.repo):
        inputs.append(_notebook(source, source.read_bytes(), "source"))
    outputs = [*run.outputs, _notebook(path, content, "notebook")]
    found = code.model_dump(exclude_none=True)
    found.setdefault("path", source.name)
    return {"inputs": inputs, "outputs": outputs, "code": found}


def _notebook(path: Path, content: bytes, role: str) -> dict[str, Any]:
    digest = sha256(content).hexdigest()
    uri = path.resolve().as_uri()
    return {"type": "Notebook", "uri": uri, "version": f"sha256:{digest}", "role": role,
            "name": path.name}  # fmt: skip


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidNotebook(f"this is no notebook: {error}") from error
    if not isinstance(document, dict):
        raise InvalidNotebook("this is no notebook: it is not a JSON object")
    return document


def _moment(run: Run) -> str | None:
    return run.started_at.isoformat() if run.started_at else None


def _scalar(value: Any) -> Any:
    """Lists and the like as JSON: a parameter is a plain value."""
    if isinstance(value, (list, tuple, dict)) or value is None:
        return json.dumps(value, default=str)
    return plain(value)
