"""From rows to sums, in SQL: first for each caller, then for each arm. No row of a call comes into Python.

A caller belongs to the arm and the definition of their first hashed assignment, and counts with all calls from then on:
also those after they left the audience, the layer or the traffic, because an arm may change who stays in them. Calls
that were turned away before an arm could be heard do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Double,
    RowMapping,
    Select,
    and_,
    case,
    cast,
    extract,
    func,
    literal,
    select,
)

from flask_pickup.caller import REHEARSAL
from flask_pickup.flireo.report import is_reported
from flask_pickup.models import Assignment, Call, Outcome
from flask_pickup.results.model import Coverage, MetricDesign
from flask_pickup.results.sums import Sums

_DAY = 86_400.0
_DIGITS = 6
RECENT = timedelta(weeks=4)


@dataclass(frozen=True)
class Question:
    """Whose calls are counted, and up to when.

    :param until: calls and callers from then on do not count.
    :param rehearsals: whether rehearsed calls count.
    :param one_arm: whether callers who were in two arms are left out.
    """

    experiment: str
    metrics: tuple[MetricDesign, ...]
    until: datetime
    rehearsals: bool = False
    one_arm: bool = False


@dataclass(frozen=True)
class Counts:
    """What the callers of one arm, who were assigned under one definition, come to.

    :param since: the first assignment.
    :param recent: callers who came in the last four weeks.
    :param most_calls: those of the caller who called most.
    :param known_calls: calls of which it is known whether the arm was spoken.
    """

    callers: int
    calls: int
    since: datetime | None
    recent: int
    most_calls: int
    reported: int
    unreported: int
    known: int
    undelivered: int
    known_calls: int
    undelivered_calls: int
    unassigned: int
    calls_squared: float
    metrics: Mapping[str, Sums]

    def __add__(self, other: Counts) -> Counts:
        """Return both together."""
        return Counts(
            since=min(filter(None, (self.since, other.since)), default=None),
            most_calls=max(self.most_calls, other.most_calls),
            metrics={name: sums + other.metrics[name] for name, sums in self.metrics.items()},
            **{name: getattr(self, name) + getattr(other, name) for name in _ADDED},
        )


_ADDED = (
    *("callers", "calls", "recent", "reported", "unreported", "known", "undelivered", "known_calls"),
    *("undelivered_calls", "unassigned", "calls_squared"),
)

ByArm = Mapping[tuple[str, str], Counts]
"""Fingerprint of a definition and arm to their counts."""


def count(connection: Connection, question: Question) -> ByArm:
    """Return what the rows of an experiment come to."""
    scales = {metric.name: _scale(connection, question, metric) for metric in question.metrics}
    statement = _Statement(connection.dialect.name, question, scales).build()
    rows = connection.execute(statement).mappings()
    return {(row["definition"], row["arm"]): _counts(row, scales) for row in rows}


def statement_of(connection: Connection, question: Question) -> Select[Any]:
    """Return the statement that :func:`count` executes, for who wants to execute it themselves."""
    scales = {metric.name: _scale(connection, question, metric) for metric in question.metrics}
    return _Statement(connection.dialect.name, question, scales).build()


def together(counts: Iterable[Counts]) -> Counts | None:
    """Return several counts as one; None if there are none."""
    found = list(counts)
    return reduce(add, found) if found else None


_WHOLE = ("callers", "calls", "missing", "asked", "incomplete")
_EXACT = ("s", "d", "ss", "dd", "sd")

# --- what a metric is measured in -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scale:
    """What is known of a metric's values before they are summed.

    :param centre: a rounded number near the mean, from which they are measured.
    :param cap: what larger values are cut to.
    """

    centre: float = 0.0
    is_proportion: bool = False
    cap: float | None = None


def _scale(connection: Connection, question: Question, metric: MetricDesign) -> _Scale:
    beyond = func.max(case((Outcome.value.in_((0, 1)), 0), else_=1))
    statement = select(func.avg(Outcome.value), beyond).where(Outcome.name == metric.outcome)
    mean, is_number = connection.execute(statement).one()
    if mean is None or not is_number:
        return _Scale(is_proportion=mean is not None)
    cap = _cap(connection, question, metric) if metric.cap else None
    return _Scale(centre=float(f"{mean:.{_DIGITS}g}"), cap=cap)


def _cap(connection: Connection, question: Question, metric: MetricDesign) -> float | None:
    """Return the percentile of what callers or calls have in all arms together; those without a value are no part."""
    statement = _Statement(connection.dialect.name, question, {metric.name: _Scale()})
    values = statement.values_of(metric).subquery()
    total = connection.execute(select(func.count()).select_from(values)).scalar_one()
    place = int((metric.cap or 1) * max(total - 1, 0))
    ordered = select(values.c.value).order_by(values.c.value).offset(place).limit(1)
    return connection.execute(ordered).scalar()


# --- the statement ----------------------------------------------------------------------------------------------------


class _Statement:
    """Four steps: who is enrolled, their calls, what both come to for each caller, and that for each arm."""

    def __init__(self, dialect: str, question: Question, scales: Mapping[str, _Scale]) -> None:
        self._is_sqlite = dialect == "sqlite"
        self._question = question
        self._scales = scales
        self._enrolled = enrolled(question)
        self._calls = self._called()

    def build(self) -> Select[Any]:
        """Return the statement: a row for each definition and arm."""
        who, calls, values = self._enrolled, self._calls_of_callers(), self._values_of_callers()
        recent = self._question.until - RECENT
        columns: list[ColumnElement[Any]] = [
            func.count().label("callers"),
            func.min(who.c.since).label("since"),
            func.sum(case((who.c.since >= recent, 1), else_=0)).label("recent"),
            func.max(calls.c.calls).label("most_calls"),
            func.sum(cast(calls.c.calls * calls.c.calls, Double)).label("calls_squared"),
        ]
        summed = ("calls", "unassigned", "known_calls", "undelivered_calls")
        columns += [func.sum(func.coalesce(calls.c[name], 0)).label(name) for name in summed]
        some = {
            "reported": calls.c.reported_calls > 0,
            "unreported": calls.c.reported_calls < calls.c.calls,
            "known": calls.c.known_calls > 0,
            "undelivered": calls.c.undelivered_calls > 0,
        }
        columns += [func.sum(case((has, 1), else_=0)).label(name) for name, has in some.items()]
        for index, metric in enumerate(self._question.metrics):
            columns += self._sums(index, metric, calls, values)
        tables = who.outerjoin(calls, calls.c.caller_key == who.c.caller_key)
        if self._question.metrics:
            tables = tables.outerjoin(values, values.c.caller_key == who.c.caller_key)
        return select(who.c.definition, who.c.arm, *columns).select_from(tables).group_by(who.c.definition, who.c.arm)

    def values_of(self, metric: MetricDesign) -> Select[Any]:
        """Return the values of a metric, one for each call or caller that has any."""
        calls, belongs = self._calls, self._belongs(metric)
        value = func.sum(Outcome.value) if metric.per == "caller" else Outcome.value
        found = select(value.label("value")).join(calls, calls.c.call_id == Outcome.call_id).where(belongs)
        return found.group_by(calls.c.caller_key) if metric.per == "caller" else found

    def _called(self) -> CTE:
        """Return the calls that count, each with its caller."""
        who, question = self._enrolled, self._question
        assigned = and_(Assignment.call_id == Call.call_id, Assignment.experiment == question.experiment)
        found = (
            select(
                who.c.caller_key,
                Call.call_id,
                who.c.since,
                self._days(Call.decided_at, who.c.since).label("days"),
                case((Call.reported_at.is_(None), 0), else_=1).label("reported"),
                case((Assignment.call_id.is_(None), 1), else_=0).label("unassigned"),
                Assignment.delivered,
            )
            .join(Call, Call.caller_key == who.c.caller_key)
            .outerjoin(Assignment, assigned)
            .where(Call.decided_at >= who.c.since, Call.decided_at < question.until, Call.decision != "closed")
        )
        if not question.rehearsals:
            found = found.where(not_rehearsed(Call.call_id))
        return found.cte("calls")

    def _calls_of_callers(self) -> CTE:
        calls = self._calls
        known = case((calls.c.delivered.is_(None), 0), else_=1)
        undelivered = case((calls.c.delivered.is_(False), 1), else_=0)
        columns = [
            func.count().label("calls"),
            func.sum(calls.c.reported).label("reported_calls"),
            func.sum(calls.c.unassigned).label("unassigned"),
            func.sum(known).label("known_calls"),
            func.sum(undelivered).label("undelivered_calls"),
        ]
        for index, metric in enumerate(self._question.metrics):
            if metric.within is not None:
                inside = case((calls.c.days < metric.within, 1), else_=0)
                columns.append(func.sum(inside).label(f"calls_{index}"))
        return select(calls.c.caller_key, *columns).group_by(calls.c.caller_key).cte("callers_calls")

    def _values_of_callers(self) -> CTE:
        """Return for each caller and metric how many calls have a value, and what the values come to."""
        calls, columns = self._calls, []
        for index, metric in enumerate(self._question.metrics):
            belongs, scale = self._belongs(metric), self._scales[metric.name]
            # Per call a value is cut and shifted where it stands; per caller that is done with what they come to.
            value = _cut(Outcome.value, scale) - scale.centre if metric.per == "call" else Outcome.value
            whole = func.max if metric.per == "caller" and scale.is_proportion else func.sum
            columns.append(func.sum(case((belongs, 1), else_=0)).label(f"with_{index}"))
            columns.append(whole(case((belongs, value))).label(f"value_{index}"))
        names = {metric.outcome for metric in self._question.metrics}
        return (
            select(calls.c.caller_key, *columns)
            .join(Outcome, Outcome.call_id == calls.c.call_id)
            .where(Outcome.name.in_(sorted(names)))
            .group_by(calls.c.caller_key)
            .cte("callers_values")
        )

    def _belongs(self, metric: MetricDesign) -> ColumnElement[bool]:
        """Return whether an outcome is the metric's, and in time."""
        named: ColumnElement[bool] = Outcome.name == metric.outcome
        if metric.within is None:
            return named
        in_time = self._calls.c.days < metric.within
        if is_reported(metric.outcome):
            return and_(named, in_time)
        return and_(named, in_time, self._days(Outcome.reported_at, self._calls.c.since) < metric.within)

    def _sums(self, index: int, metric: MetricDesign, calls: CTE, values: CTE) -> list[ColumnElement[Any]]:
        """Return the columns of a metric's :class:`Sums`."""
        pair = self._pair(index, metric, calls, values)
        columns = {
            "callers": case((pair.has, 1), else_=0),
            "calls": case((pair.has, pair.calls), else_=0),
            "s": pair.s,
            "d": pair.d,
            "ss": pair.s * pair.s,
            "dd": pair.d * pair.d,
            "sd": pair.s * pair.d,
            "asked": case((pair.is_asked, 1), else_=0),
            "missing": case((pair.is_asked, pair.missing), else_=0),
            "incomplete": case((and_(pair.is_asked, pair.missing > 0), 1), else_=0),
        }
        columns |= {name: case((pair.has, cast(columns[name], Double)), else_=0.0) for name in _EXACT}
        return [func.sum(column).label(f"{name}_{index}") for name, column in columns.items()]

    def _pair(self, index: int, metric: MetricDesign, calls: CTE, values: CTE) -> _Pair:
        scale = self._scales[metric.name]
        made = func.coalesce(calls.c.calls if metric.within is None else calls.c[f"calls_{index}"], 0)
        having = func.coalesce(values.c[f"with_{index}"], 0)
        value = func.coalesce(values.c[f"value_{index}"], 0.0)
        is_asked: ColumnElement[bool] = literal(value=True)
        if metric.within is not None:
            # Later callers wait: what they will still do would count for nothing.
            is_asked = self._enrolled.c.since <= self._question.until - timedelta(days=metric.within)
        fills_in = metric.missing == "zero"
        if metric.per == "caller":
            has = is_asked if fills_in else and_(is_asked, having > 0)
            missing = literal(0) if fills_in else case((having > 0, 0), else_=1)
            return _Pair(is_asked, has, _cut(value, scale) - scale.centre, literal(1.0), made, missing)
        if fills_in:
            # A call without a value has 0, which lies one centre below it.
            s = value - scale.centre * cast(made - having, Double)
            return _Pair(is_asked, and_(is_asked, made > 0), s, cast(made, Double), made, literal(0))
        return _Pair(is_asked, and_(is_asked, having > 0), value, cast(having, Double), having, made - having)

    def _days(self, later: Any, earlier: Any) -> ColumnElement[Any]:
        if self._is_sqlite:
            return func.julianday(later) - func.julianday(earlier)
        return cast(extract("epoch", later - earlier), Double) / _DAY


@dataclass(frozen=True)
class _Pair:
    """A caller's part in a metric, as columns.

    :param is_asked: whether they could have a value by now.
    :param has: whether they have a pair.
    """

    is_asked: ColumnElement[bool]
    has: ColumnElement[bool]
    s: ColumnElement[Any]
    d: ColumnElement[Any]
    calls: ColumnElement[Any]
    missing: ColumnElement[Any]


def enrolled(question: Question) -> CTE:
    """Return the callers who count, each with the arm, definition and time of their first hashed assignment.

    That began with the assignment's call: where a report brought an assignment back, its row is younger than the call.
    """
    since = func.coalesce(Call.decided_at, Assignment.assigned_at)
    first = func.row_number().over(partition_by=Assignment.caller_key, order_by=(since, Assignment.call_id))
    hashed = (
        select(Assignment.caller_key, Assignment.arm, Assignment.definition, since.label("since"), first.label("place"))
        .outerjoin(Call, Call.call_id == Assignment.call_id)
        .where(
            Assignment.experiment == question.experiment,
            Assignment.source == "hash",
            Assignment.caller_key.is_not(None),
        )
    )
    if not question.rehearsals:
        hashed = hashed.where(not_rehearsed(Assignment.call_id))
    rows = hashed.subquery("hashed")
    found = select(rows.c.caller_key, rows.c.arm, rows.c.definition, rows.c.since)
    found = found.where(rows.c.place == 1, rows.c.since < question.until)
    if question.one_arm:
        found = found.where(rows.c.caller_key.not_in(select(in_two_arms(question).c.caller_key)))
    return found.cte("enrolled")


def in_two_arms(question: Question) -> Any:
    """Return the callers with hashed rows in more than one arm."""
    return (
        select(Assignment.caller_key)
        .where(Assignment.experiment == question.experiment, Assignment.source == "hash")
        .group_by(Assignment.caller_key)
        .having(func.min(Assignment.arm) != func.max(Assignment.arm))
        .subquery("in_two_arms")
    )


def not_rehearsed(call_id: Any) -> ColumnElement[bool]:
    """Return whether a call is no rehearsal."""
    is_rehearsed: ColumnElement[bool] = call_id.startswith(REHEARSAL)
    return ~is_rehearsed


def _cut(value: Any, scale: _Scale) -> Any:
    return value if scale.cap is None else case((value > scale.cap, scale.cap), else_=value)


def _counts(row: RowMapping, scales: Mapping[str, _Scale]) -> Counts:
    metrics = {name: _sums_of(row, index, scale) for index, (name, scale) in enumerate(scales.items())}
    return Counts(
        since=row["since"],
        most_calls=int(row["most_calls"] or 0),
        metrics=metrics,
        **{name: int(row[name] or 0) for name in _ADDED if name != "calls_squared"},
        calls_squared=float(row["calls_squared"] or 0),
    )


def _sums_of(row: RowMapping, index: int, scale: _Scale) -> Sums:
    found: dict[str, Any] = {name: int(row[f"{name}_{index}"] or 0) for name in _WHOLE}
    found |= {name: float(row[f"{name}_{index}"] or 0) for name in _EXACT}
    return Sums(centre=scale.centre, is_proportion=scale.is_proportion, **found)


# --- beside the callers who count -------------------------------------------------------------------------------------


def first_assigned(connection: Connection, experiment: str) -> Mapping[str, datetime]:
    """Return for each definition when it first enrolled a caller, or gave any call an arm."""
    statement = (
        select(Assignment.definition, func.min(Assignment.assigned_at).label("at"))
        .where(Assignment.experiment == experiment)
        .group_by(Assignment.definition)
    )
    return {row.definition: row.at for row in connection.execute(statement)}


def apart(connection: Connection, question: Question) -> Mapping[tuple[str, str, str], int]:
    """Return the calls that do not count, by definition, arm and source: pinned, or drawn one by one."""
    statement = (
        select(Assignment.definition, Assignment.arm, Assignment.source, func.count())
        .where(Assignment.experiment == question.experiment, Assignment.source != "hash")
        .where(Assignment.assigned_at < question.until)
        .group_by(Assignment.definition, Assignment.arm, Assignment.source)
    )
    if not question.rehearsals:
        statement = statement.where(not_rehearsed(Assignment.call_id))
    return {(definition, arm, source): calls for definition, arm, source, calls in connection.execute(statement)}


def two_armed(connection: Connection, question: Question, definitions: Sequence[str]) -> int:
    """Return how many of the callers of ``definitions`` were given two arms."""
    who, both = enrolled(question), in_two_arms(question)
    statement = select(func.count()).select_from(who).join(both, both.c.caller_key == who.c.caller_key)
    return connection.execute(statement.where(who.c.definition.in_(definitions))).scalar_one()


def rehearsed(connection: Connection, question: Question) -> int:
    """Return how many calls of the experiment were rehearsed."""
    statement = select(func.count()).where(
        Assignment.experiment == question.experiment, Assignment.call_id.startswith(REHEARSAL)
    )
    return connection.execute(statement).scalar_one()


def hook_failed(connection: Connection, question: Question, since: datetime) -> int:
    """Return how many calls were in no arm because the customer hook had failed and the audience asks for it."""
    reason = Call.reasons[question.experiment].as_string()
    statement = select(func.count()).where(
        Call.decided_at >= since, Call.decided_at < question.until, reason == "customer_failed"
    )
    return connection.execute(statement).scalar_one()


def coverage(connection: Connection, question: Question, since: datetime, counted: int) -> Coverage:
    """Return how much of the line the result is about."""
    without = func.sum(case((Call.caller_key.is_(None), 1), else_=0))
    statement = select(func.count(), without).where(Call.decided_at >= since, Call.decided_at < question.until)
    if not question.rehearsals:
        statement = statement.where(not_rehearsed(Call.call_id))
    calls, unidentified = connection.execute(statement).one()
    return Coverage(calls, counted, int(unidentified or 0))
