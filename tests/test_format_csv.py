"""CSV: every cell comes back, and no spreadsheet runs one."""

from __future__ import annotations

import csv
import io
import re

import httpx2
from hypothesis import given
from hypothesis import strategies as st

from lineage.formats import REGISTRY, tables
from tests.conftest import Server
from tests.graphs import MODEL, SLOT, asked, hostile, of_all, story

FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")


def parsed(made: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(made.decode(), newline="")))


@given(st.lists(st.text(), min_size=1), st.floats(allow_nan=False))
def test_cells_come_back_and_none_is_a_formula(texts: list[str], number: float) -> None:
    """An apostrophe at most; numbers, also negative ones, stay numbers."""
    [line] = parsed(tables.rows([[number, *texts]]))
    assert float(line[0]) == number
    assert [cell.removeprefix("'") if FORMULA.match(text) else cell
            for cell, text in zip(line[1:], texts, strict=True)] == texts  # fmt: skip
    assert [cell for cell in line[1:] if FORMULA.match(cell)] == []


def test_hostile_records_make_no_formula_in_any_table() -> None:
    """Edges of a graph, actions of a store, artifacts of a list."""
    graph, detail = of_all([hostile()])
    form = REGISTRY["csv"]
    assert form.graph is not None and form.each is not None
    made = [form.graph(graph, detail)]
    made += [form.head + form.each(state, detail.artifacts) for state in detail.actions.values()]
    made += [tables.rows([tables.ARTIFACTS, *map(tables.artifact, detail.artifacts.values())])]
    for table in made:
        lines = parsed(table)
        assert {len(line) for line in lines} == {len(lines[0])}
        assert [cell for line in lines for cell in line if FORMULA.match(cell)] == []


def test_the_edges_of_a_graph_are_its_rows_and_a_cut_one_says_so() -> None:
    """One row an edge, with the names at both ends."""
    form = REGISTRY["csv"]
    assert form.graph is not None
    graph, detail = asked(story(), MODEL)
    lines = parsed(form.graph(graph, detail))
    assert len(lines) == len(graph.edges) + 1
    assert any(line[1] == "train" and line[4] == "Model" for line in lines)
    cut = parsed(form.graph(*asked(story(), SLOT, max_nodes=5)))
    assert cut[-1][0] == "there is more than the limit let through"


def test_lists_are_tables_page_by_page(server: Server) -> None:
    """The next page stands in a Link header, as RFC 8288 has it."""
    with server.client() as client:
        for n in range(3):
            client.record({
                "key": f"csv/{n}", "type": "train", "controller": {"name": "csv-test"},
                "outputs": [{"type": "CsvThing", "uri": f"gs://csv/{n}", "name": "=1+1"}],
            })  # fmt: skip
    keys, url = [], f"{server.url}/api/v1/actions?controller=csv-test&format=csv&limit=2"
    while url:
        answer = httpx2.get(url)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        keys += [line[1] for line in parsed(answer.content)[1:]]
        link = answer.headers.get("link", "")
        url = str(answer.url.join(link[1 : link.index(">")])) if link else ""
    assert sorted(keys) == ["csv/0", "csv/1", "csv/2"]
    things = httpx2.get(f"{server.url}/api/v1/artifacts?type=CsvThing&format=csv").content
    assert [line[4] for line in parsed(things)] == ["name", "'=1+1", "'=1+1", "'=1+1"]
