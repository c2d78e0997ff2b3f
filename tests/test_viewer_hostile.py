"""The viewer on a store that means it harm: every page renders, in time, and nothing executes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from playwright.sync_api import Browser

from benchmarks import fleet
from lineage.identity import action_id, identify

from .browsing import CHROMIUM, SCRIPT, graph_of, launched, tab
from .conftest import Server, start_server

MOST = 2.0
"""Seconds, by the clock of whoever asks: the server's work and the way there and back."""
CONSUMERS = 2_000
WIDE, DEEP = 25, 100  # of the mesh: 2,500 actions that wrote 2,500 artifacts
HUB, APEX = "gs://hostile/hub", f"gs://hostile/mesh/{DEEP - 1}/0"
MARK = "window.executed = 1"
TEXTS = {
    "script": f"<script>{MARK}</script>",
    "closing": f"</script></title></style></svg>--><script>{MARK}</script>",
    "image": f"\"><img src=x onerror='{MARK}'>",
    "svg": f"<svg onload={MARK}><a xlink:href=javascript:{MARK}>x</a></svg>",
    "attribute": f"' onmouseover='{MARK}' autofocus onfocus='{MARK}",
    "javascript": f"javascript:{MARK}",
    "data": f"data:text/html,<script>{MARK}</script>",
    "template": "{{ 7919*7907 }}{% include 'base.html' %}${7919*7907}",
    "long": "very-long-label-" * 320,
    "unbroken": "W" * 5000,
    "right to left": "مرحبا \u202egpj.exe\u202c שלום \u2067x\u2069",
    "emoji": "🙂👩‍👩‍👧‍👦🇩🇪 e\u0301\u0323 Z͑ͫ̓ͪ̂ͫ̽͏a̴l̷g̶o",
    "quotes": "\"'`´“”«»''\"\"",
    "backslashes": '\\N\\G\\\\\\"\\u0022\\',
    "newlines": "one\ntwo\r\nthree\tfour\u2028five\x0b\x0c",
    "controls": "\x01\x02\x07\x08\x1b[31m\x7f\x85\ufeff\uffff",
    "dot": 'a"];evil[label="x"]; }',
    "csv": '=HYPERLINK("http://evil","x")',
    "path": "../../../etc/passwd?a=1&b=2#c%00%2e%2e",
}

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (see make browser)"),
    pytest.mark.skipif(not SCRIPT.exists(), reason="the viewer's script is not built (see make)"),
]


def evil(name: str, text: str) -> dict[str, Any]:
    """A deploy that says the text in every field that takes one, as long as the field may be."""
    short, plain = text[:250], re.sub(r"[\x00-\x1f\x7f-\x9f]", "", text)  # as identities must be
    model = {"type": "Model", "uri": f"gs://hostile/{plain[:3900]}", "version": plain[:500]}
    return {
        "key": f"evil/{name}/{text[:450]}",
        "type": "deploy",
        "name": short,
        "controller": {"cluster": short, "namespace": short, "name": short},
        "state": "failed" if len(name) % 2 else "complete",
        "started_at": "2026-01-01T10:00:00Z",
        "ended_at": "2026-01-01T10:05:00Z",
        "code": {"repo": f"https://host/{plain[:900]}", "commit": plain[:500], "path": text[:1000]},
        "inputs": [{**model, "name": short, "role": text[:120], "properties": {short: text}}],
        "outputs": [
            {"type": "Deployment", "uri": f"k8s://c/{quote(short)}/Deployment/{name}",
             "version": plain[:500], "name": short, "evidence": "observed"},
            {"type": "Metrics", "uri": f"gs://hostile/metrics/{name}", "name": short,
             "properties": {f"{text[:200]}.precision": 0.5, "x": text}},
            {"type": "PullRequest", "uri": f"https://host/{plain[:900]}/pull/1", "name": short},
        ],
        "params": {short: text, "other": text},
        "error": text,
        "by": short,
        "trigger": {"reason": text, "wanted": text, "observed": text},
        "links": {short: "javascript:" + MARK, "notebook": "data:text/html,x", "log": plain[:4000]},
        "parent": f"evil/{name}/{text[:450]}",
    }  # fmt: skip


def consumer(number: int) -> dict[str, Any]:
    return {
        "key": f"read/{number}", "type": "train", "state": "complete",
        "controller": {"name": f"team-{number % 40}"}, "ended_at": "2026-01-01T08:00:00Z",
        "inputs": [{"type": "Dataset", "uri": HUB, "version": "v1"}],
        "outputs": [{"type": "Model", "uri": f"gs://hostile/model/{number}"}],
    }  # fmt: skip


def knot(layer: int, place: int) -> dict[str, Any]:
    """Reads two of the layer before, writes one for the next."""
    before = [f"gs://hostile/mesh/{layer - 1}/{(place + n) % WIDE}" for n in (0, 1)]
    return {
        "key": f"mesh/{layer}/{place}", "type": "train", "state": "complete",
        "controller": {"name": "mesh"}, "ended_at": f"2026-01-01T{layer // 60:02}:{layer % 60:02}:00Z",
        "inputs": [{"type": "Dataset", "uri": uri} for uri in before if layer],
        "outputs": [{"type": "Dataset", "uri": f"gs://hostile/mesh/{layer}/{place}"}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("hostile"))
    records = [evil(*item) for item in TEXTS.items()]
    records += [consumer(n) for n in range(CONSUMERS)]
    records += [knot(layer, place) for layer in range(DEEP) for place in range(WIDE)]
    with running.client() as client:
        answer = client.batch(fleet.lines(iter(records)), ndjson=True)
        assert answer["failed"] == 0, [r for r in answer["results"] if r.get("error")][:3]
        deadline = time.monotonic() + 60
        while client.stats()["index"]["status"] != "ready" and time.monotonic() < deadline:
            time.sleep(0.2)
    yield running
    running.stop()


def addresses(server: Server) -> list[str]:
    """Every page that speaks of these records."""
    out = ["/", "/?as_of=2026-01-01T12:00:00Z", "/lineage", "/flow", "/activity", "/search",
           "/activity?state=failed", "/activity?type=deploy"]  # fmt: skip
    for of in (f"{HUB}@v1", APEX, "gs://hostile/mesh/0/0"):
        out += [graph_of(of), graph_of(of, view="columns"), graph_of(of, view="table")]
        out += [graph_of(of, direction="upstream"), f"/impact?of={quote(of, safe='')}"]
    out += [graph_of(f"{HUB}@v1", select="type:Model"), "/lineage?select=type%3ADataset"]
    out += [f"/artifacts/{identify(HUB, 'v1').id}", f"/artifacts/{identify(APEX).id}"]
    with server.client() as client:
        for name, text in TEXTS.items():
            id_ = action_id(evil(name, text)["key"])
            out += [f"/actions/{id_}", graph_of(id_), graph_of(id_, view="columns")]
            out += [graph_of(id_, view="table"), f"/panel/actions/{id_}"]
            asked = quote(text[:300], safe="")
            out += [f"/search?q={asked}", f"/activity?q={asked}", f"/?namespace={asked}"]
            for edge in client.action(id_)["inputs"] + client.action(id_)["outputs"]:
                if edge["id"]:
                    out += [f"/artifacts/{edge['id']}", f"/panel/artifacts/{edge['id']}"]
            out.append(
                f"/diff?a={quote(f'k8s://c/{quote(text[:250])}/Deployment/{name}', safe='')}"
            )
    return list(dict.fromkeys(out))


def test_every_page_answers_in_time(hostile: Server) -> None:
    """No page of the store takes two seconds, none is an error, and none links to script."""
    slow, wrong = {}, {}
    with httpx2.Client(base_url=hostile.url, timeout=60) as http:
        for address in addresses(hostile):
            begun = time.perf_counter()
            answer = http.get(address, headers={"accept": "text/html"})
            taken = time.perf_counter() - begun
            if taken > MOST:
                slow[address[:120]] = round(taken, 2)
            # What a template or a script would make of the texts.
            if answer.status_code >= 500 or "text/html" not in answer.headers["content-type"]:
                wrong[address[:120]] = answer.status_code
            text = answer.text.lower()
            if 'href="javascript:' in text or 'href="data:' in text or "62615533" in text:
                wrong[address[:120]] = "executes"
    assert (slow, wrong) == ({}, {})


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_executes(hostile: Server, chromium: Browser, name: str) -> None:
    """Pages with this text in every field, clicked and searched: no dialog, no violation."""
    id_ = action_id(evil(name, TEXTS[name])["key"])
    with tab(chromium, hostile.url) as opened:
        for address in (f"/actions/{id_}", graph_of(id_), graph_of(id_, view="columns")):
            page = opened.open(address)
            assert page.evaluate("window.executed") is None, address
            assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), address
        page = opened.open(graph_of(id_))
        for node in page.locator(".g-node").all()[:6]:
            node.hover()
            node.click()
            page.locator("#panel h2").wait_for()
        page.keyboard.press("Control+k")
        page.keyboard.insert_text(TEXTS[name][:40])
        page.wait_for_timeout(200)
        assert page.evaluate("window.executed") is None
        assert [text for text in opened.complaints() if "400" not in text] == []


def test_the_home_page_and_the_large_graphs_stay_calm(hostile: Server, chromium: Browser) -> None:
    """A hub of 2,000 and a closure of 5,000: some dozens of nodes on screen, the rest counted."""
    with tab(chromium, hostile.url) as opened:
        for path in ("/", "/flow", "/activity", graph_of(f"{HUB}@v1"), graph_of(APEX)):
            begun = time.perf_counter()
            page = opened.open(path)
            if "lineage" in path:
                page.locator(".g-node").first.wait_for()
                assert 5 <= page.locator(".g-node").count() <= 150
                assert "folded" in page.inner_text(".counts")
            assert time.perf_counter() - begun < 2 * MOST, path
            assert page.evaluate("window.executed") is None
        assert opened.complaints() == []


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as running:
        yield running
