"""How the reports and statuses of one call become its rows: the latest word on each thing stands, whichever comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update

from flask_pickup.ledger import tombstones
from flask_pickup.ledger.entries import ReportEntry
from flask_pickup.ledger.inserts import Inserts
from flask_pickup.models import Assignment, Call, Outcome, Transcript
from flask_pickup.outcome_names import ANALYSED, REPORTED_FLAGS, REPORTED_NUMBERS

_REPORTED = or_(Outcome.name.in_((*REPORTED_NUMBERS, *REPORTED_FLAGS)), Outcome.name.startswith(ANALYSED))

_FACTS = ("status", "end_reason", "ended_at", "platform_call_id")
"""Columns of a call that reports bring."""
_WORDS = ("summary", "messages")
"""Columns of its transcript."""
_WHOLE = "whole"
"""Stands in ``part_times`` for the latest whole report, which is None if there is none."""

_LOCKED = select(
    *(Call.__table__.c[name] for name in ("platform", "caller_key", "decided_at", "reported_at", "part_times", *_FACTS))
).with_for_update()
_TRANSCRIPT = select(*(Transcript.__table__.c[name] for name in _WORDS))


def write_report(connection: Connection, inserts: Inserts, report: ReportEntry, marks: tombstones.Marks) -> bool:
    """Write what a report or a status says about a call; return whether it is of the call's own platform.

    Ids of all platforms share one namespace: a report from another platform than its call's is not about that call.
    """
    call_id = report.call["call_id"]
    inserts.new(connection, Call.__table__, [report.call])
    # The row is the lock under which reports of one call queue.
    call = connection.execute(_LOCKED.where(Call.call_id == call_id)).one()
    # A decided call of a marked caller has a row only if it came after the caller was forgotten.
    if call_id in marks or (call.decided_at is None and not tombstones.names_of(report).isdisjoint(marks)):
        tombstones.erase_calls(connection, [call_id])
        return True
    if call.platform != report.call["platform"]:
        return False
    inserts.new(connection, Assignment.__table__, report.assignments)
    if report.delivered is not None:
        unknown = update(Assignment).where(Assignment.call_id == call_id, Assignment.delivered.is_(None))
        connection.execute(unknown.values(delivered=report.delivered))
    if report.outcomes is None:
        # A later, plainer status does not replace an error.
        plain = or_(Call.status.is_(None), Call.status != "ended-with-error")
        if known := {key: report.call[key] for key in ("status", "end_reason") if report.call[key] is not None}:
            connection.execute(update(Call).where(Call.call_id == call_id, plain).values(known))
    else:
        _complete(connection, inserts, report, report.outcomes, call)
    return True


def _complete(
    connection: Connection, inserts: Inserts, report: ReportEntry, outcomes: Mapping[str, float], call: Row[Any]
) -> None:
    """Write what a report tells that nobody has told, or not as late."""
    call_id, at, before = report.call["call_id"], report.reported_at, _times_of(call)
    whole_at = before[_WHOLE]
    if whole_at is None or whole_at < at or (whole_at == at and not report.is_whole):
        if report.is_whole:
            whole_at = at
            connection.execute(delete(Outcome).where(Outcome.call_id == call_id, _REPORTED, Outcome.reported_at < at))
        inserts.outcomes(connection, [outcome_row(call_id, name, value, at) for name, value in outcomes.items()])
    facts, times = _latest(call, report.call, _FACTS, at, before)
    if report.transcript:
        inserts.new(connection, Transcript.__table__, [report.transcript])
        transcript = connection.execute(_TRANSCRIPT.where(Transcript.call_id == call_id)).one()
        words, word_times = _latest(transcript, report.transcript, _WORDS, at, before)
        _update(connection, Transcript, call_id, transcript, words)
        times |= word_times
    latest = max(at, call.reported_at or at)
    times = {name: since for name, since in {**times, _WHOLE: whole_at}.items() if since != latest}
    facts["reported_at"] = latest
    # Most calls have one report, and no such times.
    facts["part_times"] = {name: since and since.isoformat() for name, since in times.items()} or None
    # Another event may have made the row without a number.
    facts["caller_key"] = call.caller_key or report.call["caller_key"]
    _update(connection, Call, call_id, call, facts)


def _update(
    connection: Connection, table: type[Call | Transcript], call_id: str, standing: Row[Any], values: Mapping[str, Any]
) -> None:
    """Write the values of a row that are not there."""
    if changed := {name: value for name, value in values.items() if value != getattr(standing, name)}:
        connection.execute(update(table).where(table.call_id == call_id).values(changed))


def _times_of(call: Row[Any]) -> Mapping[str, datetime | None]:
    """Return when each thing was told that stands."""
    others = {name: since and datetime.fromisoformat(since) for name, since in (call.part_times or {}).items()}
    return {**dict.fromkeys((*_FACTS, *_WORDS, _WHOLE), call.reported_at), **others}


def _latest(
    standing: Row[Any],
    told: Mapping[str, Any],
    names: Sequence[str],
    at: datetime,
    before: Mapping[str, datetime | None],
) -> tuple[dict[str, Any], dict[str, datetime | None]]:
    """Return what is known now that a report told something ``at`` a time, and since when."""
    known, times = dict[str, Any](), dict[str, datetime | None]()
    for name in names:
        stands, tells, since = getattr(standing, name), told.get(name), before[name]
        if tells is not None and (stands is None or since is None or since < at):
            known[name], times[name] = tells, at
        elif stands is not None:
            known[name], times[name] = stands, since
    return known, times


def outcome_row(call_id: str, name: str, value: float, reported_at: datetime) -> dict[str, Any]:
    """Return a row of ``pickup_outcomes``."""
    return {"call_id": call_id, "name": name, "value": value, "reported_at": reported_at}
