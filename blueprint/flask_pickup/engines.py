"""The engine that Pickup reads and writes through, its own or the host's, and how it begins to."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.errors import ConfigurationError

EngineSource = Engine | Callable[[], Engine]

DATABASES = ("sqlite", "postgresql")
"""What the statements are written for."""
_STEPS_BETWEEN_LOOKS = 10_000
"""Instructions of SQLite's between two looks at the clock."""


def engine_maker(app: Flask, source: EngineSource | None, url: str) -> Callable[[], Engine]:
    """Return a function that gives the engine, on any thread; to be called once in each process.

    :param source: the host's engine, or a function that returns it, called inside the app's context.
    :param url: the database of Pickup's own engine, where ``source`` is None.
    :raises ConfigurationError: if the host's engine is for another kind of database. What the host's function raises or
        returns is an ``SQLAlchemyError``, once the engine is needed: to a call, a database that does not answer.
    """
    if source is None:
        return lambda: make_engine(url)
    if isinstance(source, Engine):
        _refuse_other_databases(source)
    parent = os.getpid()

    def ask() -> Engine:
        try:
            with app.app_context():
                engine = source if isinstance(source, Engine) else source()
            _refuse_other_databases(engine)
        except Exception as error:
            raise SQLAlchemyError(
                f"Pickup(engine=…) gave no engine that Pickup can write to: {type(error).__name__}"
            ) from error
        if os.getpid() != parent:
            # Two processes on one connection would read each other's answers.
            engine.dispose(close=False)
        return engine

    return ask


def _refuse_other_databases(engine: Engine) -> None:
    if engine.dialect.name not in DATABASES:
        raise ConfigurationError(
            f"Pickup(engine=…) got {engine.dialect.name}. Pickup writes to SQLite and PostgreSQL; leave the engine out "
            "and set 'PICKUP_DATABASE_URL' to one of them."
        )


def begin_writing(connection: Connection) -> None:
    """Begin a transaction of SQLite as a writer: one that turns into one later can fail without waiting.

    A host's engine may have begun one itself, as SQLAlchemy's recipe for SQLite's savepoints does; that one has to do.
    """
    driver: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite" and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def reading(engine: Engine, seconds: float | None = None) -> Iterator[Connection]:
    """Give a connection that sees the rows as they are now until the end of the block, whatever is written meanwhile.

    :param seconds: how long a statement may take; then the database ends it, and it raises. Such a statement leaves
        PostgreSQL's other processors to the calls.
    """
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            # Not by the driver's own setting, which would stay READ WRITE afterwards: a standby refuses that.
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            if seconds is not None:
                connection.execute(text(f"SET LOCAL statement_timeout = {int(1000 * seconds)}"))
                connection.execute(text("SET LOCAL max_parallel_workers_per_gather = 0"))
            yield connection
        else:
            with _reading_sqlite(connection, seconds):
                yield connection


@contextmanager
def _reading_sqlite(connection: Connection, seconds: float | None) -> Iterator[None]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    # The driver begins a transaction only to write.
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN")
    end = monotonic() + (seconds or inf)
    driver.set_progress_handler(lambda: monotonic() > end, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


def make_engine(url: str) -> Engine:
    """Return an engine for ``PICKUP_DATABASE_URL`` with the durability and the deadlines that the ledger relies on."""
    if make_url(url).get_backend_name() == "postgresql":
        # PgBouncer's next transaction may be on a connection that does not know a prepared statement, or knows another.
        unprepared = {"prepare_threshold": None} if make_url(url).get_driver_name() == "psycopg" else {}
        return create_engine(url, connect_args=_POSTGRESQL | unprepared, hide_parameters=True)
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT}, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        if path := path_of(engine):
            _make_database(path)
            event.listen(engine, "do_connect", lambda *_: _make_database(path))
        event.listen(engine, "connect", _set_up_sqlite)
    return engine


# Without these a host that vanishes is noticed after two hours; a stopped one is met by the ledger's own deadline.
_POSTGRESQL = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "pickup",
}

STATEMENT_TIMEOUT = 3.0
"""Seconds that a query of a page or of `flask pickup status` may take."""

SQLITE_BUSY_TIMEOUT = 5.0
"""Seconds that SQLite waits for another program's lock."""


def reason_of(error: SQLAlchemyError) -> str:
    """Return why the database did not answer: the driver's first line. Statements and parameters come after it."""
    cause = getattr(error, "orig", None) or error
    return next(iter(str(cause).splitlines()), type(cause).__name__)


def path_of(engine: Engine) -> str | None:
    """Return the path of the engine's SQLite file, if other processes can open it by its path."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database == ":memory:" or database.startswith("file:"):
        return None
    return database


def make_private_file(path: Path) -> None:
    """Make an empty file and the folders above it, where they are missing, for the app's user alone."""
    for folder in reversed(path.parents):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    # SQLite itself would let everybody read it. It gives the WAL the file's mode.
    if not path.exists():
        path.touch(mode=0o600)


def _make_database(path: str) -> None:
    # Where it cannot be made, SQLite says so.
    with suppress(OSError):
        make_private_file(Path(path))


def _set_up_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # NORMAL would lose the last commits with the power; an answered assignment is promised to be kept.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
