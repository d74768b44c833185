"""Connections that only read: one view of the data for all statements, and an end to those that take too long."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic

from sqlalchemy import Connection, Engine, text

_STEPS = 10_000
"""Instructions of SQLite's between two looks at the clock."""


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
    driver.set_progress_handler(lambda: monotonic() > end, _STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
