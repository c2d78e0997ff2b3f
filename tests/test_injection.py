"""No text, however hostile, becomes SQL on PostgreSQL, where ml-metadata would let it.

100,000 texts (`tests.injections`) are recorded through the hook and over REST, and looked up
by everything that looks up. Afterwards the database has what it had before, and every text is
read back as it was sent. The first test shows that the same texts do harm without us, and that
the comparison would tell.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from ml_metadata import errors
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb
from sqlalchemy import make_url

from controllers_hooks import Hook
from lineage.model import Action, parse_action
from lineage.queries.export import export
from tests import databases
from tests.conftest import Server, start_server
from tests.database_server import USER, DatabaseServer
from tests.injections import Forge, text
from tests.memory import MemoryReader
from tests.test_mlmd_port import free_port

TEXTS = 100_000
BY_HOOK = 40
"""So many records of these go through a hook and its outbox."""
API = "/api/v1"

# Everything that an injected statement could make, change or remove, but for rows.
_INVENTORY = """
SELECT 'relation', n.nspname || '.' || c.relname || ' ' || c.relkind::text || c.relnatts::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT LIKE 'pg_%'
UNION ALL SELECT 'function', proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL SELECT 'schema', nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%'
UNION ALL SELECT 'role', rolname || rolsuper::text || rolcreaterole::text FROM pg_roles
UNION ALL SELECT 'database', datname FROM pg_database
UNION ALL SELECT 'setting', setconfig::text FROM pg_db_role_setting
UNION ALL SELECT 'schema version', schema_version::text FROM MLMDEnv
"""


class Database:
    """A database of an own PostgreSQL, whose user may do almost anything."""

    def __init__(self, server: DatabaseServer) -> None:
        self.url = server.create()
        self._server, self._name = server, make_url(self.url).database
        server.admin(f"ALTER ROLE {USER} CREATEROLE CREATEDB")

    def inventory(self) -> set[tuple[Any, ...]]:
        return set(self._server.admin(_INVENTORY, self._name))


@pytest.fixture(scope="module")
def postgresql() -> Iterator[DatabaseServer]:
    """Of one's own: roles belong to a whole server."""
    with databases.need("postgresql")(durable=False) as server:
        yield server


_RAW = """
import random, sys
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb
from tests.injections import text
host, port, user, password, name = sys.argv[1:]
config = pb.ConnectionConfig()
config.postgresql.host, config.postgresql.port = host, port
config.postgresql.user, config.postgresql.password = user, password
config.postgresql.dbname, config.postgresql.skip_db_creation = name, True
store = metadata_store.MetadataStore(config)
kind = store.put_artifact_type(pb.ArtifactType(name="t"))
print("ready", flush=True)
sys.stdin.readline()
chance = random.Random(8)
for _ in range(200):
    artifact = pb.Artifact(type_id=kind, uri=text(chance, 256))
    artifact.custom_properties["p"].string_value = text(chance, 256)
    for attempt in (lambda: store.put_artifacts([artifact]),
                    lambda: store.get_artifacts_by_uri(text(chance, 256)),
                    lambda: store.get_artifact_by_type_and_name("t", text(chance, 256))):
        try:
            attempt()
        except Exception:
            pass
"""


def test_the_same_texts_do_harm_where_nobody_encodes_them(postgresql: DatabaseServer) -> None:
    """ml-metadata as it is, 800 texts: tables appear that nobody asked for."""
    database = Database(postgresql)
    url = make_url(database.url)
    arguments = [url.host, str(url.port), url.username, url.password, url.database]
    with subprocess.Popen(
        [sys.executable, "-c", _RAW, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, cwd=Path(__file__).parent.parent,
    ) as raw:  # fmt: skip
        assert raw.stdout is not None and raw.stdout.readline() == "ready\n"
        before = database.inventory()
        raw.communicate("go\n", 60)
    harm = database.inventory() ^ before
    assert any("pwned" in name for _, name in harm), harm
    for kind, name in harm:
        if kind == "role":
            postgresql.admin(f"DROP ROLE {name.removesuffix('falsefalse')}")


@pytest.fixture(scope="module")
def attacked(
    postgresql: DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Database, int]]:
    """A server whose database has every table it will ever have, and its port for MLMD."""
    database, port = Database(postgresql), free_port()
    folder = tmp_path_factory.mktemp("attacked")
    limits = {"LINEAGE_MAX_BATCH_BODY": "64MiB"}
    server = start_server(folder, "--mlmd-port", str(port), store=database.url, **limits)
    with server.client() as client:
        client.record(_first())
    yield server, database, port
    server.stop()


def _first() -> Action:
    return parse_action(_ndjson(Forge(0).record(1)))


def _ndjson(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


@pytest.mark.timeout(600)
def test_a_hundred_thousand_texts_are_only_texts(
    attacked: tuple[Server, Database, int], tmp_path: Path
) -> None:
    """Recorded in every field, through hook and REST: the database is as it was, and the whole
    store reads back, byte for byte, as an oracle without SQL holds it."""
    server, database, _ = attacked
    forge = Forge(8)
    sent = [_first(), *(parse_action(_ndjson(record)) for record in forge.records(TEXTS))]
    assert len(forge.sent) >= TEXTS
    before = database.inventory()
    hook = Hook("recorder", url=server.url, outbox=tmp_path / "outbox")
    assert all(hook.record(action) for action in sent[1:BY_HOOK])
    assert hook.close(120) and hook.failed == 0
    with server.client() as client:
        for begin in range(BY_HOOK, len(sent), 200):
            some = sent[begin : begin + 200]
            done = client.batch(b"\n".join(action.model_dump_json().encode() for action in some))
            assert done["failed"] == 0, [r for r in done["results"] if r["outcome"] is None][:3]
        told = b"".join(client.export())
    assert database.inventory() == before
    expected = b"".join(export(MemoryReader.of(sent)))
    assert told.splitlines() == expected.splitlines()


def test_looking_up_a_text_is_no_statement(attacked: tuple[Server, Database, int]) -> None:
    """Every route with a parameter that takes any text, 60 texts each: an answer or a problem that
    says why not, never a failure; the database is as it was."""
    server, database, _ = attacked
    before = database.inventory()
    chance = random.Random(9)
    with httpx2.Client(base_url=server.url + API, timeout=60) as http:
        for _ in range(60):
            for path, names in _LOOKUPS:
                query = {name: text(chance, 200) for name in names}
                found = http.get(path.format(quote(text(chance, 200), safe="")), params=query)
                assert found.status_code in (200, 400, 404, 422), (path, query, found.text[:300])
    assert database.inventory() == before


_LOOKUPS = (
    ("/actions/{}", ()), ("/artifacts/{}", ()), ("/live/{}/history", ()), ("/lineage", ("of",)),
    ("/actions", ("controller", "namespace")), ("/actions", ("type", "q")), ("/actions", ("cursor",)),
    ("/artifacts", ("uri",)), ("/artifacts", ("type", "q")), ("/search", ("q",)), ("/impact", ("of",)),
    ("/search", ("q", "type")), ("/live", ("namespace",)), ("/stale", ("namespace",)),
    ("/diff", ("a", "b")), ("/lineage", ("select",)), ("/flow", ("namespace",)),
)  # fmt: skip


def test_a_client_of_ml_metadata_cannot_inject_either(
    attacked: tuple[Server, Database, int],
) -> None:
    """Through `--mlmd-port`, which forwards what others call: 2,000 texts written and looked up
    by name, URI, external id, type, context and property; each is found by itself."""
    _, database, port = attacked
    store = metadata_store.MetadataStore(pb.MetadataStoreClientConfig(host="127.0.0.1", port=port))
    kinds = _types(store, "plain")
    before = database.inventory()
    chance = random.Random(10)
    for _ in range(250):
        name, uri, id_, key, value = (text(chance, 200) for _ in range(5))
        artifact = pb.Artifact(type_id=kinds[0], name=name, uri=uri, external_id=id_)
        artifact.custom_properties[key].string_value = value
        store.put_artifacts([artifact])
        context = pb.Context(type_id=kinds[1], name=name, external_id=id_)
        context.custom_properties[key].string_value = value
        store.put_contexts([context])
        (found,) = store.get_artifacts_by_uri(uri)
        assert (found.name, found.uri, found.external_id) == (name, uri, id_)
        assert found.custom_properties[key].string_value == value
        for again in (store.get_artifact_by_type_and_name("plain", name),
                      *store.get_artifacts_by_external_ids([id_])):  # fmt: skip
            assert again == found
        assert store.get_context_by_type_and_name("plain", name).external_id == id_
        assert store.get_artifact_by_type_and_name("plain", uri) is None
        with pytest.raises(errors.NotFoundError):
            store.get_artifact_type(value)
    hostile = text(chance, 200)
    assert _types(store, hostile) and store.get_artifact_type(hostile).name == hostile
    assert database.inventory() == before


def _types(store: Any, name: str) -> tuple[int, int]:
    return (
        store.put_artifact_type(pb.ArtifactType(name=name)),
        store.put_context_type(pb.ContextType(name=name)),
    )


def test_a_nul_is_refused_with_its_place(attacked: tuple[Server, Database, int]) -> None:
    """PostgreSQL has no such character, and MLMD would cut the text there."""
    server, _, _ = attacked
    body = {"type": "train", "controller": {"name": "x"}, "name": "a\0'; DROP TABLE Type; --\\"}
    answer = httpx2.put(f"{server.url}{API}/actions/nul", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, "name")
