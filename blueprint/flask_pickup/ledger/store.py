"""Writes entries to the tables: one transaction for a batch, each write idempotent on its key."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from itertools import groupby
from time import time

from sqlalchemy import Connection, Engine, exists, false, or_, select, update
from sqlalchemy.exc import DatabaseError, DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from flask_pickup.assignment import Assigned, Recorded
from flask_pickup.caller import REHEARSAL
from flask_pickup.engines import begin_writing, path_of
from flask_pickup.ledger import tombstones
from flask_pickup.ledger.entries import CallEntry, DefinitionEntry, Entry, OutcomeEntry, ReportEntry
from flask_pickup.ledger.inserts import Inserts
from flask_pickup.ledger.reported import outcome_row, write_report
from flask_pickup.ledger.single_statement import insert_new_calls
from flask_pickup.ledger.sqlite_file import FileReplaced, identity, is_wal_overwritten, kernel_lock
from flask_pickup.models import Assignment, Call, Definition, Outcome

log = logging.getLogger("flask_pickup")

_LATEST = 20
"""How many of a caller's latest calls may have the outcome already."""

_IDENTITY = "pickup_identity"
_IS_KNOWN = "SELECT 1 FROM pickup_calls WHERE call_id = ? UNION ALL SELECT 1 FROM pickup_forgotten WHERE mark = ?"
_DROPPED = Recorded("fallback", ())
"""The answer to a call of a caller who was forgotten: its row is not written, so it hears the base."""


def is_about_the_row(error: BaseException) -> bool:
    """Return whether the database refuses the row itself; any other error may pass."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError)
    # A value that cannot be bound raises a StatementError or an error of its own.
    return isinstance(error, StatementError) or not isinstance(error, SQLAlchemyError | OSError)


class Store:
    """Writes entries through an engine, the host's or Pickup's own.

    :param clock: gives the Unix time in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time) -> None:
        self._engine = engine
        self._clock = clock
        self._inserts = Inserts(engine.dialect.name)
        self._path = path_of(engine)
        self._autocommit = (
            engine.execution_options(isolation_level="AUTOCOMMIT") if engine.dialect.name == "postgresql" else None
        )
        self._last_call: str | None = None
        self.unjoined = 0
        self.foreign = 0

    def write(self, entries: Sequence[Entry]) -> list[Recorded | None]:
        """Commit ``entries``.

        :returns: per entry the recorded decision, if the call was decided before or its caller forgotten; else None.
        :raises sqlalchemy.exc.SQLAlchemyError: if the database takes not all of them; some may be there.
        """
        rest, calls = entries, [entry for entry in entries if isinstance(entry, CallEntry)]
        if self._autocommit and len(calls) == len(entries):
            rest = insert_new_calls(self._autocommit, calls)
        found = self._write_in_order(rest) if rest else {}
        for entry in calls:
            if found.get(id(entry)) is not _DROPPED:
                self._last_call = entry.call["call_id"]
        return [found.get(id(entry)) for entry in entries]

    def probe(self) -> None:
        """Write nothing, as a writer, and look for the last committed call.

        :raises FileReplaced: if another database was copied over SQLite's file, which lacks that call.
        :raises Exception: if the database would not take a row.
        """
        try:
            with self.transaction() as connection:
                connection.execute(update(Call).where(false()).values(decision=None))
            self._look_for_last_call()
        except (DatabaseError, sqlite3.DatabaseError):
            # A connection that met a malformed file, as while one is copied, keeps the pages that it read.
            if self._path:
                self._engine.dispose()
            raise

    def _look_for_last_call(self) -> None:
        if not self._path or not (call_id := self._last_call):
            return
        # Beside the pool: to open one of its connections anew would hide a lost WAL from the next transaction.
        with closing(sqlite3.connect(self._path)) as connection:
            if connection.execute(_IS_KNOWN, (call_id, tombstones.mark(call_id))).fetchone():
                return
        self._last_call = None
        self._engine.dispose()
        raise FileReplaced("the last committed call is not in the database")

    def _write_in_order(self, entries: Sequence[Entry]) -> dict[int, Recorded]:
        """Write in one order everywhere, so that the batches of two processes cannot wait for each other in a circle.

        Definitions come first, then all that locks the row of a call, by its id.

        :returns: the recorded decisions of calls whose own was not written, by the entry's identity.
        """
        with self.transaction() as connection:
            marks = tombstones.find_marks(connection, entries, self._now())
            found = {
                id(entry): _DROPPED
                for entry in entries
                if isinstance(entry, CallEntry) and tombstones.is_forgotten(marks, entry)
            }
            definitions = [entry.definition for entry in entries if isinstance(entry, DefinitionEntry)]
            definitions.sort(key=lambda row: str(row["fingerprint"]))
            self._inserts.new(connection, Definition.__table__, definitions)
            of_calls = [
                entry for entry in entries if isinstance(entry, CallEntry | ReportEntry) and id(entry) not in found
            ]
            for _, group in groupby(sorted(of_calls, key=_place), key=type):
                alike = list(group)
                if calls := [entry for entry in alike if isinstance(entry, CallEntry)]:
                    found |= self._add_calls(connection, calls)
                for report in alike:
                    if isinstance(report, ReportEntry) and not write_report(connection, self._inserts, report, marks):
                        self._count_foreign(report.call["call_id"])
            if outcomes := [entry for entry in entries if isinstance(entry, OutcomeEntry)]:
                self._add_outcomes(connection, outcomes)
        return found

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction for writing; processes that write to one SQLite file take turns.

        :raises FileReplaced: if SQLite's file or WAL was deleted or replaced: the commit went where no reader looks.
        """
        with kernel_lock(self._path) if self._path else nullcontext(), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                # Repeatable-read and serializable would turn a duplicate's conflict into an error. Set here, because an
                # engine that is derived from one with a level of its own keeps that level.
                connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                begin_writing(connection)
                yield connection
            self._check_file(connection)

    def _check_file(self, connection: Connection) -> None:
        if not self._path:
            return
        # After the commit, which went to the files that the connection opened.
        opened = connection.info.setdefault(_IDENTITY, now := identity(self._path))
        if opened != now or is_wal_overwritten(self._path):
            self._engine.dispose()
            connection.invalidate()
            raise FileReplaced("the database's file was deleted or replaced")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _add_calls(self, connection: Connection, calls: Sequence[CallEntry]) -> dict[int, Recorded]:
        """Insert calls, or fill in those that only a report has made; return what is recorded of the others."""
        # One delivery of each call, because no statement of PostgreSQL's may touch a row twice.
        given = {entry.call["call_id"]: entry for entry in reversed(calls)}
        new = self._inserts.calls(connection, [entry.call for entry in given.values()])
        if not_new := given.keys() - new:
            # The other calls were decided before, or are the row of a report of another platform.
            undecided = select(Call.call_id).where(Call.call_id.in_(not_new), Call.decision.is_(None))
            if foreign := sorted(connection.scalars(undecided)):
                tombstones.erase_calls(connection, foreign)
                new |= self._inserts.calls(connection, [given[call_id].call for call_id in foreign])
                for call_id in foreign:
                    self._count_foreign(call_id)
        rows = [row for call_id, entry in given.items() if call_id in new for row in entry.assignments]
        if self._inserts.new(connection, Assignment.__table__, rows) == len(rows) and len(new) == len(calls):
            return {}
        recorded = {call_id: _recorded(connection, call_id) for call_id in given}
        # A report that overtook its call may have brought an assignment, which stands.
        return {
            id(entry): recorded[call_id]
            for entry in calls
            if (call_id := entry.call["call_id"]) not in new
            or given[call_id] is not entry
            or {(each.experiment, each.arm) for each in recorded[call_id].assignments}
            != {(row["experiment"], row["arm"]) for row in entry.assignments}
        }

    def _count_foreign(self, call_id: str) -> None:
        self.foreign += 1
        log.warning("A report of another platform names call %r, and is dropped.", call_id)

    def write_outcomes(self, entries: Sequence[OutcomeEntry]) -> Counter[str]:
        """Commit the host's outcomes. Of several with one name of one call the one that happened latest stands.

        :returns: how many are ``new``, ``corrected``, ``unchanged``, ``older`` than what stands, and ``unjoined``.
        :raises sqlalchemy.exc.SQLAlchemyError: if the database fails.
        """
        with self.transaction() as connection:
            return self._add_outcomes(connection, entries)

    def _add_outcomes(self, connection: Connection, entries: Sequence[OutcomeEntry]) -> Counter[str]:
        joined = [(call_id, entry) for entry in entries if (call_id := _call_of(connection, entry))]
        columns = (Outcome.call_id, Outcome.name, Outcome.reported_at, Outcome.value)
        calls = connection.execute(select(*columns).where(Outcome.call_id.in_({call_id for call_id, _ in joined})))
        standing = {(call_id, name): (at, value) for call_id, name, at, value in calls}
        counts, written = Counter(unjoined=len(entries) - len(joined)), {}
        for call_id, entry in joined:
            key, told = (call_id, entry.name), (entry.reported_at, entry.value)
            before = standing.get(key)
            if before and before[1] == entry.value and entry.begins <= before[0] <= entry.reported_at:
                counts["unchanged"] += 1
            elif before and before[0] > entry.reported_at:
                counts["older"] += 1
            else:
                counts["corrected" if before else "new"] += 1
                standing[key] = told
                written[key] = outcome_row(call_id, entry.name, entry.value, entry.reported_at)
        self.unjoined += counts["unjoined"]
        self._inserts.outcomes(connection, list(written.values()), are_corrected=True)
        return counts


def _call_of(connection: Connection, entry: OutcomeEntry) -> str | None:
    """Return the call that an outcome belongs to, if it is there; a rehearsal is never a caller's latest call."""
    if entry.call_id is not None:
        ids = (entry.call_id, entry.pseudonym)
        is_ours = Call.call_id.in_(ids)
        statement = select(Call.call_id).where(or_(is_ours, Call.platform_call_id.in_(ids)))
        statement = statement.order_by(is_ours.desc(), Call.call_id).limit(1)
    else:
        latest = (
            select(Call.call_id, Call.decided_at)
            .where(Call.caller_key.in_(entry.caller_keys), Call.decided_at <= entry.reported_at)
            .where(~Call.call_id.startswith(REHEARSAL))
            .order_by(Call.decided_at.desc(), Call.call_id)
            .limit(_LATEST)
            .subquery()
        )
        # An outcome that was joined before stays with its call, though a later call has come since.
        here = (Outcome.call_id == latest.c.call_id, Outcome.name == entry.name)
        joined = exists().where(*here, Outcome.reported_at.between(entry.begins, entry.reported_at))
        order = (joined.desc(), latest.c.decided_at.desc(), latest.c.call_id)
        statement = select(latest.c.call_id).order_by(*order).limit(1)
    found: str | None = connection.execute(statement).scalar()
    return found


def _place(entry: CallEntry | ReportEntry) -> tuple[str, bool]:
    """Return an entry's place in the transaction: a call comes before its reports."""
    return str(entry.call["call_id"]), isinstance(entry, ReportEntry)


def _recorded(connection: Connection, call_id: str) -> Recorded:
    kind = connection.execute(select(Call.decision).where(Call.call_id == call_id)).scalar_one()
    columns = (Assignment.experiment, Assignment.arm, Assignment.source, Assignment.definition)
    rows = connection.execute(select(*columns).where(Assignment.call_id == call_id))
    # Sorted here, because each database has its own collation and arms are merged in this order.
    return Recorded(kind, tuple(sorted((Assigned(*row) for row in rows), key=lambda assigned: assigned.experiment)))
