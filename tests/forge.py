"""A forge for tests: two bare repositories, and GitHub's REST for pull requests over HTTP."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


def git(*words: str | Path, cwd: Path | None = None) -> str:
    who = ["-c", "user.name=A Writer", "-c", "user.email=writer@git.example"]
    done = subprocess.run(
        ["git", *who, *words], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@dataclass
class Forge:
    """`kubeflow/bot` and its fork `robot/bot`; the pull requests are those of kubeflow."""

    folder: Path
    api: str = ""
    token: str = "letmein"
    pulls: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    answers: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    """What to answer instead, once each: method, status, body."""
    late: int = 0
    """How many looks a pull request still shows the commit before."""
    key: Path | None = None
    """The public key of a GitHub App, if one may come in."""

    @property
    def origin(self) -> Path:
        return self.folder / "kubeflow" / "bot.git"

    @property
    def fork(self) -> Path:
        return self.folder / "robot" / "bot.git"

    def holds(self, branch: str, path: str = "") -> str:
        """The commit of the fork's branch, or a file of it."""
        return git("-C", self.fork, "show" if path else "rev-parse",
                   f"{branch}:{path}" if path else branch)  # fmt: skip

    def start(self, files: dict[str, str], branch: str = "main") -> None:
        """A first commit in both."""
        work = self.folder / "work"
        git("init", "--quiet", "--initial-branch", branch, work)
        self.commit(files)
        for bare in (self.origin, self.fork):
            git("clone", "--quiet", "--bare", work, bare)
        git("remote", "add", "origin", self.origin, cwd=work)

    def commit(self, files: dict[str, str]) -> str:
        work = self.folder / "work"
        for name, text in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text, "utf-8")
        git("add", "--all", cwd=work)
        git("commit", "--quiet", "--message", "by hand", cwd=work)
        return git("rev-parse", "HEAD", cwd=work)

    def shown(self, pull: dict[str, Any]) -> dict[str, Any]:
        """With the commit the fork's branch is at, as a forge does."""
        if self.late:
            self.late -= 1
            return pull | {"head": {"sha": "0" * 40}}
        return pull | {"head": {"sha": self.holds(pull["head"]["ref"])}}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        for n, (of, status, said) in enumerate(self.answers):
            if of == method:
                del self.answers[n]
                return status, said
        url = urlsplit(path)
        if url.path == "/repos/kubeflow/bot/installation":
            return 200, {"id": 7}
        if url.path == "/app/installations/7/access_tokens":
            return 201, {"token": self.token}
        if url.path == "/repos/kubeflow/bot/pulls" and method == "GET":
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            owner, _, branch = query["head"].partition(":")
            assert (owner, query["state"]) == ("robot", "open")
            found = [p for p in self.pulls
                     if p["head"]["ref"] == branch and p["base"]["ref"] == query["base"]]  # fmt: skip
            return 200, [self.shown(p) for p in found]
        if url.path == "/repos/kubeflow/bot/pulls" and method == "POST":
            number = len(self.pulls) + 1
            branch = body["head"].partition(":")[2]
            if any(p["head"]["ref"] == branch for p in self.pulls):
                return 422, {"message": "A pull request already exists"}
            self.pulls.append({
                "number": number, "html_url": f"https://github.example/kubeflow/bot/pull/{number}",
                "title": body["title"], "body": body["body"], "head": {"ref": branch},
                "base": {"ref": body["base"]},
            })  # fmt: skip
            return 201, self.shown(self.pulls[-1])
        if url.path.startswith("/repos/kubeflow/bot/pulls/") and method == "PATCH":
            (pull,) = (p for p in self.pulls if str(p["number"]) == url.path.rpartition("/")[2])
            pull |= body
            return 200, self.shown(pull)
        return 404, {"message": "Not Found"}

    def lets_in(self, path: str, bearer: str) -> bool:
        if "/installation" not in path:
            return bearer == self.token
        signed, _, signature = bearer.rpartition(".")
        raw = self.folder / "signature"
        raw.write_bytes(base64.urlsafe_b64decode(signature + "=="))
        command = ["openssl", "dgst", "-sha256", "-verify", str(self.key), "-signature", str(raw)]
        return subprocess.run(command, input=signed.encode(), check=False).returncode == 0


@contextmanager
def forge(folder: Path) -> Iterator[Forge]:
    made = Forge(folder)

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            made.calls.append(f"{self.command} {self.path.partition('?')[0]}")
            bearer = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            status, said = 401, {"message": "Bad credentials"}
            if made.lets_in(self.path, bearer):
                status, said = made.answer(self.command, self.path, body)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do

        def log_message(self, *_: Any) -> None:
            """Not on the tests' screen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.api = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
