"""The selection syntax: which nodes of the lineage to show, in one line of text."""

from __future__ import annotations

import json
import subprocess

import pytest

from lineage.errors import BadRequest, NotFound
from lineage.graph import Graph
from lineage.model import Action, parse_action
from lineage.queries.lineage import lineage
from lineage.queries.selection import select
from lineage.queries.terms import Both, Either, Field, Name, Not, Term, Walk, parse
from tests.conftest import COMMAND, Server, clean_environment
from tests.memory import MemoryReader


def act(key: str, type_: str, minute: int, reads: list[str], writes: list[str]) -> Action:
    kinds = {"d": "Dataset", "m": "Model", "s": "Deployment"}
    return parse_action(
        json.dumps(
            {
                "key": key,
                "type": type_,
                "controller": {"cluster": "c", "namespace": "bot", "name": f"{type_}er"},
                "state": "failed" if key == "train/bad" else "complete",
                "started_at": f"2026-01-01T00:{minute:02}:00Z",
                "ended_at": f"2026-01-01T00:{minute:02}:30Z",
                "inputs": [
                    {"type": kinds[u[0]], "uri": f"gs://b/{u}", "version": "1"} for u in reads
                ],
                "outputs": [
                    {"type": kinds[u[0]], "uri": f"gs://b/{u}", "version": "1"} for u in writes
                ],
            }
        )
    )


@pytest.fixture(scope="module")
def reader() -> MemoryReader:
    """d1, d2 → train/1 → m1 → deploy/1 → s1, and a training of d2 that failed."""
    return MemoryReader.of(
        [
            act("ingest/1", "ingest", 0, [], ["d1"]),
            act("train/1", "train", 1, ["d1", "d2"], ["m1"]),
            act("train/bad", "train", 2, ["d2"], []),
            act("deploy/1", "deploy", 3, ["m1"], ["s1"]),
        ]
    )


def names(graph: Graph) -> set[str]:
    return {
        node.key if hasattr(node, "key") else node.uri.removeprefix("gs://b/")
        for node in graph.nodes.values()
    }


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("gs://b/m1", Name("gs://b/m1")),
        ("2+gs://b/m1+1", Walk(Name("gs://b/m1"), 2, 1)),
        ("+m1", Walk(Name("m1"), None, 0)),
        ("m1+", Walk(Name("m1"), 0, None)),
        ("git+https://h/o/r@abc", Name("git+https://h/o/r@abc")),
        ("+git+https://h/o/r+3", Walk(Name("git+https://h/o/r"), None, 3)),
        ("k8s://c/n/Deployment/w", Name("k8s://c/n/Deployment/w")),
        ('"a b+1"', Name("a b+1")),
        ("type:Model", Field("type", "Model")),
        ("NOT type:Model", Not(Field("type", "Model"))),
        ("a or b and c", Either(Name("a"), Both(Name("b"), Name("c")))),
        ("2+(a or b)+", Walk(Either(Name("a"), Name("b")), 2, None)),
        ("not (a)", Not(Name("a"))),
    ],
)
def test_text_means_what_it_looks_like(text: str, term: Term) -> None:
    """Plus is a walk at either end only; and binds closer than or."""
    assert parse(text) == term


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "1 to 100 words"),
        ("a b", "character 3, 'b'"),
        ("a and", "it ends"),
        ("(a", "it ends where )"),
        ("a)", "character 2"),
        ("2+ a", "character 4, 'a': ( is expected"),
        ("or a", "character 1, 'or'"),
        ('"a', "never closed"),
        ("a" * 2001, "at most 2,000"),
        ("(" * 101, "1 to 100 words"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, place: str) -> None:
    """Whoever wrote it sees where it goes wrong and what is expected there."""
    with pytest.raises(BadRequest) as error:
        parse(text)
    assert place in error.value.detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gs://b/m1", {"m1"}),
        ("1+gs://b/m1+1", {"train/1", "m1", "deploy/1"}),
        ("+gs://b/m1 and type:Dataset", {"d1", "d2"}),
        ("+gs://b/m1", {"d1", "d2", "ingest/1", "train/1", "m1"}),
        ("gs://b/d2+ and not state:failed", {"d2", "train/1", "m1", "deploy/1", "s1"}),
        # The training between what is chosen is shown, though nobody chose it.
        ("+gs://b/m1 and (type:Model or type:Dataset)", {"d1", "d2", "train/1", "m1"}),
        ("gs://b/d1+ and controller:BOT/dep*", {"deploy/1"}),
        ("gs://b/d1 or gs://b/s1", {"d1", "s1"}),
        # A walk from a field starts at what the references reach, whatever stands first.
        ("type:Model+1 or 2+gs://b/m1", {"d1", "d2", "train/1", "m1", "deploy/1"}),
        ("2+gs://b/m1 or type:Model+1", {"d1", "d2", "train/1", "m1", "deploy/1"}),
        ("(train/1 or deploy/1)+1", {"train/1", "m1", "deploy/1", "s1"}),
        ("1+(gs://b/d2+1)", {"d2", "train/1", "train/bad", "d1"}),
    ],
)
def test_a_selection_shows_what_it_says(
    reader: MemoryReader, text: str, expected: set[str]
) -> None:
    """Each line selects exactly these."""
    assert names(select(reader, text)) == expected


def test_fields_alone_would_mean_the_whole_store(reader: MemoryReader) -> None:
    """They are refused, but for a graph that is there already."""
    with pytest.raises(BadRequest, match="name something to start from"):
        select(reader, "type:Model")
    shown = lineage(reader, "gs://b/m1")
    assert names(select(reader, "type:Model", within=shown)) == {"m1"}
    assert names(select(reader, "not kind:action", within=shown)) >= {"d1", "m1", "s1"}


def test_a_reference_to_nothing_says_so(reader: MemoryReader) -> None:
    """As everywhere else."""
    with pytest.raises(NotFound):
        select(reader, "+gs://b/none and type:Model")


def test_a_limit_is_said(reader: MemoryReader) -> None:
    """What does not fit is not shown, and the graph says so."""
    assert select(reader, "+gs://b/s1", max_nodes=2).truncated


def test_rest_and_command_line_select_alike(server: Server) -> None:
    """One line of text, the same nodes; and neither it nor a reference is an error."""
    with server.client() as client:
        record = {"type": "train", "controller": {"name": "selector"}, "state": "complete"}
        things = [{"type": t, "uri": f"gs://select/{t}"} for t in ("Dataset", "Model")]
        client.record({"key": "select/1", **record, "inputs": things[:1], "outputs": things[1:]})
        text = "+gs://select/Model and not type:Dataset"
        asked = client.lineage(select=text)
        with pytest.raises(BadRequest, match="a selection"):
            client.lineage()
    assert {node["name"] for node in asked["nodes"]} == {"Model", "1"}
    command = [*COMMAND, "--url", server.url, "graph", "--select", text, "--json"]
    done = subprocess.run(command, capture_output=True, check=True, env=clean_environment())
    assert json.loads(done.stdout) == asked
