"""What a page tells beside the results: callers a day, how the interval narrowed, who was left out, who came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import Connection, Select
from sqlalchemy.dialects import postgresql, sqlite

from flask_pickup.results.assembling import Analysis
from flask_pickup.results.breakdowns import Breakdown, breakdowns_of, caller_groups
from flask_pickup.results.calls import calls_by_reason
from flask_pickup.results.counting import means_by_arm

MOST_POINTS = 12
"""Looks back at how the interval narrowed."""


@dataclass(frozen=True)
class ExperimentDetails:
    """What a page tells beside the results, all of it about the period that they are of.

    :param days: day to arm to its new callers.
    :param narrowing: comparisons of the primary metric as they were at the ends of weeks.
    :param reasons: reason to calls, of all calls since the period began.
    :param regulars: arm to the callers who called once, and those who called again.
    :param breakdowns: those of the primary metric.
    :param sql: the statement that gives the numbers of all metrics.
    """

    days: Mapping[str, Mapping[str, int]]
    narrowing: tuple[Mapping[str, Any], ...]
    reasons: Mapping[str, int]
    regulars: Mapping[str, Sequence[int]]
    breakdowns: tuple[Breakdown, ...]
    sql: str


def details_of(found: Analysis, since: datetime, zone: tzinfo = UTC) -> ExperimentDetails:
    """Return the details of results.

    :param since: when their period began.
    :param zone: says when a day begins.
    """
    groups, days = caller_groups(found), dict[str, dict[str, int]]()
    for row in groups.rows:
        hour = datetime.strptime(row.hour, "%Y-%m-%d %H").replace(tzinfo=UTC)
        day = days.setdefault(hour.astimezone(zone).date().isoformat(), {})
        day[row.arm] = day.get(row.arm, 0) + row.callers
    by_arm = {arm: [row for row in groups.rows if row.arm == arm] for arm in {row.arm for row in groups.rows}}
    return ExperimentDetails(
        days=days,
        narrowing=_narrowing(found),
        reasons=calls_by_reason(found.connection, found.query, since),
        regulars={
            arm: tuple(sum(row.callers for row in rows if row.again == again) for again in (False, True))
            for arm, rows in by_arm.items()
        },
        breakdowns=breakdowns_of(found, groups),
        sql=_sql(found.connection, means_by_arm(found.connection, found.query, found.period.definitions)),
    )


def _narrowing(found: Analysis) -> tuple[Mapping[str, Any], ...]:
    """Return the intervals of the primary metric at the weekly looks, the latest ``MOST_POINTS`` of evenly spread ones."""
    looks = found.looking.past.looks
    step = max(1, -(-len(looks) // MOST_POINTS))
    return tuple(
        {
            "until": look.body["until"], "arm": each["arm"], "against": each["against"],
            "low": each["interval"][0], "high": each["interval"][1], "difference": each["difference"],
            "is_proportion": metric["is_proportion"],
        }
        for look in looks[(len(looks) - 1) % step :: step]
        for metric in look.body["metrics"] if metric["metric"] == found.experiment.primary
        for each in metric["comparisons"] if each["interval"] and each["state"] != "suppressed"
    )  # fmt: skip


def _sql(connection: Connection, statement: Select[Any]) -> str:
    """Return a statement with its values in it, as psql and sqlite3 take it."""
    is_postgresql = connection.dialect.name == "postgresql"
    # Of any other style of parameters each % would be doubled.
    dialect = (postgresql if is_postgresql else sqlite).dialect(paramstyle="named")
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
