"""The page of an artifact: its versions and their numbers, where it is live, who wrote and read it."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lineage.graph import ArtifactNode
from lineage.identity import artifact_id
from ui.chart import HEIGHT, WIDTH, Point, chart, scale
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
    drawn = chart([Point(f"v{n}", f"/{n}", row) for n, row in enumerate(rows)], ["p", "r", "f1"])
    counts = {m: sum(m in row for row in rows) for m in ("p", "r", "f1")}
    expected = sum(count for count in counts.values() if count > 1)
    assert (0 if drawn is None else drawn.count("<circle")) == expected
    for place in (drawn or "").split(' cx="')[1:]:
        x, y = float(place.split('"')[0]), float(place.split('cy="')[1].split('"')[0])
        assert 0 <= x <= WIDTH and -1 <= y <= HEIGHT


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
