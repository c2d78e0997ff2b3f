"""Wants a model of the newest data by the newest notebook. Knows nothing of production."""

import os
import time
from pathlib import Path

from shared import World, digest, git, keep, log, run, write_whole

from controllers_hooks import Code, Hook
from controllers_hooks.notebook import run_notebook

KEPT, RETRY = 50, 60
failed: dict[str, float] = {}


def reconcile(world: World, hook: Hook) -> None:
    notebook = checkout(world)
    data = max(world.data.glob("issues-*.ndjson"), default=None)
    if notebook is None or data is None:
        return
    version, commit = digest(data.read_bytes()), Code.detect(notebook).commit or "unknown"
    newest = world.newest_model()
    wanted = {"data": version, "code": commit}
    observed = newest[1]["trained_on"] if newest else {}
    key = f"trainer/{version[7:19]}/{commit[:12]}"
    # The same notebook on the same data would only fail again; a minute may mend the machine.
    if wanted == observed or time.time() - failed.get(key, 0) < RETRY:
        return
    changed = [what for what in wanted if wanted[what] != observed.get(what)]
    reason = f"newer {' and '.join(changed)}" if newest else "there is no model yet"
    trigger = {"wanted": text(wanted), "observed": text(observed), "reason": reason}
    begun = world.runs / ".begun"
    if begun.exists() and (left := begun.read_text()) != key:
        killed = {"state": "canceled", "error": "the trainer was killed"}
        hook.record({"key": left, "type": "train", **killed})  # nobody will finish it
    write_whole(begun, key.encode())
    try:
        model = train(world, hook, key, trigger, notebook, data, commit)
    except Exception:
        failed[key] = time.time()
        raise
    finally:
        begun.unlink()
    log.info("%s trained on %s: %s", model.stem, data.name, reason)


def train(
    world: World, hook: Hook, key: str, trigger: dict[str, str], notebook: Path, data: Path,
    commit: str,
) -> Path:  # fmt: skip
    executed = world.runs / f"{data.stem}-{'-'.join(key.split('/')[1:])}.ipynb"
    # A kernel may outlive a killed trainer by a second: each has a file of its own.
    candidate = executed.with_suffix(f".{os.getpid()}.json")
    parameters = {
        "data": str(data), "dataset": world.dataset, "commit": commit,
        "model": str(candidate), "family": world.model,
    }  # fmt: skip
    run_notebook(
        hook, notebook, executed, parameters, type="train", key=key, trigger=trigger,
        cwd=str(notebook.parent), progress_bar=False, extra_arguments=["--log-level=CRITICAL"],
    )  # fmt: skip
    # Last: killed before, the training is done again, under the same key.
    model = world.model_file(digest(candidate.read_bytes()))
    candidate.replace(model)
    for folder, pattern in (world.models, "*.json"), (world.runs, "*.ipynb"), (world.runs, "*.json"):  # fmt: skip
        keep(KEPT, folder, pattern)
    return model


def text(what: dict[str, str]) -> str:
    short = (f"{name} {value.removeprefix('sha256:')[:12]}" for name, value in what.items())
    return ", ".join(short) or "nothing"


def checkout(world: World) -> Path | None:
    """The notebook as its repository has it now; commit there, and it is trained anew."""
    os.environ["LINEAGE_REPO"] = world.origin.as_uri()  # a path of this machine names no remote
    if not (world.origin / "HEAD").exists():
        return None
    if not (world.notebooks / ".git" / "HEAD").exists():
        git(world.root, "clone", "--quiet", str(world.origin), str(world.notebooks))
    (world.notebooks / ".git" / "index.lock").unlink(missing_ok=True)  # of one killed here before
    git(world.notebooks, "fetch", "--quiet")
    git(world.notebooks, "reset", "--quiet", "--hard", "origin/main")
    return world.notebooks / "classifier.ipynb"


if __name__ == "__main__":
    run(reconcile)
