"""Calls as the pages show them: few rows, by key, under a time limit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, RowMapping, func, or_, select, tuple_

from flask_pickup.engines import reading
from flask_pickup.models import Assignment, Call, Outcome, Transcript

STATEMENT_TIMEOUT = 3.0
"""Seconds that a page's query may take."""

PAGE = 50


@dataclass(frozen=True)
class CallRow:
    """A call with its assignments and outcomes."""

    call: RowMapping
    assignments: Sequence[RowMapping]
    outcomes: Mapping[str, float]


def latest_calls(engine: Engine, before: str) -> tuple[list[CallRow], bool] | None:
    """Return a page of calls, the latest first, and whether there are more; None if ``before`` is unknown.

    :param before: the id of the last call of the page before; empty for the first page.
    """
    query = select(Call.__table__).where(Call.decided_at.is_not(None))
    query = query.order_by(Call.decided_at.desc(), Call.call_id.desc()).limit(PAGE + 1)
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        if before:
            decided_at = connection.scalar(select(Call.decided_at).where(Call.call_id == before))
            if decided_at is None:
                return None
            query = query.where(tuple_(Call.decided_at, Call.call_id) < (decided_at, before))
        calls = connection.execute(query).mappings().all()
        return _with_details(connection, calls[:PAGE]), len(calls) > PAGE


def last_events(engine: Engine, since: datetime) -> Mapping[str, tuple[datetime | None, datetime | None]]:
    """Return each platform's last call and the last report, of the calls from ``since`` on."""
    last = (Call.platform, func.max(Call.decided_at), func.max(Call.reported_at))
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        rows = connection.execute(select(*last).where(Call.decided_at >= since).group_by(Call.platform))
        return {platform: (called, reported) for platform, called, reported in rows}


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
