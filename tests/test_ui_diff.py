"""The Diff page: two columns, only what differs, and by how much."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lineage.identity import artifact_id
from lineage.queries.comparing.differences import Item, Section
from ui.differing import alike, blocks

from .conftest import Server
from .viewing import EVIL, act, page, record

numbers = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-6)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_bars_are_as_long_as_the_change_is_large(pairs: list[tuple[float, float]]) -> None:
    """The largest change has the whole length; its sign is told by the word as well."""
    items = [Item(f"m{n}", a, b) for n, (a, b) in enumerate(pairs)]
    (block,) = blocks({"metrics": Section(items)})
    assert all(-1 <= row.share <= 1 for row in block.rows)
    largest = max(abs(row.share) for row in block.rows)
    assert largest in (0, 1)
    for row, (a, b) in zip(block.rows, pairs, strict=True):
        delta = Item("", a, b).delta or 0
        assert (row.share > 0, row.share < 0) == (delta > 0, delta < 0)
        assert row.delta[:1] == ("+" if delta > 0 else "−" if delta < 0 else "")


def test_what_is_alike_is_counted() -> None:
    """Sections without a difference say how much is the same; all of them, if all is."""
    sections: Any = {"params": Section([], 2), "metrics": Section([Item("p", 1, 2)], 3)}
    assert alike(sections, all_=False) == ["2 parameters"]
    assert alike(sections, all_=True) == ["2 parameters", "3 metrics"]
    assert [block.name for block in blocks(sections)] == ["metrics"]


def training(n: int, of: str, **more: Any) -> dict[str, Any]:
    return act(
        f"{of}/train/{n}", 24 * n, type="train", name=f"run-{n}",
        controller={"namespace": of, "name": "trainer"}, params={"epochs": n, "same": "yes"},
        code={"repo": "https://github.com/owner/name", "commit": f"{n:x}" * 40},
        inputs=[{"type": "Dataset", "uri": f"gs://{of}/rows", "version": f"v{n}", "role": "rows"}],
        outputs=[
            {"type": "Model", "uri": f"gs://{of}/model", "version": f"m{n}", "role": "model"},
            {"type": "Metrics", "uri": f"gs://{of}/metrics/{n}", "role": "metrics",
             "properties": {"docs.precision": 0.5 + n / 10, "bugs.recall": 0.9 - n / 5}},
        ],
        **more,
    )  # fmt: skip


def model(n: int, of: str) -> str:
    return artifact_id(f"gs://{of}/model", f"m{n}")


def test_with_one_alone_it_is_the_version_before(server: Server) -> None:
    """Data, commit range, parameters and metrics against what came before, with signs."""
    record(server, *[training(n, "differ") for n in (1, 2)])
    found = page(server, "/diff", a=model(2, "differ"))
    for text in ("v1", "v2", "epochs", "+0.10", "−0.20", "docs.precision", "m1", "m2"):
        assert text in found.text
    compare = "https://github.com/owner/name/compare/" + "1" * 40 + "..." + "2" * 40
    assert compare in found.links
    assert found.html.count('class="up"') == 1 and found.html.count('class="down"') == 1


def test_a_metric_that_rose_is_green_only_where_more_is_better(server: Server) -> None:
    """Precision up is good, a loss up is bad, and rows are neither."""
    of = "judged"
    for n in (1, 2):
        properties = {"docs.precision": 0.1 * n, "docs.loss": 0.2 * n, "docs.rows": n}
        measured = {"type": "Metrics", "uri": f"gs://{of}/{n}", "properties": properties}
        made = {"type": "Model", "uri": f"gs://{of}/model", "version": f"m{n}"}
        record(server, act(f"{of}/{n}", n, type="train", outputs=[made, measured],
                           controller={"namespace": of, "name": "trainer"}))  # fmt: skip
    html = page(server, "/diff", a=model(2, of)).html
    for name, bar in (("precision", "ok"), ("loss", "bad"), ("rows", "plain")):
        row = html.partition(f"docs.{name}")[2].partition("</tr>")[0]
        assert f'class="delta-bar {bar}"' in row, name


def test_the_other_way_round_is_one_click(server: Server) -> None:
    """Exchanged, every sign turns."""
    record(server, *[training(n, "swapped") for n in (1, 2)])
    found = page(server, "/diff", a=model(1, "swapped"), b=model(2, "swapped"))
    swap = f"/diff?a={model(2, 'swapped')}&b={model(1, 'swapped')}"
    assert swap in found.links
    text = page(server, swap).text
    assert "−0.10" in text and "+0.20" in text


def test_nothing_differs_is_said(server: Server) -> None:
    """Two runs of the same over the same: no table, a sentence."""
    of = "alike"
    inputs = [{"type": "Dataset", "uri": f"gs://{of}/rows", "version": "v1"}]
    record(server, *[act(f"{of}/{n}", n, name=f"run-{n}", inputs=inputs) for n in (1, 2)])
    text = page(server, "/diff", a=f"{of}/1", b=f"{of}/2").text
    assert "Nothing differs." in text


def test_what_cannot_be_compared_says_why_and_asks_again(server: Server) -> None:
    """The form stays, with what was asked and the reason."""
    record(server, training(1, "onlyone"))
    assert "Name two things of one kind" in page(server, "/diff").text
    assert "name what to compare it with" in page(server, "/diff", 404, a=model(1, "onlyone")).text
    assert (
        "othing is called"
        in page(server, "/diff", 404, a="nothing-like-it", b="nor-like-this").text
    )
    assert (
        "compared with itself"
        in page(server, "/diff", 400, a="nothing-like-it", b="nothing-like-it").text
    )


def test_values_cannot_speak_html(server: Server) -> None:
    """Parameters, names and metrics that say HTML are shown as they are."""
    for n in (1, 2):
        record(server, act(f"evil-diff/{n}", n, name=f"{EVIL}{n}", by=f"{EVIL}{n}", params={EVIL: f"{EVIL}{n}"},
                           controller={"namespace": "evil-diff", "name": f"{EVIL}{n}"},
                           outputs=[{"type": "Model", "uri": "evil-diff/m", "version": f"{EVIL}{n}"}]))  # fmt: skip
    assert "alert(1)" in page(server, "/diff", a="evil-diff/1", b="evil-diff/2").text
    page(server, "/diff", 404, a=EVIL + "-unknown")
