"""Reports survive whatever happens between the controller and the server."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers_hooks import Dataset, Hook, segments
from controllers_hooks.delivery import PATIENCE, Delivery
from controllers_hooks.outbox import Outbox, Statistics
from lineage.cli import main
from lineage.client import Client
from lineage.errors import (
    BadRequest,
    InvalidRecord,
    LineageError,
    ServerUnreachable,
    StoreUnavailable,
    TooLarge,
)

from .conftest import MakeServer, Server, clean_environment

NOWHERE = "http://127.0.0.1:1"
CALLS = 10_000


class Network(Client):
    """A server behind a broken network: answers what it is told to, remembers what arrived."""

    def __init__(self, *answers: LineageError, poison: dict[str, int] | None = None) -> None:
        super().__init__(NOWHERE)
        self.answers = list(answers)
        self.poison = poison or {}
        self.arrived: list[str] = []

    def batch(self, body: Any, ndjson: bool = True) -> dict[str, Any]:
        if self.answers:
            raise self.answers.pop(0)
        keys = [json.loads(line)["key"] for line in body.split(b"\n")]
        if any(self.poison.get(key) == 413 for key in keys):
            raise TooLarge("too much")
        self.arrived += [key for key in keys if key not in self.poison]
        results = [
            {"index": n, "status": self.poison[key], "error": {"detail": f"{key} is poison"}}
            for n, key in enumerate(keys)
            if key in self.poison
        ]
        return {"failed": len(results), "results": results}


def put(box: Outbox, *keys: str, last: bool = True) -> None:
    for key in keys:
        assert box.put(json.dumps({"key": key}).encode(), last)


def delivered(directory: Path, network: Client | None = None) -> tuple[list[str], Statistics]:
    """What arrives when the outbox is drained, and what was counted."""
    network = network or Network()
    counts = Statistics()
    assert Delivery(directory, network, counts).drain()
    return getattr(network, "arrived", []), counts


def keys_of(server: Server, prefix: str) -> list[str]:
    found = (action["key"] for action in server.client().actions(q=prefix))
    return [key for key in found if key.startswith(prefix)]


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "box")
    yield made
    made.close()


CONTROLLER = """
import os, signal, sys
from controllers_hooks import Hook, Model
hook = Hook("trainer", url=sys.argv[1], outbox=sys.argv[2])
for run in range(int(sys.argv[3])):
    assert hook.record({"key": f"kill/{run}", "type": "train", "state": "complete",
                        "outputs": [{"type": "Model", "uri": f"gs://kill/{run}"}]})
assert hook.failed == 0
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_lost_when_the_server_is_away_and_the_controller_is_killed(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """10,000 calls without a server, then kill -9: the next controller delivers each once."""
    died = python(CONTROLLER, NOWHERE, str(tmp_path / "box"), str(CALLS))
    assert died.wait(60) == -signal.SIGKILL
    server = make_server()
    hook = Hook("trainer", url=server.url, outbox=tmp_path / "box")
    assert hook.flush(60)
    keys = keys_of(server, "kill/")
    assert (len(keys), set(keys)) == (CALLS, {f"kill/{run}" for run in range(CALLS)})
    assert hook.statistics().waiting_bytes == 0
    assert segments.segments(tmp_path / "box") == []


ENDLESS = """
import itertools, sys, time
from controllers_hooks import Hook
hook = Hook("trainer", url=sys.argv[1], outbox=sys.argv[2])
for run in itertools.count():
    hook.record({"key": f"{sys.argv[3]}/{run}", "type": "train"})
    print(run, flush=True)
    time.sleep(0.0003)
"""


def test_whenever_a_controller_is_killed_what_it_recorded_arrives(
    server: Server, tmp_path: Path
) -> None:
    """Also in the middle of delivering, and with two processes on one outbox."""
    for attempt in range(2):
        pair = [python(ENDLESS, server.url, str(tmp_path), f"any/{attempt}/{n}") for n in (0, 1)]
        time.sleep(0.7 + attempt * 0.35)
        for one in pair:
            one.kill()
        said = [one.communicate()[0].splitlines() for one in pair]
        assert Hook("trainer", url=server.url, outbox=tmp_path).flush(30)
        for n, lines in enumerate(said):
            # The last line may itself be torn.
            assert {f"any/{attempt}/{n}/{run}" for run in lines[:-1]} <= set(
                keys_of(server, f"any/{attempt}/{n}/")
            )


def test_reports_leave_in_the_order_they_were_made_also_across_processes(tmp_path: Path) -> None:
    """The first report of an action arrives before the second, whoever wrote them."""
    boxes = [Outbox(tmp_path) for _ in range(3)]
    for n in range(300):
        put(boxes[n % 3], f"{n}")
    assert delivered(tmp_path)[0] == [f"{n}" for n in range(300)]


def test_what_was_delivered_is_not_delivered_again(box: Outbox) -> None:
    """The position is on disk: a new process goes on where the last one stopped."""
    put(box, "a", "b")
    assert delivered(box.directory)[0] == ["a", "b"]
    put(box, "c")
    assert delivered(box.directory)[0] == ["c"]


def test_only_one_process_delivers_at_a_time(box: Outbox) -> None:
    """The others leave it to that one; the kernel frees the lock when it dies."""
    put(box, "a")
    with segments.delivering(box.directory) as ours:
        assert ours
        assert Delivery(box.directory, Network(), Statistics()).drain() is False
    assert delivered(box.directory)[0] == ["a"]


def test_a_segment_is_removed_when_its_process_is_gone_and_not_before(box: Outbox) -> None:
    """What a live process still writes to is never taken away from it."""
    put(box, "a")
    delivered(box.directory)
    assert len(segments.segments(box.directory)) == 1
    box._retire()
    box._sync()
    delivered(box.directory)
    assert segments.segments(box.directory) == []


@given(st.data())
def test_damage_costs_the_damaged_reports_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut anywhere, flip any byte: every line that is whole arrives, the rest is kept or counted."""
    directory = tmp_path_factory.mktemp("damage")
    lines = [segments.frame(n, b'{"key": "%d"}' % n) for n in range(8)]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    flip = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[flip] ^= data.draw(st.integers(1, 255))
    (directory / "1-1-a.log").write_bytes(damaged[:cut])
    arrived, counts = delivered(directory)
    ends = [sum(map(len, lines[: n + 1])) for n in range(len(lines))]
    sound = {
        str(n)
        for n, end in enumerate(ends)
        # A newline that is gone also takes the line after it.
        if end <= cut and not (end - len(lines[n]) - 1 <= flip < end)
    }
    assert sound <= set(arrived)
    assert len(arrived) == len(set(arrived))
    assert counts.corrupt <= 2 and counts.torn <= 1
    assert segments.segments(directory) == []


def test_a_damaged_line_is_kept_for_who_wants_to_look(box: Outbox) -> None:
    """It stops nothing, is counted, and is never thrown away."""
    put(box, "a")
    [segment] = segments.segments(box.directory)
    with segment.path.open("ab") as file:
        file.write(b"no frame\n" + b"\0" * 40)
    put(box, "b")  # behind the zeros that a power cut leaves
    arrived, counts = delivered(box.directory)
    assert (arrived, counts.corrupt) == (["a", "b"], 1)
    assert (box.directory / "corrupt").read_bytes() == b"no frame\n"


@pytest.mark.parametrize("note", [b"", b"99999", b"0 00000000", b"20 0badc0de", b"\xff\x00 x"])
def test_a_damaged_note_of_what_is_delivered_skips_nothing(box: Outbox, note: bytes) -> None:
    """To deliver again is harmless; a number that fell from the sky would lose reports."""
    put(box, "a", "b")
    [segment] = segments.segments(box.directory)
    segment.path.with_suffix(".at").write_bytes(note)
    assert delivered(box.directory)[0] == ["a", "b"]
    assert segment.delivered == segment.size


def test_files_of_others_are_left_alone(box: Outbox) -> None:
    """Whatever lies in the directory, reports are delivered, and nothing else is removed."""
    put(box, "a")
    (box.directory / "notes.log").write_bytes(b"no segment\n")
    (box.directory / "1-1-f.log").mkdir()
    assert delivered(box.directory)[0] == ["a"]
    assert (box.directory / "notes.log").read_bytes() == b"no segment\n"


def test_what_a_crash_cut_off_is_kept(box: Outbox) -> None:
    """Half a report may still tell somebody something."""
    put(box, "a")
    box.close()
    (box.directory / "1-1-f.log").write_bytes(b"half a li")
    assert (delivered(box.directory)[1].torn, delivered(box.directory)[0]) == (1, [])
    assert (box.directory / "corrupt").read_bytes() == b"half a li\n"


def test_a_store_without_room_is_no_fault_of_the_record(box: Outbox) -> None:
    """However often the store's disk is full, nothing is put aside."""
    network = Network(poison={"b": 507})
    put(box, "a", "b")
    for _ in range(PATIENCE + 1):
        with pytest.raises(StoreUnavailable):
            Delivery(box.directory, network, Statistics()).drain()
    network.poison.clear()
    assert "b" in delivered(box.directory, network)[0]
    assert segments.rejected(box.directory) == []


def test_a_line_that_is_still_being_written_waits(box: Outbox) -> None:
    """Half a line of a live process is no damage."""
    line = segments.frame(1, b'{"key": "a"}')
    put(box, "first")
    [segment] = segments.segments(box.directory)
    with segment.path.open("ab", buffering=0) as file:
        file.write(line[:20])
        assert delivered(box.directory)[0] == ["first"]
        file.write(line[20:])
    assert delivered(box.directory)[0] == ["a"]


@pytest.mark.parametrize(
    "error",
    [ServerUnreachable("away"), StoreUnavailable("busy"), LineageError("broken")],
)
def test_what_a_server_cannot_take_now_stays(box: Outbox, error: LineageError) -> None:
    """An outage, a wrong token or a broken server loses nothing."""
    put(box, "a", "b")
    network = Network(error)
    with pytest.raises(type(error)):
        Delivery(box.directory, network, Statistics()).drain()
    assert delivered(box.directory, network)[0] == ["a", "b"]


@pytest.mark.parametrize("error", [BadRequest("no"), InvalidRecord("no"), TooLarge("no")])
def test_a_batch_that_is_refused_is_halved_until_the_one_at_fault_is_found(
    box: Outbox, error: LineageError
) -> None:
    """The others arrive; that one is kept with the reason."""
    put(box, *"abcdefgh")
    arrived, counts = delivered(box.directory, Network(error, poison={"e": 413}))
    assert (arrived, counts.rejected, counts.delivered) == (list("abcdfgh"), 1, 7)
    [kept] = segments.rejected(box.directory)
    assert (kept["record"], kept["status"]) == ({"key": "e"}, 413)


def test_a_record_that_always_fails_does_not_stop_the_others_for_ever(box: Outbox) -> None:
    """When its neighbours pass and it never does, it is put aside."""
    put(box, "a", "b")
    delivery = Delivery(box.directory, network := Network(poison={"a": 503}), Statistics())
    for _ in range(PATIENCE - 1):
        with pytest.raises(StoreUnavailable):
            delivery.drain()
    assert delivery.drain()
    assert set(network.arrived) == {"b"}
    assert segments.rejected(box.directory)[0]["record"] == {"key": "a"}


def test_a_report_the_server_refuses_is_kept_with_its_reason(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server of another version may refuse what this one finds sound; `replay` asks again."""
    hook = Hook("trainer", url=server.url, outbox=tmp_path)
    hook._outbox.put(b'{"key": "refused/1", "type": "train"}', True)
    hook.record({"key": "refused/2", "type": "train"})
    assert hook.flush()
    assert (hook.statistics().rejected, hook.failed) == (1, 0)
    [kept] = segments.rejected(tmp_path)
    assert kept["record"]["key"] == "refused/1"
    assert kept["reason"].startswith("controller: is missing")
    with pytest.raises(SystemExit):
        main(["outbox", "replay", "--rejected", "--json", "--url", server.url,
              "--dir", str(tmp_path)])  # fmt: skip
    assert json.loads(capsys.readouterr().out)[0]["rejected"] == 1
    assert len(segments.rejected(tmp_path)) == 1


def test_a_full_outbox_refuses_progress_before_it_drops_an_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last fifth of the room is for the reports that end an action; losses are counted."""
    box = Outbox(tmp_path, limit=10_000)
    payload = b"x" * 100
    while box.put(payload, last=False):
        pass
    assert (box.counts.refused, box.counts.dropped) == (1, 0)
    ends = 0
    while box.put(payload, last=True):
        ends += 1
    assert ends > 10
    assert (box.counts.refused, box.counts.dropped) == (1, 1)
    assert len([r for r in caplog.records if "is full" in r.message]) >= 1
    assert segments.waiting(tmp_path) <= 10_000


def test_when_reports_have_left_there_is_room_again(server: Server, tmp_path: Path) -> None:
    """An outbox that was full goes on by itself."""
    hook = Hook("trainer", url=NOWHERE, outbox=tmp_path, outbox_size=20_000)
    record = {"key": "full/1", "type": "train", "by": "b" * 200}
    while hook.record(record):
        pass
    assert hook.failed == 1
    assert Hook("trainer", url=server.url, outbox=tmp_path).flush(20)
    deadline = time.monotonic() + 10
    while not hook.record(record) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert hook.record(record)


def test_threads_share_an_outbox(server: Server, tmp_path: Path) -> None:
    """Eight of them, one segment, nothing torn."""
    hook = Hook("trainer", url=server.url, outbox=tmp_path)

    def work(thread: int) -> None:
        for run in range(50):
            with hook.action("train", f"threads/{thread}/{run}") as act:
                act.reads(Dataset("gs://b/issues.csv"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hook.flush(30)
    assert len(keys_of(server, "threads/")) == 400
    assert hook.statistics().corrupt == 0


FORKING = """
import os, sys
from controllers_hooks import Hook
hook = Hook("trainer", url=sys.argv[1], outbox=sys.argv[2])
hook.record({"key": "fork/before", "type": "train"})
hook.flush()
child = os.fork()
hook.record({"key": f"fork/{'parent' if child else 'child'}", "type": "train"})
if child:
    os.waitpid(child, 0)
print(hook.flush(), hook.statistics().recorded, flush=True)
"""


def test_a_forked_child_has_an_outbox_of_its_own(server: Server, tmp_path: Path) -> None:
    """Neither writes into the other's segment, both deliver."""
    out, _ = python(FORKING, server.url, str(tmp_path)).communicate(timeout=60)
    assert sorted(out.splitlines()) == ["True 1", "True 2"]
    assert set(keys_of(server, "fork/")) == {"fork/before", "fork/parent", "fork/child"}


def test_a_short_job_delivers_before_it_ends(server: Server, tmp_path: Path) -> None:
    """Nobody may ever come back to its disk."""
    code = "import sys; from controllers_hooks import Hook\n" \
           "Hook('job', url=sys.argv[1], outbox=sys.argv[2])" \
           ".record({'key': 'short/1', 'type': 'train'})"  # fmt: skip
    assert python(code, server.url, str(tmp_path)).wait(30) == 0
    assert keys_of(server, "short/") == ["short/1"]
    assert segments.segments(tmp_path) == []


def test_after_an_outage_the_reports_arrive_by_themselves(
    make_server: MakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The sender keeps trying; the log has a line for the outage and one for its end."""
    caplog.set_level(logging.INFO, "lineage.hook")
    first = make_server()
    port = first.url.rpartition(":")[2]
    first.stop()
    hook = Hook("trainer", url=first.url, outbox=tmp_path)
    hook.record({"key": "outage/1", "type": "train"})
    assert hook.flush(0.5) is False
    assert hook.statistics().outages == 1
    again = make_server("--port", port)
    assert hook.flush(30)
    assert keys_of(again, "outage/") == ["outage/1"]
    said = [r.message for r in caplog.records if r.name == "lineage.hook"]
    assert [text.split()[0:2] for text in said] == [["reports", "wait"], ["the", "reports"]]


def test_a_removed_segment_is_noticed(box: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody tidied up: what was lost is said, and the next report has a file again."""
    put(box, "a")
    segments.segments(box.directory)[0].path.unlink()
    box._sync()
    put(box, "b")
    assert delivered(box.directory)[0] == ["b"]
    assert "somebody removed" in caplog.text


def test_times_of_one_process_only_grow(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes back does not change the order."""
    times = iter([5, 3, 4])
    monkeypatch.setattr("controllers_hooks.outbox.time.time_ns", lambda: next(times, 4))
    put(box, "a", "b", "c")
    monkeypatch.undo()
    assert delivered(box.directory)[0] == ["a", "b", "c"]


def test_a_segment_grows_only_so_large(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is delivered can be removed while the controller goes on."""
    monkeypatch.setattr("controllers_hooks.outbox.SEGMENT", 1000)
    put(box, *(f"{n}" for n in range(100)))
    box._sync()
    assert len(segments.segments(box.directory)) > 3
    assert len(delivered(box.directory)[0]) == 100
    assert len(segments.segments(box.directory)) == 1


def test_the_files_are_private(box: Outbox) -> None:
    """Other users of the machine have no business in there."""
    put(box, "a")
    assert box.directory.stat().st_mode & 0o077 == 0
    [segment] = segments.segments(box.directory)
    assert segment.path.stat().st_mode & 0o077 == 0


def test_pauses_grow_and_differ() -> None:
    """A thousand controllers do not come back in the same second."""
    from controllers_hooks.sender import LONGEST_PAUSE, _pauses

    pauses = [[next(one) for _ in range(12)] for one in (_pauses(), _pauses())]
    assert pauses[0] != pauses[1]
    assert all(0 < pause <= LONGEST_PAUSE for one in pauses for pause in one)
    assert sum(later > earlier for earlier, later in pairwise(pauses[0])) > 5


def test_the_command_line_lists_and_delivers(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """`ls` says what waits, `replay` delivers it, and `ls` says that nothing does."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["outbox", *arguments])
        assert ended.value.code == 0
        return capsys.readouterr().out

    assert "No outbox here" in run("ls")
    box = Outbox(tmp_path / "lineage" / "outbox" / "trainer")
    payload = {"key": "cli-outbox/1", "type": "train", "controller": {"name": "t"}}
    box.put(json.dumps(payload).encode(), True)
    [before] = json.loads(run("ls", "--json"))
    assert (before["waiting"], before["rejected"]) == (1, 0)
    assert before["oldest"].endswith("Z")
    assert "1 waiting" in run("ls")
    assert "1 delivered" in run("replay", "--url", server.url)
    assert keys_of(server, "cli-outbox/") == ["cli-outbox/1"]
    assert json.loads(run("ls", "--json"))[0]["waiting"] == 0


def test_replay_says_when_no_server_answers(tmp_path: Path) -> None:
    """The exit code is 1, and nothing is lost."""
    put(Outbox(tmp_path), "a")
    with pytest.raises(SystemExit) as ended:
        main(["outbox", "replay", "--url", NOWHERE, "--dir", str(tmp_path)])
    assert ended.value.code == 1
    assert delivered(tmp_path)[0] == ["a"]


def test_prometheus_sees_the_outbox(box: Outbox) -> None:
    """Counters and what waits, by controller's directory; the library is loaded on request."""
    from prometheus_client import CollectorRegistry, generate_latest

    from controllers_hooks.metrics import register

    hook = Hook("trainer", url=NOWHERE, outbox=box.directory)
    hook.record({"key": "metrics/1", "type": "train", "state": "complete"})
    registry = CollectorRegistry()
    register(hook, registry)
    text = generate_latest(registry).decode()
    assert 'lineage_hook_reports_total{fate="recorded"} 1.0' in text
    assert 'lineage_hook_reports_total{fate="dropped"} 0.0' in text
    assert "lineage_hook_waiting_bytes" in text


def test_a_writer_that_dies_frees_its_segment(tmp_path: Path) -> None:
    """The kernel holds the lock, not a file with a process id that another may get."""
    died = python(CONTROLLER, NOWHERE, str(tmp_path), "3")
    died.wait(60)
    [segment] = segments.segments(tmp_path)
    with segment.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert os.path.getsize(segment.path) > 0
