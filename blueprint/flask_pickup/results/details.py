"""What a page tells beside the results: callers a day, how the interval narrowed, who was left out, who came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, Row, Select, cast, exists, func, null, select
from sqlalchemy.dialects import postgresql, sqlite

from flask_pickup.models import Call
from flask_pickup.results.assembling import Analysis
from flask_pickup.results.calls import calls_by_reason, was_heard
from flask_pickup.results.counting import callers_of, means_by_arm
from flask_pickup.results.statement import WHO

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
    regulars: Mapping[str, Sequence[int]]
    before: Mapping[str, Sequence[Group]]
    sql: str


def details_of(found: Analysis, since: datetime, zone: tzinfo = UTC) -> ExperimentDetails:
    """Return the details of results.

    :param since: when their period began.
    :param zone: says when a day begins.
    """
    groups, days = _groups(found), dict[str, dict[str, int]]()
    for row in groups:
        hour = datetime.strptime(row.hour, "%Y-%m-%d %H").replace(tzinfo=UTC)
        day = days.setdefault(hour.astimezone(zone).date().isoformat(), {})
        day[row.arm] = day.get(row.arm, 0) + row.callers
    by_arm = {arm: [row for row in groups if row.arm == arm] for arm in {row.arm for row in groups}}
    primary = found.experiment.metric(found.experiment.primary)
    return ExperimentDetails(
        days=days,
        narrowing=_narrowing(found),
        reasons=calls_by_reason(found.connection, found.query, since),
        regulars={
            arm: tuple(sum(row.callers for row in rows if row.again == again) for again in (False, True))
            for arm, rows in by_arm.items()
        },
        before={
            arm: tuple(_mean([row for row in rows if row.had_called == had_called]) for had_called in (False, True))
            for arm, rows in (by_arm if primary else {}).items()
        },
        sql=_sql(found.connection, means_by_arm(found.connection, found.query, found.period.definitions)),
    )


def _groups(found: Analysis) -> Sequence[Row[Any]]:
    """Return the callers by hour, arm, whether they called again, and whether they had called before they were assigned."""
    primary = found.experiment.metric(found.experiment.primary)
    query = replace(found.query, metrics=(primary,) if primary else ())
    who = callers_of(found.connection, query, found.period.definitions).c
    s, d = list(who)[WHO:] or (cast(null(), Double), cast(null(), Double))
    earlier = (Call.caller_key == who.caller, Call.decided_at < who.since, was_heard())
    each = select(
        _hour(found.connection, who.since).label("hour"),
        who.arm,
        (who.calls > 1).label("again"),
        exists().where(*earlier, query.includes(Call.call_id)).label("had_called"),
        s.label("s"),
        d.label("d"),
    ).subquery()
    by = (each.c.hour, each.c.arm, each.c.again, each.c.had_called)
    sums = (func.count().label("callers"), func.sum(each.c.s).label("s"), func.sum(each.c.d).label("d"))
    return found.connection.execute(select(*by, *sums).group_by(*by).order_by(each.c.hour)).all()


def _mean(groups: Sequence[Row[Any]]) -> Group:
    d = sum(row.d or 0 for row in groups)
    return sum(row.callers for row in groups), sum(row.s or 0 for row in groups) / d if d else None


def _hour(connection: Connection, moment: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return the hour in UTC. SQLite knows no time zones, so the day is found in Python."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD HH24")
    return func.strftime("%Y-%m-%d %H", moment)


def _narrowing(found: Analysis) -> tuple[Mapping[str, Any], ...]:
    """Return the intervals of the primary metric at the weekly looks, the latest ``MOST_POINTS`` of evenly spread ones."""
    looks = found.looks
    step = max(1, -(-len(looks) // MOST_POINTS))
    return tuple(
        {
            "until": look.body["until"], "arm": each["arm"], "against": each["against"],
            "low": each["interval"][0], "high": each["interval"][1], "is_proportion": metric["is_proportion"],
        }
        for look in looks[(len(looks) - 1) % step :: step]
        for metric in look.body["metrics"] if metric["metric"] == found.experiment.primary
        for each in metric["comparisons"] if each["interval"]
    )  # fmt: skip


def _sql(connection: Connection, statement: Select[Any]) -> str:
    """Return a statement with its values in it, as psql and sqlite3 take it."""
    is_postgresql = connection.dialect.name == "postgresql"
    # Of any other style of parameters each % would be doubled.
    dialect = (postgresql if is_postgresql else sqlite).dialect(paramstyle="named")
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
