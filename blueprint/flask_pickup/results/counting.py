"""From rows to sums, in SQL: first for each caller, then for each arm. No row of a call comes into Python.

A caller belongs to the arm and the definition of their first hashed assignment, and counts with all calls from then on:
also those after they left the audience, the layer or the traffic, because an arm may change who stays in them. Calls
that were turned away before an arm could be heard do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    Subquery,
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
from flask_pickup.models import Assignment, Call, Moment, Outcome
from flask_pickup.results.model import Coverage, MetricDesign
from flask_pickup.results.sums import Sums

_DAY = 86_400.0
_DIGITS = 6
RECENT = timedelta(weeks=4)


@dataclass(frozen=True)
class Question:
    """Whose calls are counted.

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
    :param two_armed: callers who were given another arm later.
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
    two_armed: int
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
    *("undelivered_calls", "unassigned", "two_armed", "calls_squared"),
)

ByArm = Mapping[tuple[str, str], Counts]
"""Fingerprint of a definition and arm to their counts."""


def count(connection: Connection, question: Question, *earlier: datetime) -> list[ByArm]:
    """Return what the rows of an experiment come to up to ``question.until``, and up to each earlier moment.

    All at once, because what takes time is to bring a caller's calls together.
    """
    scales = _scales(connection, question)
    statement = _Statement(connection.dialect.name, question, scales)
    moments = (question.until, *earlier)
    rows = connection.execute(statement.build(moments)).mappings().all()
    return [_by_arm(rows, f"_{moment}", scales) for moment in range(len(moments))]


def statement_of(connection: Connection, question: Question) -> Select[Any]:
    """Return the statement that :func:`count` executes, for who wants to execute it themselves."""
    return _Statement(connection.dialect.name, question, _scales(connection, question)).build((question.until,))


def callers(connection: Connection, question: Question) -> Select[Any]:
    """Return the statement of all who count: pseudonym, arm, definition, first call, calls, and each metric's pair.

    A metric is the sum of its column over the sum of the column ``…_of``; where both are null the caller is left out.
    """
    scales = {name: replace(scale, centre=0.0) for name, scale in _scales(connection, question).items()}
    return _Statement(connection.dialect.name, question, scales).pairs()


def together(counts: Iterable[Counts]) -> Counts | None:
    """Return several counts as one; None if there are none."""
    found = list(counts)
    return reduce(add, found) if found else None


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


def _scales(connection: Connection, question: Question) -> dict[str, _Scale]:
    names = sorted({metric.outcome for metric in question.metrics})
    beyond = func.max(case((Outcome.value.in_((0, 1)), 0), else_=1)).label("is_number")
    statement = select(Outcome.name, func.avg(Outcome.value).label("mean"), beyond).where(Outcome.name.in_(names))
    found = {row.name: row for row in connection.execute(statement.group_by(Outcome.name))}
    return {metric.name: _scale(connection, question, metric, found.get(metric.outcome)) for metric in question.metrics}


def _scale(connection: Connection, question: Question, metric: MetricDesign, found: Any) -> _Scale:
    if found is None or not found.is_number:
        return _Scale(is_proportion=found is not None)
    cap = _cap(connection, question, metric) if metric.cap else None
    return _Scale(centre=float(f"{found.mean:.{_DIGITS}g}"), cap=cap)


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
    """Three steps: calls with what came of them and their caller's arm, what they come to for a caller, for an arm."""

    def __init__(self, dialect: str, question: Question, scales: Mapping[str, _Scale]) -> None:
        self._is_sqlite = dialect == "sqlite"
        self._question = question
        self._scales = scales
        self._outcomes = sorted({metric.outcome for metric in question.metrics})
        self._calls = self._called()

    def build(self, moments: Sequence[datetime]) -> Select[Any]:
        """Return the statement: a row for each definition and arm, the columns of each moment numbered."""
        callers = self._callers(moments)
        columns = [
            column.label(f"{name}_{index}")
            for index, moment in enumerate(moments)
            for name, column in self._of_arm(callers, index, moment).items()
        ]
        statement = select(callers.c.definition, callers.c.arm, *columns)
        if self._question.one_arm:
            statement = statement.where(callers.c.two_armed == 0)
        return statement.group_by(callers.c.definition, callers.c.arm)

    def pairs(self) -> Select[Any]:
        """Return the statement: a row for each caller."""
        until = self._question.until
        found = self._callers((until,)).c
        columns: list[ColumnElement[Any]] = []
        for index, metric in enumerate(self._question.metrics):
            parts = (found[f"{name}_{index}_0"] for name in _PARTS)
            pair = self._pair(metric, found.since < until, found.since, until, *parts)
            columns += [
                case((pair.has, pair.s)).label(metric.name),
                case((pair.has, pair.d)).label(f"{metric.name}_of"),
            ]
        who = (found.caller, found.arm, found.definition, found.since, found.calls_0.label("calls"))
        return select(*who, *columns).where(found.since < until)

    def values_of(self, metric: MetricDesign) -> Select[Any]:
        """Return the values of a metric, one for each call or caller that has any."""
        calls = self._calls
        value = calls.c[self._value(metric)]
        in_time = and_(self._counts(self._question.until), value.is_not(None), *self._in_time(metric))
        if metric.per == "call":
            return select(value.label("value")).where(in_time)
        return select(func.sum(value).label("value")).where(in_time).group_by(calls.c.caller)

    def _called(self) -> Subquery:
        """Return the calls of all who are enrolled, each with its caller's first arm."""
        question = self._question
        outcomes = self._pivoted()
        caller = func.coalesce(Call.caller_key, Assignment.caller_key)
        # Where a report brought an assignment back, its row is younger than the call.
        at = func.coalesce(Call.decided_at, Assignment.assigned_at)
        is_hash = case((Assignment.source == "hash", 0), else_=1)
        window: dict[str, Any] = {"partition_by": caller, "order_by": (is_hash, at, Call.call_id)}
        found = (
            select(
                caller.label("caller"),
                at.label("at"),
                func.first_value(at, type_=Moment()).over(**window).label("since"),
                func.first_value(is_hash).over(**window).label("is_other"),
                func.first_value(Assignment.arm).over(**window).label("first_arm"),
                func.first_value(Assignment.definition).over(**window).label("definition"),
                case((is_hash == 0, Assignment.arm)).label("arm"),
                case((Call.decision != "closed", 1), else_=0).label("is_heard"),
                case((Call.reported_at.is_(None), 0), else_=1).label("reported"),
                case((Assignment.call_id.is_(None), 1), else_=0).label("unassigned"),
                Assignment.delivered,
                *(column for column in outcomes.c if column.name != "call_id"),
            )
            .select_from(Call)
            .outerjoin(
                Assignment, and_(Assignment.call_id == Call.call_id, Assignment.experiment == question.experiment)
            )
            .outerjoin(outcomes, outcomes.c.call_id == Call.call_id)
            .where(caller.in_(self._enrolled()), at < question.until)
        )
        if not question.rehearsals:
            found = found.where(not_rehearsed(Call.call_id))
        return found.subquery("calls")

    def _enrolled(self) -> Select[Any]:
        found = select(Assignment.caller_key).where(
            Assignment.experiment == self._question.experiment,
            Assignment.source == "hash",
            Assignment.caller_key.is_not(None),
        )
        return found if self._question.rehearsals else found.where(not_rehearsed(Assignment.call_id))

    def _pivoted(self) -> Subquery:
        """Return the outcomes that matter, those of a call in one row."""
        timed = {metric.outcome for metric in self._question.metrics if metric.within is not None}
        columns: list[ColumnElement[Any]] = []
        for index, name in enumerate(self._outcomes):
            columns.append(func.max(case((Outcome.name == name, Outcome.value))).label(f"value_{index}"))
            if name in timed and not is_reported(name):
                columns.append(func.max(case((Outcome.name == name, Outcome.reported_at))).label(f"time_{index}"))
        named = select(Outcome.call_id, *columns).where(Outcome.name.in_(self._outcomes))
        return named.group_by(Outcome.call_id).subquery("outcomes")

    def _value(self, metric: MetricDesign) -> str:
        return f"value_{self._outcomes.index(metric.outcome)}"

    def _counts(self, until: datetime) -> ColumnElement[bool]:
        """Return whether a call counts: from its caller's first assignment on, and if anybody heard it."""
        calls = self._calls
        return and_(calls.c.is_other == 0, calls.c.at >= calls.c.since, calls.c.is_heard == 1, calls.c.at < until)

    def _in_time(self, metric: MetricDesign) -> list[ColumnElement[bool]]:
        """Return the conditions under which a call, and what came of it, is within the metric's time."""
        if metric.within is None:
            return []
        calls = self._calls
        found = [self._days(calls.c.at, calls.c.since) < metric.within]
        if is_reported(metric.outcome):
            return found
        happened = calls.c[f"time_{self._outcomes.index(metric.outcome)}"]
        return [*found, self._days(happened, calls.c.since) < metric.within]

    # --- for each caller ----------------------------------------------------------------------------------------------

    def _callers(self, moments: Sequence[datetime]) -> CTE:
        calls = self._calls
        who = (calls.c.caller, calls.c.first_arm, calls.c.definition, calls.c.since)
        columns = [
            column.label(f"{name}_{index}")
            for index, moment in enumerate(moments)
            for name, column in self._of_caller(moment).items()
        ]
        two = case((func.min(calls.c.arm) != func.max(calls.c.arm), 1), else_=0)
        return (
            select(
                calls.c.caller,
                calls.c.first_arm.label("arm"),
                calls.c.definition,
                calls.c.since,
                two.label("two_armed"),
                *columns,
            )
            .where(calls.c.is_other == 0)
            .group_by(*who)
            .cte("callers")
        )

    def _of_caller(self, until: datetime) -> dict[str, ColumnElement[Any]]:
        calls, counts = self._calls, self._counts(until)
        found: dict[str, ColumnElement[Any]] = {
            "calls": _number(counts),
            "reported": _number(and_(counts, calls.c.reported == 1)),
            "unassigned": _number(and_(counts, calls.c.unassigned == 1)),
            "known": _number(and_(counts, calls.c.delivered.is_not(None))),
            "undelivered": _number(and_(counts, calls.c.delivered.is_(False))),
        }
        for index, metric in enumerate(self._question.metrics):
            scale, value = self._scales[metric.name], calls.c[self._value(metric)]
            in_time = and_(counts, *self._in_time(metric)[:1])
            has = and_(counts, value.is_not(None), *self._in_time(metric))
            # Per call a value is cut and shifted where it stands; per caller that is done with what they come to.
            part = _cut(value, scale) - scale.centre if metric.per == "call" else value
            whole = func.max if metric.per == "caller" and scale.is_proportion else func.sum
            found[f"made_{index}"] = _number(in_time)
            found[f"having_{index}"] = _number(has)
            found[f"value_{index}"] = func.coalesce(whole(case((has, part))), 0.0)
        return found

    # --- for each arm -------------------------------------------------------------------------------------------------

    def _of_arm(self, callers: CTE, moment: int, until: datetime) -> dict[str, ColumnElement[Any]]:
        is_in: ColumnElement[bool] = callers.c.since < until

        def of(name: str) -> Any:
            return callers.c[f"{name}_{moment}"]

        found: dict[str, ColumnElement[Any]] = {
            "callers": _number(is_in),
            "since": func.min(case((is_in, callers.c.since))),
            "recent": _number(and_(is_in, callers.c.since >= until - RECENT)),
            "two_armed": _number(and_(is_in, callers.c.two_armed == 1)),
            "most_calls": func.max(of("calls")),
            "calls_squared": func.sum(cast(of("calls") * of("calls"), Double)),
            "calls": func.sum(of("calls")),
            "unassigned": func.sum(of("unassigned")),
            "known_calls": func.sum(of("known")),
            "undelivered_calls": func.sum(of("undelivered")),
            "reported": _number(of("reported") > 0),
            "unreported": _number(of("reported") < of("calls")),
            "known": _number(of("known") > 0),
            "undelivered": _number(of("undelivered") > 0),
        }
        for index, metric in enumerate(self._question.metrics):
            pair = self._pair(metric, is_in, callers.c.since, until, *(of(f"{name}_{index}") for name in _PARTS))
            found |= {f"{name}_{index}": column for name, column in _sums(pair).items()}
        return found

    def _pair(  # noqa: PLR0913, PLR0917 (all that a pair follows from)
        self, metric: MetricDesign, is_in: Any, since: Any, until: datetime, made: Any, having: Any, value: Any
    ) -> _Pair:
        scale = self._scales[metric.name]
        # Later callers wait: what they will still do would count for nothing.
        is_asked = is_in if metric.within is None else since <= until - timedelta(days=metric.within)
        if metric.per == "caller":
            if metric.missing == "zero":
                return _Pair(is_asked, is_asked, _cut(value, scale) - scale.centre, literal(1.0), made, literal(0))
            missing = case((having > 0, 0), else_=1)
            has = and_(is_asked, having > 0)
            return _Pair(is_asked, has, _cut(value, scale) - scale.centre, literal(1.0), made, missing)
        if metric.missing == "zero":
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


_PARTS = ("made", "having", "value")
_WHOLE = ("callers", "calls", "missing", "asked", "incomplete")
_EXACT = ("s", "d", "ss", "dd", "sd")


def _sums(pair: _Pair) -> dict[str, ColumnElement[Any]]:
    """Return the columns of a metric's :class:`Sums`."""
    products = {"s": pair.s, "d": pair.d, "ss": pair.s * pair.s, "dd": pair.d * pair.d, "sd": pair.s * pair.d}
    return {
        "callers": _number(pair.has),
        "calls": func.sum(case((pair.has, pair.calls), else_=0)),
        "asked": _number(pair.is_asked),
        "missing": func.sum(case((pair.is_asked, pair.missing), else_=0)),
        "incomplete": _number(and_(pair.is_asked, pair.missing > 0)),
        **{name: func.sum(case((pair.has, cast(column, Double)), else_=0.0)) for name, column in products.items()},
    }


def _number(condition: Any) -> ColumnElement[Any]:
    return func.sum(case((condition, 1), else_=0))


def _cut(value: Any, scale: _Scale) -> Any:
    return value if scale.cap is None else case((value > scale.cap, scale.cap), else_=value)


def not_rehearsed(call_id: Any) -> ColumnElement[bool]:
    """Return whether a call is no rehearsal."""
    is_rehearsed: ColumnElement[bool] = call_id.startswith(REHEARSAL)
    return ~is_rehearsed


def _by_arm(rows: Sequence[RowMapping], moment: str, scales: Mapping[str, _Scale]) -> ByArm:
    return {(row["definition"], row["arm"]): _counts(row, moment, scales) for row in rows if row[f"callers{moment}"]}


def _counts(row: RowMapping, moment: str, scales: Mapping[str, _Scale]) -> Counts:
    return Counts(
        since=row[f"since{moment}"],
        most_calls=int(row[f"most_calls{moment}"] or 0),
        metrics={name: _sums_of(row, f"_{index}{moment}", scale) for index, (name, scale) in enumerate(scales.items())},
        **{name: int(row[f"{name}{moment}"] or 0) for name in _ADDED if name != "calls_squared"},
        calls_squared=float(row[f"calls_squared{moment}"] or 0),
    )


def _sums_of(row: RowMapping, suffix: str, scale: _Scale) -> Sums:
    found: dict[str, Any] = {name: int(row[name + suffix] or 0) for name in _WHOLE}
    found |= {name: float(row[name + suffix] or 0) for name in _EXACT}
    return Sums(centre=scale.centre, is_proportion=scale.is_proportion, **found)


# --- beside the sums --------------------------------------------------------------------------------------------------


def enrolled(question: Question) -> CTE:
    """Return the callers who count, each with the arm, definition and time of their first hashed assignment."""
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
    return found.where(rows.c.place == 1, rows.c.since < question.until).cte("enrolled")


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
