"""What is exported depends on what was recorded, never on how it arrived."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lineage.embedded import embedded

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
