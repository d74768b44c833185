"""What a page tells beside the results: callers a day, how the interval narrowed, who was left out, who came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from flask_pickup.results.assembling import Analysis
from flask_pickup.results.calls import calls_by_reason
from flask_pickup.results.counting import callers_of, means_by_arm, new_vs_returning

MOST_POINTS = 12
"""Looks back at how the interval narrowed."""


Group = tuple[int, float | None]
"""Callers, and their mean; None if none of them has one."""


@dataclass(frozen=True)
class ExperimentDetails:
    """What a page tells beside the results, all of it about the period that they are of.

    :param days: day to arm to its new callers.
    :param narrowing: comparisons of the primary metric as they were at the ends of weeks.
    :param reasons: reason to calls, of all calls since the period began.
    :param regulars: arm to the callers who called once, and those who called again.
    :param before: arm to the callers who had never called before they were enrolled, and those who had, each with their
        mean of the primary metric.
    :param sql: the statement that gives the numbers of all metrics.
    """

    days: Mapping[str, Mapping[str, int]]
    narrowing: tuple[Mapping[str, Any], ...]
    reasons: Mapping[str, int]
    regulars: Mapping[str, tuple[int, int]]
    before: Mapping[str, tuple[Group, Group]]
    sql: str

    def as_data(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def details_of(found: Analysis, since: datetime, zone: tzinfo = UTC) -> ExperimentDetails:
    """Return the details of results.

    :param since: when their period began.
    :param zone: says when a day begins.
    """
    connection, query = found.connection, found.query
    days, regulars = _days_and_regulars(found, zone)
    return ExperimentDetails(
        days=days,
        narrowing=_narrowing(found, since),
        reasons=calls_by_reason(connection, query, since),
        regulars=regulars,
        before=_before(found),
        sql=_sql(connection, means_by_arm(connection, query, found.period.definitions)),
    )


def _days_and_regulars(found: Analysis, zone: tzinfo) -> tuple[dict[str, dict[str, int]], dict[str, tuple[int, int]]]:
    who = callers_of(found.connection, replace(found.query, metrics=()), found.period.definitions)
    hour, again = _hour(found.connection, who.c.since), func.sum(case((who.c.calls > 1, 1), else_=0))
    statement = select(hour, who.c.arm, func.count(), again).group_by(hour, who.c.arm)
    days: dict[str, dict[str, int]] = {}
    regulars: dict[str, tuple[int, int]] = {}
    for at, arm, callers, more in sorted(map(tuple, found.connection.execute(statement))):
        day = datetime.strptime(at, "%Y-%m-%d %H").replace(tzinfo=UTC).astimezone(zone).date().isoformat()
        arms = days.setdefault(day, {})
        arms[arm] = arms.get(arm, 0) + callers
        once, often = regulars.get(arm, (0, 0))
        regulars[arm] = (once + callers - more, often + more)
    return days, regulars


def _hour(connection: Connection, moment: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return the hour in UTC. SQLite knows no time zones, so the day is found in Python."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD HH24")
    return func.strftime("%Y-%m-%d %H", moment)


def _narrowing(found: Analysis, since: datetime) -> tuple[Mapping[str, Any], ...]:
    """Return the intervals at the ends of whole weeks, the latest ``MOST_POINTS`` of evenly spread ones."""
    weeks = (found.query.until - since) // timedelta(weeks=1)
    step = max(1, -(-weeks // MOST_POINTS))
    moments = [since + week * timedelta(weeks=1) for week in range(weeks % step or step, weeks + 1, step)]
    return tuple(
        {
            "until": then.until.isoformat(), "arm": each.arm, "against": each.against,
            "low": each.always_valid_interval[0], "high": each.always_valid_interval[1],
            "is_proportion": metric.is_proportion,
        }
        for then in (found.primary_at(moments) if moments else ())
        for metric in then.metrics
        for each in metric.comparisons
        if each.always_valid_interval
    )  # fmt: skip


def _before(found: Analysis) -> dict[str, tuple[Group, Group]]:
    primary = found.experiment.metric(found.experiment.primary)
    if primary is None:
        return {}
    query = replace(found.query, metrics=(primary,))
    groups: dict[str, dict[bool, Group]] = {}
    statement = new_vs_returning(found.connection, query, found.period.definitions)
    for arm, is_returning, callers, mean in found.connection.execute(statement):
        groups.setdefault(arm, {})[bool(is_returning)] = (callers, mean)
    return {arm: (each.get(False, (0, None)), each.get(True, (0, None))) for arm, each in groups.items()}


def _sql(connection: Connection, statement: Select[Any]) -> str:
    """Return a statement with its values in it, as psql and sqlite3 take it."""
    is_postgresql = connection.dialect.name == "postgresql"
    # Of any other style of parameters each % would be doubled.
    dialect = (postgresql if is_postgresql else sqlite).dialect(paramstyle="named")
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
