"""A notebook's run is recorded as the notebook tells it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers_hooks import Dataset, Hook, Model
from controllers_hooks.ipynb import MIME, InvalidNotebook, run_of
from controllers_hooks.notebook import read, record_input, run_notebook
from lineage.cli import main

from .conftest import Server, clean_environment

PARAMETERS = {"tags": ["parameters"]}


def code(source: str, outputs: list[Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": metadata, "id": f"c{id(source)}",
            "execution_count": None, "outputs": outputs or []}  # fmt: skip


def notebook(*cells: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
              "language_info": {"name": "python"}}  # fmt: skip
    numbered = [{**cell, "id": f"cell-{n}"} for n, cell in enumerate(cells)]
    return {"cells": numbered, "metadata": {**kernel, **metadata}, "nbformat": 4,
            "nbformat_minor": 5}  # fmt: skip


def write(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document))
    return path


def ran(*cells: dict[str, Any], **papermill: Any) -> dict[str, Any]:
    given = {"start_time": "2020-07-23T17:45:27", "end_time": "2020-07-23T19:02:11Z", **papermill}
    return notebook(*cells, papermill=given)


FAILING = notebook(
    code("max_age = 30", **PARAMETERS),
    code('{"type": "Dataset", "uri": "gs://nb/issues.csv"}', tags=["lineage-input"]),
    code('raise ValueError("no data for " + str(max_age) + " days")'),
    code("print('never')"),
)

WRAPPER = """
import sys
from controllers_hooks import Hook
from controllers_hooks.notebook import run_notebook
hook = Hook("trainer", url=sys.argv[1], outbox=sys.argv[2])
try:
    run_notebook(hook, sys.argv[3], sys.argv[4], {"max_age": 7}, key="nb/wrapped",
                 progress_bar=False)
except Exception as error:
    print("swallowed", type(error).__name__)
"""


def test_a_notebook_that_fails_in_cell_3_is_failed_though_its_wrapper_exits_0(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recorded by the wrapper, and again from the file alone: the cell and the error."""
    source, executed = write(tmp_path / "train.ipynb", FAILING), tmp_path / "out.ipynb"
    done = subprocess.run(
        [sys.executable, "-c", WRAPPER, server.url, str(tmp_path / "box"), str(source),
         str(executed)], capture_output=True, text=True, env=clean_environment(), check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "swallowed PapermillExecutionError\n"), done.stderr
    with pytest.raises(SystemExit) as ended:
        main(["record", "notebook", str(executed), "--key", "nb/file", "--type", "train", "--json",
              "--url", server.url])  # fmt: skip
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["state"] == "failed"
    for key in ("nb/wrapped", "nb/file"):
        found = server.client().action(key)
        assert found["state"] == "failed"
        assert found["error"].startswith("cell 3 of 4 (In [")
        assert found["error"].endswith("ValueError: no data for 7 days")
        assert found["params"] == {"max_age": 7}
        assert [i["uri"] for i in found["inputs"] if i["type"] == "Dataset"] == [
            "gs://nb/issues.csv"
        ]
        [output] = found["outputs"]
        digest = sha256(executed.read_bytes()).hexdigest()
        assert (output["type"], output["version"]) == ("Notebook", f"sha256:{digest}")
        [written] = [i for i in found["inputs"] if i["type"] == "Notebook"]
        assert written["version"] == f"sha256:{sha256(source.read_bytes()).hexdigest()}"


def test_a_notebook_declares_what_it_reads_and_writes(server: Server, tmp_path: Path) -> None:
    """By helpers that may compute, by tagged cells, by metadata; each once."""
    document = notebook(
        code("run = 1", **PARAMETERS),
        code(
            "from controllers_hooks import Dataset, Model\n"
            "from controllers_hooks.notebook import record_input, record_output\n"
            "record_input(Dataset(f'gs://nb/{run}.csv', 'v1', role='issues'), 'gs://nb/bare')\n"
            "record_output(Model(f'gs://nb/model-{run}'))"
        ),
        code("OUT = [{'uri': 'gs://nb/report.html'}, 'gs://nb/plain']", tags=["lineage-output"]),
        lineage={"inputs": [{"uri": "gs://nb/meta"}, {"uri": "gs://nb/bare"}]},
    )
    source = write(tmp_path / "made.ipynb", document)
    hook = Hook("trainer", url=server.url, outbox=tmp_path / "box")
    run_notebook(hook, source, tmp_path / "o.ipynb", {"run": 2}, key="nb/made", progress_bar=False)
    assert hook.close()
    found = server.client().action("nb/made")
    assert found["state"] == "complete"
    assert {(i["uri"], i.get("version")) for i in found["inputs"] if i["type"] != "Notebook"} == {
        ("gs://nb/2.csv", "v1"),
        ("gs://nb/bare", None),
        ("gs://nb/meta", None),
    }
    assert {o["uri"] for o in found["outputs"] if o["type"] != "Notebook"} == {
        "gs://nb/model-2",
        "gs://nb/report.html",
        "gs://nb/plain",
    }


def test_the_run_of_a_notebook_has_its_own_times_and_parameters() -> None:
    """A time without a zone is UTC; what was injected beats the default."""
    run = run_of(
        ran(
            code("a = 1\nb = [1]\nc = f(2)", **PARAMETERS),
            code("x", papermill={"status": "completed"}),
            parameters={"a": 2},
        )
    )
    assert (run.state, run.error) == ("complete", None)
    assert str(run.started_at) == "2020-07-23 17:45:27+00:00"
    assert str(run.ended_at) == "2020-07-23 19:02:11+00:00"
    assert run.params == {"a": 2, "b": [1]}


ERROR = {"output_type": "error", "ename": "E", "evalue": "why", "traceback": []}


@pytest.mark.parametrize(
    ("document", "state", "error"),
    [
        (ran(code("x", [ERROR])), "failed", "cell 1 of 1: E: why"),
        (ran(code("x", papermill={"status": "failed"})), "failed", "cell 1 of 1: failed"),
        (ran(exception=True), "failed", "papermill reports an exception"),
        (ran(code("x", [ERROR], tags=["raises-exception"])), "complete", None),
        (ran(code("x", [{**ERROR, "ename": "SystemExit", "evalue": "0"}])), "complete", None),
        (
            ran(code("p", tags=["injected-parameters"]), code("x"), code("y", [ERROR])),
            "failed",
            "cell 2 of 2: E: why",
        ),
        (ran(code("p", [ERROR], tags=["injected-parameters"])), "failed",
         "the cell of injected parameters: E: why"),
        (ran(code("x", papermill={"status": "pending"}), end_time=None), "running", None),
        (notebook(code("x", [{"output_type": "stream", "text": "1"}])), "complete", None),
        (notebook(code("x", [ERROR])), "failed", "cell 1 of 1: E: why"),
    ],
)  # fmt: skip
def test_the_notebook_itself_tells_its_state(
    document: dict[str, Any], state: str, error: str | None
) -> None:
    """Errors in the cells count, whatever ran them; cells of papermill do not count."""
    assert run_of(document)[:2] == (state, error)


@pytest.mark.parametrize("document", [{}, {"worksheets": []}, notebook(code("x")), {"cells": 1}])
def test_what_is_no_run_of_a_notebook_is_refused(document: dict[str, Any]) -> None:
    """Old formats and notebooks that nobody ran say nothing to record."""
    with pytest.raises(InvalidNotebook):
        run_of(document)


def test_the_same_file_is_the_same_action(tmp_path: Path) -> None:
    """Recording it again is no news: key and times come from the run."""
    path = write(tmp_path / "o.ipynb", ran(code("x", execution_count=1)))
    assert read(path) == read(path)
    assert read(path)["key"] == "notebook/o/2020-07-23T17:45:27+00:00"
    assert read(path)["reported_at"] == read(path)["ended_at"]


def test_the_source_of_a_notebook_in_a_repository_is_code(tmp_path: Path) -> None:
    """Path @ commit; no digest is needed where the commit says it all."""
    (tmp_path / "nb").mkdir()
    source = write(tmp_path / "nb" / "train.ipynb", notebook(code("x")))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for command in (["init", "-q"], ["remote", "add", "origin", "https://me:pw@host/o/r.git"],
                    ["add", "nb"], ["commit", "-qm", "first"]):  # fmt: skip
        subprocess.run([*git, *command], check=True)
    out = write(tmp_path / "out.ipynb", ran(code("x"), input_path=str(source)))
    record = read(out)
    assert record["code"]["repo"] == "https://host/o/r.git"
    assert (record["code"]["path"], record["code"]["dirty"]) == ("nb/train.ipynb", False)
    assert len(record["code"]["commit"]) == 40
    assert record["inputs"] == []


def test_the_helpers_do_nothing_outside_of_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    """A module shared by notebooks and programs may call them."""
    record_input(Dataset("gs://nb/x"), Model("gs://nb/y"))
    capsys.readouterr()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["metadata", "papermill", "tags", "outputs", "source", "data",
                                       "status", "lineage", "inputs", "uri", MIME]), inner,
                      max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(JSON, max_size=3), JSON)
def test_no_notebook_is_so_odd_that_it_breaks_the_reader(cells: list[Any], metadata: Any) -> None:
    """Whatever is in the file, it is read or refused."""
    with contextlib.suppress(InvalidNotebook):
        run_of({"cells": cells, "metadata": metadata})
