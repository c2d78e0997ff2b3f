"""The five columns of the Kubeflow explorer, by the example of the article's Fig. 6."""

from __future__ import annotations

import json

import httpx2

from lineage.graph import Graph
from lineage.model import parse_action
from lineage.queries.lineage import lineage
from tests.conftest import Server
from tests.memory import MemoryReader
from ui.columns import MOST, columns

EXECUTION = "execution2020-07-10T23:10:31.249904"
METRICS = "xgboost-synthetic-traing-eval"  # spelled as in the figure
FIGURE = {
    "key": EXECUTION,
    "name": EXECUTION,
    "type": "train",
    "state": "complete",
    "controller": {"namespace": "kubeflow", "name": "xgboost-synthetic"},
    "started_at": "2020-07-10T23:10:31.249904Z",
    "ended_at": "2020-07-10T23:11:00Z",
    "inputs": [{"type": "Dataset", "uri": "synthetic-data", "name": "synthetic-data"}],
    "outputs": [
        {"type": "Metrics", "uri": METRICS, "name": METRICS, "role": "evaluation"},
        {"type": "Model", "uri": "housing-price-model", "properties": {"n_estimators": 50}},
    ],
}


def names(graph: Graph) -> list[tuple[str, list[str]]]:
    focus = [graph.nodes[id_] for id_ in graph.of]
    return [(c.title, [n.json()["name"] for n in c.nodes]) for c in columns(graph, focus)]


def test_the_figure_stands_in_five_columns() -> None:
    """What went in, what made it, the metrics asked about, and nothing on the right."""
    reader = MemoryReader.of([parse_action(json.dumps(FIGURE))])
    assert names(lineage(reader, METRICS)) == [
        ("Input artifacts", ["synthetic-data"]),
        ("Made by", [EXECUTION]),
        ("Target", [METRICS]),
        ("Read by", []),
        ("Output artifacts", []),
    ]


def test_an_action_stands_between_what_it_read_and_wrote() -> None:
    """Its sibling outputs are all there: the model that the figure leaves out as well."""
    reader = MemoryReader.of([parse_action(json.dumps(FIGURE))])
    found = dict(names(lineage(reader, EXECUTION)))
    assert found["Inputs"] == ["synthetic-data"]
    assert sorted(found["Outputs"]) == ["housing-price-model", METRICS]


def test_a_long_column_says_how_much_more_there_is() -> None:
    """Nothing is cut silently."""
    outputs = [{"type": "Model", "uri": f"model-{n}"} for n in range(MOST + 5)]
    reader = MemoryReader.of([parse_action(json.dumps({**FIGURE, "outputs": outputs}))])
    graph = lineage(reader, EXECUTION)
    (column,) = (c for c in columns(graph, [graph.nodes[graph.of[0]]]) if c.title == "Outputs")
    assert (len(column.nodes), column.more) == (MOST, 5)


def test_the_page_shows_the_columns(server: Server) -> None:
    """Each card leads to the columns around it."""
    server.client().record(FIGURE)
    page = httpx2.get(f"{server.url}/lineage", params={"of": METRICS, "view": "columns"}).text
    for text in ("Input artifacts", "synthetic-data", "Made by", METRICS, "Output artifacts"):
        assert text in page
    assert 'href="/lineage?of=' in page and "view=columns" in page
