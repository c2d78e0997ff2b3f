"""The store process on MySQL and PostgreSQL: how ml-metadata is told of them, and kept safe there.

What it hands to ml-metadata on PostgreSQL has no backslash in it, whoever sent it, and what
comes back is as it was sent (`lineage.store.literal`). Types are made by one at a time. A
connection that broke is made anew; where that fails the process ends, and its server starts
another until the database is back.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lineage.address import Address
from lineage.errors import LineageError
from lineage.store.database import INDEXES
from lineage.store.literal import BACKSLASH, QUOTE, decode, encode
from lineage.store.locks import HOLD, RELEASE, TYPES, Locks, alone
from lineage.store.process import EXIT_NO_DATABASE, Store
from lineage.store.servers import after_mlmd, before_mlmd, server_engine

_SIGNS = tuple(sign.encode() for sign in ("\\", BACKSLASH, QUOTE))
_UNREAD = ("google.protobuf.Struct", "google.protobuf.Any")
"""Messages that ml-metadata stores as base64 or bytes."""


def config_of(address: Address) -> Any:
    """ml-metadata's own settings. All are set: it ends the process where one is missing."""
    from ml_metadata.proto import metadata_store_pb2 as pb

    config = pb.ConnectionConfig()
    if address.engine == "mysql":
        config.mysql.MergeFrom(pb.MySQLDatabaseConfig(
            host=address.host, port=address.port, database=address.database,
            user=address.user, password=address.password, skip_db_creation=True,
        ))  # fmt: skip
    else:
        # It would paste a password into a line of words; libpq takes it from here unread.
        os.environ["PGPASSWORD"] = address.password
        config.postgresql.MergeFrom(pb.PostgreSQLDatabaseConfig(
            host=address.host, port=str(address.port), dbname=address.database,
            user=address.user, skip_db_creation=True,
        ))  # fmt: skip
    return config


class RemoteStore(Store):
    """The one MetadataStore of this process, on a server. Makes what the database lacks.

    Raises:
        LineageError: the database cannot be used; says why.
    """

    def __init__(self, address: Address) -> None:
        self._encoded = address.engine == "postgresql"
        engine = server_engine(address, read_only=False, pooled=False)
        self._types, self._keys = Locks(engine), Locks(engine)
        with engine.connect() as db:
            db.rollback()
        before_mlmd(engine)
        self._opened = False
        # Two that make the tables at once fail both.
        with alone(engine):
            super().__init__(config_of(address))
            after_mlmd(engine, INDEXES)
        self._opened = True

    @property
    def own(self) -> Mapping[str, Callable[[bytes], bytes]]:
        """Calls that only this server's own API may make."""
        return {HOLD: self._hold, RELEASE: self._release}

    def call(self, method: str, request: bytes) -> tuple[bytes, str, int]:
        if self._encoded:
            request = translated(f"{method}Request", request, encode)
        if method.startswith("Put") and method.endswith(("Type", "Types")):
            with self._types.held(TYPES):
                answer = super().call(method, request)
        else:
            answer = super().call(method, request)
        if self._encoded and not answer[2]:
            return translated(f"{method}Response", answer[0], decode), *answer[1:]
        return answer

    def _open(self) -> Any:
        try:
            return super()._open()
        except RuntimeError as error:
            if not self._opened:
                raise LineageError(f"ml-metadata cannot use it ({error})") from error
            print(f"the database is away: {error}", file=sys.stderr, flush=True)
            os._exit(EXIT_NO_DATABASE)

    def _hold(self, body: bytes) -> bytes:
        self._keys.hold(json.loads(body))
        return b""

    def _release(self, _: bytes) -> bytes:
        self._keys.release()
        return b""


def translated(name: str, message: bytes, change: Callable[[str], str]) -> bytes:
    """A serialized message of MLMD's service with each of its texts changed."""
    if not any(sign in message for sign in _SIGNS):
        return message
    from ml_metadata.proto import metadata_store_service_pb2 as rpc

    parsed = getattr(rpc, name).FromString(message)
    _change(parsed, change)
    return bytes(parsed.SerializeToString())


def _change(message: Any, change: Callable[[str], str]) -> None:
    if message.DESCRIPTOR.full_name in _UNREAD:
        return
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _change_map(field, value, change)
        elif field.type == field.TYPE_MESSAGE:
            for one in value if field.label == field.LABEL_REPEATED else (value,):
                _change(one, change)
        elif field.type == field.TYPE_STRING:
            if field.label == field.LABEL_REPEATED:
                value[:] = [change(one) for one in value]
            else:
                setattr(message, field.name, change(value))


def _change_map(field: Any, entries: Any, change: Callable[[str], str]) -> None:
    inner = field.message_type.fields_by_name["value"]
    for name in list(entries):
        if inner.type == inner.TYPE_MESSAGE:
            _change(entries[name], change)
            if (other := change(name)) != name:
                entries[other].CopyFrom(entries[name])
                del entries[name]
        else:
            value = entries.pop(name)
            entries[change(name)] = change(value) if inner.type == inner.TYPE_STRING else value
