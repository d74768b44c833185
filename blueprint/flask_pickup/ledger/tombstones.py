"""What is not to be written any more: late rows about callers who were forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, delete, select

from flask_pickup.ledger.entries import CallEntry, Entry, ReportEntry
from flask_pickup.models import Assignment, Call, Forgotten, Outcome, Transcript

TABLES = (Call, Assignment, Outcome, Transcript)
"""Where a call has rows. The call's own goes first: it is the lock under which a report of it stands in line."""


def mark(value: str) -> str:
    """Return what stands for a caller's key or a call's id; nothing leads back from it."""
    return sha256(b"pickup-forgotten:" + value.encode("utf-8", "surrogatepass")).hexdigest()


def erase(connection: Connection, call_ids: Collection[str]) -> dict[str, int]:
    """Delete all that is held on calls, and return how many rows of each table that was."""
    return {
        table.__tablename__: connection.execute(delete(table).where(table.call_id.in_(call_ids))).rowcount
        for table in TABLES
    }


def late_calls(connection: Connection, entries: Iterable[Entry]) -> set[str]:
    """Return the ids of those calls among ``entries`` that were decided before their caller was forgotten."""
    calls = {entry.call["call_id"]: entry for entry in entries if isinstance(entry, CallEntry)}
    names = {call_id: _names(entry) for call_id, entry in calls.items()}
    marks = _found(connection, {name for of_call in names.values() for name in of_call})
    return {
        call_id
        for call_id, entry in calls.items()
        if any(entry.call["decided_at"] <= marks[name] for name in names[call_id] if name in marks)
    }


def is_late(connection: Connection, report: ReportEntry, decided_at: datetime | None) -> bool:
    """Return whether a report is about a call of before its caller was forgotten.

    :param decided_at: the call's, if it has a row that was decided.
    """
    marks = _found(connection, _names(report)).values()
    return any(decided_at is None or decided_at <= forgotten_at for forgotten_at in marks)


def _names(entry: CallEntry | ReportEntry) -> set[str]:
    keys = {entry.call["caller_key"], *(row["caller_key"] for row in entry.assignments)}
    return {entry.call["call_id"], *(key for key in keys if key)}


def _found(connection: Connection, names: Collection[str]) -> dict[str, datetime]:
    marks = {mark(name): name for name in names}
    if not marks:
        return {}
    rows = connection.execute(select(Forgotten.mark, Forgotten.forgotten_at).where(Forgotten.mark.in_(marks)))
    return {marks[found]: forgotten_at for found, forgotten_at in rows}
