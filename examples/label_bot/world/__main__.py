"""Starts the loops of the label bot, each a process of its own, and restarts none.

python -m examples.label_bot.world --url http://127.0.0.1:8080 --dir .demo/world
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOPS = ("author", "arrivals", "trainer", "deployer", "syncer", "worker")
HERE = Path(__file__).resolve().parent


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--dir", default=".demo/world", help="where the loops share files")
    options.add_argument("--url", help="the lineage server; LINEAGE_URL when left out")
    options.add_argument("--pace", default="10", help="seconds between new data")
    options.add_argument("--seconds", type=float, help="end after so many seconds")
    options.add_argument("--without", action="append", default=[], choices=LOOPS, metavar="LOOP")
    given = options.parse_args()
    words = ["--dir", given.dir, "--pace", given.pace, *(["--url", given.url] if given.url else [])]
    commands = {
        name: [sys.executable, str(HERE / f"{name}.py"), *words]
        for name in LOOPS if name not in given.without
    }  # fmt: skip
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Sessions of their own: Ctrl-C is for this process, which then ends the others.
    running = {
        name: subprocess.Popen(command, start_new_session=True, env={**os.environ, **QUIET})
        for name, command in commands.items()
    }  # fmt: skip
    for name, process in running.items():
        print(f"{name:9} pid {process.pid:<7} alone: kill {process.pid}", flush=True)
    try:
        watch(running, commands, time.monotonic() + (given.seconds or float("inf")))
    except KeyboardInterrupt:
        pass
    finally:
        end(list(running.values()))


# Jupyter's kernels warn about the debugger, which nobody starts here.
QUIET = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTHONUNBUFFERED": "1"}


def watch(
    running: dict[str, subprocess.Popen[bytes]], commands: dict[str, list[str]], until: float
) -> None:
    """Says which loops ended; the others go on."""
    alive = dict(running)
    while alive and time.monotonic() < until:
        for name, process in list(alive.items()):
            if process.poll() is not None:
                del alive[name]
                again = " ".join(commands[name])
                print(f"{name} ended ({process.returncode}); again: {again}", flush=True)
        time.sleep(0.2)


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    for again in (signal.SIGINT, signal.SIGTERM):  # whoever asks twice is heard already
        signal.signal(again, signal.SIG_IGN)
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    main()
