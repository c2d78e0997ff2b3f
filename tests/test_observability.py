"""What the server says of itself: metrics, log lines, request ids, and what is built on them."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from controllers_hooks import Hook
from lineage.cli import app as command_line

from .browsing import ROOT
from .conftest import MakeServer, Server, start_server

MONITORING = ROOT / "deploy" / "monitoring"
_NAME = re.compile(r"\b(?:lineage|process|python)_[a-z_]+\b")


def report(key: str, **more: object) -> dict[str, object]:
    return {"key": key, "type": "train", "controller": {"name": "observed"}, **more}


def scraped(server: Server) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels."""
    text = httpx2.get(server.url + "/metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_happens_is_counted(make_server: MakeServer) -> None:
    """Reports by outcome, groups, lag, requests by the pattern of their route, restarts."""
    server = make_server()
    before = scraped(server)
    assert before["lineage_store_up",] == 1
    assert before["lineage_reports_total", "created"] == 0
    late = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()
    with server.client() as client:
        client.record(report("seen/1", reported_at=late))
        client.record(report("seen/1", reported_at=late))
        client.action("seen/1")
    after = scraped(server)
    assert after["lineage_reports_total", "created"] == 1
    assert after["lineage_reports_total", "unchanged"] == 1
    assert after["lineage_commit_reports_sum",] == 2
    assert 240 < after["lineage_ingest_lag_seconds_sum",] < 600
    put = "lineage_request_seconds_count", "PUT", "/api/v1/actions/{key:any}"
    assert (after[*put, "201"], after[*put, "200"]) == (1, 1)
    assert not any("seen/1" in label for sample in after for label in sample)


def test_a_store_process_that_dies_is_counted(make_server: MakeServer) -> None:
    """And said to be up again once it is."""
    server = make_server()
    children = [
        int(pid)
        for task in Path(f"/proc/{server.process.pid}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while scraped(server)["lineage_store_restarts_total",] < 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while not scraped(server)["lineage_store_up",]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_request_keeps_its_id(make_server: MakeServer, tmp_path: Path) -> None:
    """The caller's, when it is a plain word; else one of ours; it stands in the log."""
    running = start_server(tmp_path, LINEAGE_LOG_FORMAT="json")
    try:
        given = httpx2.get(running.url + "/api/v1/stats", headers={"X-Request-Id": "job-17"})
        assert given.headers["x-request-id"] == "job-17"
        odd = httpx2.get(running.url + "/healthz", headers={"X-Request-Id": 'a" b'})
        assert re.fullmatch(r"[0-9a-f]{16}", odd.headers["x-request-id"])
        secret = {"Authorization": "Bearer s3cret-token"}
        httpx2.get(running.url + "/api/v1/search?q=s3cret-query", headers=secret)
        httpx2.get(running.url + "/api/v1/actions/forged%0AERROR%20line")
    finally:
        running.stop()
    lines = [json.loads(line) for line in (tmp_path / "serve.log").read_text().splitlines()]
    mine = [line for line in lines if line.get("request_id") == "job-17"]
    assert [(line["method"], line["path"], line["status"]) for line in mine] == [
        ("GET", "/api/v1/stats", 200)
    ]
    assert mine[0]["route"] == "/api/v1/stats" and mine[0]["seconds"] > 0
    assert "s3cret" not in json.dumps(lines)
    assert any(line.get("path") == "/api/v1/actions/forged\nERROR line" for line in lines)


def test_a_line_of_the_log_is_one_line(tmp_path: Path) -> None:
    """As text, too: what clients chose cannot begin a line of its own."""
    running = start_server(tmp_path, LINEAGE_LOG_LEVEL="debug")
    try:
        httpx2.get(running.url + "/api/v1/actions/forged%0A2026-01-01%20ERROR%20line")
    finally:
        running.stop()
    text = (tmp_path / "serve.log").read_text()
    assert "forged\\n2026-01-01 ERROR line" in text
    assert "\n2026-01-01 ERROR" not in text


@pytest.fixture
def exported(server: Server, tmp_path: Path) -> set[str]:
    """The names a server exports once it is in use, and those of `lineage outbox metrics`."""
    with server.client() as client:
        client.record(report("exported/1", reported_at="2026-01-01T00:00:00Z"))
    hook = Hook("exported", url="http://127.0.0.1:1", outbox=tmp_path / "outbox")
    with hook.action("train", key="exported/2"):
        pass
    done = CliRunner().invoke(
        command_line, ["outbox", "metrics", "--dir", str(tmp_path / "outbox")]
    )
    text = httpx2.get(server.url + "/metrics").text + done.output
    return {
        sample.name for family in text_string_to_metric_families(text) for sample in family.samples
    }


def test_alerts_ask_for_what_is_exported(exported: set[str]) -> None:
    """An alert on a name that nobody exports would be silent for ever."""
    (group,) = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"]["groups"]
    docs = (ROOT / "docs" / "monitoring.md").read_text()
    for rule in group["rules"]:
        names = set(_NAME.findall(rule["expr"]))
        assert names, rule["alert"]
        assert names <= exported, rule["alert"]
        assert f"`{rule['alert']}`" in docs


def test_the_dashboard_asks_for_what_is_exported(exported: set[str]) -> None:
    """Every panel has a title, a unit and only names that exist."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    assert len(dashboard["panels"]) >= 10
    for panel in dashboard["panels"]:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel["targets"]:
            names = set(_NAME.findall(target["expr"]))
            assert names, panel["title"]
            assert names <= exported, panel["title"]


def test_every_metric_is_documented(exported: set[str]) -> None:
    """In docs/monitoring.md, by the name it is asked for."""
    docs = (ROOT / "docs" / "monitoring.md").read_text()
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported if "lineage_" in name}
    assert [name for name in sorted(ours) if f"`{name}`" not in docs] == []
