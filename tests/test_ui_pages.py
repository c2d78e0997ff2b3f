"""Pages: each renders for the label bot and for nothing, and no record can speak HTML."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.testclient import TestClient

import ui
from lineage.api.now import Now
from lineage.errors import LineageError, RenderError
from lineage.identity import action_id, artifact_id
from lineage.model import Action, Code, Controller, Reference, Trigger, parse_action
from ui import graphs, pages, svg

from .memory import MemoryReader, MemoryWatch

EXAMPLE = Path(__file__).parent.parent / "examples" / "label_bot"
SLOT = "k8s://issue-label-bot/label-bot-prod/Deployment/label-bot-worker"
EVIL = "\"><script>alert(1)</script><b x='y'>{{ 7*7 }}"


def label_bot() -> list[Action]:
    files = sorted(EXAMPLE.glob("*.ndjson"))
    return [parse_action(line) for file in files for line in file.read_text("utf-8").splitlines()]


def hostile() -> list[Action]:
    """One deploy that says HTML in every field that takes a text."""
    link = "https://host/x?a=" + EVIL
    return [
        Action(
            key="evil/" + EVIL,
            type="deploy",
            name=EVIL,
            controller=Controller(cluster=EVIL, namespace=EVIL, name=EVIL),
            state="complete",
            ended_at=datetime(2020, 7, 1, tzinfo=UTC),
            code=Code(repo="https://host/" + EVIL, commit=EVIL, path=EVIL),
            inputs=(Reference(type="Model", uri="models/" + EVIL, version=EVIL, name=EVIL),),
            outputs=(
                Reference(type="Deployment", uri=f"k8s://c/{EVIL}/Deployment/w", version=EVIL),
                Reference(type="Metrics", uri=EVIL, properties={EVIL + ".p": 0.5, "x": EVIL}),
                Reference(uri="a", role=EVIL, aliases=(EVIL,)),
            ),
            params={EVIL: EVIL},
            by=EVIL,
            error=EVIL,
            trigger=Trigger(reason=EVIL, wanted=EVIL),
            links={EVIL: "javascript:alert(1)", "ok": link, "d": "data:text/html,x"},
            parent=EVIL,
        )
    ]


def client(actions: list[Action]) -> TestClient:
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=ui.static_dir()))
    app.include_router(pages.router)
    app.state.reader = MemoryReader.of(actions)
    app.state.now = Now(app.state.reader, MemoryWatch())

    @app.exception_handler(LineageError)
    def failed(request: Request, error: LineageError) -> Response:
        return pages.error_page(request, error.status, error.title, error.detail)

    return TestClient(app)


class Page(HTMLParser):
    """What a browser would see: tags, attributes, hyperlinks, text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src", "action"):
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def get(server: TestClient, path: str, status: int = 200) -> Page:
    answer = server.get(path)
    assert (status, "text/html; charset=utf-8") == (
        answer.status_code,
        answer.headers["content-type"],
    )
    assert "'unsafe" not in answer.headers["content-security-policy"]
    page = Page(answer.text)
    assert page.tags.count("script") == answer.text.count('<script type="module" src="/static/')
    assert not {"style", "iframe", "object"} & set(page.tags)
    assert not [a for a in page.attributes if a == "style" or a.startswith("on")]
    local = ("/", "#", "https://", "http://testserver")
    assert [link for link in page.links if not link.startswith(local)] == []
    return page


def addresses(actions: list[Action]) -> list[str]:
    """Every page about these records."""
    reader = MemoryReader.of(actions)
    out = ["/", "/?as_of=2020-07-16", "/lineage", "/activity", "/activity?state=failed", "/search"]
    out += ["/flow", "/diff", "/impact", "/?namespace=" + quote(EVIL)]
    for action in actions:
        id_ = action_id(action.key)
        out += [f"/actions/{id_}", f"/lineage?of={id_}", f"/lineage?of={id_}&view=table&depth=2"]
        state = reader.action(id_)
        assert state is not None
        for edge in state.edges:
            out += [
                f"/artifacts/{edge.artifact}",
                f"/lineage?of={edge.artifact}&direction=upstream",
            ]
    return list(dict.fromkeys(out))


def test_every_page_renders_for_the_label_bot() -> None:
    """Each page about the shipped history is a page, within the content security policy."""
    server = client(label_bot())
    for address in addresses(label_bot()):
        get(server, address)


def test_every_page_renders_for_an_empty_store() -> None:
    """Nothing recorded is a state with its own words, and says how to begin."""
    server = client([])
    live = get(server, "/")
    for way in ("controllers_hooks", "curl -X PUT", "lineage import"):
        assert way in live.text
    for path in ("/lineage", "/activity", "/search", "/flow", "/diff", "/?as_of=2020-07-10"):
        get(server, path)


def test_no_record_speaks_html() -> None:
    """A record full of markup is shown as the text it is; javascript: is never a link."""
    server = client(hostile())
    for address in addresses(hostile()):
        page = get(server, address)
        assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|\b49\b", page.text)
    action = get(server, "/actions/" + action_id("evil/" + EVIL))
    assert "javascript:alert(1)" in action.text
    assert "<script>alert(1)</script>" in action.text


def test_live_says_what_the_pull_request_claims_and_what_the_tree_holds() -> None:
    """The disagreement stands on the first page in plain words."""
    text = get(client(label_bot()), "/").text
    assert "Pull request #194 says TCN1122…241280, the tree holds TCN4131…420416." in text
    assert "claims disagree" in text
    assert "train · no record" in text


def test_live_at_a_past_day_carries_a_band() -> None:
    """A date shows the past, says so, and offers the way back."""
    page = get(client(label_bot()), "/?as_of=2020-07-10")
    assert "As of 10 Jul 2020, 00:00:00 UTC" in page.text
    assert "TCN6542…231104" in page.text
    assert "Nothing was live" in get(client(label_bot()), "/?as_of=1999-01-01").text


def test_the_graph_and_its_table_say_the_same() -> None:
    """For every edge drawn there is a row of words."""
    server = client(label_bot())
    html = server.get("/lineage", params={"of": SLOT}).text
    assert html.count('class="g-link') == html.count('class="how ')
    assert "g-node" not in server.get("/lineage", params={"of": SLOT, "view": "table"}).text


def test_a_graph_that_was_cut_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cut silently: the notice says that there is more, and what to narrow."""
    monkeypatch.setattr(graphs, "MOST_NODES", 3)
    text = get(client(label_bot()), f"/lineage?of={quote(SLOT)}").text
    assert "There is more." in text
    assert "narrow the direction" in text


def test_when_the_drawing_fails_the_table_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphviz is not needed to read the page."""

    def broken() -> str:
        raise RenderError("Graphviz is not installed")

    monkeypatch.setattr(svg, "binary", broken)
    text = get(client(label_bot()), "/lineage?of=" + quote(SLOT)).text
    assert "The drawing failed." in text
    assert "The same in words" in text


def test_an_action_is_found_by_its_key_and_by_its_id() -> None:
    """The key in the path may hold slashes, escaped or not."""
    server = client(label_bot())
    key = label_bot()[0].key
    for name in (key, quote(key, safe=""), action_id(key)):
        assert key in get(server, "/actions/" + name).text


def test_a_commit_links_to_its_forge() -> None:
    """Code on GitHub is one click away, by the commit and never by a branch."""
    action = next(a for a in label_bot() if a.code and a.code.commit)
    assert action.code is not None
    page = get(client(label_bot()), "/actions/" + action_id(action.key))
    wanted = f"https://github.com/kubeflow/code-intelligence/commit/{action.code.commit}"
    assert wanted in page.links


def trained(number: int, precision: float) -> Action:
    """A training of version `number` of one model, with one measured label."""
    return Action(
        key=f"train/{number}",
        type="train",
        controller=Controller(name="trainer"),
        state="complete",
        started_at=datetime(2020, 7, number, tzinfo=UTC),
        ended_at=datetime(2020, 7, number, 1, tzinfo=UTC),
        outputs=(
            Reference(type="Model", uri="models/triage", version=f"m-{number}"),
            Reference(type="Metrics", uri=f"m/{number}", properties={"docs.precision": precision}),
        ),
    )


def test_metrics_stand_against_the_version_before() -> None:
    """A number says by how much it changed, with its sign."""
    server = client([trained(1, 0.5), trained(2, 0.75), trained(3, 0.7)])
    page = get(server, "/artifacts/" + artifact_id("models/triage", "m-3"))
    assert "against" in page.text
    assert "−0.05" in page.text
    assert "+0.25" in get(server, "/artifacts/" + artifact_id("models/triage", "m-2")).text
    assert "against" not in get(server, "/artifacts/" + artifact_id("models/triage", "m-1")).text


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/artifacts/" + artifact_id("no", None), 404, "No artifact has the id"),
        ("/actions/no/such", 404, "No action has the key"),
        ("/lineage?of=nothing-like-it", 404, "give an id, a URI"),
        ("/lineage?of=x&depth=many", 400, "whole number"),
        ("/lineage?of=x&direction=sideways", 400, "upstream, downstream or both"),
        ("/?as_of=yesterday", 400, "write 2020-07-10"),
    ],
)
def test_errors_say_what_to_do(path: str, status: int, says: str) -> None:
    """An error is a page too, with a remedy."""
    assert says in get(client(label_bot()), path, status).text


def test_the_style_sheet_and_icon_are_served() -> None:
    """Everything a page asks for comes from this server."""
    server = client([])
    head = re.findall(r'<link [^>]*href="([^"]+)"', server.get("/").text)
    assert [server.get(path).status_code for path in head] == [200, 200]
