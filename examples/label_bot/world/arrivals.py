"""Wants new data every so often: labelled issues, each version a whole file of its own.

The issues are made up from the seed, harder for the labels that Table 1 of the article shows
to be hard. A version holds the issues of the last thirty batches, as a query over the last
months would.
"""

import csv
import json
import time
from pathlib import Path
from random import Random
from typing import Any

from shared import World, digest, keep, log, run, write_whole

from controllers_hooks import Dataset, Hook

BATCH, WINDOW, KEPT = 60, 30, 30
FAST = 10  # versions that come at full pace; later ones take four times as long
HERE = Path(__file__).parent
WORDS: dict[str, list[str]] = json.loads((HERE / "words.json").read_text())
with (HERE.parent / "facts" / "evaluation.csv").open() as table:
    RECALL = {row["label"]: float(row["recall"]) for row in csv.DictReader(table)}
AREAS, PLATFORMS = ([x for x in RECALL if x.startswith(p)] for p in ("area-", "platform-"))


def reconcile(world: World, hook: Hook) -> None:
    files = sorted(world.data.glob("issues-*.ndjson"))
    number = int(files[-1].stem.partition("-")[2]) if files else 0
    pace = world.pace if number < FAST else 4 * world.pace
    age = time.time() - files[-1].stat().st_mtime if files else pace
    if 0 <= age < pace:
        return
    arrive(world, hook, number + 1, f"the newest data is {age:.0f}s old, wanted every {pace:g}s")


def arrive(world: World, hook: Hook, number: int, reason: str) -> None:
    path = world.data / f"issues-{number:06}.ndjson"
    # Another directory is another seed: two worlds on one server stay apart.
    rows = issues(str(world.data), number)
    content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    version = digest(content)
    with hook.action("ingest", key=f"arrivals/{number:06}/{version[7:19]}", name=path.stem) as act:
        act.trigger(reason=reason).params(number=number, window=WINDOW, batch=BATCH)
        size = {"rows": len(rows), "bytes": len(content), "file": path.name}
        act.writes(Dataset(world.dataset, version, role="issues", name=path.stem, properties=size))
    # Last: killed before, it is done again under the same key, and comes out the same.
    write_whole(path, content)
    keep(KEPT, world.data, "issues-*.ndjson")
    log.info("%s: %d issues", path.name, len(rows))


def issues(seed: str, version: int) -> list[dict[str, Any]]:
    last = (version + 9) * BATCH
    return [issue(seed, n) for n in range(max(0, last - WINDOW * BATCH) + 1, last + 1)]


def issue(seed: str, number: int) -> dict[str, Any]:
    random = Random(f"{seed}/{number}")  # noqa: S311 - data, not secrets
    labels = [random.choice(AREAS)]
    if random.random() < 0.2:
        labels.append(random.choice(PLATFORMS))
    said = random.choices(WORDS["any"], k=10)
    for label in labels:
        clear = random.random() < RECALL[label]
        said += random.choices(WORDS[label if clear else random.choice(AREAS)], k=5)
    random.shuffle(said)
    return {"number": number, "title": " ".join(said[:5]), "body": " ".join(said[5:]),
            "labels": labels}  # fmt: skip


if __name__ == "__main__":
    run(reconcile)
