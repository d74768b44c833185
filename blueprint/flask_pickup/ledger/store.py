"""Entries into tables: one transaction for as many as wait, each write idempotent on its key."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, delete, exists, false, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from flask_pickup.assignment import Assigned, Recorded
from flask_pickup.caller import REHEARSAL
from flask_pickup.flireo.report import ANALYSED, REPORTED_FLAGS, REPORTED_NUMBERS
from flask_pickup.ledger import tombstones
from flask_pickup.ledger.entries import CallEntry, DefinitionEntry, Entry, OutcomeEntry, ReportEntry, WithdrawnEntry
from flask_pickup.ledger.single_statement import SingleStatementInsert
from flask_pickup.models import (
    DECIDED,
    Assignment,
    Base,
    Call,
    Definition,
    Outcome,
    Transcript,
    begin_writing,
)
from flask_pickup.processes import PerProcess

_REPORTED = or_(Outcome.name.in_((*REPORTED_NUMBERS, *REPORTED_FLAGS)), Outcome.name.startswith(ANALYSED))

_LATEST = 20
"""Calls of a caller among which is looked for an outcome that was told before."""

T = TypeVar("T")


def is_about_the_row(error: BaseException) -> bool:
    """Return whether a database will never take what it was given; all else may pass."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError)
    # A value that could not be bound comes as a StatementError or as it was raised.
    return isinstance(error, StatementError) or not isinstance(error, SQLAlchemyError | OSError)


def _on_a_fresh_connection(do: Callable[[], T]) -> T:
    """Do something, once more where the pool held a connection from before the database's restart: then it is emptied.

    Where the first try was committed and only the word of it was lost, the second finds the same rows there.
    """
    try:
        return do()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
    return do()


class _AlreadyThere(Exception):
    """A call of the batch is in the table: which one, is found out one by one."""


class Store:
    """Writes entries through an engine: the host's, or Pickup's own."""

    def __init__(self, engine: Engine) -> None:
        is_postgresql = engine.dialect.name == "postgresql"
        self._engine = engine
        insert = (postgresql if is_postgresql else sqlite).insert
        # Made once: making one costs more than executing it.
        self._upsert_call = _upsert_call(insert(Call))
        self._tell_later = _tell_later(insert(Outcome))
        self.unjoined = 0
        self._add_new = {table: insert(table).on_conflict_do_nothing() for table in Base.metadata.sorted_tables}
        self._path = _sqlite_file(engine)
        self._lock = _KernelLock(f"{self._path}-pickup-lock" if self._path else None)
        self._single_statement = SingleStatementInsert(engine) if is_postgresql else None

    def write(self, entries: Sequence[Entry]) -> list[Recorded | None]:
        """Commit ``entries``.

        :returns: for each what the tables say instead, where a call had been decided before; else None.
        :raises sqlalchemy.exc.SQLAlchemyError: if the database does not take one of them; others may be there.
        """
        rest = self._left_of(entries)
        said = dict(zip(map(id, rest), self._write(rest), strict=True)) if rest else {}
        return [said.get(id(entry)) for entry in entries]

    def _left_of(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Write what one statement can write, and return the rest."""
        if self._single_statement is None:
            return entries
        calls = [entry for entry in entries if isinstance(entry, CallEntry)]
        return self._single_statement.add(calls) if len(calls) == len(entries) else entries

    def probe(self) -> None:
        """Do nothing, as a writer.

        :raises Exception: if the database would not take a row.
        """
        _on_a_fresh_connection(self._probe)

    def _probe(self) -> None:
        with self.transaction() as connection:
            connection.execute(update(Call).where(false()).values(decision=None))

    def _write(self, entries: Sequence[Entry]) -> list[Recorded | None]:
        return _on_a_fresh_connection(lambda: self._write_together(entries))

    def _write_together(self, entries: Sequence[Entry]) -> list[Recorded | None]:
        try:
            with self.transaction() as connection:
                self._write_in_order(connection, entries, self._add_calls)
            return [None] * len(entries)
        except _AlreadyThere:
            found: dict[int, Recorded | None] = {}
            with self.transaction() as connection:
                self._write_in_order(connection, entries, partial(self._add_or_read_each, found))
            return [found.get(id(entry)) for entry in entries]

    def _write_in_order(
        self, connection: Connection, entries: Sequence[Entry], add: Callable[[Connection, list[CallEntry]], None]
    ) -> None:
        """Write in one order everywhere, so that the batches of two processes cannot wait for each other in a circle.

        Definitions come first, then all that locks the row of a call, by its id.
        """
        definitions = [dict(entry.definition) for entry in entries if isinstance(entry, DefinitionEntry)]
        self._add(connection, Definition.__table__, sorted(definitions, key=lambda row: str(row["fingerprint"])))
        of_calls = [entry for entry in entries if not isinstance(entry, DefinitionEntry | OutcomeEntry)]
        for kind, group in groupby(sorted(of_calls, key=_place), key=type):
            if kind is CallEntry:
                add(connection, [entry for entry in group if isinstance(entry, CallEntry)])
                continue
            for entry in group:
                if isinstance(entry, ReportEntry):
                    self._report(connection, entry)
                elif isinstance(entry, WithdrawnEntry):
                    self._withdraw(connection, entry)
        self._tell(connection, [entry for entry in entries if isinstance(entry, OutcomeEntry)])

    def late_calls(self, entries: Sequence[Entry]) -> set[str]:
        """Return the ids of calls in ``entries`` that must not be written: their callers were forgotten since."""
        with self._engine.connect() as connection:
            return tombstones.late_calls(connection, entries)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that other processes' writing waits for, or that waits for theirs."""
        with self._lock, self._engine.connect() as connection:
            self._leave_a_replaced_file(connection)
            if connection.dialect.name == "postgresql":
                # Repeatable-read and serializable would turn a duplicate's conflict into an error. Set here, because an
                # engine that is derived from one with a level of its own keeps that level.
                connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                begin_writing(connection)
                yield connection

    def _leave_a_replaced_file(self, connection: Connection) -> None:
        """Open the file anew where it was deleted or replaced: the old one would take commits that nobody can read."""
        if self._path and connection.info.setdefault(_FILE, _identity(self._path)) != _identity(self._path):
            connection.invalidate()

    def _add_calls(self, connection: Connection, calls: Sequence[CallEntry]) -> None:
        if self._upsert(connection, [dict(entry.call) for entry in calls]) != len(calls):
            raise _AlreadyThere
        # A report that overtook its call may have brought an assignment back, which stands.
        rows = [dict(row) for entry in calls for row in entry.assignments]
        if self._add(connection, Assignment.__table__, rows) != len(rows):
            raise _AlreadyThere

    def _add_or_read_each(
        self, found: dict[int, Recorded | None], connection: Connection, calls: Sequence[CallEntry]
    ) -> None:
        found.update({id(entry): self._add_or_read(connection, entry) for entry in calls})

    def _add_or_read(self, connection: Connection, entry: CallEntry) -> Recorded | None:
        if self._upsert(connection, [dict(entry.call)]):
            rows = [dict(row) for row in entry.assignments]
            if self._add(connection, Assignment.__table__, rows) == len(rows):
                return None
        return _recorded(connection, entry.call["call_id"])

    def _upsert(self, connection: Connection, rows: list[dict[str, Any]]) -> int:
        """Insert calls, or fill in those that only a report has made; return how many were new in either way."""
        return connection.execute(self._upsert_call, rows, execution_options={"preserve_rowcount": True}).rowcount

    def _add(self, connection: Connection, table: Any, rows: list[dict[str, Any]]) -> int:
        """Insert the rows whose keys are not there; return how many that were."""
        if not rows:
            return 0
        return connection.execute(self._add_new[table], rows, execution_options={"preserve_rowcount": True}).rowcount

    def _withdraw(self, connection: Connection, entry: WithdrawnEntry) -> None:
        statement = update(Call).where(Call.call_id == entry.call_id, Call.decided_at == entry.decided_at)
        if connection.execute(statement.values(decision="fallback")).rowcount:
            statement = update(Assignment).where(Assignment.call_id == entry.call_id)
            connection.execute(statement.values(delivered=False))

    def _tell(self, connection: Connection, entries: Sequence[OutcomeEntry]) -> None:
        """Write the host's outcomes. Of two with one name of one call the later stands; so nothing changes twice."""
        told = [(call_id, entry) for entry in entries if (call_id := _call_of(connection, entry))]
        self.unjoined += len(entries) - len(told)
        rows = [
            {"call_id": call_id, "name": entry.name, "value": entry.value, "reported_at": entry.reported_at}
            for call_id, entry in sorted(told, key=lambda each: (each[0], each[1].name))
        ]
        if rows:
            connection.execute(self._tell_later, rows)

    def _report(self, connection: Connection, report: ReportEntry) -> None:
        call_id = report.call["call_id"]
        self._add(connection, Call.__table__, [dict(report.call)])
        # The row is the lock under which reports of one call stand in line.
        standing = select(Call.reported_at, Call.decided_at).where(Call.call_id == call_id).with_for_update()
        latest, decided_at = connection.execute(standing).one()
        if tombstones.is_late(connection, report, decided_at):
            tombstones.erase(connection, [call_id])
            return
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
        # Where another message made the row without a number, this one may have brought it.
        told["caller_key"] = func.coalesce(Call.caller_key, report.call["caller_key"])
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


def _upsert_call(insert: Any) -> Any:
    return insert.on_conflict_do_update(
        index_elements=[Call.call_id],
        set_={column: insert.excluded[column] for column in DECIDED},
        where=Call.decision.is_(None),
    )


def _tell_later(insert: Any) -> Any:
    return insert.on_conflict_do_update(
        index_elements=[Outcome.call_id, Outcome.name],
        set_={"value": insert.excluded.value, "reported_at": insert.excluded.reported_at},
        where=Outcome.reported_at < insert.excluded.reported_at,
    )


def _call_of(connection: Connection, entry: OutcomeEntry) -> str | None:
    """Return the call that an outcome belongs to, if it is there: a rehearsal is nobody's latest."""
    if entry.call_id is not None:
        statement = select(Call.call_id).where(Call.call_id == entry.call_id)
    else:
        latest = (
            select(Call.call_id, Call.decided_at)
            .where(Call.caller_key.in_(entry.caller_keys), Call.decided_at <= entry.reported_at)
            .where(~Call.call_id.startswith(REHEARSAL))
            .order_by(Call.decided_at.desc(), Call.call_id)
            .limit(_LATEST)
            .subquery()
        )
        # Told before, and joined to a call before a later one was there: it stays there.
        here = (Outcome.call_id == latest.c.call_id, Outcome.name == entry.name)
        told = exists().where(*here, Outcome.reported_at == entry.reported_at)
        order = (told.desc(), latest.c.decided_at.desc(), latest.c.call_id)
        statement = select(latest.c.call_id).order_by(*order).limit(1)
    found: str | None = connection.execute(statement).scalar()
    return found


def _place(entry: CallEntry | ReportEntry | WithdrawnEntry) -> tuple[str, bool]:
    """Return where an entry stands in a transaction; a call comes before what is told of it."""
    call_id = entry.call_id if isinstance(entry, WithdrawnEntry) else entry.call["call_id"]
    return str(call_id), not isinstance(entry, CallEntry)


def _recorded(connection: Connection, call_id: str) -> Recorded:
    kind = connection.execute(select(Call.decision).where(Call.call_id == call_id)).scalar_one()
    rows = connection.execute(
        select(Assignment.experiment, Assignment.arm, Assignment.source, Assignment.definition).where(
            Assignment.call_id == call_id
        )
    )
    # Sorted here: a database sorts names by its own language's rules, and arms are laid over each other in this order.
    return Recorded(kind, tuple(sorted((Assigned(*row) for row in rows), key=lambda assigned: assigned.experiment)))


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


_FILE = "pickup_file"


def _sqlite_file(engine: Engine) -> str | None:
    """Return the path of the database's file, if it is one that others can open by its path."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database == ":memory:" or database.startswith("file:"):
        return None
    return database


def _identity(path: str) -> tuple[int, int] | None:
    with suppress(OSError):
        status = os.stat(path)  # noqa: PTH116 (on the way of each commit)
        return status.st_dev, status.st_ino
    return None


class _KernelLock:
    """A fair lock among processes around SQLite's transactions; nothing where there is no path.

    SQLite's own waiting sleeps and tries again, and who sleeps longest may lose each time.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._files = PerProcess(self._open)

    def __enter__(self) -> None:
        if self._path is not None:
            self._close_inherited()
            fcntl.flock(self._files(), fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            fcntl.flock(self._files(), fcntl.LOCK_UN)

    def _open(self) -> int:
        assert self._path
        return os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def _close_inherited(self) -> None:
        """A lock that a parent held as it forked and died stays locked as long as the child has the parent's file."""
        for file in self._files.take_inherited():
            os.close(file)
