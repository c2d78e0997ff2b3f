"""The command line, run as people run it."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from lineage.cli import app, globals_first, main
from lineage.cli.batches import MAX_BYTES, MAX_LINES, Batch, batches, send
from lineage.cli.target import clean, moment
from lineage.client import Client
from lineage.embedded import embedded
from lineage.errors import LineageError, StoreUnavailable, TooLarge

from .conftest import COMMAND, Server, clean_environment

DOCS = Path(__file__).parent.parent / "docs" / "cli.md"
COMMANDS = [str(command.name) for command in app.registered_commands]
SLOT = "k8s://cli/label-bot/Deployment/worker"
MODEL = "projects/p/models/TCN1"


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`run("live", "--json")`: exit code, standard output and standard error."""
    for name in list(os.environ):
        if name.startswith("LINEAGE_"):
            monkeypatch.delenv(name)

    def run(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        try:
            main([str(argument) for argument in arguments])
            code = 0
        except SystemExit as exit:
            code = int(exit.code or 0)
        return Done(code, *capfd.readouterr())

    return run


def action(key: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "type": "train", "controller": {"name": "cli-test"}, **more}


def lines(*actions: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in actions)


def history() -> bytes:
    """A training, its deployment, and a later claim that says otherwise."""
    return lines(
        action("cli/train", state="complete", name="first training",
               started_at="2020-07-23T17:00:00Z", ended_at="2020-07-23T19:00:00Z",
               inputs=[{"type": "Dataset", "uri": "gs://b/issues.csv", "role": "issues"}],
               outputs=[{"type": "Model", "uri": MODEL}], params={"max_age": 30}),
        action("cli/deploy", type="deploy", state="complete", ended_at="2020-07-24T12:00:00Z",
               inputs=[{"type": "Model", "uri": MODEL}],
               outputs=[{"type": "Deployment", "uri": SLOT, "version": "1",
                         "evidence": "observed"}]),
        action("cli/claim", type="deploy", state="complete", ended_at="2020-07-25T12:00:00Z",
               inputs=[{"type": "Model", "uri": "projects/p/models/TCN2"}],
               outputs=[{"type": "Deployment", "uri": SLOT, "version": "2",
                         "evidence": "claimed"}]),
    )  # fmt: skip


@pytest.fixture(scope="session")
def story(server: Server) -> str:
    """The URL of a server that knows `history`."""
    with server.client() as client:
        assert client.batch(history())["failed"] == 0
    return server.url


def test_one_action_is_recorded_from_a_file_or_standard_input(
    run: Run, server: Server, tmp_path: Path
) -> None:
    """The first time it is created; the same again changes nothing."""
    file = tmp_path / "action.json"
    file.write_text(json.dumps(action("cli/one"), indent=2))
    assert run("record", file, "--url", server.url).out.startswith("created cli/one (")
    again = run("record", "--json", "--url", server.url, stdin=file.read_bytes())
    assert json.loads(again.out)["outcome"] == "unchanged"


@pytest.mark.parametrize("form", ["array", "ndjson"])
def test_many_actions_are_recorded_from_an_array_or_lines(
    run: Run, server: Server, form: str
) -> None:
    """Both forms, and the counts of what became of them."""
    many = [action(f"cli/{form}/{n}") for n in range(3)]
    text = json.dumps(many).encode() if form == "array" else lines(*many)
    done = run("record", "-", "--url", server.url, stdin=text)
    assert (done.code, done.out) == (0, "3 created, 0 merged, 0 unchanged, 0 failed\n")


def test_an_import_lists_what_failed_by_line_and_records_the_rest(
    run: Run, server: Server, tmp_path: Path
) -> None:
    """Gzipped or not; blank lines count as lines; the exit code says that something failed."""
    good, zipped = tmp_path / "a.ndjson", tmp_path / "b.ndjson.gz"
    good.write_bytes(lines(action("cli/import/1"), action("cli/import/2")))
    zipped.write_bytes(
        gzip.compress(
            b"\n" + lines(action("cli/import/3")) + b"\nno json\n" + lines(action("", x=1))
        )
    )
    done = run("import", good, zipped, "--url", server.url)
    assert (done.code, done.out) == (1, "3 created, 0 merged, 0 unchanged, 2 failed\n")
    assert [f"{zipped}:{n}:" in done.err for n in (1, 2, 3, 4, 5)] == [
        False, False, False, True, True,
    ]  # fmt: skip
    again = run("import", good, "--json", "--url", server.url)
    assert (again.code, json.loads(again.out)["unchanged"]) == (0, 2)


def test_a_line_that_is_not_json_stops_a_record_before_anything_is_sent(
    run: Run, server: Server
) -> None:
    """`record` is for small things: all or nothing of what can be read."""
    text = lines(action("cli/half")) + b"{"
    done = run("record", "--url", server.url, stdin=text)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "line 2 is not JSON" in done.err
    with server.client() as client, pytest.raises(LineageError):
        client.action("cli/half")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("cli/train", ["first training", "complete", "gs://b/issues.csv (issues)", "max_age: 30"]),
        (MODEL, ["Model", "produced by", "train first training", "read by"]),
        (SLOT, ["disagree", "first training", "observed", "claims TCN2", "history"]),
    ],
)
def test_a_reference_is_shown_as_a_tree(
    run: Run, story: str, reference: str, expected: list[str]
) -> None:
    """An action, an artifact, a slot: what it is, and what is around it."""
    done = run("show", reference, "--url", story)
    assert done.code == 0
    assert [word for word in expected if word not in done.out] == []


def test_what_is_shown_can_be_read_by_programs(run: Run, story: str) -> None:
    """--json gives what the API said."""
    shown = json.loads(run("show", "cli/train", "--json", "--url", story).out)
    assert (shown["key"], shown["state"]) == ("cli/train", "complete")
    slots = json.loads(run("live", "--json", "--url", story).out)["slots"]
    assert [s["models"][0]["uri"] for s in slots if s["slot"] == SLOT] == [MODEL]


def test_of_several_versions_the_newest_is_shown(run: Run, server: Server) -> None:
    """With the others below it."""
    with server.client() as client:
        for day in (1, 2, 3):
            output = {"type": "Dataset", "uri": "gs://cli/daily.csv", "version": f"v{day}"}
            time = f"2020-07-0{day}T00:00:00Z"
            client.record(action(f"cli/daily/{day}", ended_at=time, outputs=[output]))
    shown = run("show", "gs://cli/daily.csv", "--url", server.url).out
    assert "version: v3" in shown
    assert shown.index("other versions (2)") < shown.index("v2 (") < shown.index("v1 (")
    one = run("show", "gs://cli/daily.csv@v1", "--json", "--url", server.url).out
    assert json.loads(one)["version"] == "v1"


def test_nothing_by_that_name_is_one_line(run: Run, story: str) -> None:
    """No traceback: what is wrong, and what to do."""
    done = run("show", "gs://no/such/thing", "--url", story)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("x.svg", b"<"),
        ("x.PNG", b"\x89PNG"),
        ("x.dot", b"digraph"),
        ("x.mmd", b"flowchart"),
        ("x.json", b"{"),
    ],
)
def test_a_graph_is_written_in_the_format_of_its_extension(
    run: Run, story: str, tmp_path: Path, name: str, start: bytes
) -> None:
    """The name of the file is all one has to say."""
    done = run("graph", MODEL, "-o", tmp_path / name, "--direction", "upstream", "--url", story)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_graph_without_a_file_is_mermaid(run: Run, story: str) -> None:
    """It can be pasted into a page as it is."""
    assert run("graph", MODEL, "--depth", "1", "--url", story).out.startswith("flowchart")


def test_a_graph_of_an_unknown_format_is_a_usage_error(run: Run, story: str) -> None:
    """The formats that are offered are named."""
    done = run("graph", MODEL, "-o", "x.pdf", "--url", story)
    assert (done.code, ".svg, .png" in " ".join(done.err.split())) == (2, True)


def test_live_shows_slots_and_warns_of_claims_that_disagree(run: Run, story: str) -> None:
    """What is live, since when, by whom; and who says otherwise."""
    done = run("live", "--url", story)
    row = next(line for line in done.out.splitlines() if line.strip().startswith(SLOT))
    cells = re.split(r"\s{2,}", row.strip())
    assert cells[1:] == ["TCN1", "2020-07-24T12:00:00Z", "deploy deploy", "observed", "disagree"]
    assert f"Warning: {SLOT}: deploy claim claims TCN2" in done.out


def test_live_answers_for_the_past(run: Run, story: str) -> None:
    """A bare date is its beginning, so what came later that day is not live yet."""
    assert SLOT not in run("live", "--as-of", "2020-07-24", "--url", story).out
    assert SLOT in run("live", "--as-of", "2020-07-25", "--url", story).out
    assert run("live", "--namespace", "none", "--url", story).out == "Nothing is live.\n"
    assert run("live", "--as-of", "soon", "--url", story).code == 2


def test_an_export_imported_elsewhere_gives_the_same_export(run: Run, tmp_path: Path) -> None:
    """A store file is enough: no server runs before, between or after."""
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    assert run("--store", first, "record", stdin=history()).code == 0
    assert run("export", "--store", first, "-o", tmp_path / "x.ndjson").code == 0
    assert run("import", tmp_path / "x.ndjson", "--store", second).code == 0
    assert run("export", "--store", second).out == (tmp_path / "x.ndjson").read_text()
    assert sorted(p.name for p in tmp_path.glob("*.part")) == []


def test_a_store_that_is_not_there_is_not_made_by_a_question(run: Run, tmp_path: Path) -> None:
    """A misspelt name must not look like an empty store."""
    done = run("live", "--store", tmp_path / "none.db")
    assert (done.code, list(tmp_path.iterdir())) == (1, [])
    assert done.err.startswith("Error: ")


def test_a_store_a_server_holds_can_be_read_but_not_written(run: Run, server: Server) -> None:
    """Two writers would not know of each other."""
    assert run("live", "--store", server.store).code == 0
    done = run("record", "--store", server.store, stdin=lines(action("cli/second-writer")))
    assert (done.code, done.err.count("\n")) == (1, 1)


def test_a_url_and_a_store_exclude_each_other(run: Run) -> None:
    """There is one place to ask."""
    done = run("live", "--url", "http://127.0.0.1:1", "--store", "x.db")
    assert (done.code, "exclude each other" in done.err) == (2, True)


def test_a_server_that_is_away_is_one_line(run: Run) -> None:
    """With the way to start one."""
    done = run("live", "--url", "http://127.0.0.1:1")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "lineage serve" in done.err


def test_an_unknown_setting_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for a client."""
    monkeypatch.setenv("LINEAGE_ULR", "http://host")
    done = run("live")
    assert (done.code, "did you mean LINEAGE_URL?" in done.err) == (1, True)


def test_without_the_server_extra_the_way_to_get_it_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base install has the client only."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = run("live", "--store", "x.db")
    assert (done.code, "pip install 'lineage-without-dag[server]'" in done.err) == (1, True)


def test_global_options_may_stand_anywhere_but_serve_has_its_own() -> None:
    """People type them last; typer wants them first."""
    given = ["live", "--store", "x.db", "--json", "--url=u"]
    assert globals_first(given) == ["--store", "x.db", "--url=u", "live", "--json"]
    assert globals_first(["serve", "--store", "x"]) == ["serve", "--store", "x"]
    assert globals_first(["show", "--", "--store"]) == ["show", "--", "--store"]


def test_version_and_help_answer(run: Run) -> None:
    """Without touching a server."""
    assert run("--version").out == "lineage 0.1.0\n"
    assert all(name in run("--help").out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_in_its_help_and_its_heading_in_the_docs(
    run: Run, command: str
) -> None:
    """Help and documentation cannot drift from what there is."""
    assert f"Example: lineage {command}" in " ".join(run(command, "--help").out.split())
    section = re.search(rf"^## `lineage {command}\b.*?(?=^## |\Z)", DOCS.read_text(), re.M | re.S)
    assert section is not None
    assert f"lineage {command}" in section[0].partition("```")[2]


def test_every_option_is_in_the_docs(run: Run) -> None:
    """An option that nobody can find is none."""
    options = {
        option
        for command in ("", *COMMANDS)
        for option in re.findall(r"--[a-z][a-z-]+", run(*command.split(), "--help").out)
    }
    assert [option for option in sorted(options) if f"`{option}" not in DOCS.read_text()] == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_public_address_needs_to_be_asked_for(run: Run, host: str, tmp_path: Path) -> None:
    """Without tokens anyone could read and record."""
    done = run("serve", "--host", host, "--port", 0, "--store", tmp_path / "x.db")
    assert (done.code, "--insecure" in done.err) == (1, True)


def test_a_port_that_is_taken_is_one_line(run: Run, server: Server, tmp_path: Path) -> None:
    """No traceback, no half-started store."""
    port = server.url.rpartition(":")[2]
    done = run("serve", "--port", port, "--store", tmp_path / "x.db")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert f"port {port}" in done.err


def test_a_store_in_use_is_one_line(server: Server) -> None:
    """A second server on the same file does not start."""
    command = [*COMMAND, "serve", "--store", str(server.store), "--port", "0"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(), timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_a_server_stops_cleanly_and_keeps_what_it_acknowledged(
    make_server: Callable[..., Server],
) -> None:
    """Asked to stop it exits with 0; killed, it has lost nothing either."""
    first = make_server()
    with first.client() as client:
        client.record(action("cli/kept/1"))
    assert first.stop() == 0
    second = make_server(store=first.store)
    with second.client() as client:
        client.record(action("cli/kept/2"))
    second.kill()
    with make_server("--read-only", store=first.store).client() as client:
        assert [client.action(f"cli/kept/{n}")["key"] for n in (1, 2)] == [
            "cli/kept/1",
            "cli/kept/2",
        ]
        with pytest.raises(LineageError, match="read-only"):
            client.record(action("cli/kept/3"))


def test_a_pipe_that_closes_early_is_no_error_of_ours(story: str) -> None:
    """`lineage export | head -1` ends without a traceback."""
    command = f"{sys.executable} -m lineage export --url {story} | head -c 1"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=clean_environment()
    )
    assert (done.stdout, done.stderr) == ("{", "")


def test_an_embedded_server_lives_as_long_as_its_block(tmp_path: Path) -> None:
    """Records in one block, questions in the next; nothing is left behind."""
    with embedded(tmp_path / "x.db") as client:
        client.record(action("cli/embedded"))
    with embedded(tmp_path / "x.db", read_only=True) as client:
        assert client.action("cli/embedded")["key"] == "cli/embedded"
    with pytest.raises(LineageError):
        client.action("cli/embedded")


def test_terminals_are_not_steered_by_records() -> None:
    """Control characters and direction marks become visible; text stays as it is."""
    assert clean("a\x1b[31mb\x07\u202ec") == "a\ufffd[31mb\ufffd\ufffdc"
    assert clean("grün\tTCN-1\n") == "grün\tTCN-1\n"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2020-07-23", "2020-07-23T00:00:00+00:00"),
        ("2020-07-23T17:45:27Z", "2020-07-23T17:45:27+00:00"),
        ("2020-07-23 17:45+02:00", "2020-07-23T17:45:00+02:00"),
    ],
)
def test_a_time_is_read_as_utc_unless_it_says_otherwise(text: str, time: str) -> None:
    """A bare date is the beginning of that day."""
    assert moment(text) == time


def test_a_time_that_is_none_is_a_usage_error() -> None:
    """With an example of one that is."""
    with pytest.raises(typer.BadParameter, match="write 2020-07-23"):
        moment("July")


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"") + b"\n"), max_size=30))
def test_batches_hold_every_line_once_in_order_within_bounds(text: list[bytes]) -> None:
    """Nothing is parsed, lost or torn, and each line knows its number."""
    many = text * 100
    made = list(batches("f", many))
    assert b"".join(b.body for b in made) == b"".join(line for line in many if line.strip())
    assert [n for b in made for n in b.numbers] == [
        n for n, line in enumerate(many, 1) if line.strip()
    ]
    assert all(len(b.numbers) <= MAX_LINES and len(b.body) <= MAX_BYTES for b in made)


class Scripted(Client):
    """A client whose batches go as told: an error to raise, or a number of failures."""

    def __init__(self, *script: LineageError | int) -> None:
        super().__init__()
        self.script = list(script)

    def batch(self, body: Any, ndjson: bool = True, verdicts: str = "all") -> dict[str, Any]:
        step = self.script.pop(0)
        if isinstance(step, LineageError):
            raise step
        results = [{"index": n, "error": {"detail": "bad"}} for n in range(step)]
        return {"created": 1, "merged": 0, "unchanged": 0, "failed": step, "results": results}


def pieces(*firsts: int) -> list[Batch]:
    return [Batch("f", [first, first + 1], b"{}\n{}\n") for first in firsts]


def test_a_busy_store_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment later it may take the batch; a replay is harmless."""
    monkeypatch.setattr("lineage.cli.batches.PATIENCE", (0, 0))
    tally = send(Scripted(StoreUnavailable("busy"), StoreUnavailable("busy"), 0), pieces(1))
    assert tally.counts["created"] == 1


def test_a_server_that_stays_away_stops_an_import_at_a_line() -> None:
    """The message says where, and that the same command goes on."""
    with pytest.raises(LineageError, match="f line 3; run the same command again"):
        send(Scripted(0, LineageError("gone"), LineageError("gone")), pieces(1, 3, 5))


def test_a_batch_refused_as_a_whole_fails_line_by_line() -> None:
    """Others may still be fine."""
    tally = send(Scripted(TooLarge("too large"), 1), pieces(1, 7))
    assert [(f.line, f.message) for f in tally.failures] == [
        (1, "too large"), (2, "too large"), (7, "bad"),
    ]  # fmt: skip
    assert tally.counts["failed"] == 3
