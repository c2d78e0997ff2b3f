"""What MySQL, MariaDB and PostgreSQL call differently, in one place.

Every statement of the store is written once, in SQLite's words. On its way to another database
it passes `translate` here, with its parameters: lists, which SQLite takes as JSON, and truth
values. So no query knows where it runs, but for the few that ask because another way is faster
there.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Engine, event

from lineage.store import literal

_LIST = re.compile(r"\bIN \(SELECT value FROM json_each\(%\((\w+)\)s\)\)")
_FLAG = re.compile(r"\b(is_custom_property|is_index_step) = ([01])\b")
_LOWER = re.compile(r"\bLOWER\(([\w.]+)\) LIKE (%\(\w+\)s)")
# ml-metadata speaks UTF-8 and tells MySQL that it is Latin-1; so we must read and write it.
_REAL = "CONVERT(CAST(CONVERT({} USING latin1) AS BINARY) USING utf8mb4)"

SLOTS = "uri > 'k8s://' AND uri < 'k8s:0'"
"""The artifacts that are versions of slots; an index of PostgreSQL's is of these alone."""
MOST_INDEXED = 2400
"""Bytes: 2,704 without a property's name."""


def is_mysql(db: Connection | Engine) -> bool:
    """MySQL or MariaDB."""
    return db.dialect.name in ("mysql", "mariadb")


def is_postgresql(db: Connection | Engine) -> bool:
    return db.dialect.name == "postgresql"


def is_sqlite(db: Connection | Engine) -> bool:
    return db.dialect.name == "sqlite"


def translate(engine: Engine) -> None:
    """Have the statements of this engine translated; `paramstyle` must be pyformat."""
    mysql = is_mysql(engine)
    words = _mysql if mysql else _postgresql
    lists = _expanded if mysql else _arrays

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _translate(
        db: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool
    ) -> tuple[str, Any]:
        if many or not isinstance(values, dict):
            return statement, values
        values = {name: _sane(value) for name, value in values.items()}
        statement, names = words(statement)
        return lists(statement, values, names)


@lru_cache(512)
def _mysql(statement: str) -> tuple[str, tuple[str, ...]]:
    real = _REAL.format
    statement = _LOWER.sub(
        lambda m: f"LOWER({real(m[1])}) LIKE LOWER({real(m[2])}) COLLATE utf8mb4_bin", statement
    )
    return statement, tuple(_LIST.findall(statement))


@lru_cache(512)
def _postgresql(statement: str) -> tuple[str, tuple[str, ...]]:
    names = tuple(_LIST.findall(statement))
    statement = _FLAG.sub(lambda m: f"{m[1]} = {'TRUE' if m[2] == '1' else 'FALSE'}", statement)
    statement = statement.replace("CROSS JOIN", "JOIN")
    return _LIST.sub(lambda m: f"= ANY(%({m[1]})s)", statement), names


def _expanded(statement: str, values: dict[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    for name in dict.fromkeys(names):
        some = json.loads(values.pop(name))
        values |= {f"{name}_{index}": _sane(value) for index, value in enumerate(some)}
        places = ", ".join(f"%({name}_{index})s" for index in range(len(some))) or "NULL"
        statement = statement.replace(
            f"IN (SELECT value FROM json_each(%({name})s))", f"IN ({places})"
        )
    return statement, values


def _arrays(statement: str, values: dict[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    for name in names:
        if isinstance(values[name], str):
            values[name] = [_sane(value) for value in json.loads(values[name])]
    return statement, values


def _sane(value: Any) -> Any:
    """What no database can hold is found in none; it must not fail either."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def indexed(text: str) -> str:
    """As a property stands in an index of PostgreSQL, whose entries end at 2,704 bytes: what is
    longer ends in its hash. The whole is in the record."""
    if len(text) * 9 <= MOST_INDEXED or len(literal.encode(text).encode()) <= MOST_INDEXED:
        return text
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{text[: MOST_INDEXED // 9]}~{digest}"


def prepare_mysql(connection: Any, read_only: bool) -> None:
    """A new session: PyMySQL's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SET NAMES latin1")
        cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')")
        # A walk is as deep as it is; a long list of ids is still looked up in the index.
        if "mariadb" in connection.get_server_info().lower():
            cursor.execute("SET SESSION max_recursive_iterations = 4294967295")
            cursor.execute("SET SESSION in_predicate_conversion_threshold = 0")
        else:
            cursor.execute("SET SESSION cte_max_recursion_depth = 4294967295")
            cursor.execute("SET SESSION range_optimizer_max_mem_size = 0")
        if read_only:
            cursor.execute("SET SESSION TRANSACTION READ ONLY")


def prepare_postgresql(connection: Any, read_only: bool) -> None:
    """A new session: psycopg's connection. Text passes `literal` both ways, whatever asks."""
    from psycopg.types.string import StrDumperUnknown, TextLoader

    class Encoded(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(literal.encode(obj))

    class Decoded(TextLoader):
        def load(self, data: Any) -> Any:
            found = super().load(data)
            return literal.decode(found) if isinstance(found, str) else found

    connection.adapters.register_dumper(str, Encoded)
    for type_ in ("text", "varchar"):
        connection.adapters.register_loader(type_, Decoded)
    if read_only:
        before = connection.autocommit
        connection.autocommit = True
        connection.execute("SET default_transaction_read_only = on")
        connection.autocommit = before
