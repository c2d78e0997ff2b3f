"""The Containerfile, step by step, without a container engine: each stage is a folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest

from .browsing import ROOT, SCRIPT
from .conftest import clean_environment, start_server

pytestmark = [
    pytest.mark.skipif(not SCRIPT.exists(), reason="no Node (see make)"),
    pytest.mark.timeout(900),
]
TOOLS = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
NOBODY = 65532


@dataclass
class Stage:
    """A stage: its file system below `root`; what it said of how it wants to be run."""

    root: Path
    folder: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0"
    entry: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def at(self, path: str) -> Path:
        return self.root / str(Path(self.folder, path)).lstrip("/")


def instructions() -> Iterator[tuple[str, str]]:
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest


def build(folder: Path) -> Stage:
    """Run every instruction; paths of the image are those below the folder of its stage."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for word, rest in instructions():
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            assert re.fullmatch(r"docker\.io/library/(node|python):[\w.-]+", image)
            stage = stages[name or "last"] = Stage(folder / (name or "last"))
            stage.root.mkdir()
        elif word == "WORKDIR":
            stage.folder = str(Path(stage.folder, rest))
            stage.at(".").mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            copy(stage, stages, rest.split())
        elif word == "RUN":
            run(stage, rest)
        elif word == "ENV":
            name, _, value = rest.partition("=")
            stage.environment[name] = value
        elif word == "USER":
            stage.user = rest
        elif word in ("ENTRYPOINT", "CMD"):
            setattr(stage, "entry" if word == "ENTRYPOINT" else "command", json.loads(rest))
        else:
            assert word == "EXPOSE", f"{word} is not understood by this test"
    return stages["last"]


def copy(stage: Stage, stages: dict[str, Stage], words: list[str]) -> None:
    source = ROOT
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *names, target = words
    for name in names:
        start, end = source / name.lstrip("/"), stage.at(target)
        assert source != ROOT or allowed(name), f"{name} is not in the build context"
        if start.is_dir():
            shutil.copytree(start, end, dirs_exist_ok=True, symlinks=True, ignore=left_out)
        else:
            shutil.copy2(start, end / start.name if end.is_dir() else end)


RULES = (ROOT / ".containerignore").read_text().split()


def allowed(name: str) -> bool:
    return any(f"!{part}" in RULES for part in (name, *map(str, Path(name).parents)))


def left_out(folder: str, names: list[str]) -> set[str]:
    """As .containerignore has it."""
    rules = [rule.removeprefix("**/") for rule in RULES if rule[0] not in "!" and rule != "*"]
    return {
        name
        for name in names
        if any(fnmatch(f"{folder}/{name}", f"*/{rule}") for rule in rules)
        and str(ROOT) in f"{folder}/"
    }


def run(stage: Stage, line: str) -> None:
    """The stage's own absolute paths are below its folder; everything else is this machine's."""
    for place in ("/opt", "/src"):
        line = line.replace(f"{place}/", f"{shlex.quote(str(stage.root))}{place}/")
    done = subprocess.run(
        ["sh", "-euc", line], cwd=stage.at("."), text=True, capture_output=True, check=False,
        env=clean_environment(PATH=TOOLS, **stage.environment),
    )  # fmt: skip
    assert done.returncode == 0, f"RUN {line}\n{done.stdout}{done.stderr}"


def test_every_step_works_and_the_result_serves_as_nobody(tmp_path: Path) -> None:
    """Built stage by stage, then started as the image's user would: it records, it answers,
    and what it writes is the store."""
    image = build(tmp_path)
    assert (image.user, image.folder) == (f"{NOBODY}:{NOBODY}", "/tmp")
    assert not list(image.root.rglob("node_modules"))
    (program,) = image.entry
    programs = image.root / "opt/lineage/bin"
    # A venv's scripts name the folder they were made in: in an image, the same one.
    script = (programs / program).read_text()
    (programs / program).write_text(script.replace(str(tmp_path / "build"), str(image.root)))
    data = tmp_path / "data"
    data.mkdir(mode=0o777)
    command = [str(programs / program)]
    # Python itself must be theirs to run; in the image it is.
    reachable = all(p.stat().st_mode & 0o001 for p in Path(sys.base_prefix).parents)
    if os.geteuid() == 0 and reachable:
        data.chmod(0o777)
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(folder.stat().st_mode | 0o055)
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
    environment = {**image.environment, "PATH": f"{programs}:/usr/bin:/bin"}
    before = set(image.root.rglob("*"))
    assert image.command == ["serve"]
    running = start_server(data, command=command, **environment)
    try:
        with running.client() as client:
            client.record({"key": "image/1", "type": "train", "controller": {"name": "image"}})
            assert client.action("image/1")["type"] == "train"
    finally:
        assert running.stop() == 0
    assert set(image.root.rglob("*")) == before
