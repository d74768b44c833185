"""What a page tells beside the results: callers a day, how the interval narrowed, who was left out, who came back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from flask_pickup.catalog.definition import Experiment
from flask_pickup.models import Call
from flask_pickup.results.assembling import definitions_of, primary_at
from flask_pickup.results.counting import Question, acquaintance, enrolled, not_rehearsed, numbers
from flask_pickup.results.model import Results
from flask_pickup.results.periods import Body
from flask_pickup.results.reading import reading

MOST_POINTS = 12
"""Looks back at how the interval narrowed."""


@dataclass(frozen=True)
class Point:
    """A comparison of the primary metric as it was at the end of a week."""

    until: str
    arm: str
    against: str
    low: float
    high: float
    is_proportion: bool


Group = tuple[int, float | None]
"""Callers, and their mean; None if nobody of them has one."""


@dataclass(frozen=True)
class Story:
    """What a page tells beside the results, all of it about the period that they are of.

    :param days: day to arm to the callers who came new.
    :param reasons: reason to calls, of all calls since the period began.
    :param regulars: arm to the callers who called once, and those who called again.
    :param before: arm to the callers who had never called before they were enrolled, and those who had, each with their
        mean of the primary metric.
    :param sql: the statement that gives the numbers of all metrics.
    """

    days: Mapping[str, Mapping[str, int]]
    narrowing: tuple[Point, ...]
    reasons: Mapping[str, int]
    regulars: Mapping[str, tuple[int, int]]
    before: Mapping[str, tuple[Group, Group]]
    sql: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def story(engine: Engine, body: Body, found: Results, zone: tzinfo = UTC, patience: float | None = None) -> Story:
    """Return the story of results.

    :param body: the definition that the results are of.
    :param zone: says when a day begins.
    :param patience: seconds that a statement may take.
    """
    assert found.since is not None
    design = Experiment.of(body)
    question = Question(design.name, design.metrics, until=found.until)
    with reading(engine, patience) as connection:
        definitions = definitions_of(connection, body)
        return Story(
            days=_days(connection, question, found.since, zone),
            narrowing=_narrowing(engine, body, found),
            reasons=_reasons(connection, question, found.since),
            regulars=_regulars(connection, question, found.since),
            before=_before(connection, question, design.primary, definitions),
            sql=_sql(connection, numbers(connection, question, definitions)),
        )


def _days(connection: Connection, question: Question, since: datetime, zone: tzinfo) -> dict[str, dict[str, int]]:
    who = enrolled(question)
    hour = _hour(connection, who.c.since)
    statement = select(hour, who.c.arm, func.count()).where(who.c.since >= since).group_by(hour, who.c.arm)
    days: dict[str, dict[str, int]] = {}
    for at, arm, callers in sorted(connection.execute(statement)):
        day = datetime.strptime(at, "%Y-%m-%d %H").replace(tzinfo=UTC).astimezone(zone).date().isoformat()
        arms = days.setdefault(day, {})
        arms[arm] = arms.get(arm, 0) + callers
    return days


def _hour(connection: Connection, moment: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return the hour in UTC. Which day it belongs to is the time zone's to say, of which SQLite knows none."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD HH24")
    return func.strftime("%Y-%m-%d %H", moment)


def _reasons(connection: Connection, question: Question, since: datetime) -> dict[str, int]:
    reason = Call.reasons[question.experiment].as_string()
    statement = (
        select(reason, func.count())
        .where(Call.decided_at >= since, Call.decided_at < question.until, reason.is_not(None))
        .group_by(reason)
        .order_by(func.count().desc())
    )
    if not question.rehearsals:
        statement = statement.where(not_rehearsed(Call.call_id))
    return {row[0]: row[1] for row in connection.execute(statement)}


def _regulars(connection: Connection, question: Question, since: datetime) -> dict[str, tuple[int, int]]:
    who = enrolled(question)
    calls = (
        select(who.c.arm, func.count().label("calls"))
        .join(Call, Call.caller_key == who.c.caller_key)
        .where(who.c.since >= since, Call.decided_at >= who.c.since, Call.decided_at < question.until)
        .where(Call.decision != "closed")
        .group_by(who.c.caller_key, who.c.arm)
        .subquery()
    )
    again = func.sum(case((calls.c.calls > 1, 1), else_=0))
    statement = select(calls.c.arm, func.count() - again, again).group_by(calls.c.arm)
    return {arm: (int(once), int(more)) for arm, once, more in connection.execute(statement)}


def _narrowing(engine: Engine, body: Body, found: Results) -> tuple[Point, ...]:
    """Return the intervals at the ends of whole weeks, the latest ``MOST_POINTS`` of evenly spread ones."""
    assert found.since is not None
    weeks = (found.until - found.since) // timedelta(weeks=1)
    step = max(1, -(-weeks // MOST_POINTS))
    moments = [found.since + week * timedelta(weeks=1) for week in range(weeks % step or step, weeks + 1, step)]
    if not moments:
        return ()
    primary = Experiment.of(body).primary
    return tuple(point for then in primary_at(engine, body, moments) for point in _points(then, primary))


def _points(found: Results, primary: str) -> list[Point]:
    metric = found.metric(primary)
    if metric is None:
        return []
    return [
        Point(found.until.isoformat(), each.arm, each.against, *each.always_valid_interval, metric.is_proportion)
        for each in metric.comparisons
        if each.always_valid_interval
    ]


def _before(
    connection: Connection, question: Question, primary: str, definitions: Collection[str]
) -> dict[str, tuple[Group, Group]]:
    metrics = tuple(metric for metric in question.metrics if metric.name == primary)
    if not metrics:
        return {}
    statement = acquaintance(connection, replace(question, metrics=metrics), definitions)
    groups: dict[str, dict[bool, Group]] = {}
    for arm, known, callers, mean in connection.execute(statement):
        groups.setdefault(arm, {})[bool(known)] = (callers, mean)
    return {arm: (each.get(False, (0, None)), each.get(True, (0, None))) for arm, each in groups.items()}


def _sql(connection: Connection, statement: Select[Any]) -> str:
    """Return a statement with its values in it, as psql and sqlite3 take it."""
    is_postgresql = connection.dialect.name == "postgresql"
    # Of any other style of parameters each % would be doubled.
    dialect = (postgresql if is_postgresql else sqlite).dialect(paramstyle="named")
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
