"""Databases on servers: engines, whose a database is, and what it must have before it is used.

ml-metadata makes its tables; here they are made to compare text as it is written (by default
MySQL takes `A` for `a` and `a ` for `a`, and PostgreSQL orders by the rules of a language), to
have the indexes that are missing, and our own tables are put beside them.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

from lineage.address import Address
from lineage.errors import LineageError, StoreUnavailable
from lineage.store import dialect

_AWAY = (OperationalError, InterfaceError)
DRIVERS = {"mysql": "pymysql", "postgresql": "psycopg"}
_TIMEOUTS: dict[str, dict[str, Any]] = {
    "mysql": {"connect_timeout": 10, "read_timeout": 120, "write_timeout": 120},
    "postgresql": {"connect_timeout": 10},
}


def server_engine(address: Address, read_only: bool, pooled: bool = True) -> Engine:
    """Connections to a database on a server. What breaks them becomes StoreUnavailable.

    Raises:
        LineageError: its driver is not installed.
    """
    name, driver = address.engine, DRIVERS[address.engine]
    # PyMySQL would take a password for Latin-1; only bytes it takes as they are.
    password: Any = address.password.encode() if name == "mysql" else address.password
    url = URL.create(f"{name}+{driver}", None, None, address.host, address.port, address.database)
    # A reader's answer is one snapshot; who writes sees what others committed before.
    level = "REPEATABLE READ" if read_only else "READ COMMITTED"
    pool: dict[str, Any] = {"pool_size": 8, "pool_pre_ping": True} if pooled else {}
    try:
        engine = create_engine(
            url, paramstyle="pyformat", isolation_level=level,
            connect_args={**_TIMEOUTS[name], "user": address.user, "password": password},
            poolclass=None if pooled else NullPool, **pool,
        )  # fmt: skip
    except ImportError as error:
        raise LineageError(
            f"a store on {name} needs {driver}, which is not installed; "
            f"run: pip install 'lineage-without-dag[{name}]'"
        ) from error
    prepare = dialect.prepare_mysql if name == "mysql" else dialect.prepare_postgresql

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        prepare(connection, read_only)

    @event.listens_for(engine, "handle_error")
    def _failed(context: Any) -> StoreUnavailable | None:
        if context.is_pre_ping or not isinstance(context.sqlalchemy_exception, _AWAY):
            return None
        reason = " ".join(str(context.original_exception).split())
        return StoreUnavailable(f"the database {address} cannot be used: {reason}")

    dialect.translate(engine)
    return engine


def whose(address: Address, schema: int) -> Literal["nobody", "ours", "another tool"]:
    """Who made this database: "nobody" while it is empty.

    Raises:
        StoreUnavailable: it cannot be reached, or is not of this schema of ML Metadata.
    """
    engine = server_engine(address, read_only=True, pooled=False)
    with engine.connect() as db:
        tables = _tables(db)
        if "mlmdenv" not in tables:
            return "nobody"
        version = db.execute(text("SELECT MAX(schema_version) FROM MLMDEnv")).scalar()
        if version is None:
            return "nobody"  # being made
        if version != schema:
            raise StoreUnavailable(
                f"{address} has schema {version} of ML Metadata, and only {schema} is read"
            )
        if MARK in tables:
            return "ours"
        return "another tool" if db.execute(text(_ANYTHING)).scalar() else "nobody"


def before_mlmd(engine: Engine) -> None:
    """What a database must be like before ml-metadata makes its tables in it."""
    if not dialect.is_mysql(engine):
        return
    with engine.connect() as db:
        if "mlmdenv" not in _tables(db):
            name = str(engine.url.database)
            sql = f"ALTER DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE {_collation(db)}"
            db.exec_driver_sql(sql)


def after_mlmd(engine: Engine, indexes: tuple[tuple[str, str, str], ...]) -> None:
    """What ml-metadata's tables must have: collations, `indexes`, and our own tables beside.

    Raises:
        StoreUnavailable: a database that others made compares text without case.
    """
    with engine.begin() as db:
        (_compare_mysql if dialect.is_mysql(db) else _compare_postgresql)(db)
        if not dialect.is_mysql(db):
            _index_long_texts(db)
        for name, table, columns in indexes:
            if not _has_index(db, name, table):
                db.exec_driver_sql(f"CREATE INDEX {name} ON {table} ({columns})")
        for statement in OWN_TABLES["mysql" if dialect.is_mysql(db) else "postgresql"]:
            db.exec_driver_sql(statement)


MARK = "lineage_openlineage_totals"
"""A table by which a database is known to be ours."""
OWN_TABLES = {
    "mysql": (
        "CREATE TABLE IF NOT EXISTS lineage_openlineage_events ("
        " number BIGINT AUTO_INCREMENT PRIMARY KEY, digest BINARY(16) NOT NULL UNIQUE,"
        " size BIGINT NOT NULL, body LONGBLOB NOT NULL)",
        f"CREATE TABLE IF NOT EXISTS {MARK} (one INT PRIMARY KEY, bytes BIGINT NOT NULL,"
        " removed BIGINT NOT NULL)",
        f"INSERT IGNORE INTO {MARK} VALUES (1, 0, 0)",
    ),
    "postgresql": (
        "CREATE TABLE IF NOT EXISTS lineage_openlineage_events ("
        " number BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, digest BYTEA NOT NULL UNIQUE,"
        " size BIGINT NOT NULL, body BYTEA NOT NULL)",
        f"CREATE TABLE IF NOT EXISTS {MARK} (one INT PRIMARY KEY, bytes BIGINT NOT NULL,"
        " removed BIGINT NOT NULL)",
        f"INSERT INTO {MARK} VALUES (1, 0, 0) ON CONFLICT DO NOTHING",
        "CREATE UNLOGGED TABLE IF NOT EXISTS lineage_locks (name TEXT PRIMARY KEY)",
    ),
}


_ANYTHING = "SELECT EXISTS (SELECT 1 FROM Artifact) OR EXISTS (SELECT 1 FROM Execution)"


def _tables(db: Connection) -> set[str]:
    here = "DATABASE()" if dialect.is_mysql(db) else "current_schema()"
    sql = f"SELECT table_name FROM information_schema.tables WHERE table_schema = {here}"
    return {str(row[0]).lower() for row in db.exec_driver_sql(sql)}


def _has_index(db: Connection, name: str, table: str) -> bool:
    if dialect.is_mysql(db):
        rows = db.exec_driver_sql(f"SHOW INDEX FROM {table} WHERE Key_name = '{name}'")
    else:
        rows = db.exec_driver_sql(f"SELECT 1 FROM pg_indexes WHERE indexname = '{name}'")
    return rows.first() is not None


def _collation(db: Connection) -> str:
    """Of code points, with blanks at the end that count: MariaDB and MySQL name it differently."""
    sql = (
        "SELECT collation_name FROM information_schema.collations WHERE collation_name"
        " IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')"
    )
    return str(db.exec_driver_sql(sql).scalar() or "utf8mb4_bin")


def _compare_mysql(db: Connection) -> None:
    columns = db.exec_driver_sql(
        "SELECT table_name, collation_name FROM information_schema.columns WHERE table_schema ="
        " DATABASE() AND column_name = 'name' AND table_name LIKE '%%Property'"
    ).all()
    lax = [table for table, collation in columns if collation and not collation.endswith("_bin")]
    if not lax:
        return
    tables = [row[0] for row in db.exec_driver_sql("SHOW TABLES")]
    mended = f"CHARACTER SET utf8mb4 COLLATE {_collation(db)}"
    if db.execute(text(_ANYTHING)).scalar():
        raise StoreUnavailable(
            "this database takes A for a in names, so records would be lost. Stop who writes to it "
            f"and run: {' '.join(f'ALTER TABLE `{t}` CONVERT TO {mended};' for t in tables)}"
        )
    for table in tables:
        db.exec_driver_sql(f"ALTER TABLE `{table}` CONVERT TO {mended}")


def _index_long_texts(db: Connection) -> None:
    """PostgreSQL has no room for long texts in an ordered index: URIs, and the paths of contexts,
    get one by hash, under the name of ML Metadata's own, which asks for equality alone."""
    for name, table, column in _HASHED:
        sql = f"SELECT 1 FROM pg_indexes WHERE indexname = '{name}' AND indexdef LIKE '%%hash%%'"
        if db.exec_driver_sql(sql).first() is None:
            db.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
            db.exec_driver_sql(f"CREATE INDEX {name} ON {table} USING hash ({column})")
    db.exec_driver_sql(
        f"CREATE INDEX IF NOT EXISTS lineage_artifact_slot ON artifact (id) WHERE {dialect.SLOTS}"
    )


_HASHED = (
    ("idx_artifact_uri", "artifact", "uri"),
    ("idx_context_property_string", "contextproperty", "string_value"),
)
_ORDERED = {
    "artifact": ("uri", "name"), "execution": ("name",), "context": ("name",), "type": ("name",),
    "artifactproperty": ("name", "string_value"), "executionproperty": ("name", "string_value"),
    "contextproperty": ("name", "string_value"),
}  # fmt: skip


def _compare_postgresql(db: Connection) -> None:
    """By bytes, which is by code points, as Python and SQLite do."""
    rows = db.exec_driver_sql(
        "SELECT table_name, column_name, collation_name, character_maximum_length"
        " FROM information_schema.columns WHERE table_schema = current_schema()"
    )
    for table, column, collation, most in rows.all():
        if column in _ORDERED.get(table, ()) and collation != "C":
            kind = f"VARCHAR({most})" if most else "TEXT"
            db.exec_driver_sql(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind} COLLATE "C"')
