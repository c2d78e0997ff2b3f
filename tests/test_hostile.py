"""One corpus of hostile values from a hook, over REST, through the store, to every page.

Whatever is taken reads back as it was sent; what is not is refused with a 4xx that says where.
Nothing that was recorded or asked for executes anywhere. (tests/test_viewer_hostile.py looks
at the pages with a browser.)
"""

from __future__ import annotations

import csv
import http.client
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
import pytest

from controllers_hooks import Hook
from lineage.identity import action_id, identify
from lineage.model import parse_action

from .conftest import Server, start_server
from .hostile import MARK, TEXTS
from .test_cli import Run, run  # noqa: F401

AT = "2020-07-01T00:00:00Z"
SLOT = "k8s://hostile/hostile/Deployment/hostile"
VERSION = "sha256:" + "ab" * 32


def body(**fields: Any) -> dict[str, Any]:
    return {"type": "deploy", "controller": {"name": "hostile"}, "ended_at": AT, **fields}


def mention(**fields: Any) -> dict[str, Any]:
    return {"type": "Model", "uri": "gs://hostile/model", **fields}


def own(text: str) -> str:
    """An artifact of this text alone: those of several acts have the properties of all."""
    return f"gs://hostile/{action_id(repr(text))}"


FIELDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "name": lambda t: {"name": t},
    "type": lambda t: {"type": t},
    "cluster": lambda t: {"controller": {"cluster": t, "name": "hostile"}},
    "namespace": lambda t: {"controller": {"namespace": t, "name": "hostile"}},
    "controller": lambda t: {"controller": {"name": t}},
    "state": lambda t: {"state": t},
    "started_at": lambda t: {"started_at": t},
    "parent": lambda t: {"parent": t},
    "by": lambda t: {"by": t},
    "error": lambda t: {"error": t},
    "reason": lambda t: {"trigger": {"reason": t, "wanted": t}},
    "param": lambda t: {"params": {"p": t}},
    "param name": lambda t: {"params": {t: "p"}},
    "link": lambda t: {"links": {"l": t}},
    "link name": lambda t: {"links": {t: "https://host/l"}},
    "repo": lambda t: {"code": {"repo": t}},
    "commit": lambda t: {"code": {"repo": "https://host/o/r", "commit": t}},
    "path": lambda t: {"code": {"path": t}},
    "image": lambda t: {"code": {"image": t}},
    "input uri": lambda t: {"inputs": [mention(uri=t)]},
    "input version": lambda t: {"inputs": [mention(version=t)]},
    "input type": lambda t: {"inputs": [mention(type=t)]},
    "role": lambda t: {"inputs": [mention(role=t)]},
    "input name": lambda t: {"inputs": [mention(uri="gs://hostile/named", version=t, name=t)]},
    "evidence": lambda t: {"outputs": [mention(evidence=t)]},
    "alias": lambda t: {"inputs": [mention(uri="gs://hostile/alias", aliases=[t])]},
    "property": lambda t: {"outputs": [mention(uri=own(t), properties={"p": t})]},
    "property name": lambda t: {"outputs": [mention(uri=own(t), properties={t: 0.5})]},
    "slot": lambda t: {"outputs": [{"type": "Deployment", "uri": f"k8s://hostile/{t}"}]},
    "version of a slot": lambda t: {"outputs": [
        {"type": "Deployment", "uri": SLOT, "version": t, "name": t}]},
    "unknown field": lambda t: {f"x{t}": t},
}  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("hostile"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def web(hostile: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=hostile.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def whole(web: httpx2.Client) -> dict[str, str]:
    """For each text the id of an action that says it in every field that takes it."""
    out = {}
    for name, text in TEXTS.items():
        record = body(inputs=[], outputs=[], params={}, links={}, code={}, controller={})
        for field, made in FIELDS.items():
            for known, value in made(text).items():
                if not acceptable(made(text)):
                    continue
                if isinstance(value, list):
                    record[known] += value
                elif isinstance(value, dict):
                    record.setdefault(known, {}).update(value)
                else:
                    record[known] = value
            assert field
        record["controller"].setdefault("name", "hostile")
        answer = put(web, f"whole/{name}", record)
        assert answer.status_code in (200, 201), (name, answer.text)
        out[name] = answer.json()["id"]
    return out


def acceptable(fields: dict[str, Any]) -> bool:
    try:
        parse_action(json.dumps(body(key="k", **{"ended_at": None, **fields})))
    except ValueError:
        return False
    except Exception:
        return False
    return True


def put(web: httpx2.Client, key: str, record: dict[str, Any]) -> httpx2.Response:
    return web.put(f"/api/v1/actions/{segment(key)}", content=json.dumps(record).encode())


def segment(text: str) -> str:
    """Dots are encoded as well: clients take `..` for a way up."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="").replace(".", "%2E")


def clear(answer: httpx2.Response) -> None:
    """A refusal says what is wrong and where; nothing of it executes."""
    assert 400 <= answer.status_code < 500, answer.text[:300]
    said = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert said["status"] == answer.status_code and said["detail"]
    if answer.status_code == 422:
        assert said["errors"] and all(one["at"] and one["message"] for one in said["errors"])


def unsigned(url: str) -> str:
    from lineage.identity import without_credentials

    return without_credentials(url)


# -- recording ------------------------------------------------------------------------


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_taken_reads_back_as_it_was_sent(web: httpx2.Client, field: str) -> None:
    """Each text in each field alone: there as it was sent, or refused with its place."""
    taken = 0
    for name, text in TEXTS.items():
        fields = FIELDS[field](text)
        key = f"{field}/{name}"
        answer = put(web, key, body(**fields))
        if answer.status_code not in (200, 201):
            clear(answer)
            continue
        taken += 1
        found = web.get(f"/api/v1/actions/{segment(key)}").json()
        for known, value in fields.items():
            same(found, known, value)
    assert taken >= (0 if field in ("state", "started_at", "evidence", "unknown field") else 1)


def same(found: dict[str, Any], known: str, sent: Any) -> None:
    if known in ("inputs", "outputs"):
        (one,), (given,) = found[known], sent
        canonical = identify(given["uri"], given.get("version"), given["type"])
        assert one["id"] == canonical.id and one["uri"] == canonical.uri
        for name in ("role", "evidence"):
            assert one.get(name) == given.get(name) or not given.get(name)
        for name, value in given.get("properties", {}).items():
            assert one["properties"][name] == value
    elif known == "code":
        for name, value in sent.items():
            shown = found.get("code", {}).get(name)
            assert shown is not None or not value
    elif known == "links":
        assert found[known] == {n: unsigned(v) for n, v in sent.items()}
    elif known == "started_at":
        raise AssertionError("no text of the corpus is a time")
    elif isinstance(sent, dict):
        assert {n: found[known].get(n) for n in sent} == sent
    else:
        assert found.get(known) == sent


def test_any_key_names_its_action(hostile: Server, web: httpx2.Client) -> None:
    """Keys with slashes, dots, percents, controls: recorded, listed and found under that name,
    by PUT, in a batch and by the client."""
    with hostile.client() as client:
        for text in TEXTS.values():
            answer = put(web, text, body())
            if answer.status_code not in (200, 201):
                clear(answer)
                continue
            assert answer.json()["key"] == text and answer.json()["id"] == action_id(text)
            assert web.get(f"/api/v1/actions/{segment(text)}").json()["key"] == text
            assert web.get(f"/api/v1/actions/{action_id(text)}").json()["key"] == text
            assert client.action(text)["key"] == text
            assert client.record(body(key=text))["outcome"] == "unchanged"
            assert web.get("/api/v1/lineage", params={"of": action_id(text)}).json()["nodes"]
        batch = client.batch(b"".join(json.dumps(body(key=t)).encode() + b"\n" for t in TEXTS.values()))  # fmt: skip
        assert batch["received"] == len(TEXTS) and batch["created"] == 0
        for verdict in batch["results"]:
            assert verdict["status"] == 200 or verdict["error"]["errors"], verdict


def test_a_hook_reports_anything_and_raises_nothing(hostile: Server, tmp_path: Path) -> None:
    """From a controller: every report is recorded, or counted as lost or rejected with its
    reason; the controller hears nothing of it."""
    hook = Hook("hostile", url=hostile.url, outbox=tmp_path / "outbox")
    try:
        for name, text in TEXTS.items():
            with hook.action("train", f"hook/{name}", name=text) as act:
                act.params({"p": text, text: "p"}).reads(text).links({text: text}).by(text)
                act.adds([mention(version=text)], [mention(uri=text, properties={text: text})])
                act.code(path=text, repo=text).trigger(reason=text).parent(text).fail(text)
            with pytest.raises(RuntimeError), hook.action(text, f"type/{name}"):
                raise RuntimeError(text)
            hook.record({"key": text, "type": text, "name": text, text: text})
        assert hook.flush(60)
        counted = hook.statistics()
        assert counted.recorded + hook.failed >= 5 * len(TEXTS)
        assert counted.delivered + counted.rejected == counted.recorded
        assert (counted.dropped, counted.corrupt, counted.torn) == (0, 0, 0)
    finally:
        hook.close()
    with hostile.client() as client:
        kept = {action["key"] for action in client.actions(controller="hostile")}
    assert len([key for key in kept if key.startswith("hook/")]) > len(TEXTS) / 2


# -- reading --------------------------------------------------------------------------

_PLAIN_LINK = re.compile(r"(https?://|/|\?|#|[\w.-]+(\?|#|$)|mailto:)")


class Page(HTMLParser):
    """What a browser would run of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "script" and not said.get("src", "").startswith("/static/"):
            self.runs.append(f"script {said}")
        if tag in ("iframe", "object", "embed", "base", "foreignobject", "style"):
            self.runs.append(tag)
        self.runs += [f"{name}={value}" for name, value in said.items() if name.startswith("on")]
        for name in ("href", "src", "action", "formaction", "xlink:href", "data", "poster"):
            address = said.get(name, "")
            if address and not _PLAIN_LINK.match(address.strip()):
                self.runs.append(f"{name}={address}")


def inert(answer: httpx2.Response) -> None:
    """No page, drawing, table or header of ours executes what it shows."""
    if "Graphviz needed longer" in answer.text:
        return  # a bound of the server, and a busy machine
    assert answer.status_code < 500, (str(answer.url)[:200], answer.text[:300])
    assert "set-cookie" not in answer.headers and answer.headers["x-content-type-options"]
    kind = answer.headers.get("content-type", "").partition(";")[0]  # none where it leads on
    if kind == "text/html":
        page = Page()
        page.feed(answer.text)
        assert page.runs == [], (str(answer.url)[:200], page.runs[:3])
        assert "62615533" not in answer.text
    elif kind == "image/svg+xml":
        for element in ET.fromstring(answer.text).iter():
            assert "script" not in str(element.tag) and "foreignObject" not in str(element.tag)
            for name, value in element.attrib.items():
                assert not name.startswith("on")
                assert not name.endswith("href") or _PLAIN_LINK.match(value), value
    elif kind == "text/csv":
        for row in csv.reader(io.StringIO(answer.text, newline="")):
            for cell in row:
                assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝")), cell
    elif kind == "text/plain":
        for line in answer.text.splitlines():
            assert re.match(r"(flowchart LR|  (n\d+|more|classDef|class) ?.*)\Z", line), line
            assert "<script" not in line and "click" not in line.split('"')[0]
    elif "json" in kind and "ndjson" not in kind and kind != "text/vnd.graphviz":
        answer.json()


WHOLLY = ("script", "closing", "unbroken", "terminal", "dot", "mermaid", "csv command")
"""Asked for in every format and of every artifact; the others in those that show most."""


def ids_of(web: httpx2.Client, action: str) -> list[str]:
    found = web.get(f"/api/v1/actions/{action}").json()
    return [one["id"] for one in (*found["inputs"], *found["outputs"])]


@pytest.mark.parametrize("name", TEXTS)
def test_everything_shows_it_and_nothing_runs_it(
    web: httpx2.Client, whole: dict[str, str], name: str
) -> None:
    """Every question, format and page about an action that says it in all its fields."""
    id_ = whole[name]
    formats = [one["name"] for one in web.get("/api/v1/formats").json()["items"] if one["graph"]]
    for form in formats if name in WHOLLY else ("json", "svg", "mermaid", "prov", "openlineage"):
        answer = web.get("/api/v1/lineage", params={"of": id_, "format": form})
        inert(answer)
        # A bill needs a model, a statement an output; everything else can be written.
        unfit = form in ("cyclonedx", "slsa") or "Graphviz needed longer" in answer.text
        assert answer.status_code == 200 or unfit, (form, answer.text[:300])
    things = ids_of(web, id_)
    for path in (f"/actions/{id_}", f"/panel/actions/{id_}", f"/api/v1/actions/{id_}",
                 *(f"{place}artifacts/{one}" for one in things[:: 1 if name in WHOLLY else 5]
                   for place in ("/", "/panel/", "/api/v1/"))):  # fmt: skip
        answer = web.get(path, headers={"accept": "text/html"})
        inert(answer)
        assert answer.status_code == 200, (path, answer.text[:200])
    for path in ("/lineage?", "/lineage?view=columns&", "/lineage?view=table&", "/impact?", "/diff?",
                 "/api/v1/impact?", "/api/v1/diff?"):  # fmt: skip
        inert(web.get(f"{path}of={id_}&a={id_}", headers={"accept": "text/html"}))


def test_every_list_and_board_shows_them_all(web: httpx2.Client, whole: dict[str, str]) -> None:
    """Boards, lists, tables, exports of a store that holds the whole corpus."""
    assert whole
    for path in ("/", "/flow", "/activity", "/search?q=hostile",
                 "/api/v1/actions?limit=500", "/api/v1/actions?limit=500&format=csv",
                 "/api/v1/artifacts?limit=500", "/api/v1/artifacts?limit=500&format=csv",
                 "/api/v1/controllers", "/api/v1/live", "/api/v1/stale", "/api/v1/flow",
                 "/api/v1/stats", "/api/v1/search?q=hostile&limit=500",
                 *(f"/api/v1/export?format={form}" for form in
                   ("ndjson", "csv", "openlineage", "slsa"))):  # fmt: skip
        answer = web.get(path, headers={"accept": "text/html"})
        inert(answer)
        assert answer.status_code == 200, (path, answer.text[:300])


def test_what_was_exported_makes_the_same_store(
    web: httpx2.Client, whole: dict[str, str], tmp_path: Path
) -> None:
    """The corpus survives the way out and in again, byte for byte."""
    assert whole
    exported = web.get("/api/v1/export").content
    other = start_server(tmp_path)
    try:
        with other.client() as client:
            assert client.batch(exported)["failed"] == 0
            assert b"".join(client.export()) == exported
    finally:
        other.stop()


def test_an_artifact_may_have_more_than_one_report_may_say(hostile: Server, tmp_path: Path) -> None:
    """Sixty aliases and 1,800 properties of three reports: exported, and taken again."""
    other = start_server(tmp_path)
    try:
        with hostile.client() as client, other.client() as copy:
            for n in range(3):
                said = mention(uri="gs://hostile/rich", aliases=[f"gs://a/{n}/{m}" for m in range(20)],
                               properties={f"p{n}.{m}": m for m in range(600)})  # fmt: skip
                client.record(body(key=f"rich/{n}", outputs=[said]))
            (rich,) = client.artifacts(uri="gs://hostile/rich")
            assert (len(rich["aliases"]), len(rich["properties"])) == (60, 1800)
            assert copy.batch(b"".join(client.export()))["failed"] == 0
            assert list(copy.artifacts(uri="gs://hostile/rich")) == [rich]
    finally:
        other.stop()


def test_a_place_in_the_stream_that_cannot_be(web: httpx2.Client) -> None:
    """An id of a listener's last event with numbers no database has: the stream begins."""
    for after in ("9" * 30 + "-1", "1-" + "9" * 30, "٣-٣", "-", "x", "-1--1"):
        with web.stream("GET", "/api/v1/events", params={"after": after}) as answer:
            assert answer.status_code == 200, after
        headers = {"last-event-id": after.encode("ascii", "replace").decode()}
        with web.stream("GET", "/api/v1/events", headers=headers) as answer:
            assert answer.status_code == 200, after


def test_what_an_address_offers_is_said(web: httpx2.Client) -> None:
    """405 names the methods that are offered there (RFC 9110, 10.2.1), all of them."""
    for path, offered in (("/api/v1/actions/x", "GET, PUT"), ("/api/v1/lineage", "GET, POST"),
                          ("/static/lineage.css", "GET, HEAD"), ("/", "GET")):  # fmt: skip
        answer = web.request("DELETE", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, offered), path


def test_a_key_that_is_not_utf8_is_refused(hostile: Server) -> None:
    """It would become the key of another action."""
    status, found = raw(hostile, "/api/v1/actions/%ff%fe", "PUT")
    assert status == 422 and b"UTF-8" in found


def test_a_number_is_no_time(web: httpx2.Client) -> None:
    """`20200701` is a date to whoever wrote it, and was August 1970 to the server."""
    for value in ("20200701", "1595519127", 1595519127, True):
        answer = put(web, "number/time", body(ended_at=value))
        clear(answer)
        assert answer.json()["errors"][0]["at"] == "ended_at"


ROUTES = {
    "/api/v1/actions": ("type", "state", "controller", "namespace", "q", "since", "cursor",
                        "limit", "format", "as_of"),
    "/api/v1/artifacts": ("type", "uri", "q", "cursor", "limit", "format", "as_of"),
    "/api/v1/controllers": ("cursor", "limit", "as_of"),
    "/api/v1/lineage": ("of", "select", "direction", "depth", "types", "max_nodes", "format",
                        "as_of"),
    "/api/v1/live": ("as_of", "namespace", "cursor", "limit"),
    "/api/v1/impact": ("of", "as_of", "max_nodes"),
    "/api/v1/diff": ("a", "b", "as_of", "max_nodes"),
    "/api/v1/stale": ("as_of", "namespace", "max_age", "cursor", "limit"),
    "/api/v1/flow": ("as_of", "namespace", "window", "limit"),
    "/api/v1/search": ("q", "kind", "type", "limit", "as_of"),
    "/api/v1/export": ("format",),
    "/api/v1/lineage/events": ("after", "limit"),
    "/lambda/needs-train": ("model", "controller", "namespace", "cluster", "max_age", "give_up"),
    "/lambda/needs-sync": ("slot", "model", "controller", "against", "parameter"),
    "/": ("as_of", "namespace", "sort", "page"),
    "/lineage": ("of", "select", "direction", "depth", "types", "view", "as_of", "hide", "open"),
    "/flow": ("as_of", "namespace", "window", "link", "chain"),
    "/activity": ("q", "type", "state", "namespace", "controller", "cursor", "as_of", "since"),
    "/search": ("q", "kind", "type", "as_of"),
    "/impact": ("of", "as_of"),
    "/diff": ("a", "b", "as_of", "show"),
    "/login": ("next", "to"),
}  # fmt: skip
NUMBERS = ("-1", "0", "2147483648", "9223372036854775807", "9223372036854775808",
           "-9223372036854775809", "1" + "0" * 400, "1e9", "0x10", "٣", "1_0", " 1 ", "+1", "NaN")  # fmt: skip


@pytest.mark.parametrize("route", ROUTES)
def test_no_parameter_breaks_a_route(web: httpx2.Client, whole: dict[str, str], route: str) -> None:
    """Every text and odd number, each as a third of the parameters: an answer, or a 4xx that
    says why."""
    given = {"of": next(iter(whole.values())), "a": next(iter(whole.values())), "q": "hostile",
             "slot": SLOT, "model": "gs://hostile/model"}  # fmt: skip
    needed = {name: given[name] for name in ROUTES[route] if name in given}
    for place, name in enumerate(ROUTES[route]):
        for number, text in enumerate((*TEXTS.values(), *NUMBERS)):
            if number % 3 != place % 3 and text not in NUMBERS:
                continue
            asked = {**needed, name: text}
            query = urlencode(asked, errors="surrogatepass")
            if len(query) > 60_000:
                continue
            answer = web.get(f"{route}?{query}", headers={"accept": "text/html"})
            inert(answer)
            if answer.status_code >= 400 and route.startswith("/api"):
                clear(answer)


def raw(server: Server, target: str, method: str = "GET") -> tuple[int, bytes]:
    """A request whose address nobody has tidied up."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    try:
        connection.putrequest(method, target, skip_host=False)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("target", [
    "/static/../../../../etc/passwd", "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/static/..%2f..%2f..%2fetc%2fpasswd", "/static/%252e%252e%252fetc%252fpasswd",
    "/static/..%5c..%5cetc", "/static//etc/passwd", "/static/%00", "/static/a%00.css", "/static/",
    "/static/" + "a" * 5000, "/static/%ff", "//etc/passwd", "/api/v1/../../etc/passwd",
    "/api/v1/actions/%00", "/api/v1/actions/%ff%fe", "/api/v1/artifacts/%2e%2e",
    "/api/v1/artifacts/" + "a" * 32 + "%0a", "/api/v1/live/%2e%2e/history",
    "/api/v1/live//history", "/actions/%00", "/artifacts/%00", "/panel/artifacts/..%2f",
    "/actions/" + "%25" * 500, "/login?next=//evil.example", "/%0d%0aSet-Cookie:%20a=b",
])  # fmt: skip
def test_addresses_that_lead_elsewhere(hostile: Server, target: str) -> None:
    """No file but those of the viewer, no header of somebody else's, no 5xx."""
    status, found = raw(hostile, target)
    assert status < 500 and b"root:" not in found
    assert status >= 400 or (status in (303, 307) and not found), (status, found[:200])


@pytest.mark.parametrize("of", [
    "mlmd://artifact/9223372036854775809", "mlmd://execution/99999999999999999",
    "0" * 16 + "a" + "f" * 15, "0" * 16 + "e" + "f" * 15, "0" * 31 + "1", "f" * 32,
])  # fmt: skip
def test_numbers_of_nodes_that_cannot_be(web: httpx2.Client, of: str) -> None:
    """Beyond 63 bits there is no node: 404, on every route that takes one."""
    for path in ("/api/v1/lineage", "/api/v1/impact", "/lineage", "/impact"):
        assert web.get(path, params={"of": of}).status_code == 404, path
    assert web.get("/api/v1/diff", params={"a": of}).status_code == 404
    for path in (f"/api/v1/actions/{segment(of)}", f"/actions/{segment(of)}"):
        assert web.get(path).status_code == 404, path
    if len(of) == 32:
        for path in ("/api/v1/artifacts/", "/artifacts/", "/panel/artifacts/"):
            assert web.get(path + of).status_code == 404, path


# -- the command line -----------------------------------------------------------------

_MOVES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SHOWN = ["script", "controls", "terminal", "header", "right to left", "long", "format", "csv"]


@pytest.mark.parametrize("name", SHOWN)
def test_no_text_moves_the_cursor(
    hostile: Server,
    whole: dict[str, str],
    run: Run,  # noqa: F811
    name: str,
) -> None:
    """Commands print what was recorded without a control character, as text and as JSON."""
    id_, text = whole[name], TEXTS[name]
    for command in (("show", id_), ("live",), ("flow",), ("search", "hostile"), ("stale",),
                    ("impact", id_), ("diff", id_, whole["script"]), ("history", SLOT),
                    ("show", text), ("search", text), ("graph", id_, "--format", "mermaid")):  # fmt: skip
        for json_ in ((), ("--json",)):
            if json_ and command[0] == "graph":
                continue
            done = run("--url", hostile.url, *command, *json_)
            assert not _MOVES.search(done.out), (command, json_)
            assert not _MOVES.search(done.err), (command, json_)
            assert "Traceback" not in done.err and "Traceback" not in done.out


def test_arguments_that_are_no_text(hostile: Server, run: Run) -> None:  # noqa: F811
    """Bytes that are no UTF-8 reach Python as halves of characters: an error, no traceback."""
    broken = b"\xff\xfe".decode("utf-8", "surrogateescape")
    for command in (("show", broken), ("search", broken), ("live", "--namespace", broken),
                    ("impact", broken), ("history", broken), ("export", broken),
                    ("import", broken), ("live", "--as-of", broken)):  # fmt: skip
        done = run("--url", hostile.url, *command)
        assert done.code != 0 and "Traceback" not in done.err, command
        assert done.err.strip()


def test_the_mark_is_the_one_the_browser_looks_for() -> None:
    """What would run says so where tests/test_viewer_hostile.py looks."""
    from . import test_viewer_hostile

    assert MARK == test_viewer_hostile.MARK
