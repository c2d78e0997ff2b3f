"""The registry: every format is found, listed, named in errors, light, and writes the same twice."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given

from lineage.errors import BadRequest
from lineage.formats import REGISTRY, Format, find, of_file
from lineage.model import Action
from tests.conftest import Server
from tests.graphs import HOSTILE, MODEL, SLOT, asked, hostile, of_all, several, story
from tests.test_cli import Run, run  # noqa: F401

ROOT = Path(__file__).parent.parent
WRITERS = [one for one in REGISTRY.values() if one.graph]
named = pytest.mark.parametrize("form", WRITERS, ids=lambda form: form.name)


def write(form: Format, reports: list[Action]) -> bytes | None:
    """None = it says that there is nothing it could tell of."""
    assert form.graph is not None
    try:
        return form.graph(*of_all(reports))
    except BadRequest:
        return None


def test_the_registry_holds_every_module_with_a_format() -> None:
    """By name, in order; suffixes are of one format only."""
    assert list(REGISTRY) == sorted(REGISTRY)
    assert {"csv", "cyclonedx", "mermaid", "ndjson", "prov", "slsa"} <= REGISTRY.keys()
    suffixes = [suffix for one in REGISTRY.values() for suffix in one.suffixes]
    assert len(suffixes) == len(set(suffixes))


def test_reading_and_listing_formats_loads_nothing_heavy() -> None:
    """The base install, without the server's libraries, can import attestations."""
    code = "import sys, lineage.formats.drawn as d; d.every(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    heavy = {"networkx", "orjson", "cyclonedx", "prov", "openlineage", "fastapi", "sqlalchemy"}
    assert heavy & set(done.stdout.split()) == set()


def test_the_longest_suffix_decides_the_format_of_a_file() -> None:
    """`.intoto.jsonl` is not just any `.jsonl`."""
    names = ["a.intoto.jsonl", "A.JSONL", "b.prov.json", "c.cdx.json", "d.txt"]
    found = [form.name if form else None for form in map(of_file, names)]
    assert found == ["slsa", "ndjson", "prov", "cyclonedx", None]


def test_an_unknown_format_is_answered_with_those_there_are() -> None:
    """The remedy is in the message."""
    with pytest.raises(BadRequest, match="'bpmn' is none of csv, cyclonedx"):
        find("bpmn")


@named
@given(several)
def test_any_graph_can_be_written_and_only_its_content_decides_the_bytes(
    form: Format, reports: list[Action]
) -> None:
    """The same reports in another order make the same document."""
    assert write(form, reports) == write(form, reports[::-1])


@named
def test_hostile_texts_stay_texts(form: Format) -> None:
    """Whatever a recorder wrote, what comes out is whole; JSON formats give every text back."""
    made = write(form, [hostile()])
    assert made
    if form.name in ("prov", "cyclonedx", "slsa", "ndjson"):
        found = json.dumps([json.loads(line) for line in made.splitlines()]
                           if form.name in ("slsa", "ndjson") else json.loads(made),
                           ensure_ascii=False)  # fmt: skip
        texts = [json.dumps(text, ensure_ascii=False)[1:-1] for text in HOSTILE]
        assert [text for text in texts if text not in found] == []


@named
def test_a_whole_history_is_written(form: Format) -> None:
    """The label bot's: of its model, and of the slot that served it."""
    assert form.graph is not None
    for of in (MODEL, SLOT):
        assert len(form.graph(*asked(story(), of))) > 200


def test_the_server_lists_its_formats_and_writes_each(server: Server) -> None:
    """What /formats promises, /lineage and /export keep."""
    with server.client() as client:
        client.record({
            "key": "formats/train", "type": "train", "controller": {"name": "c"},
            "inputs": [{"type": "Dataset", "uri": "gs://formats/data"}],
            "outputs": [{"type": "Model", "uri": "gs://formats/model"}],
        })  # fmt: skip
        listed = {one["name"]: one for one in client.formats()}
        assert listed.keys() == REGISTRY.keys() | {"json", "dot", "svg", "png"}
        for name, one in listed.items():
            if one["graph"]:
                assert client.graph("gs://formats/model", name), name
            if one["store"]:
                assert b"".join(client.export(name)), name
        for ask in (lambda: client.graph("gs://formats/model", "bpmn"),
                    lambda: list(client.export("cyclonedx"))):  # fmt: skip
            with pytest.raises(BadRequest, match=r"is none of .*csv"):
                ask()


def test_formats_are_listed_for_people_and_programs(run: Run) -> None:  # noqa: F811
    """Without a server."""
    assert "cyclonedx" in run("formats").out
    shown = {one["name"]: one for one in json.loads(run("formats", "--json").out)["items"]}
    assert (shown["slsa"]["import"], shown["prov"]["import"]) == (True, False)
    assert (shown["ndjson"]["store"], shown["prov"]["store"]) == (True, False)


def test_the_commands_of_the_manual_run(
    run: Run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In their order, on the label bot's history; every format has its section."""
    manual = (ROOT / "docs" / "formats.md").read_text()
    assert [name for name in REGISTRY if f"`{name}`" not in manual] == []
    for part in ("examples", "tests"):
        (tmp_path / part).symlink_to(ROOT / part)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```", manual, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("lineage ")]
    assert len(lines) > 8
    for line in lines:
        words = [str(path) for word in shlex.split(line)[1:]
                 for path in (sorted(tmp_path.glob(word)) if "*" in word else [word])]  # fmt: skip
        done = run(*words)
        assert done.code == 0, f"{line}\n{done.err}"
