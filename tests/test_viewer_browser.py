"""The viewer as people use it: Chromium, a real server, the label bot's past and a small fleet."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, Route, expect

from benchmarks import fleet
from lineage.identity import identify

from .browsing import CHROMIUM, EXAMPLES, ROOT, SCRIPT, Scheme, Tab, graph_of, launched, tab
from .conftest import Server, start_server

SLOT = "k8s://issue-label-bot/label-bot-prod/Deployment/label-bot-worker"
TRIAGE = fleet.slot_uri(0)
MODELS, VERSIONS = 2, 8
MODEL = f"{fleet.model_uri(0)}@m-{VERSIONS:04}"
MODEL_ID = identify(fleet.model_uri(0), f"m-{VERSIONS:04}", "Model").id
COMMIT = fleet.commit(0, VERSIONS - 1)
AXE = ROOT / "ui" / "web" / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (see make browser)"),
    pytest.mark.skipif(not SCRIPT.exists(), reason="the viewer's script is not built (see make)"),
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("viewer"))
    with running.client() as client:
        for file in sorted(EXAMPLES.glob("*.ndjson")):
            client.batch(file.read_bytes(), ndjson=True)
        client.batch(fleet.lines(fleet.fleet(MODELS, VERSIONS)), ndjson=True)
        client.record(failed())
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as running:
        yield running


@pytest.fixture
def here(demo: Server, chromium: Browser) -> Iterator[Tab]:
    """A tab; whatever a test does in it, the browser must have nothing to complain about."""
    with tab(chromium, demo.url) as opened:
        yield opened
        assert opened.complaints() == []


def failed() -> dict[str, object]:
    return {
        "key": "train/issue-triage/broken", "type": "train", "name": "broken", "state": "failed",
        "controller": {"cluster": "prod", "namespace": "triage", "name": "trainer"},
        "error": "OutOfMemoryError: 16 GiB", "ended_at": "2026-01-01T13:00:00Z",
        "inputs": [{"type": "Dataset", "uri": fleet.data_uri(0), "version": f"v{VERSIONS}"}],
    }  # fmt: skip


def addresses() -> list[str]:
    """Every kind of page, and its states."""
    train = f"/actions/train/{fleet.label(0)}/{VERSIONS}"
    return [
        "/", "/?as_of=2020-07-10", "/?as_of=1999-01-01", "/lineage", graph_of(SLOT),
        graph_of(TRIAGE, as_of="2026-01-01"), graph_of(MODEL, view="columns"),
        graph_of(MODEL, view="table"), "/flow", "/activity", "/activity?state=failed", "/search",
        "/search?q=triage", "/search?q=nothingiscalledthis", f"/artifacts/{MODEL_ID}", train,
        "/actions/train/issue-triage/broken", f"/diff?a={MODEL_ID}", f"/impact?of={MODEL_ID}",
    ]  # fmt: skip


def node(page: Page, title: str) -> Locator:
    """A node of the graph by its text."""
    return page.locator(".g-node", has_text=title).first


def asked(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def shown(page: Page) -> set[str]:
    """The nodes and stacks that are drawn."""
    ids: list[str] = page.locator(".g-node").evaluate_all(
        "nodes => nodes.map(node => node.dataset.id ?? node.dataset.open)"
    )
    return set(ids)


def test_from_the_home_page_to_the_notebooks_commit_in_three_clicks(here: Tab) -> None:
    """Live → its graph → the training → the commit on its forge, and the notebook's path."""
    page = here.open("/")
    page.get_by_role("link", name="issue-triage", exact=True).click()
    node(page, "train trainer").click()
    panel = page.locator("#panel")
    expect(panel).to_contain_text("train.ipynb")
    link = panel.locator(f'a[href="https://github.com/acme/issue-triage/commit/{COMMIT}"]')
    expect(link).to_be_visible()  # and the third click would leave for the forge


def test_a_stack_opens_in_place_and_folds_again(here: Tab) -> None:
    """Opening adds nodes and keeps all that was there; the back button folds."""
    page = here.open(graph_of(TRIAGE))
    before = shown(page)
    stack = node(page, "other versions")
    expect(stack).to_contain_text(f"{VERSIONS - 3} other versions")
    stack.click()
    expect(page.locator(".g-node", has_text="other versions")).to_have_count(0)
    after = shown(page)
    assert {id_ for id_ in before if len(id_) == 32} < after  # stacks have shorter ids
    assert "open" in asked(page)
    page.go_back()
    expect(node(page, "other versions")).to_be_visible()
    assert shown(page) == before


def test_the_slider_goes_to_a_day_and_shows_what_was_live_then(here: Tab) -> None:
    """By its keys to the last change before 10 July 2020: the model of that day is live, and a
    band says so; then to now."""
    page = here.open(graph_of(SLOT))
    assert "TCN6542" not in page.inner_text("main")
    slider = page.get_by_role("slider", name="Moment of the past")
    moments = (slider.get_attribute("data-moments") or "").split(" ")
    slider.focus()
    slider.press("Home")
    for _ in range(sum(moment < "2020-07-10" for moment in moments) - 1):
        slider.press("ArrowRight")
    expect(page.locator("#band")).to_contain_text("As of 30 Jun 2020")
    expect(page.locator(".g-node.t-model", has_text="TCN6542")).to_contain_text("live")
    assert asked(page)["as_of"] == moments[0] < "2020-07-10" < moments[1]
    slider.press("End")
    expect(page.locator("#band")).to_be_empty()
    assert "as_of" not in asked(page)


def test_the_home_page_on_a_day_of_the_past(here: Tab) -> None:
    """The date field: 10 July 2020 had another model live, and every link stays in the past."""
    page = here.open("/")
    page.get_by_label("As of the beginning of this day (UTC)").fill("2020-07-10")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.locator("#band")).to_contain_text("As of 10 Jul 2020")
    expect(page.locator("main")).to_contain_text("TCN6542…231104")
    page.get_by_role("link", name="label-bot-worker", exact=True).first.click()
    expect(page.locator(".g-node.t-model", has_text="TCN6542")).to_contain_text("live")
    assert asked(page)["as_of"] == "2020-07-10"


def test_hovering_lights_the_way_and_dims_the_rest(here: Tab) -> None:
    """Data, training, model, deploy and slot stay; the metrics beside them fade."""
    page = here.open(graph_of(MODEL))
    node(page, "per label").wait_for()
    page.locator(".g-node.g-focus").hover()
    expect(page.locator(".canvas")).to_have_class("canvas snug tracing")
    for name in ("train trainer", "examples", "deploy deployer"):
        expect(node(page, name)).to_have_class(re_class("lit"))
    expect(page.locator(".g-node.t-slot")).to_have_class(re_class("lit"))
    expect(node(page, "per label")).not_to_have_class(re_class("lit"))
    expect(node(page, "per label")).to_have_css("opacity", "0.2")
    page.mouse.move(2, 2)
    expect(page.locator(".tracing")).to_have_count(0)


def test_back_and_forward(here: Tab) -> None:
    """Each centre is a step of the history; back and forward show it again."""
    page = here.open(graph_of(MODEL))
    page.locator(".g-node.t-slot").dblclick()
    expect(page.locator(".crumbs")).to_contain_text("issue-triage")
    slot = page.locator(".g-node.g-focus").get_attribute("data-id")
    expect(page.locator(".g-node.t-model.g-focus")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    page.go_back()
    expect(page.locator(".g-node.g-focus")).to_have_attribute("data-id", MODEL_ID)
    page.go_forward()
    expect(page.locator(".g-node.g-focus")).to_have_attribute("data-id", slot or "")


def test_the_breadcrumb_is_the_walk_so_far(here: Tab) -> None:
    """Live › slot › model: each step a link back, which shortens the walk, as does the back
    button; another view of the same is no step; a reload keeps it, a section begins anew."""
    page = here.open("/")
    crumbs = page.locator(".crumbs li")
    page.get_by_role("link", name="issue-triage", exact=True).click()
    page.locator(".g-node.t-model").first.dblclick()
    expect(page.locator(".g-node.g-focus")).to_have_attribute("data-id", MODEL_ID)
    assert [text.split()[0] for text in crumbs.all_inner_texts()] == ["Live"] + ["issue-triage"] * 2
    page.get_by_role("link", name="Upstream", exact=True).click()
    expect(page.locator(".g-node.t-slot")).to_have_count(0)
    expect(crumbs).to_have_count(3)
    page.reload()
    expect(crumbs).to_have_count(3)
    crumbs.nth(1).get_by_role("link").click()
    expect(crumbs).to_have_count(2)
    expect(page.locator(".g-node.t-slot.g-focus")).to_be_visible()
    page.go_back()
    expect(crumbs).to_have_count(3)
    page.get_by_role("link", name="Flow", exact=True).click()
    expect(crumbs).to_have_text(["Flow"])


def test_a_copied_link_shows_the_same_view(here: Tab, demo: Server, chromium: Browser) -> None:
    """Selection, zoom and open stacks stand in the address: another browser shows the same."""
    page = here.open(graph_of(TRIAGE))
    node(page, "other versions").click()
    expect(page.locator(".g-node", has_text="other versions")).to_have_count(0)
    page.get_by_role("button", name="Larger (+)").click()
    page.locator(".g-node.t-slot").first.click()
    expect(page.locator("#panel h2")).to_contain_text("issue-triage")
    page.wait_for_timeout(400)  # the address follows the hand a moment later
    view = {"nodes": shown(page), **seen(page)}
    with tab(chromium, demo.url) as other:
        there = other.open(page.url.removeprefix(demo.url))
        expect(there.locator("#panel h2")).to_contain_text("issue-triage")
        assert {"nodes": shown(there), **seen(there)} == view
        assert other.complaints() == []


def seen(page: Page) -> dict[str, str | None]:
    """What is selected, and how large everything is drawn."""
    scale = page.locator("[data-world]").get_attribute("transform") or ""
    return {
        "selected": page.locator(".g-node.selected").get_attribute("data-id"),
        "scale": f"{float(scale.rpartition('scale(')[2].rstrip(')')):.2f}",
        "panel": page.locator("#panel h2").inner_text(),
    }


def record(demo: Server, key: str, slot: str) -> None:
    deployment = {"type": "Deployment", "uri": slot, "evidence": "observed"}
    model = {"type": "Model", "uri": fleet.model_uri(0), "version": f"m-{VERSIONS:04}"}
    demo.client().record({
        "key": key, "type": "deploy", "controller": {"name": "hand"}, "state": "complete",
        "inputs": [model], "outputs": [deployment],
    })  # fmt: skip


def test_what_is_recorded_appears_within_a_second(here: Tab, demo: Server) -> None:
    """Live mode, on at the home page and switched on at the graph: no reload, no click."""
    page = here.open("/")
    listens(page)
    begun = time.monotonic()
    record(demo, "live/1", "k8s://prod/live-1/Deployment/fresh-worker")
    page.get_by_role("link", name="fresh-worker", exact=True).wait_for(timeout=3000)
    assert time.monotonic() - begun < 1
    here.open(graph_of(MODEL))
    page.get_by_role("button", name="Live", exact=True).click()
    listens(page)
    begun = time.monotonic()
    record(demo, "live/2", "k8s://prod/live-2/Deployment/second-worker")
    node(page, "second-worker").wait_for(timeout=3000)
    assert time.monotonic() - begun < 1
    expect(page.locator(".g-node.fresh", has_text="second-worker")).to_have_count(1)


def listens(page: Page) -> None:
    expect(page.locator("#live-mode")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(700)  # the server listens from its first look on


def test_everything_by_keyboard_alone(here: Tab) -> None:
    """From the home page to a model, its panel, another centre, the palette, and back."""
    page = here.open("/")
    focus(page, page.get_by_role("link", name="issue-triage", exact=True))
    page.keyboard.press("Enter")
    node(page, "train trainer").wait_for()
    focus(page, page.locator("[data-graph]"))
    page.keyboard.press("ArrowLeft")
    selected = page.locator(".g-node.selected")
    expect(selected).to_contain_text("deploy")
    page.keyboard.press("Space")
    expect(page.locator("#panel h2")).to_contain_text("deploy")
    page.keyboard.press("ArrowLeft")  # the panel follows
    expect(page.locator("#panel h2")).to_contain_text("issue-triage")
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    page.keyboard.press("Enter")  # the node, which has the focus again, becomes the centre
    expect(page.locator(".g-node.g-focus")).to_have_attribute("data-id", MODEL_ID)
    page.keyboard.press("Control+k")
    page.keyboard.type("label-bot-worker")
    expect(page.get_by_role("option").first).to_contain_text("label-bot-worker")
    page.wait_for_timeout(500)  # the last letter has been answered
    page.keyboard.press("ArrowDown")
    chosen = page.locator('#palette [aria-selected="true"] b').inner_text()
    page.keyboard.press("Enter")
    expect(page.locator(".crumbs")).to_contain_text(chosen)
    expect(page.locator("#palette")).to_be_hidden()
    page.go_back()
    focus(page, page.get_by_role("slider"))
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#band")).to_contain_text("As of")


def test_a_panel_closed_while_it_was_on_its_way_stays_closed(here: Tab) -> None:
    """Escape counts, however late the answer comes; so does the last node that was selected."""
    page = here.open(graph_of(MODEL))
    held: list[Route] = []
    page.route("**/panel/**", lambda route: held.append(route))
    node(page, "train trainer").click()
    waits_for(lambda: len(held) == 1, page)
    page.keyboard.press("Escape")
    held.pop().continue_()
    page.wait_for_timeout(300)
    expect(page.locator("#panel")).to_be_hidden()
    node(page, "train trainer").click()
    node(page, "deploy deployer").click()
    waits_for(lambda: len(held) == 2, page)
    for route in reversed(held):  # the first that was asked for answers last
        route.continue_()
    expect(page.locator("#panel h2")).to_contain_text("deploy")
    page.wait_for_timeout(200)
    expect(page.locator("#panel h2")).to_contain_text("deploy")
    assert asked(page)["selected"] == page.locator(".g-node.selected").get_attribute("data-id")


def waits_for(true: Callable[[], bool], page: Page) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def test_opening_a_stack_keeps_ones_place(here: Tab) -> None:
    """What stood beside it stays where it was on the screen, at the same size; what came out of
    it can be seen; and what the address says of the view is no other page's."""
    page = here.open(graph_of(TRIAGE))
    stack = node(page, "other versions")
    beside = nearest_to(stack, page)
    before, size = beside.bounding_box(), seen_scale(page)
    known = shown(page)
    stack.click()
    expect(page.locator(".g-node", has_text="other versions")).to_have_count(0)
    page.wait_for_timeout(500)
    after = beside.bounding_box()
    assert before and after
    assert abs(after["x"] - before["x"]) < 3 and abs(after["y"] - before["y"]) < 3
    assert seen_scale(page) == size
    fresh = shown(page) - known
    canvas = page.locator("[data-graph]").bounding_box()
    assert canvas and any(within(canvas, page.locator(f'[data-id="{id_}"]').first) for id_ in fresh)


def nearest_to(stack: Locator, page: Page) -> Locator:
    box = stack.bounding_box()
    assert box is not None
    away = {}
    for one in page.locator(".g-node[data-href]").all():
        at = one.bounding_box()
        assert at is not None
        away[one.get_attribute("data-id")] = (at["x"] - box["x"]) ** 2 + (at["y"] - box["y"]) ** 2
    return page.locator(f'[data-id="{min(away, key=lambda id_: away[id_])}"]').first


def within(canvas: FloatRect, one: Locator) -> bool:
    box = one.bounding_box()
    return box is not None and (
        canvas["x"] <= box["x"] <= canvas["x"] + canvas["width"]
        and canvas["y"] <= box["y"] <= canvas["y"] + canvas["height"]
    )


def seen_scale(page: Page) -> str:
    return (page.locator("[data-world]").get_attribute("transform") or "").rpartition("scale(")[2]


@pytest.mark.parametrize("width", [1400, 380])
def test_a_graph_that_does_not_fit_shows_what_was_asked_about(
    demo: Server, chromium: Browser, width: int
) -> None:
    """Never smaller than can be read; the thing itself is on the screen."""
    with tab(chromium, demo.url, width=width) as opened:
        for path in (
            graph_of(SLOT),
            graph_of(MODEL),
            graph_of(TRIAGE),
            graph_of(fleet.data_uri(0)),
        ):
            page = opened.open(path)
            page.locator(".g-node").first.wait_for()
            assert float(seen_scale(page).rstrip(")")) >= 0.6, path
            canvas = page.locator("[data-graph]").bounding_box()
            assert canvas and within(canvas, page.locator(".g-focus").first), path


def test_what_hangs_on_a_node_folds_and_unfolds(here: Tab) -> None:
    """By its key and by the button of its panel; the focus stays, and reset brings all back."""
    page = here.open(graph_of(MODEL))
    before = shown(page)
    node(page, "train trainer").click()
    page.locator("#panel").get_by_role("button", name="Fold", exact=True).click()
    expect(page.locator(".g-node", has_text="acme/issue-triage")).to_have_count(0)
    expect(node(page, "1 Code")).to_be_visible()
    assert "fold" in asked(page)
    expect(page.locator(".counts")).to_contain_text("folded")
    page.keyboard.press("Escape")
    page.locator("[data-graph]").focus()
    page.keyboard.press("x")
    expect(page.locator(".g-node", has_text="acme/issue-triage").first).to_be_visible()
    assert shown(page) == before and "fold" not in asked(page)
    page.keyboard.press("x")
    expect(node(page, "1 Code")).to_be_visible()
    node(page, "1 Code").click()  # a stack of what was folded opens as any other
    expect(page.locator(".g-node", has_text="acme/issue-triage").first).to_be_visible()
    page.get_by_role("link", name="reset").click()
    expect(page.locator(".g-stack")).to_have_count(0)
    assert shown(page) == before


def test_every_format_of_graphs_can_be_downloaded(here: Tab, demo: Server) -> None:
    """The menu offers what the server knows, no more and no less, and each is answered."""
    page = here.open(graph_of(MODEL))
    page.locator(".exports summary").click()
    links = page.locator(".exports a[download]")
    hrefs = links.evaluate_all("links => links.map(link => link.href)")
    offered = {parse_qs(urlsplit(href).query)["format"][0] for href in hrefs}
    known = httpx2.get(f"{demo.url}/api/v1/formats").json()["items"]
    assert offered == {one["name"] for one in known if one["graph"]}
    for href in hrefs:
        assert httpx2.get(href, timeout=30).status_code == 200, href
    page.keyboard.press("Escape")
    expect(links.first).to_be_hidden()


def test_the_palette_shows_each_thing_once(here: Tab) -> None:
    """Versions of one thing are one entry, which leads to all of them; Enter counts for what was
    typed, also when it is faster than the answer."""
    page = here.open("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("issue-triage")
    options = page.locator("#palette [role=option]")
    expect(options.first).to_contain_text("issue-triage")
    page.wait_for_timeout(500)  # the last letter has been answered
    entries = options.all_inner_texts()
    assert len(entries) == len(set(entries)) > 3
    assert sum(fleet.model_uri(0) in entry for entry in entries) == 1
    page.locator("#palette input").fill("label-bot-worker")
    page.keyboard.press("Enter")
    expect(page.locator(".crumbs")).to_contain_text("label-bot-worker")


def test_the_selection_completes_what_is_written(here: Tab) -> None:
    """By keyboard and by mouse, in the middle of an expression; what is selected is shown."""
    page = here.open(graph_of(MODEL))
    field = page.get_by_role("combobox", name="Show only what this selects")
    field.type("not type:Metrics and mod")
    options = page.locator("#completions [role=option]")
    expect(options.first).to_contain_text("type:Model")
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value("not type:Metrics and type:Model ")
    field.type("or deployer")
    page.locator("#completions").get_by_text("controller:triage/deployer").click()
    expect(field).to_have_value("not type:Metrics and type:Model or controller:triage/deployer ")
    field.press("Escape")
    expect(page.locator("#completions")).to_be_hidden()
    field.press("Enter")
    expect(page.locator(".g-node.t-metrics")).to_have_count(0)
    expect(node(page, "deploy deployer")).to_be_visible()
    assert asked(page)["select"].startswith("not type:Metrics and type:Model or")


def test_a_mistake_in_the_selection_leaves_the_graph(demo: Server, chromium: Browser) -> None:
    """The place of the mistake is said above the whole graph, and the text is there to mend."""
    with tab(chromium, demo.url) as opened:
        for written, says in (
            ("type:Model and and", "character 16"),
            ("no-such-thing+", "no-such"),
        ):
            page = opened.open(graph_of(MODEL, select=written), status=400 + 4 * ("no" in written))
            expect(page.locator(".banner.bad")).to_contain_text(says)
            expect(page.locator(".g-node.g-focus")).to_be_visible()
            expect(page.locator(".selection input[name=select]")).to_have_value(written)


def test_what_is_printed_says_exactly_when(here: Tab) -> None:
    """For auditors: the exact time beside the relative one, a heading, and nothing to click."""
    page = here.open(graph_of(MODEL))
    node(page, "train trainer").wait_for()
    page.emulate_media(media="print")
    exact = "getComputedStyle(document.querySelector('time[data-ago]'), '::after').content"
    assert "attr" in page.evaluate(exact) or "UTC" in page.evaluate(exact)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.locator("h1").bounding_box()["height"] > 10  # type: ignore[index]
    for selector in (".rail", ".top", ".tools", ".zooms", "#time"):
        expect(page.locator(selector)).to_be_hidden()


def test_an_opened_legend_can_be_seen_beside_the_graph(here: Tab) -> None:
    """It covers nothing and nothing covers it."""
    page = here.open(graph_of(MODEL))
    node(page, "train trainer").wait_for()
    page.locator(".legend summary").click()
    page.wait_for_timeout(100)
    canvas, keys = (page.locator(one).bounding_box() for one in ("[data-graph]", ".keys"))
    time_ = page.locator("#time").bounding_box()
    assert canvas and keys and time_
    assert canvas["y"] + canvas["height"] <= keys["y"]
    assert keys["y"] + keys["height"] <= time_["y"] + 2


def focus(page: Page, wanted: Locator) -> None:
    """Tab until it is there; whatever has the focus on the way shows it."""
    for _ in range(80):
        page.keyboard.press("Tab")
        style = page.evaluate(
            "(s => [s.outlineStyle, s.outlineWidth])(getComputedStyle(document.activeElement))"
        )
        inside = page.evaluate("document.activeElement.closest('svg, #palette, .slider') !== null")
        assert inside or "none" not in style, page.evaluate("document.activeElement.outerHTML")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("Tab does not lead there")


@pytest.mark.parametrize("path", ["/", graph_of(SLOT), graph_of(MODEL, view="table"),
                                  "/search?q=triage"])  # fmt: skip
def test_without_javascript_the_pages_serve(demo: Server, chromium: Browser, path: str) -> None:
    """Home, graph, table and search are made by the server; their links are plain links."""
    with tab(chromium, demo.url, java_script_enabled=False) as plain:
        page = plain.open(path)
        assert page.locator("h1").count() == 1
        hrefs = page.locator("main a[href]").evaluate_all(
            "links => links.map(link => link.href.baseVal ?? link.href)"
        )
        assert len(hrefs) > 5
        plain.open(next(h for h in hrefs if "/artifacts/" in h).removeprefix(demo.url))
        assert plain.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(demo: Server, chromium: Browser, scheme: Scheme) -> None:
    """WCAG 2.2 AA by axe, on every page, with an open panel, and with the palette."""
    assert AXE.exists(), "run npm ci in ui/web"
    found = {}
    with tab(chromium, demo.url, scheme) as opened:
        for path in addresses():
            found[path] = axe(opened.open(path))
        page = opened.open(graph_of(MODEL, selected=MODEL_ID))
        page.locator("#panel h2").wait_for()
        page.locator(".legend summary").click()
        found["panel"] = axe(page)
        page.keyboard.press("Control+k")
        page.keyboard.type("triage")
        page.get_by_role("option").first.wait_for()
        found["palette"] = axe(page)
        found["404"] = axe(opened.open("/artifacts/none", status=404))
    assert {path: errors for path, errors in found.items() if errors} == {}


def axe(page: Page) -> list[str]:
    """What is serious or critical, each with its place."""
    # Not as a script tag, which the policy of the page forbids.
    page.evaluate(AXE.read_text("utf-8"))
    answer = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',"
        " 'best-practice'], resultTypes: ['violations']})"
    )
    return [
        f"{rule['id']}: {one['target']} {one['failureSummary'].splitlines()[-1].strip()}"
        for rule in answer["violations"]
        if rule["impact"] in ("serious", "critical")
        for one in rule["nodes"][:3]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_scrolls_no_page_sideways(
    demo: Server, chromium: Browser, scheme: Scheme
) -> None:
    """380 px: wide things scroll in their own box; nobody complains anywhere."""
    wide = {}
    with tab(chromium, demo.url, scheme, 380) as opened:
        for path in addresses():
            page = opened.open(path)
            page.wait_for_timeout(50)
            width = page.evaluate("document.scrollingElement.scrollWidth")
            if width > 380:
                wide[path] = width
            assert opened.complaints() == [], path
    assert wide == {}


def test_the_budget_of_script_and_style() -> None:
    """60 KB of script and 30 KB of CSS, gzipped, are all a page may bring."""
    style = ROOT / "ui" / "static" / "lineage.css"
    assert len(gzip.compress(SCRIPT.read_bytes())) <= 60_000
    assert len(gzip.compress(style.read_bytes())) <= 30_000


def re_class(name: str) -> re.Pattern[str]:
    return re.compile(rf"\b{name}\b")
