"""Entries into tables: one transaction for as many as wait, each write idempotent on its key."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from flask_pickup.assignment import Assigned, Recorded
from flask_pickup.ledger.entries import CallEntry, DefinitionEntry, Entry, ReportEntry
from flask_pickup.models import (
    ANALYSED,
    REPORTED_FLAGS,
    REPORTED_NUMBERS,
    Assignment,
    Call,
    Definition,
    Outcome,
    Transcript,
    begin_writing,
)

DECIDED = ("caller_key", "line", "call_type", "country", "language", "decided_at", "decision", "reasons")
_REPORTED = or_(Outcome.name.in_((*REPORTED_NUMBERS, *REPORTED_FLAGS)), Outcome.name.startswith(ANALYSED))

PERMANENT = (DataError, IntegrityError, ValueError, TypeError)
"""What a database says of a row that it will never take; all else may pass."""


class _AlreadyThere(Exception):
    """A call of the batch is in the table: which one, is found out one by one."""


class Store:
    """Writes entries through an engine: the host's, or Pickup's own."""

    def __init__(self, engine: Engine) -> None:
        is_postgresql = engine.dialect.name == "postgresql"
        self._engine = engine
        self._insert = (postgresql if is_postgresql else sqlite).insert
        self._lock = _SQLiteLock(engine)

    def write(self, entries: Sequence[Entry]) -> list[Recorded | None]:
        """Commit all ``entries``, or none.

        :returns: for each what the tables say instead, where a call had been decided before; else None.
        :raises sqlalchemy.exc.SQLAlchemyError: if the database does not take them.
        """
        try:
            return self._write(entries)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # The pool held a connection from before the database's restart; by now it is emptied.
            return self._write(entries)

    def _write(self, entries: Sequence[Entry]) -> list[Recorded | None]:
        calls = [entry for entry in entries if isinstance(entry, CallEntry)]
        try:
            with self._transaction() as connection:
                self._add_calls(connection, calls)
                self._write_others(connection, entries)
            return [None] * len(entries)
        except _AlreadyThere:
            with self._transaction() as connection:
                found = self._add_or_read_each(connection, entries)
                self._write_others(connection, entries)
            return found

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._lock, self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                # Repeatable-read and serializable would turn a duplicate's conflict into an error. Set here, because an
                # engine that is derived from one with a level of its own keeps that level.
                connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                begin_writing(connection)
                yield connection

    def _add_calls(self, connection: Connection, calls: Sequence[CallEntry]) -> None:
        if not calls:
            return
        # In one order everywhere, so that two processes' batches cannot wait for each other in a circle.
        rows = sorted((dict(entry.call) for entry in calls), key=lambda row: str(row["call_id"]))
        if self._upsert(connection, rows) != len(rows):
            raise _AlreadyThere
        self._add(connection, Assignment.__table__, [dict(row) for entry in calls for row in entry.assignments])

    def _add_or_read_each(self, connection: Connection, entries: Sequence[Entry]) -> list[Recorded | None]:
        found: list[Recorded | None] = [None] * len(entries)
        calls = [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, CallEntry)]
        for index, entry in sorted(calls, key=lambda call: str(call[1].call["call_id"])):
            found[index] = self._add_or_read(connection, entry)
        return found

    def _add_or_read(self, connection: Connection, entry: CallEntry) -> Recorded | None:
        if self._upsert(connection, [dict(entry.call)]):
            self._add(connection, Assignment.__table__, [dict(row) for row in entry.assignments])
            return None
        return _recorded(connection, entry.call["call_id"])

    def _upsert(self, connection: Connection, rows: list[dict[str, Any]]) -> int:
        """Insert calls, or fill in those that only a report has made; return how many were new in either way."""
        statement = self._insert(Call)
        statement = statement.on_conflict_do_update(
            index_elements=[Call.call_id],
            set_={column: statement.excluded[column] for column in DECIDED},
            where=Call.decision.is_(None),
        )
        return connection.execute(statement, rows, execution_options={"preserve_rowcount": True}).rowcount

    def _add(self, connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
        if rows:
            connection.execute(self._insert(table).on_conflict_do_nothing(), rows)

    def _write_others(self, connection: Connection, entries: Sequence[Entry]) -> None:
        definitions = [dict(entry.definition) for entry in entries if isinstance(entry, DefinitionEntry)]
        self._add(connection, Definition.__table__, definitions)
        reports = (entry for entry in entries if isinstance(entry, ReportEntry))
        for report in sorted(reports, key=lambda report: str(report.call["call_id"])):
            self._report(connection, report)

    def _report(self, connection: Connection, report: ReportEntry) -> None:
        call_id = report.call["call_id"]
        self._add(connection, Call.__table__, [dict(report.call)])
        # The row is the lock under which reports of one call stand in line.
        standing = select(Call.reported_at).where(Call.call_id == call_id).with_for_update()
        latest = connection.execute(standing).scalar_one()
        self._add(connection, Assignment.__table__, [dict(row) for row in report.assignments])
        if report.delivered is not None:
            connection.execute(_fill_in_delivered(call_id, delivered=report.delivered))
        if report.outcomes is None:
            connection.execute(_update_status(report.call))
        elif latest is None or latest < report.reported_at:
            self._replace_outcomes(connection, report, report.outcomes)

    def _replace_outcomes(self, connection: Connection, report: ReportEntry, outcomes: Mapping[str, float]) -> None:
        call_id = report.call["call_id"]
        told = {key: report.call[key] for key in ("status", "end_reason", "ended_at") if report.call[key] is not None}
        told["reported_at"] = report.reported_at
        connection.execute(update(Call).where(Call.call_id == call_id).values(told))
        connection.execute(delete(Outcome).where(Outcome.call_id == call_id, _REPORTED))
        rows = [
            {"call_id": call_id, "name": name, "value": value, "reported_at": report.reported_at}
            for name, value in outcomes.items()
        ]
        self._add(connection, Outcome.__table__, rows)
        if report.transcript:
            connection.execute(delete(Transcript).where(Transcript.call_id == call_id))
            self._add(connection, Transcript.__table__, [dict(report.transcript)])


def _recorded(connection: Connection, call_id: str) -> Recorded:
    kind = connection.execute(select(Call.decision).where(Call.call_id == call_id)).scalar_one()
    rows = connection.execute(
        select(Assignment.experiment, Assignment.arm, Assignment.source, Assignment.definition)
        .where(Assignment.call_id == call_id)
        .order_by(Assignment.experiment)
    )
    return Recorded(kind, tuple(Assigned(*row) for row in rows))


def _fill_in_delivered(call_id: str, *, delivered: bool) -> Any:
    return (
        update(Assignment)
        .where(Assignment.call_id == call_id, Assignment.delivered.is_(None))
        .values(delivered=delivered)
    )


def _update_status(call: Mapping[str, Any]) -> Any:
    """An error is not taken back by a later, plainer word for the same end."""
    return (
        update(Call)
        .where(Call.call_id == call["call_id"], or_(Call.status.is_(None), Call.status != "ended-with-error"))
        .values({key: call[key] for key in ("status", "end_reason") if call[key] is not None})
    )


class _SQLiteLock:
    """A fair lock in the kernel around SQLite's transactions; nothing on other databases.

    SQLite's own waiting sleeps and tries again, and who sleeps longest may lose each time.
    """

    def __init__(self, engine: Engine) -> None:
        database = engine.url.database
        is_file = (
            engine.dialect.name == "sqlite" and database and database != ":memory:" and "mode=memory" not in database
        )
        self._path = f"{database}-pickup-lock" if is_file else None
        self._file: int | None = None
        self._pid = 0

    def __enter__(self) -> None:
        if self._path is None:
            return
        if self._file is None or self._pid != os.getpid():
            # A lock is shared with the parent of a fork through the file it was opened as.
            self._file, self._pid = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600), os.getpid()
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
