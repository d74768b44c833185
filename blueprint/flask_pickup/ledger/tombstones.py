"""Tombstones: marks of forgotten callers and their calls, so that rows which arrive late are not written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection, delete, select

from flask_pickup.ledger.entries import CallEntry, Entry, ReportEntry
from flask_pickup.models import Assignment, Call, Forgotten, Outcome, Transcript

_TABLES = (Call, Assignment, Outcome, Transcript)
"""The tables with rows of a call. ``pickup_calls`` comes first: its row is the lock under which a call's reports queue."""

CLOCK_SKEW = timedelta(seconds=300)
"""How far a mark may lie in the future. A clock that is further ahead was wrong: the platform's requests do not verify."""

_NEVER = datetime.min.replace(tzinfo=UTC)

Marks = Mapping[str, datetime]
"""A forgotten call's id or caller's key to when it was forgotten."""


def mark(name: str) -> str:
    """Return the mark of a caller's key or a call's id, which cannot be traced back to it."""
    return sha256(b"pickup-forgotten:" + name.encode("utf-8", "surrogatepass")).hexdigest()


def erase_calls(connection: Connection, call_ids: Collection[str]) -> dict[str, int]:
    """Delete all rows of calls, and return how many that were by table."""
    return {
        table.__tablename__: connection.execute(delete(table).where(table.call_id.in_(call_ids))).rowcount
        for table in _TABLES
    }


def names_of(entry: Entry) -> set[str]:
    """Return the call id and the caller's key of a call or a report; none of other entries."""
    if not isinstance(entry, CallEntry | ReportEntry):
        return set()
    return {entry.call["call_id"], entry.call["caller_key"]} - {None}


def find_marks(connection: Connection, entries: Iterable[Entry], now: datetime) -> Marks:
    """Return the marked calls and callers of ``entries``; a mark that a wrong clock set in the future has no time yet."""
    # Most tables of marks are empty, and to see that costs a tenth of the query.
    if connection.exec_driver_sql("SELECT 1 FROM pickup_forgotten LIMIT 1").first() is None:
        return {}
    marks = {mark(name): name for entry in entries for name in names_of(entry)}
    found = connection.execute(select(Forgotten.mark, Forgotten.forgotten_at).where(Forgotten.mark.in_(marks)))
    return {marks[one]: at if at <= now + CLOCK_SKEW else _NEVER for one, at in found}


def is_forgotten(marks: Marks, call: CallEntry) -> bool:
    """Return whether a call must not be written: it is marked, or it was requested before its caller was forgotten."""
    forgotten_at = marks.get(call.call["caller_key"])
    return call.call["call_id"] in marks or (forgotten_at is not None and call.requested_at <= forgotten_at)
