"""The page of an artifact: its versions and their numbers, where it is live, who wrote and read it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.graph import ArtifactNode
from lineage.identity import artifact_id
from ui import metrics
from ui.chart import HEIGHT, WIDTH, Point, charts, scale
from ui.judged import better, judged
from ui.versions import OVERALL, Version, numbers

from .conftest import Server
from .viewing import EVIL, act, page, record

finite = st.floats(-1e12, 1e12, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-9)


@given(st.lists(finite, min_size=1, max_size=30))
def test_the_scale_holds_every_number_between_round_ones(values: list[float]) -> None:
    """The lowest and the highest line enclose what is drawn, and there are a few between."""
    low, high, step = scale(values)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert low <= min(values) + slack and max(values) <= high + slack
    assert 1 <= round((high - low) / step) <= 7
    assert math.isclose(round(low / step) * step, low, abs_tol=slack) or min(values) == max(values)


@given(
    st.lists(st.dictionaries(st.sampled_from(["p", "r", "f1"]), finite), min_size=1, max_size=60)
)
def test_every_number_is_a_point_within_the_frame(rows: list[dict[str, float]]) -> None:
    """A measure with two numbers or more is a line; each of its numbers is a point with words."""
    points = [Point(f"v{n}", f"/{n}", row) for n, row in enumerate(rows)]
    drawn = "".join(charts(points, ["p", "r", "f1"]))
    counts = {m: sum(m in row for row in rows) for m in ("p", "r", "f1")}
    expected = sum(count for count in counts.values() if count > 1)
    assert drawn.count("<circle") == expected
    for place in drawn.split(' cx="')[1:]:
        x, y = float(place.split('"')[0]), float(place.split('cy="')[1].split('"')[0])
        assert 0 <= x <= WIDTH and -1 <= y <= HEIGHT


def test_measures_of_very_different_size_have_charts_of_their_own() -> None:
    """Beside thousands of tokens every accuracy would be a line at zero."""
    points = [Point(f"v{n}", "/", {"acc": 0.9, "f1": 0.1, "tokens": 900.0 + n}) for n in range(3)]
    first, second = charts(points, ["acc", "tokens", "f1"])
    assert "acc" in first and "f1" in first and "tokens" not in first and "tokens" in second


def version(name: str, cells: dict[str, dict[str, float]]) -> Version:
    return Version(ArtifactNode(name, "Model", "m", name), None, cells)


def test_overall_is_what_was_measured_else_the_mean() -> None:
    """A number of the whole stands for itself; without one it is the mean of the labels."""
    labelled = version("1", {"docs": {"p": 0.5}, "bugs": {"p": 0.7, "r": 0.2}})
    assert labelled.values(OVERALL) == {"p": 0.6, "r": 0.2}
    assert version("2", {OVERALL: {"p": 0.9}, "docs": {"p": 0.1}}).values(OVERALL) == {"p": 0.9}
    found = numbers([labelled], "")
    assert found is not None
    assert (found.labels, found.label, found.mean_of) == (("overall", "bugs", "docs"), "overall", 2)
    chosen = numbers([labelled], "bugs")
    assert chosen is not None and (chosen.label, chosen.mean_of) == ("bugs", 0)
    assert numbers([version("3", {})], "") is None


@pytest.mark.parametrize("name", ["mean", "macro avg", "weighted_avg", "Average", "all", "overall"])
def test_a_row_of_what_all_labels_had_together_is_no_label(name: str) -> None:
    """It is `overall`, counts as no label, is in no mean, and stands last in the table."""
    cells = {"a": {"p": 0.5}, name: {"p": 0.9}, "z": {"p": 0.7}}
    measured = version("1", cells)
    assert measured.values(OVERALL) == {"p": 0.9}
    found = numbers([measured], "")
    assert found is not None and found.mean_of == 0
    properties = {f"{label}.p": row["p"] for label, row in cells.items()}
    table = metrics.table(ArtifactNode("1", "Metrics", "m", None, properties=properties))
    assert table is not None and [label for label, _ in table.rows] == ["a", "z", name]


BETTER = {
    "precision": "up", "val_accuracy": "up", "F1": "up", "ROC_AUC": "up", "mAP@50": "up", "r2": "up",
    "loss": "down", "valLoss": "down", "RMSE": "down", "p99_latency_ms": "down", "wer": "down",
    "perplexity": "down", "mean_absolute_error": "down", "accuracy_loss": "down",
    "false_positive": "down", "false_negative_rate": "down", "rows": "", "tokens": "", "temperature": "",
    "neg_mean_squared_error": "", "negative_log_likelihood": "", "": "", "🙂": "",
}  # fmt: skip


@pytest.mark.parametrize(("measure", "way"), BETTER.items())
def test_what_is_better_is_told_by_the_name_or_not_at_all(measure: str, way: str) -> None:
    """A change is green where it is for the better, red for the worse, and else neither."""
    assert better(measure) == way
    good = {"up": 1.0, "down": -1.0, "": 0.0}[way]
    assert judged(measure, good) == ("ok" if way else "")
    assert judged(measure, -good) == ("bad" if way else "")
    assert judged(measure, None) == ""


def training(n: int, of: str) -> dict[str, Any]:
    """A training that writes a version, and what it measured."""
    return act(
        f"{of}/train/{n}", 24 * n, type="train", name=f"{of}-train-{n}",
        controller={"namespace": of, "name": "trainer"},
        outputs=[
            {"type": "Model", "uri": f"gs://{of}/model", "version": f"m{n}"},
            {"type": "Metrics", "uri": f"gs://{of}/metrics/{n}",
             "properties": {"docs.precision": 0.5 + n / 10, "bugs.precision": 0.7}},
        ],
    )  # fmt: skip


def deployed(n: int, of: str) -> dict[str, Any]:
    slot = {"type": "Deployment", "uri": f"k8s://prod/{of}/Deployment/worker", "version": f"r{n}"}
    return act(
        f"{of}/deploy/{n}", 24 * n + 2, type="deploy", controller={"namespace": of, "name": "d"},
        inputs=[{"type": "Model", "uri": f"gs://{of}/model", "version": f"m{n}"}], outputs=[slot],
    )  # fmt: skip


def test_the_page_shows_versions_numbers_and_where_it_was_live(server: Server) -> None:
    """All versions with their numbers, a line across them, and the periods it was live in."""
    of = "arti"
    record(server, *[training(n, of) for n in range(4)], deployed(1, of), deployed(2, of))
    old, new = (artifact_id(f"gs://{of}/model", f"m{n}") for n in (1, 2))
    found = page(server, f"/artifacts/{old}")
    assert found.html.count('class="c-dot') == 4
    for text in ("was live", "worker", "the mean of 2 labels", f"{of}-train-3", "1 slot"):
        assert text in found.text
    assert f"/diff?a={new}&b={old}" in found.links
    assert f"/impact?of={old}" in found.links
    assert "live" in page(server, f"/artifacts/{new}").text
    docs = page(server, f"/artifacts/{old}", label="docs")
    assert "docs" in docs.text and "the mean of" not in docs.text


def test_models_with_a_uri_each_are_versions_of_one_family(server: Server) -> None:
    """What one trainer made in one role: a line across them, the delta against the one before,
    an error that fell in green; a model called by another name is none of them."""
    of = "artikin"

    def made(n: int, name: str) -> dict[str, Any]:
        model = {"type": "Model", "uri": f"projects/{of}/models/{name}{n}", "role": "model",
                 "name": name}  # fmt: skip
        measured = {"type": "Metrics", "uri": f"gs://{of}/metrics/{name}/{n}",
                    "properties": {"en.wer": 0.5 - n / 10, "en.accuracy": 0.5 - n / 10}}  # fmt: skip
        return act(f"{of}/{name}/{n}", n, type="train", outputs=[model, measured],
                   controller={"namespace": of, "name": "trainer"})  # fmt: skip

    record(server, *[made(n, "speech") for n in range(3)], made(9, "other"))
    newest = artifact_id(f"projects/{of}/models/speech2", None)
    found = page(server, f"/artifacts/{newest}")
    assert found.html.count('class="c-dot') == 6
    for text in ("Versions", "each with a URI of its own", "speech0", "speech1"):
        assert text in found.text
    assert "other9" not in found.text
    assert '<span class="ok">−0.1</span>' in found.html  # the error rate
    assert '<span class="bad">−0.1</span>' in found.html  # the accuracy
    alone = page(server, f"/artifacts/{artifact_id(f'projects/{of}/models/other9', None)}")
    assert "each with a URI" not in alone.text
    assert "speech1" in page(server, f"/panel/artifacts/{newest}").text


def test_the_past_of_a_version(server: Server) -> None:
    """As of a moment there is only what was there; before it appeared, the page says when."""
    of = "artipast"
    record(server, *[training(n, of) for n in range(3)])
    first = artifact_id(f"gs://{of}/model", "m0")
    text = page(server, f"/artifacts/{first}", as_of="2021-03-02T12:00:00Z").text
    assert f"{of}-train-0" in text and f"{of}-train-2" not in text
    assert "appears at" in page(server, f"/artifacts/{first}", 404, as_of="2021-01-01").text


def test_a_version_cannot_speak_html(server: Server) -> None:
    """Names, versions, labels and properties are text, however they are written."""
    record(
        server,
        *[
            act(f"evil-arti/{n}", n, type="train", controller={"name": EVIL}, outputs=[
                {"type": "Model", "uri": "models/" + EVIL, "version": f"{EVIL}{n}", "name": EVIL},
                {"type": "Metrics", "uri": f"evil-metrics/{n}", "properties": {
                    EVIL + "." + EVIL: n / 2, "x": "javascript:alert(1)"}},
            ])
            for n in range(3)
        ],
    )  # fmt: skip
    with server.client() as client:
        ids = [one["id"] for one in client.artifacts(q="models/")]
    for id_ in ids[:5]:
        page(server, f"/artifacts/{id_}")
        page(server, f"/artifacts/{id_}", label=EVIL)


def test_no_such_artifact_is_a_page(server: Server) -> None:
    """It says what to do instead."""
    assert "No artifact has the id" in page(server, "/artifacts/" + "0" * 32, 404).text
