"""Calls as the pages show them: few rows, by key, under a time limit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from time import monotonic
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select, func, or_, select, tuple_
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from flask_pickup.caller import REHEARSAL
from flask_pickup.dashboard.call_filter import MISSING, NO, YES, CallFilter
from flask_pickup.engines import STATEMENT_TIMEOUT, reading
from flask_pickup.models import Assignment, Call, Outcome, Transcript

PAGE = 30

SEARCH_SECONDS = 0.1
"""How long a page looks for calls that match its filters, so that its time does not grow with the table."""
SEARCH_STEP = 1_000
"""Calls that are looked at between two looks at the clock."""


@dataclass(frozen=True)
class CallRow:
    """A call with its assignments and outcomes."""

    call: RowMapping
    assignments: Sequence[RowMapping]
    outcomes: Mapping[str, float]

    @property
    def is_rehearsal(self) -> bool:
        """Whether it is a call of ``flask pickup rehearse``, which results exclude."""
        return bool(self.call["call_id"].startswith(REHEARSAL))


@dataclass(frozen=True)
class CallsPage:
    """A page of calls, the latest first.

    :param following: the id of the call after which the next page begins; None where there are no earlier calls.
    :param looked_back_to: when the last call was that was looked at; None unless the page ends there.
    :param looked_at: how many were looked at until then.
    """

    calls: Sequence[CallRow]
    following: str | None
    looked_back_to: datetime | None = None
    looked_at: int = 0


def latest_calls(engine: Engine, before: str, wanted: CallFilter, zone: tzinfo) -> CallsPage | None:
    """Return a page of the calls that a filter wants, the latest first; None if ``before`` is unknown.

    :param before: the id of the call after which the page begins; empty for the first page.
    :param zone: in which the filter's days are.
    """
    candidates = select(Call.__table__).where(Call.decided_at.is_not(None), *_period(wanted, zone))
    candidates = candidates.order_by(Call.decided_at.desc(), Call.call_id.desc()).limit(SEARCH_STEP)
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        if before:
            decided_at = connection.scalar(select(Call.decided_at).where(Call.call_id == before))
            if decided_at is None:
                return None
            candidates = candidates.where(_comes_after(decided_at, before))
        return _search(connection, candidates, wanted)


def _search(connection: Connection, candidates: Select[Any], wanted: CallFilter) -> CallsPage:
    """Look at some candidates after the others until the page is full, or the time is up."""
    found, looked_at, stop = list[RowMapping](), 0, monotonic() + SEARCH_SECONDS
    while True:
        call = candidates.subquery("call")
        query = select(call).where(*_conditions(call.c, wanted))
        query = query.order_by(call.c.decided_at.desc(), call.c.call_id.desc()).limit(PAGE + 1 - len(found))
        found += connection.execute(query).mappings()
        if len(found) > PAGE:
            return CallsPage(_with_details(connection, found[:PAGE]), found[PAGE - 1]["call_id"])
        end = candidates.with_only_columns(Call.decided_at, Call.call_id).offset(SEARCH_STEP - 1).limit(1)
        last = connection.execute(end).one_or_none()
        looked_at += SEARCH_STEP
        if last is None:
            return CallsPage(_with_details(connection, found), None)
        if monotonic() > stop:
            return CallsPage(_with_details(connection, found), last.call_id, last.decided_at, looked_at)
        candidates = candidates.where(_comes_after(last.decided_at, last.call_id))


def _comes_after(decided_at: datetime, call_id: str) -> ColumnElement[bool]:
    """Say of a call that it comes after another in the list: that it was earlier."""
    return tuple_(Call.decided_at, Call.call_id) < (decided_at, call_id)


def _period(wanted: CallFilter, zone: tzinfo) -> Iterator[ColumnElement[bool]]:
    if wanted.since:
        yield Call.decided_at >= datetime.combine(wanted.since, time(), zone)
    if wanted.until:
        yield Call.decided_at < datetime.combine(wanted.until + timedelta(days=1), time(), zone)


def _conditions(call: ReadOnlyColumnCollection[str, Any], wanted: CallFilter) -> Iterator[ColumnElement[bool]]:
    """Yield what a call has to have.

    Each asks for one call's rows by their key: PostgreSQL would make of EXISTS a join that may read a table whole.
    """
    for name in ("line", "platform", "language"):
        if value := getattr(wanted, name):
            yield call[name] == value
    assigned = list[ColumnElement[bool]]()
    if wanted.experiment:
        assigned.append(Assignment.experiment == wanted.experiment)
    if wanted.arm:
        assigned.append(Assignment.arm == wanted.arm)
    if wanted.delivered:
        assigned.append(Assignment.delivered == (wanted.delivered == YES))
    if wanted.counted:
        assigned += [Assignment.source == "hash", ~Assignment.call_id.startswith(REHEARSAL)]
    if assigned:
        assignments = select(func.count()).where(Assignment.call_id == call.call_id, *assigned)
        yield assignments.scalar_subquery() > 0
    if wanted.outcome:
        query = select(Outcome.value).where(Outcome.call_id == call.call_id, Outcome.name == wanted.outcome)
        value = query.scalar_subquery()
        matches = {YES: value != 0, NO: value == 0, MISSING: value.is_(None)}
        yield matches.get(wanted.value or "", value.is_not(None))


def one_call(engine: Engine, call_id: str) -> tuple[CallRow, RowMapping | None] | None:
    """Return a call and its transcript, by its id or else by the platform's; None if there is no such call."""
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        by_id, by_theirs = (column == call_id for column in (Call.call_id, Call.platform_call_id))
        found = select(Call.__table__).where(or_(by_id, by_theirs)).order_by(by_id.desc()).limit(1)
        if not (calls := connection.execute(found).mappings().all()):
            return None
        ours = Transcript.call_id == calls[0]["call_id"]
        transcript = connection.execute(select(Transcript.__table__).where(ours))
        return _with_details(connection, calls)[0], transcript.mappings().first()


def _with_details(connection: Connection, calls: Sequence[RowMapping]) -> list[CallRow]:
    ids = [call["call_id"] for call in calls]
    assignments: defaultdict[str, list[RowMapping]] = defaultdict(list)
    outcomes: defaultdict[str, dict[str, float]] = defaultdict(dict)
    query = select(Assignment.__table__).where(Assignment.call_id.in_(ids)).order_by(Assignment.experiment)
    for row in connection.execute(query).mappings():
        assignments[row["call_id"]].append(row)
    for row in connection.execute(select(Outcome.__table__).where(Outcome.call_id.in_(ids))).mappings():
        outcomes[row["call_id"]][row["name"]] = row["value"]
    return [CallRow(call, assignments[call["call_id"]], outcomes[call["call_id"]]) for call in calls]
