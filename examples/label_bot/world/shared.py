"""What the loops agree on and none owns: where things are, what they are called, how to wait.

No loop knows another. They share these folders and these names; two acts are connected
because both name the same artifact.
"""

import argparse
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from controllers_hooks import Hook

CLUSTER, NAMESPACE, WORKER = "demo", "label-bot-live", "label-bot-worker"
MAIN = "refs/heads/main"
SLOT = f"k8s://{CLUSTER}/{NAMESPACE}/Deployment/{WORKER}"

log = logging.getLogger("world")


class World:
    """The shared folders below one directory, and the names of what is in them."""

    def __init__(self, root: Path, pace: float = 10) -> None:
        self.root, self.pace = root.resolve(), pace
        self.data, self.models, self.runs = (self.root / n for n in ("data", "models", "runs"))
        self.origin, self.notebooks = self.root / "notebooks.git", self.root / "notebooks"
        self.config = self.root / "config.git"
        self.cluster = self.root / "cluster"
        for folder in (self.data, self.models, self.runs, self.cluster):
            folder.mkdir(parents=True, exist_ok=True)
        self.dataset = (self.data / "issues").as_uri()
        self.model = (self.models / "label-bot").as_uri()
        self.repository = f"git+{self.config.as_uri()}"

    def newest_model(self) -> tuple[str, dict[str, Any]] | None:
        """Its digest and content. A model is called by its digest, so half a file is none."""
        for path in reversed(by_age(self.models, "label-bot-*.json")):
            content = path.read_bytes()
            if path == self.model_file(digest(content)):
                return digest(content), json.loads(content)
        return None

    def main(self) -> str:
        """The commit that the configuration is at; empty while there is none."""
        try:
            return git(self.config, "for-each-ref", "--format=%(objectname)", MAIN)
        except (RuntimeError, OSError):
            return ""

    def model_file(self, version: str) -> Path:
        return self.models / f"label-bot-{version[7:19]}.json"


def digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def by_age(folder: Path, pattern: str) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob(pattern), key=lambda path: (path.stat().st_mtime_ns, path.name))


def keep(newest: int, folder: Path, pattern: str) -> None:
    for path in by_age(folder, pattern)[:-newest]:
        path.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """All of it or nothing, whenever the writer is killed."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    """The JSON in a file; what is broken is as good as gone."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found
    except (OSError, ValueError):
        return None


def git(repository: Path, *words: str, text: str = "", **environ: str) -> str:
    """Runs git, apart from the settings of whoever started us."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER")
           for part, value in (("NAME", name()), ("EMAIL", f"{name()}@example.com"))}  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(repository), *words], input=text, capture_output=True, text=True,
        env={**own, **who, "GIT_CONFIG_GLOBAL": os.devnull, **environ}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def name() -> str:
    """Of the loop that runs here: that of its file."""
    return Path(sys.argv[0]).stem


def run(reconcile: Callable[[World, Hook], None]) -> None:
    """Look and act, again and again. Whatever goes wrong, the next look finds it as it is."""
    options = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    options.add_argument("--dir", type=Path, default=Path(".demo/world"), help="the shared folders")
    options.add_argument("--url", help="the lineage server; LINEAGE_URL when left out")
    options.add_argument("--pace", type=float, default=10, help="seconds between new data")
    given = options.parse_args()
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stdout, format=f"%(asctime)s {name():9} %(message)s",
        datefmt="%H:%M:%S",
    )  # fmt: skip
    log.setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    world = World(given.dir, given.pace)
    outbox = world.root / "outbox" / name()
    hook = Hook.from_env(
        name(), cluster=CLUSTER, namespace=NAMESPACE, url=given.url, outbox=str(outbox)
    )
    with (world.root / f".{name()}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another {name()} is at work in {world.root}; end it first")
        try:
            while True:
                time.sleep(_look(reconcile, world, hook))
        except KeyboardInterrupt:
            hook.close(timeout=2)


def _look(reconcile: Callable[[World, Hook], None], world: World, hook: Hook) -> float:
    """Seconds until the next one."""
    try:
        reconcile(world, hook)
        return 0.5
    except Exception as error:
        log.info("failed, will try again: %s", str(error).strip().rpartition("\n")[2])
        return 5
