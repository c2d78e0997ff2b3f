"""The hook reports what happened, and never gets in the way of it."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controllers_hooks import Act, Dataset, Hook, Metrics, Model, place
from controllers_hooks.things import plain
from lineage.model import Action, Controller, Reference, parse_action

from .conftest import Server

DOCS = (Path(__file__).parent.parent / "docs" / "recording.md").read_text()
NOWHERE = "http://127.0.0.1:1"


Seen = Callable[[str], dict[str, Any]]
"""What the server knows of an action, once all reports have arrived."""


@pytest.fixture(autouse=True)
def _own_outboxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def hook(server: Server) -> Hook:
    return Hook("trainer", namespace="hook-test", url=server.url)


@pytest.fixture
def seen(server: Server, hook: Hook) -> Seen:
    def action(key: str) -> dict[str, Any]:
        assert hook.flush(), hook.statistics()
        return server.client().action(key)

    return action


def test_an_act_is_running_inside_and_complete_after(hook: Hook, seen: Seen) -> None:
    """The first report is there while the work goes on; the last one holds everything."""
    with hook.action("train", key="hook/1", name="first") as act:
        assert seen("hook/1")["state"] == "running"
        act.reads(Dataset("gs://hook/issues.csv", "sha256:" + "ab" * 32, role="issues"))
        act.writes(Model("projects/p/models/TCN1"), "gs://hook/report.html")
        act.params(max_age_days=30).by("label-bot").links(log="https://host/log")
        act.code("https://github.com/o/r", "a" * 40, path="train.ipynb", dirty=False)
        act.trigger(wanted="24h", observed="25h", reason="too old").parent("hook/0")
    found = seen("hook/1")
    assert (found["state"], found["name"], found["by"]) == ("complete", "first", "label-bot")
    times = [
        datetime.fromisoformat(found[f"{name}_at"]) for name in ("started", "ended", "reported")
    ]
    assert times == sorted(times)
    assert found["controller"] == {"cluster": "", "namespace": "hook-test", "name": "trainer"}
    assert {i["type"]: i.get("role") for i in found["inputs"]} == {
        "Dataset": "issues",
        "Code": "code",
    }
    assert [o["uri"] for o in found["outputs"]] == [
        "gs://hook/report.html",
        "projects/p/models/TCN1",
    ]
    assert (found["params"], found["trigger"]["reason"]) == ({"max_age_days": 30}, "too old")
    assert (found["parent"], hook.failed) == ("hook/0", 0)


def test_an_exception_passes_unchanged_and_is_recorded(hook: Hook, seen: Seen) -> None:
    """The very same exception leaves the block; the action failed with its words."""
    error = ValueError("no data for 2020-07-23")
    with pytest.raises(ValueError, match="no data") as caught, hook.action("train", "hook/2"):
        raise error
    assert caught.value is error
    found = seen("hook/2")
    assert (found["state"], found["error"]) == ("failed", "ValueError: no data for 2020-07-23")


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (KeyboardInterrupt(), "canceled"),
        (asyncio.CancelledError(), "canceled"),
        (SystemExit(0), "complete"),
        (SystemExit(3), "failed"),
        (RuntimeError("x" * 100_000 + "\x00"), "failed"),
    ],
)
def test_every_way_out_has_its_state(
    hook: Hook, seen: Seen, error: BaseException, state: str
) -> None:
    """An interrupt is no failure, a clean exit is no error, an endless message no obstacle."""
    key = f"hook/out/{type(error).__name__}/{state}"
    with pytest.raises(type(error)), hook.action("train", key):
        raise error
    assert seen(key)["state"] == state
    assert hook.failed == 0


def test_the_caller_may_decide_the_end(hook: Hook, seen: Seen) -> None:
    """A controller that reports failure without raising, or gives up, says so."""
    with hook.action("train", "hook/failed") as act:
        act.fail("the quota is used up")
    with hook.action("train", "hook/canceled") as act:
        act.cancel()
    assert seen("hook/failed")["error"] == "the quota is used up"
    assert seen("hook/canceled")["state"] == "canceled"


def test_a_retry_with_the_same_key_is_the_same_action(hook: Hook, seen: Seen) -> None:
    """The later end wins, whatever the clocks of the two attempts."""
    with pytest.raises(OSError, match="away"), hook.action("train", "hook/retry"):
        raise OSError("away")
    with hook.action("train", "hook/retry"):
        pass
    assert seen("hook/retry")["state"] == "complete"


def test_a_decorated_function_reports_each_call(hook: Hook, seen: Seen) -> None:
    """The key may come from the arguments; inside, the act is at hand."""

    @hook.wraps("train", key=lambda run: f"hook/call/{run}")
    def train(run: int) -> int:
        hook.current.writes(Model(f"gs://hook/model-{run}"))
        return run * 2

    assert [train(1), train(2)] == [2, 4]
    assert seen("hook/call/2")["outputs"][0]["uri"] == "gs://hook/model-2"
    assert seen("hook/call/2")["name"] == "train"


def test_a_decorated_coroutine_reports_each_call(hook: Hook, seen: Seen) -> None:
    """Many handlers of one event loop have each their own act, and sending does not block it."""

    @hook.wraps("deploy", key=lambda run: f"hook/async/{run}")
    async def deploy(run: int) -> None:
        await asyncio.sleep(0.01)
        hook.current.params(run=run)

    async def all_at_once() -> None:
        await asyncio.gather(*(deploy(run) for run in range(4)))

    asyncio.run(all_at_once())
    found = [seen(f"hook/async/{run}") for run in range(4)]
    assert [f["params"]["run"] for f in found] == [0, 1, 2, 3]
    assert {f["state"] for f in found} == {"complete"}


def test_outside_of_any_act_the_current_one_goes_nowhere() -> None:
    """A function that adds parameters may be called without an act around it."""
    hook = Hook("trainer", url=NOWHERE)
    assert isinstance(hook.current, Act)
    assert hook.current.params(a=1).report() is False
    assert hook.failed == 0


def test_what_another_process_did_can_be_recorded(hook: Hook, seen: Seen) -> None:
    """A controller that watches reports the same record as often as it sees it."""
    report: dict[str, Any] = {"key": "hook/seen", "type": "deploy", "state": "complete",
                            "ended_at": datetime(2020, 7, 24, tzinfo=UTC)}  # fmt: skip
    assert hook.record(report)
    assert hook.record(report)
    assert "controller" not in report
    assert hook.record(Action(key="hook/seen", type="deploy", controller=Controller(name="x")))
    assert seen("hook/seen")["ended_at"] == "2020-07-24T00:00:00Z"


def test_what_cannot_be_recorded_is_left_out_and_the_rest_is_recorded(
    hook: Hook, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad value does not cost the report, and does not raise."""
    with hook.action("train", "hook/bad") as act:
        act.reads(Dataset(""), Dataset("gs://hook/good.csv"), Dataset("x://", name="n" * 999))
        act.params({"ok": 1, "": 2, "long": "x" * 100_000, "nan": float("nan"), "big": 2**80})
        act.by("b" * 1000)
    found = seen("hook/bad")
    assert [i["uri"] for i in found["inputs"]] == ["gs://hook/good.csv"]
    assert found["params"] == {"ok": 1, "nan": "nan", "big": str(2**80)}
    assert (found["state"], hook.failed) == ("complete", 0)
    assert "hook/bad is recorded without a part of it" in caplog.text


@pytest.mark.parametrize("url", [NOWHERE, "not a url", "http://127.0.0.1:1\x00"])
def test_a_server_that_is_away_costs_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The work is done, the reports wait, and one line is logged for all of them."""
    hook = Hook("trainer", url=url)
    for run in range(3):
        with hook.action("train", f"hook/away/{run}"):
            pass
    assert hook.flush(0.5) is False
    assert (hook.failed, hook.statistics().recorded) == (0, 6)
    assert hook.statistics().waiting_bytes > 0
    assert [r.levelno for r in caplog.records if r.name == "lineage.hook"] == [logging.WARNING]


def test_a_server_that_hangs_keeps_nobody_waiting() -> None:
    """The call returns at once; only `flush` waits, and not longer than it was told to."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hook = Hook("t", url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=60)
        began = time.monotonic()
        assert hook.record({"key": "hook/hangs", "type": "train"}) is True
        assert hook.flush(0.1) is False
        assert time.monotonic() - began < 5


def test_a_disk_that_cannot_be_written_costs_reports_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The work is done; the losses are counted and logged once."""
    (tmp_path / "file").write_text("no directory")
    hook = Hook("trainer", url=NOWHERE, outbox=tmp_path / "file" / "outbox")
    with hook.action("train"):
        pass
    assert hook.failed == 2
    assert len([r for r in caplog.records if "was lost" in r.message]) == 1


def test_a_refused_report_is_counted_with_the_reason(
    hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    """A type that cannot be one is a mistake in the controller: the log says which."""
    with hook.action("Not A Type", "hook/refused"):
        pass
    assert hook.failed == 2
    assert "type:" in caplog.text


def test_the_environment_configures_a_hook(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where to send, who acts, where reports wait; what is given in code wins."""
    given = {"URL": server.url, "CONTROLLER": "syncer", "NAMESPACE": "env", "OUTBOX": "box"}
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(f"LINEAGE_{name}", value)
    hook = Hook.from_env(namespace="code")
    with hook.action("sync", "hook/env"):
        pass
    assert hook.flush()
    assert hook.outbox == Path("box")
    assert server.client().action("hook/env")["controller"] == {
        "cluster": "",
        "namespace": "code",
        "name": "syncer",
    }


def test_in_a_pod_the_hook_finds_out_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The namespace of the service account, the Deployment of the pod; the token is not read."""
    (tmp_path / "namespace").write_text("label-bot\n")
    (tmp_path / "token").mkdir()  # reading it would fail
    monkeypatch.setattr(place, "SERVICE_ACCOUNT", tmp_path)
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "model-trainer-7d9f8b6c5-x2x4k",
           "CLUSTER_NAME": "prod"}  # fmt: skip
    for name, value in pod.items():
        monkeypatch.setenv(name, value)
    hook = Hook.from_env(url=NOWHERE)
    assert hook._controller == {
        "cluster": "prod",
        "namespace": "label-bot",
        "name": "model-trainer",
    }
    assert hook.outbox == tmp_path / "lineage/outbox/prod.label-bot.model-trainer"


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"POD_NAME": "worker-0"}, "worker"),
        ({"POD_NAME": "trainer"}, "trainer"),
        ({"HOSTNAME": "laptop"}, "train"),
    ],
)
def test_a_controller_nobody_named_has_a_name(
    environ: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of its StatefulSet or Pod, else that of the program."""
    monkeypatch.setattr("sys.argv", ["/app/train.py"])
    assert place.controller(environ) == name


def test_a_home_that_cannot_be_written_is_replaced_by_a_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers often run as a user without a home."""
    (tmp_path / "home").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert place.outbox("../trainer").is_relative_to(tmp_path)


def test_a_wrong_setting_is_left_out_and_the_others_hold(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A misspelt variable must not keep a controller from starting, nor lose its reports."""
    monkeypatch.setenv("LINEAGE_ULR", "http://host")
    monkeypatch.setenv("LINEAGE_NAMESPACE", "label-bot")
    hook = Hook.from_env("trainer")
    with hook.action("train"):
        pass
    assert (hook.failed, hook.statistics().recorded) == (0, 2)
    assert hook._controller["namespace"] == "label-bot"
    assert "did you mean LINEAGE_URL?" in caplog.text


def test_secrets_do_not_reach_the_disk(hook: Hook) -> None:
    """Not as a parameter, not in a URI, not in a link."""
    with hook.action("train", "hook/secret") as act:
        act.params(api_key="s3cret").reads("https://me:s3cret@host/data").links(
            log="https://me:s3cret@host/log"
        )
        act.writes(Dataset("gs://b/x?X-Goog-Signature=s3cret", aliases=["https://a:s3cret@b/c"]))
        act.code("https://me:s3cret@host/o/r")
    kept = b"".join(file.read_bytes() for file in hook.outbox.glob("*.log"))
    assert b"hook/secret" in kept
    assert b"s3cret" not in kept


def test_objects_that_have_no_text_are_no_obstacle(hook: Hook, seen: Seen) -> None:
    """Whatever a controller hands over, nothing of ours is raised."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        item = __str__

    act = hook.action("train", "hook/broken")
    act.params(a=Broken()).links(b=Broken()).reads(Broken())  # type: ignore[arg-type]
    with pytest.raises(Broken), act:
        raise Broken
    assert seen("hook/broken")["error"] == "Broken: <Broken>"


def test_a_crash_leaves_a_running_action_which_the_next_attempt_completes(
    hook: Hook, seen: Seen
) -> None:
    """The start is recorded at once; nothing but the same key is needed to go on."""
    hook.action("train", "hook/crash").__enter__()  # and the process is gone
    assert seen("hook/crash")["state"] == "running"
    with hook.action("train", "hook/crash"):
        pass
    assert seen("hook/crash")["state"] == "complete"


def test_without_a_key_every_entry_is_an_action_of_its_own(hook: Hook) -> None:
    """Nothing to tell two runs apart means they are two."""
    assert hook.action("train").key != hook.action("train").key


def test_a_constructor_gives_a_reference_of_its_type() -> None:
    """`Metrics(…)` is short for a Reference."""
    made = Metrics("gs://b/eval.csv", "v1", properties={"precision": 0.9}, aliases=["s3://b/e"])
    assert made == Reference(
        type="Metrics",
        uri="gs://b/eval.csv",
        version="v1",
        properties={"precision": 0.9},
        aliases=("s3://b/e",),
    )


def test_credentials_of_a_bad_uri_stay_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the mistake, not the URI it is in."""
    Dataset("https://user:s3cret@host:port/x")
    assert "a Dataset will not be recorded" in caplog.text
    assert "s3cret" not in caplog.text


def test_numbers_of_other_libraries_become_plain_ones() -> None:
    """numpy's scalars have `item()`; anything unknown becomes its text."""

    class Scalar:
        def item(self) -> float:
            return 0.5

    assert [plain(Scalar()), plain(True), plain([1]), plain(None)] == [0.5, True, "[1]", "None"]


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", DOCS, re.M | re.S)
    assert found
    return found


@pytest.mark.parametrize("block", blocks("python"))
def test_the_examples_of_the_documentation_run(
    block: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every report of them arrives."""
    monkeypatch.setenv("LINEAGE_URL", server.url)
    names: dict[str, Any] = {}
    exec(block.replace("http://127.0.0.1:8080", server.url), names)
    assert names["hook"].flush()
    assert (names["hook"].failed, names["hook"].statistics().rejected) == (0, 0)


@pytest.mark.parametrize("block", blocks("sh"))
def test_the_requests_of_the_documentation_are_accepted(block: str, server: Server) -> None:
    """As written, but for the address."""
    script = block.replace("http://127.0.0.1:8080", server.url)
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_record_of_the_documentation_is_one_and_every_field_has_its_row() -> None:
    """The example is accepted, and the table below it names what there is."""
    (example,) = blocks("json")
    assert parse_action(example).key == "tekton.dev/PipelineRun/8416892d"
    rows = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", DOCS, re.M))))
    assert rows == set(Action.model_fields)
