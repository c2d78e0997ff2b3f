"""Servers that ask who is there, from outside: the stream, the log, TLS, MLMD's port."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from ml_metadata.proto import metadata_store_service_pb2 as rpc

from lineage.access.keeper import EVERY

from .conftest import COMMAND, clean_environment
from .doors import Doors, doors

ROOT = Path(__file__).parent.parent
SERVICE = "/ml_metadata.MetadataStoreService/"


def act(namespace: str, number: int) -> dict[str, object]:
    return {"key": f"{namespace}/{number}", "type": "train",
            "controller": {"name": "c", "namespace": namespace}}  # fmt: skip


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture(scope="module")
def secured(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[str, str]
) -> Iterator[tuple[Doors, int]]:
    """A server with tokens and TLS, and the port for MLMD's clients."""
    port = free_port()
    cert, key = certificate
    with doors(
        tmp_path_factory.mktemp("secured"), "--tls-cert", cert, "--tls-key", key,
        "--mlmd-port", str(port), LINEAGE_REQUEST_TIMEOUT="30",
    ) as door:  # fmt: skip
        door.token("ops", "admin")
        door.token("reader", "read")
        door.token("bot", "read", "write", of=("label-bot",))
        time.sleep(2.5 * EVERY)  # until the server has looked at the file again
        yield door, port


@pytest.fixture
def _trusted(monkeypatch: pytest.MonkeyPatch, certificate: tuple[str, str]) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])


def test_a_stream_of_a_namespace_is_silent_about_others(tmp_path: Path) -> None:
    """Also when it goes on after an event; and its ids count nobody's actions."""
    with doors(tmp_path, LINEAGE_REQUEST_TIMEOUT="30") as door:
        door.token("ops", "admin")
        door.token("bot", "read", "write", of=("label-bot",))
        while door.ask("GET", "/api/v1/formats", "bot").status != 200:
            pass
        stream = door.client("bot").events(after="0-0")
        heard: list[tuple[str, str]] = []

        def listen() -> None:
            for id_, said in stream:
                heard.append((id_, str(said["key"])))
                if said["key"] == "label-bot/2":
                    return

        door.client("ops").record(act("theirs", 0))
        listener = threading.Thread(target=listen)
        listener.start()
        for number in (1, 2):
            for namespace in ("theirs", "label-bot"):
                door.client("ops").record(act(namespace, number))
        listener.join(60)
        assert {key for _, key in heard} == {"label-bot/1", "label-bot/2"}
        assert all(id_.endswith("-0") for id_, _ in heard)


@pytest.mark.usefixtures("_trusted")
def test_every_write_is_in_the_audit_log(secured: tuple[Doors, int]) -> None:
    """Who, what, what became of it; one line each, also of a batch and of what was refused."""
    door, _ = secured
    lines = [json.dumps(act(n, 7)).encode() for n in ("label-bot", "theirs")]
    while not door.client("bot").health():
        pass
    assert door.client("bot").batch(b"\n".join(lines))["failed"] == 1
    log = [json.loads(line) for line in (door.file.parent / "audit.log").read_text().splitlines()]
    found = [(one["who"], one["did"], one["key"], one["outcome"], one["status"]) for one in log]
    for key, outcome, status in (("label-bot/7", "created", 201), ("theirs/7", "refused", 403)):
        assert ("bot", "POST /api/v1/actions/batch", key, outcome, status) in found
    assert {one["address"] for one in log} == {"127.0.0.1"}
    text = (door.file.parent / "audit.log").read_text() + (
        door.file.parent / "serve.log"
    ).read_text()
    assert not [name for name, secret in door.secrets.items() if secret in text]


@pytest.mark.usefixtures("_trusted")
def test_the_server_speaks_tls_and_nothing_else(
    secured: tuple[Doors, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that does not know the authority does not talk to it."""
    door, _ = secured
    assert door.server.url.startswith("https://")
    assert list(door.client("ops").formats())
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(Exception, match=r"(?i)certificate"):
        door.client("ops").formats()


def call(port: int, cert: str | None, method: str, request: bytes, *metadata: str) -> str:
    """What MLMD's service answers: "OK", or the name of gRPC's code."""
    place = f"localhost:{port}"
    trusted = grpc.ssl_channel_credentials(Path(cert).read_bytes()) if cert else None
    with grpc.secure_channel(place, trusted) if trusted else grpc.insecure_channel(place) as to:
        sent = [("authorization", value) for value in metadata]
        try:
            to.unary_unary(SERVICE + method)(request, metadata=sent, timeout=20)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


def test_mlmd_s_own_clients_need_a_token_too(
    secured: tuple[Doors, int], certificate: tuple[str, str]
) -> None:
    """Of all namespaces, and the scope that the call needs; in the clear nothing is answered."""
    door, port = secured
    get = ("GetArtifactTypes", rpc.GetArtifactTypesRequest().SerializeToString())
    put = ("PutContexts", rpc.PutContextsRequest().SerializeToString())
    ops, reader, bot = (f"Bearer {door.secrets[name]}" for name in ("ops", "reader", "bot"))
    for which, sent, expected in (
        (get, [ops], "OK"),
        (put, [ops], "OK"),
        (get, [reader], "OK"),
        (put, [reader], "PERMISSION_DENIED"),
        (get, [bot], "PERMISSION_DENIED"),
        (get, [], "UNAUTHENTICATED"),
        (get, ["Bearer wrong"], "UNAUTHENTICATED"),
        (get, [ops, reader], "UNAUTHENTICATED"),
    ):
        assert call(port, certificate[0], *which, *sent) == expected, (which[0], sent)
    assert call(port, None, *get, ops) == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "lineage token create"),
        (["--tokens", "nowhere.json"], "lineage token create"),
        (["--tls-cert", "nowhere.pem"], "cannot be used"),
        (["--tls-key", "nowhere.pem"], "add --tls-cert"),
    ],
)
def test_a_server_that_cannot_be_safe_does_not_start(arguments: list[str], says: str) -> None:
    """It says what to do about it."""
    done = subprocess.run(
        [*COMMAND, "serve", "--port", "0", *arguments], text=True, capture_output=True,
        check=False, env=clean_environment(), timeout=60,
    )  # fmt: skip
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr


def test_with_tokens_a_server_listens_to_others(tmp_path: Path) -> None:
    """And warns that they are sent in the clear."""
    with doors(tmp_path, "--host", "0.0.0.0") as door:
        port = door.server.url.rpartition(":")[2]
        door.server.url = f"http://127.0.0.1:{port}"
        assert door.ask("GET", "/api/v1/actions").status == 401
    assert "in the clear" in (tmp_path / "serve.log").read_text()


def test_what_somebody_may_see_comes_from_one_place() -> None:
    """A route that took the store's own reader would show everything to everybody."""
    allowed = {"lineage/api/requests.py", "lineage/api/recording.py", "lineage/app.py"}
    found = {
        str(path.relative_to(ROOT))
        for folder in ("lineage", "ui")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"state\.(reader|searcher)\b", path.read_text("utf-8"))
    }
    assert found <= allowed
