"""What is exported depends on what was recorded, never on how it arrived."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.embedded import embedded
from lineage.model import Action, parse_action
from lineage.queries.export import export
from tests.graphs import hostile
from tests.memory import MemoryReader
from tests.strategies import actions
from tests.test_cli import Run, run  # noqa: F401

EXAMPLES = Path(__file__).parent.parent / "examples" / "label_bot"
LINES = [
    line for file in sorted(EXAMPLES.glob("*.ndjson")) for line in file.read_bytes().splitlines()
]


def exported(store: Path, batches: list[list[bytes]]) -> bytes:
    """The export of a fresh store that got these batches."""
    with embedded(str(store)) as client:
        for batch in batches:
            assert client.batch(b"\n".join(batch), ndjson=True)["failed"] == 0
        return b"".join(client.export())


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return exported(tmp_path_factory.mktemp("export") / "lineage.db", [LINES])


@pytest.mark.parametrize("seed", range(10))
def test_shuffled_and_repeated_records_give_the_same_bytes(
    tmp_path: Path, expected: bytes, seed: int
) -> None:
    """The demo's records in any order, some of them again, in batches of any size."""
    shuffle = random.Random(seed)
    lines = LINES + shuffle.choices(LINES, k=len(LINES))
    shuffle.shuffle(lines)
    size = shuffle.randint(1, 12)
    batches = [lines[n : n + size] for n in range(0, len(lines), size)]
    assert exported(tmp_path / "lineage.db", batches) == expected


def test_an_export_imported_elsewhere_is_exported_as_the_same_bytes(
    tmp_path: Path, expected: bytes
) -> None:
    """Export → import → export changes nothing."""
    assert exported(tmp_path / "lineage.db", [expected.splitlines()]) == expected


@given(st.lists(actions(), max_size=6))
def test_any_store_is_the_same_after_an_export_and_an_import(reports: list[Action]) -> None:
    """A law of the export itself: what it takes apart goes together again, however often."""
    before = b"".join(export(MemoryReader.of(reports)))
    copy = MemoryReader.of(parse_action(line) for line in before.splitlines())
    assert b"".join(export(copy)) == before


def test_the_command_line_copies_a_whole_store_byte_for_byte(
    run: Run,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Export, import, export, and all of it once more, gzipped: the label bot's history and a
    record full of hostile texts."""
    first, second = tmp_path / "a.db", tmp_path / "b.db"
    source = tmp_path / "all.ndjson"
    source.write_bytes(b"\n".join([*LINES, hostile().model_dump_json().encode()]))
    assert run("import", source, "--store", first).code == 0
    files = [tmp_path / f"{n}.ndjson" for n in range(4)]
    for file in files[:2]:
        assert run("export", "-o", file, "--store", first).code == 0
    zipped = tmp_path / "0.ndjson.gz"
    zipped.write_bytes(gzip.compress(files[0].read_bytes()))
    assert run("import", zipped, "--store", second).code == 0
    assert run("export", "-o", files[2], "--store", second).code == 0
    again = run("import", files[2], "--store", first)
    assert again.out.startswith("0 created, 0 merged, ")
    assert run("export", "-o", files[3], "--store", first).code == 0
    assert len({file.read_bytes() for file in files}) == 1


def test_the_records_of_a_part_make_the_same_graph_elsewhere(run: Run, tmp_path: Path) -> None:  # noqa: F811
    """`lineage export REF` as NDJSON: a slice of a store is a store."""
    whole, part, of = tmp_path / "a.db", tmp_path / "b.db", "TCN4131157655647420416"
    source, slice_ = tmp_path / "all.ndjson", tmp_path / "part.ndjson"
    source.write_bytes(b"\n".join(LINES))
    assert run("import", source, "--store", whole).code == 0
    assert run("export", of, "-o", slice_, "--store", whole).code == 0
    assert run("import", slice_, "--store", part).code == 0
    graphs = [run("graph", of, "--json", "--store", store).out for store in (whole, part)]
    assert graphs[0] == graphs[1]
