"""Trains again whenever its data changed: `python loop.py FOLDER`, with `issues.csv` in it."""

import sys
import time
from hashlib import sha256
from pathlib import Path

from controllers_hooks import Code, Dataset, Hook, Model

hook = Hook.from_env()
code = Code.detect()
data, model = (Path(sys.argv[1]).resolve() / name for name in ("issues.csv", "model.txt"))

while True:
    if not model.exists() or model.stat().st_mtime_ns < data.stat().st_mtime_ns:
        version = f"sha256:{sha256(data.read_bytes()).hexdigest()}"
        with hook.action("train", key=f"plain-loop/{version}") as act:
            act.code(code).reads(Dataset(data.as_uri(), version))
            model.write_text(f"{len(data.read_text().split())} words")  # the training
            act.writes(Model(model.as_uri(), f"sha256:{sha256(model.read_bytes()).hexdigest()}"))
    time.sleep(0.1)
