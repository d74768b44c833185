"""What a page tells beside the results: callers a day, how the interval narrowed, who was left out, who came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from flask_pickup.models import Call
from flask_pickup.results.assembling import primary_at
from flask_pickup.results.counting import Question, enrolled, not_rehearsed, statement_of
from flask_pickup.results.model import Design, Results
from flask_pickup.results.periods import Body

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


@dataclass(frozen=True)
class Story:
    """What a page tells beside the results, all of it about the period that they are of.

    :param days: day to arm to the callers who came new.
    :param reasons: reason to calls, of all calls since the period began.
    :param regulars: arm to the callers who called once, and those who called again.
    :param sql: the statement that counts.
    """

    days: Mapping[str, Mapping[str, int]]
    narrowing: tuple[Point, ...]
    reasons: Mapping[str, int]
    regulars: Mapping[str, tuple[int, int]]
    sql: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def story(engine: Engine, body: Body, found: Results, zone: tzinfo = UTC, *, rehearsals: bool = False) -> Story:
    """Return the story of results.

    :param body: the definition that the results are of.
    :param zone: says when a day begins.
    """
    assert found.since is not None
    design = Design.of(body)
    question = Question(design.experiment, design.metrics, until=found.until, rehearsals=rehearsals)
    with engine.connect() as connection:
        return Story(
            days=_days(connection, question, found.since, zone),
            narrowing=_narrowing(engine, body, found, rehearsals=rehearsals),
            reasons=_reasons(connection, question, found.since),
            regulars=_regulars(connection, question, found.since),
            sql=_sql(connection, question),
        )


def _days(connection: Connection, question: Question, since: datetime, zone: tzinfo) -> dict[str, dict[str, int]]:
    who = enrolled(question)
    hour = _hour(connection, who.c.since)
    statement = select(hour, who.c.arm, func.count()).where(who.c.since >= since).group_by(hour, who.c.arm)
    days: dict[str, dict[str, int]] = {}
    for at, arm, callers in sorted(connection.execute(statement).tuples()):
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


def _narrowing(engine: Engine, body: Body, found: Results, *, rehearsals: bool) -> tuple[Point, ...]:
    """Return the intervals at the ends of whole weeks, the latest ``MOST_POINTS`` of evenly spread ones."""
    assert found.since is not None
    weeks = (found.until - found.since) // timedelta(weeks=1)
    step = max(1, -(-weeks // MOST_POINTS))
    moments = [found.since + week * timedelta(weeks=1) for week in range(weeks % step or step, weeks + 1, step)]
    if not moments:
        return ()
    primary = Design.of(body).primary
    return tuple(
        point for then in primary_at(engine, body, moments, rehearsals=rehearsals) for point in _points(then, primary)
    )


def _points(found: Results, primary: str) -> list[Point]:
    metric = found.metric(primary)
    if metric is None:
        return []
    return [
        Point(found.until.isoformat(), each.arm, each.against, *each.always_valid_interval, metric.is_proportion)
        for each in metric.comparisons
        if each.always_valid_interval
    ]


def _sql(connection: Connection, question: Question) -> str:
    """Return the statement that counts the first metric, with its values in it."""
    one = replace(question, metrics=question.metrics[:1])
    dialect = postgresql.dialect() if connection.dialect.name == "postgresql" else sqlite.dialect()  # type: ignore[no-untyped-call]
    statement = statement_of(connection, one)
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
