"""The engine that Pickup writes through, its own or the host's, and how it begins to write."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.errors import ConfigurationError

EngineSource = Engine | Callable[[], Engine]

DATABASES = ("sqlite", "postgresql")
"""What the statements are written for."""


def engine_maker(app: Flask, source: EngineSource | None, url: str) -> Callable[[], Engine]:
    """Return a function that gives the engine, on any thread; to be called once in each process.

    :param source: the host's engine, or a function that returns it, called inside the app's context.
    :param url: the database of Pickup's own engine, where ``source`` is None.
    :raises ConfigurationError: if the host's engine is for another kind of database. What the host's function raises or
        returns is an ``SQLAlchemyError``, once the engine is needed: to a call, a database that does not answer.
    """
    if source is None:
        return lambda: _own_engine(url)
    if isinstance(source, Engine):
        _refuse_other_databases(source, ConfigurationError)
    parent = os.getpid()

    def ask() -> Engine:
        try:
            with app.app_context():
                engine = source if isinstance(source, Engine) else source()
        except Exception as error:
            raise SQLAlchemyError(f"The function given as Pickup(engine=…) raised {type(error).__name__}") from error
        if not isinstance(engine, Engine):
            raise SQLAlchemyError(f"The function given as Pickup(engine=…) returned {type(engine).__name__}")
        _refuse_other_databases(engine, SQLAlchemyError)
        if os.getpid() != parent:
            # Two processes on one connection would read each other's answers.
            engine.dispose(close=False)
        return engine

    return ask


def _refuse_other_databases(engine: Engine, refusal: type[Exception]) -> None:
    if engine.dialect.name not in DATABASES:
        raise refusal(
            f"Pickup(engine=…) got {engine.dialect.name}. Pickup writes to SQLite and PostgreSQL; leave the engine out "
            "and set 'PICKUP_DATABASE_URL' to one of them."
        )


def _own_engine(url: str) -> Engine:
    engine = make_engine(url)
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    return engine


def begin_writing(connection: Connection) -> None:
    """Begin a transaction of SQLite as a writer: one that turns into one later can fail without waiting.

    A host's engine may have begun one itself, as SQLAlchemy's recipe for SQLite's savepoints does; that one has to do.
    """
    driver: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite" and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def make_engine(url: str) -> Engine:
    """Return an engine for ``PICKUP_DATABASE_URL`` with the durability and the deadlines that the ledger relies on."""
    if make_url(url).get_backend_name() == "postgresql":
        return create_engine(url, connect_args=_POSTGRESQL, hide_parameters=True)
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT}, hide_parameters=True)
    if engine.dialect.name == "sqlite":
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

SQLITE_BUSY_TIMEOUT = 5.0
"""Seconds that SQLite waits for another program's lock."""


def _set_up_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # NORMAL would lose the last commits with the power; an answered assignment is promised to be kept.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
