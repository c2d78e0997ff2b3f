"""`lineage check` finds what was damaged, says where, and mends what is safe to mend."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lineage.store.keeping.backup import backup
from lineage.store.keeping.check import check

from .aging import act, deploy, lineage, record
from .conftest import start_server

RECORD = "name = 'lineage.record'"
SAFE = {
    "dangling edge": "INSERT INTO Event (artifact_id, execution_id, type) VALUES (999, 1, 3)",
    "path of no edge": "INSERT INTO EventPath VALUES (999, 0, NULL, 'x')",
    "orphan link": "INSERT INTO Attribution (context_id, artifact_id) VALUES (1, 999)",
    "property of no node": "INSERT INTO ArtifactProperty (artifact_id, name, is_custom_property) "
    "VALUES (999, 'x', 1)",
    "missing index": "DROP INDEX lineage_event_artifact",
}
DAMAGED = {
    "wiped node": f"DELETE FROM ArtifactProperty WHERE artifact_id = 1 AND {RECORD}",
    "edge of an unknown kind": "INSERT INTO Event (artifact_id, execution_id, type) VALUES (1, 1, 9)",
    "node without a type": "UPDATE Execution SET type_id = 999 WHERE id = 1",
    "unreadable record": f"UPDATE ExecutionProperty SET proto_value = 'eA==' WHERE execution_id = 1 AND {RECORD}",
    "record of another node": "UPDATE Execution SET external_id = 'x' WHERE id = 1",
    "edge that MLMD does not have": "DELETE FROM Event WHERE id = 1",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which nothing is wrong."""
    server = start_server(tmp_path_factory.mktemp("check"))
    with server.client() as client:
        record(client, iter([
            act("one", 3, ["gs://check/data"], [{"type": "Model", "uri": "gs://check/model"}]),
            deploy("k8s://check/n/Deployment/w", "gs://check/model", 2),
            act("part", 1, ["gs://check/model"], [], parent="one"),
        ]))  # fmt: skip
    server.stop()
    return server.store


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    copy, *_ = backup(str(whole), str(tmp_path / "lineage.db"))
    return Path(copy)


def damage(store: Path, sql: str) -> None:
    with closing(sqlite3.connect(store)) as db, db:
        db.execute(sql)


def found(store: Path, mend: bool = False, full: bool = False) -> dict[str, Any]:
    findings = check(str(store), full, mend, lambda *_: lambda _: None)
    return {one.name: one for one in findings}


@pytest.mark.parametrize("name", [*SAFE, *DAMAGED])
def test_each_damage_is_found_and_told(store: Path, name: str) -> None:
    """By its name, with a place and a remedy; what is safe is mended and gone then, what is
    not stays as it is."""
    assert found(store) == {}
    damage(store, (SAFE | DAMAGED)[name])
    [one] = [one for one in found(store).values() if one.name == name]
    assert one.count >= 1 and one.places and one.remedy
    assert one.safe == (name in SAFE) and not one.mended
    mended = found(store, mend=True)[name]
    assert mended.mended == (name in SAFE)
    assert (name in found(store)) == (name in DAMAGED)


def test_a_damaged_file_is_damage(store: Path) -> None:
    """A page that was overwritten is seen when every page is read; a file that is none is not
    checked at all."""
    with store.open("r+b") as file:
        file.seek(store.stat().st_size - 4096 * 3)
        file.write(b"\xff" * 4096 * 2)
    assert "damaged file" in found(store, full=True)
    store.write_bytes(b"no database" * 1000)
    assert lineage("check", "--store", store).returncode == 2


def test_exit_codes_and_json(store: Path) -> None:
    """0 = nothing is wrong, 1 = something is, 0 again once it is mended, 2 = no store."""
    assert lineage("check", "--store", store).returncode == 0
    damage(store, SAFE["dangling edge"])
    told = lineage("check", "--store", store, "--json")
    answer = json.loads(told.stdout)
    assert told.returncode == 1 and not answer["clean"]
    assert answer["findings"][0]["places"] == ["Event with artifact_id 999"]
    read = lineage("check", "--store", store)
    assert "dangling edge: 1" in read.stdout and "--mend" in read.stdout
    assert lineage("check", "--store", store, "--mend").returncode == 0
    assert lineage("check", "--store", store).returncode == 0
    assert lineage("check", "--store", store.parent / "none.db").returncode == 2


def test_many_are_counted_and_some_told(store: Path) -> None:
    """Of a thousand the first twenty places are told, and that there are a thousand."""
    with closing(sqlite3.connect(store)) as db, db:
        rows = [(1, 1000 + n) for n in range(1000)]
        db.executemany("INSERT INTO Attribution (context_id, artifact_id) VALUES (?, ?)", rows)
    one = found(store)["orphan link"]
    assert (one.count, len(one.places)) == (1000, 20)
