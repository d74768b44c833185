"""From rows to sums, in SQL: first for each caller, then for each arm. No row of a call comes into Python.

A caller belongs to the arm and the definition of their first hashed assignment, and counts with all calls from then on:
also those after they left the audience, the layer or the traffic, because an arm may change who stays in them. Calls
that were turned away before an arm could be heard do not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from typing import Any, Literal

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    RowMapping,
    Select,
    Subquery,
    and_,
    case,
    cast,
    exists,
    extract,
    func,
    join,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from flask_pickup.caller import REHEARSAL
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.flireo.report import REPORTED_FLAGS, is_reported
from flask_pickup.models import Assignment, Call, Moment, Outcome
from flask_pickup.results.model import Coverage
from flask_pickup.results.sums import Sums

_DAY = 86_400.0
_DIGITS = 6
_WHO = 5
"""Columns of the statement of callers before those of the metrics."""
RECENT = timedelta(weeks=4)
REPORTED_WITHIN = timedelta(hours=6)
"""How long after a call began its report is waited for: until then no report says nothing."""


@dataclass(frozen=True)
class Question:
    """Whose calls are counted.

    :param until: calls and callers from then on do not count.
    :param rehearsals: whether rehearsed calls count.
    :param one_arm: whether callers who were in two arms are left out.
    :param unidentified: whether calls without a number are asked about, each of which stands for a caller of its own.
    """

    experiment: str
    metrics: tuple[MetricDefinition, ...]
    until: datetime
    rehearsals: bool = False
    one_arm: bool = False
    unidentified: bool = False

    @property
    def unit(self) -> Literal["caller_key", "call_id"]:
        """The column by which a unit is known: who, or what, an arm was drawn for."""
        return "call_id" if self.unidentified else "caller_key"

    @property
    def source(self) -> Literal["hash", "unidentified"]:
        """The source of the assignments that count."""
        return "unidentified" if self.unidentified else "hash"


@dataclass(frozen=True)
class Counts:
    """What the callers of one arm, who were assigned under one definition, come to.

    :param since: the first assignment.
    :param recent: callers who came in the last four weeks.
    :param most_calls: those of the caller who called most.
    :param known_calls: calls of which it is known whether the arm was spoken.
    :param two_armed: callers who were given another arm later.
    :param due: calls of which a report should be here by now; ``lost`` are those of which there is none.
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
    due: int
    lost: int
    due_squared: float
    lost_squared: float
    lost_due: float
    metrics: Mapping[str, Sums]

    def __add__(self, other: Counts) -> Counts:
        """Return both together."""
        return Counts(
            since=min(filter(None, (self.since, other.since)), default=None),
            most_calls=max(self.most_calls, other.most_calls),
            metrics={name: sums + other.metrics[name] for name, sums in self.metrics.items()},
            **{name: getattr(self, name) + getattr(other, name) for name in _ADDED},
        )


_SQUARED = ("calls_squared", "due_squared", "lost_squared", "lost_due")
_ADDED = (
    *("callers", "calls", "recent", "reported", "unreported", "known", "undelivered", "known_calls"),
    *("undelivered_calls", "unassigned", "two_armed", "due", "lost"),
    *_SQUARED,
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


def numbers(connection: Connection, question: Question, definitions: Collection[str]) -> Select[Any]:
    """Return a statement of the numbers that results show, for who wants to execute it themselves: a row for each arm.

    Each metric has its mean, and the square of the mean's standard error: by the definition, not by sums of squares, so
    that large values keep their digits.
    """
    whose = callers(connection, question)
    found = whose.where(whose.selected_columns.definition.in_(sorted(definitions))).cte("pairs")
    arm, columns_of_metrics = found.c.arm, list(found.c)[_WHO:]
    pairs = list(zip(columns_of_metrics[::2], columns_of_metrics[1::2], strict=True))
    ratios = [(func.sum(s) / func.nullif(func.sum(d), 0)).label(f"ratio_{i}") for i, (s, d) in enumerate(pairs)]
    means = select(arm, *ratios).group_by(arm).cte("means")
    columns: list[ColumnElement[Any]] = []
    for metric, (s, d), mean in zip(question.metrics, pairs, list(means.c)[1:], strict=True):
        n, squares = cast(func.count(s), Double), func.sum((s - mean * d) * (s - mean * d))
        error = n / func.nullif(n - 1, 0) * squares / func.nullif(func.sum(d) * func.sum(d), 0)
        columns += [func.max(mean).label(f"{metric.name}_mean"), error.label(f"{metric.name}_squared_error")]
    together = found.join(means, means.c.arm == arm)
    counts = (func.count().label("callers"), func.sum(found.c.calls).label("calls"))
    return select(arm, *counts, *columns).select_from(together).group_by(arm).order_by(arm)


def acquaintance(connection: Connection, question: Question, definitions: Collection[str]) -> Select[Any]:
    """Return a statement of callers and of the question's one metric, for each arm and whether they had called before.

    Before they drew an arm, that is: no arm had any part in who they are.
    """
    whose = callers(connection, question)
    found = whose.where(whose.selected_columns.definition.in_(sorted(definitions))).subquery("pairs")
    *_, s, d = found.c
    heard = (Call.caller_key == found.c.caller, Call.decided_at < found.c.since, _was_heard())
    known = exists().where(*heard, *(() if question.rehearsals else (not_rehearsed(Call.call_id),)))
    each = select(found.c.arm, known.label("known"), s.label("s"), d.label("d")).subquery("each")
    mean = func.sum(each.c.s) / func.nullif(func.sum(each.c.d), 0)
    return select(each.c.arm, each.c.known, func.count(), mean).group_by(each.c.arm, each.c.known)


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
    names = {metric.outcome for metric in question.metrics}.difference(REPORTED_FLAGS)
    beyond = func.max(case((Outcome.value.in_((0, 1)), 0), else_=1)).label("is_number")
    statement = select(Outcome.name, func.avg(Outcome.value).label("mean"), beyond).where(Outcome.name.in_(names))
    found = {row.name: row for row in connection.execute(statement.group_by(Outcome.name))} if names else {}
    return {metric.name: _scale(connection, question, metric, found.get(metric.outcome)) for metric in question.metrics}


def _scale(connection: Connection, question: Question, metric: MetricDefinition, found: Any) -> _Scale:
    if found is None or not found.is_number:
        return _Scale(is_proportion=found is not None or metric.outcome in REPORTED_FLAGS)
    cap = _cap(connection, question, metric) if metric.cap else None
    return _Scale(centre=float(f"{found.mean:.{_DIGITS}g}"), cap=cap)


def _cap(connection: Connection, question: Question, metric: MetricDefinition) -> float | None:
    """Return the percentile of what callers or calls have in all arms together; those without a value are no part."""
    statement = _Statement(connection.dialect.name, question, {metric.name: _Scale()})
    values = statement.values_of(metric).subquery()
    place, number = func.row_number().over(order_by=values.c.value), func.count().over()
    ordered = select(values.c.value, place.label("place"), number.label("number")).subquery().c
    beyond = ordered.place > cast(metric.cap, Double) * (ordered.number - 1)
    return connection.execute(select(func.min(ordered.value)).where(beyond)).scalar()


# --- the statement ----------------------------------------------------------------------------------------------------


class _Statement:
    """Three steps: calls with what came of them and their caller's arm, what they come to for a caller, for an arm."""

    def __init__(self, dialect: str, question: Question, scales: Mapping[str, _Scale]) -> None:
        self._is_sqlite = dialect == "sqlite"
        self._question = question
        self._scales = scales
        names = sorted({metric.outcome for metric in question.metrics})
        self._outcomes = {name: aliased(Outcome, name=f"outcome_{index}") for index, name in enumerate(names)}
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
                case((pair.has, 1.0 if pair.d is None else pair.d)).label(f"{metric.name}_of"),
            ]
        who: tuple[Any, ...] = (found.caller, found.arm, found.definition, found.since, found.calls_0.label("calls"))
        assert len(who) == _WHO
        return select(*who, *columns).where(found.since < until)

    def values_of(self, metric: MetricDefinition) -> Select[Any]:
        """Return the values of a metric, one for each call or caller that has any."""
        value = self._value(metric)
        in_time = and_(self._counted(), value.is_not(None), *self._in_time(metric))
        if metric.per == "call":
            return select(value.label("value")).where(in_time)
        return select(func.sum(value).label("value")).where(in_time).group_by(self._calls.c.caller)

    def _called(self) -> Subquery:
        """Return the calls that somebody heard of all who are enrolled, each with its caller's first time in an arm."""
        question = self._question
        # Where a report brought an assignment back, its row is younger than the call.
        at = func.coalesce(Call.decided_at, Assignment.assigned_at)
        unit, is_drawn = getattr(Call, question.unit), Assignment.source == question.source
        found = (
            select(
                unit.label("caller"),
                at.label("at"),
                func.min(case((is_drawn, at)), type_=Moment()).over(partition_by=unit).label("since"),
                case((is_drawn, Assignment.arm)).label("arm"),
                case((is_drawn, Assignment.definition)).label("definition"),
                Call.reported_at,
                Assignment.call_id.label("assigned"),
                Assignment.delivered,
                *self._outcome_columns(),
            )
            .select_from(self._joined())
            # The times of calls are what PostgreSQL has statistics of; those without one are the reports' alone.
            .where(or_(Call.decided_at < question.until, Call.decided_at.is_(None)), _was_heard())
            .where(unit.in_(self._enrolled()))
        )
        if not question.rehearsals:
            found = found.where(not_rehearsed(Call.call_id))
        return found.subquery("calls")

    def _joined(self) -> FromClause:
        """Return the calls with their assignments and outcomes: by whole keys, so that there is one row a call."""
        of_experiment = and_(Assignment.call_id == Call.call_id, Assignment.experiment == self._question.experiment)
        found: FromClause = join(Call, Assignment, of_experiment, isouter=True)
        for name, outcome in self._outcomes.items():
            found = found.outerjoin(outcome, and_(outcome.call_id == Call.call_id, outcome.name == name))
        return found

    def _outcome_columns(self) -> Iterator[ColumnElement[Any]]:
        timed = {metric.outcome for metric in self._question.metrics if metric.within is not None}
        for index, (name, outcome) in enumerate(self._outcomes.items()):
            yield outcome.value.label(f"value_{index}")
            if name in timed and not is_reported(name):
                yield outcome.reported_at.label(f"time_{index}")

    def _enrolled(self) -> Select[Any]:
        unit = getattr(Assignment, self._question.unit)
        found = select(unit).where(
            Assignment.experiment == self._question.experiment,
            Assignment.source == self._question.source,
            unit.is_not(None),
        )
        return found if self._question.rehearsals else found.where(not_rehearsed(Assignment.call_id))

    def _place(self, metric: MetricDefinition) -> int:
        return list(self._outcomes).index(metric.outcome)

    def _value(self, metric: MetricDefinition) -> ColumnElement[Any]:
        return self._calls.c[f"value_{self._place(metric)}"]

    def _counted(self) -> ColumnElement[bool]:
        """Return whether a call counts: from its caller's first assignment on."""
        calls = self._calls
        return and_(calls.c.at >= calls.c.since, calls.c.at < self._question.until)

    def _in_time(self, metric: MetricDefinition) -> list[ColumnElement[bool]]:
        """Return the conditions under which a call, and what came of it, is within the metric's time."""
        if metric.within is None:
            return []
        calls = self._calls
        found = [self._days(calls.c.at, calls.c.since) < metric.within]
        if is_reported(metric.outcome):
            return found
        happened = calls.c[f"time_{self._place(metric)}"]
        return [*found, self._days(happened, calls.c.since) < metric.within]

    # --- for each caller ----------------------------------------------------------------------------------------------

    def _callers(self, moments: Sequence[datetime]) -> CTE:
        calls = self._calls.c
        is_first = calls.at == calls.since
        columns = [
            column.label(f"{name}_{index}")
            for index, moment in enumerate(moments)
            for name, column in self._of_caller(moment).items()
        ]
        return (
            select(
                calls.caller,
                func.min(case((is_first, calls.arm))).label("arm"),
                func.min(case((is_first, calls.definition))).label("definition"),
                func.min(calls.since, type_=Moment()).label("since"),
                case((func.min(calls.arm) != func.max(calls.arm), 1), else_=0).label("two_armed"),
                *columns,
            )
            .where(self._counted())
            .group_by(calls.caller)
            .cte("callers")
        )

    def _of_caller(self, moment: datetime) -> dict[str, ColumnElement[Any]]:
        """Return what a caller's calls come to; those from ``moment`` on do not count."""
        calls = self._calls.c
        counts = [] if moment == self._question.until else [calls.at < moment]
        is_due = calls.at < moment - REPORTED_WITHIN
        found: dict[str, ColumnElement[Any]] = {
            "calls": _number(*counts),
            "reported": _number(*counts, calls.reported_at.is_not(None)),
            "unassigned": _number(*counts, calls.assigned.is_(None)),
            "known": _number(*counts, calls.delivered.is_not(None)),
            "undelivered": _number(*counts, calls.delivered.is_(False)),
            "due": _number(is_due),
            "lost": _number(is_due, calls.reported_at.is_(None)),
        }
        for index, metric in enumerate(self._question.metrics):
            scale, value = self._scales[metric.name], self._value(metric)
            has = [*counts, value.is_not(None), *self._in_time(metric)]
            # Per call a value is cut and shifted where it stands; per caller that is done with what they come to.
            part = _cut(value, scale) - scale.centre if metric.per == "call" else value
            whole = func.max if metric.per == "caller" and scale.is_proportion else func.sum
            found[f"made_{index}"] = _number(*counts, *self._in_time(metric)[:1])
            found[f"having_{index}"] = _number(*has)
            found[f"value_{index}"] = func.coalesce(whole(case((and_(*has), part))), 0.0)
        return found

    # --- for each arm -------------------------------------------------------------------------------------------------

    def _of_arm(self, callers: CTE, moment: int, until: datetime) -> dict[str, ColumnElement[Any]]:
        is_in: ColumnElement[bool] = callers.c.since < until

        def of(name: str) -> Any:
            return callers.c[f"{name}_{moment}"]

        found: dict[str, ColumnElement[Any]] = {
            "callers": _number(is_in),
            "since": func.min(case((is_in, callers.c.since))),
            "recent": _number(is_in, callers.c.since >= until - RECENT),
            "two_armed": _number(is_in, callers.c.two_armed == 1),
            "most_calls": func.max(of("calls")),
            "calls_squared": func.sum(cast(of("calls") * of("calls"), Double)),
            "due": func.sum(of("due")),
            "lost": func.sum(of("lost")),
            "due_squared": func.sum(cast(of("due") * of("due"), Double)),
            "lost_squared": func.sum(cast(of("lost") * of("lost"), Double)),
            "lost_due": func.sum(cast(of("lost") * of("due"), Double)),
            "calls": func.sum(of("calls")),
            "unassigned": func.sum(of("unassigned")),
            "known_calls": func.sum(of("known")),
            "undelivered_calls": func.sum(of("undelivered")),
            "reported": _number(of("reported") > 0),
            "unreported": _number(of("lost") > 0),
            "known": _number(of("known") > 0),
            "undelivered": _number(of("undelivered") > 0),
        }
        for index, metric in enumerate(self._question.metrics):
            pair = self._pair(metric, is_in, callers.c.since, until, *(of(f"{name}_{index}") for name in _PARTS))
            found |= {f"{name}_{index}": column for name, column in _sums(pair).items()}
        return found

    def _pair(  # noqa: PLR0913, PLR0917 (all that a pair follows from)
        self, metric: MetricDefinition, is_in: Any, since: Any, until: datetime, made: Any, having: Any, value: Any
    ) -> _Pair:
        scale = self._scales[metric.name]
        # Later callers wait: what they will still do would count for nothing.
        is_asked = is_in if metric.within is None else since <= until - timedelta(days=metric.within)
        if metric.per == "caller":
            if metric.missing == "zero":
                return _Pair(is_asked, is_asked, _cut(value, scale) - scale.centre, None, made, None)
            missing = case((having > 0, 0), else_=1)
            has = and_(is_asked, having > 0)
            return _Pair(is_asked, has, _cut(value, scale) - scale.centre, None, made, missing)
        if metric.missing == "zero":
            # A call without a value has 0, which lies one centre below it.
            s = value - scale.centre * cast(made - having, Double)
            return _Pair(is_asked, and_(is_asked, made > 0), s, cast(made, Double), made, None)
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
    :param d: None where it is 1 for everybody.
    :param missing: None where nothing can be.
    """

    is_asked: ColumnElement[bool]
    has: ColumnElement[bool]
    s: ColumnElement[Any]
    d: ColumnElement[Any] | None
    calls: ColumnElement[Any]
    missing: ColumnElement[Any] | None


_PARTS = ("made", "having", "value")


def _sums(pair: _Pair) -> dict[str, ColumnElement[Any]]:
    """Return the columns of a metric's :class:`Sums`, but those that follow from others."""
    found = {
        "callers": _number(pair.has),
        "calls": func.sum(case((pair.has, pair.calls), else_=0)),
        "asked": _number(pair.is_asked),
    }
    if pair.missing is not None:
        found["missing"] = func.sum(case((pair.is_asked, pair.missing), else_=0))
        found["incomplete"] = _number(pair.is_asked, pair.missing > 0)
    products = {"s": pair.s, "ss": pair.s * pair.s}
    if pair.d is not None:
        products |= {"d": pair.d, "dd": pair.d * pair.d, "sd": pair.s * pair.d}
    return found | {name: func.sum(case((pair.has, cast(each, Double)))) for name, each in products.items()}


def _number(*conditions: Any) -> ColumnElement[Any]:
    """Return how many rows meet all conditions."""
    return func.count(case((and_(*conditions), 1))) if conditions else func.count()


def _was_heard() -> ColumnElement[bool]:
    """Return whether a call was not turned away. Of one that only a report tells of, it is known to have been had."""
    return or_(Call.decision != "closed", Call.decision.is_(None))


def _cut(value: Any, scale: _Scale) -> Any:
    return value if scale.cap is None else case((value > scale.cap, scale.cap), else_=value)


def not_rehearsed(call_id: Any) -> ColumnElement[bool]:
    """Return whether a call is no rehearsal."""
    is_rehearsed: ColumnElement[bool] = call_id.startswith(REHEARSAL)
    return ~is_rehearsed


def _by_arm(rows: Sequence[RowMapping], moment: str, scales: Mapping[str, _Scale]) -> ByArm:
    return {(row["definition"], row["arm"]): _counts(row, moment, scales) for row in rows if row[f"callers{moment}"]}


def _counts(row: RowMapping, moment: str, scales: Mapping[str, _Scale]) -> Counts:
    found: dict[str, Any] = {name: int(row[f"{name}{moment}"] or 0) for name in _ADDED if name not in _SQUARED}
    found |= {name: float(row[f"{name}{moment}"] or 0) for name in _SQUARED}
    return Counts(
        since=row[f"since{moment}"],
        most_calls=int(row[f"most_calls{moment}"] or 0),
        metrics={name: _sums_of(row, f"_{index}{moment}", scale) for index, (name, scale) in enumerate(scales.items())},
        **found,
    )


def _sums_of(row: RowMapping, suffix: str, scale: _Scale) -> Sums:
    callers, calls, asked, missing, incomplete = (int(row.get(f"{name}{suffix}") or 0) for name in _WHOLE)
    s, ss = (float(row[f"{name}{suffix}"] or 0) for name in ("s", "ss"))
    d, dd, sd = (float(callers), float(callers), s)
    if f"d{suffix}" in row:
        d, dd, sd = (float(row[f"{name}{suffix}"] or 0) for name in ("d", "dd", "sd"))
    return Sums(
        callers, calls, s, d, ss, dd, sd, scale.centre, scale.is_proportion, missing, asked, incomplete
    )  # fmt: skip


_WHOLE = ("callers", "calls", "asked", "missing", "incomplete")


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


def first_assigned(connection: Connection, experiment: str, *, rehearsals: bool) -> Mapping[str, datetime]:
    """Return for each definition when it first gave an arm to a caller who counts, and had had none before."""
    hashed = [Assignment.experiment == experiment, Assignment.source == "hash"]
    if not rehearsals:
        hashed.append(not_rehearsed(Assignment.call_id))
    key, at = Assignment.caller_key, Assignment.assigned_at
    statement = select(Assignment.definition, func.min(at).label("at")).where(*hashed).group_by(Assignment.definition)
    found = {row.definition: row.at for row in connection.execute(statement)}
    if len(found) > 1:
        # Who is new takes a second per half a million rows; where there is one definition, everybody is.
        first = select(key, func.min(at).label("at")).where(*hashed).group_by(key).subquery()
        statement = statement.join(first, and_(first.c.caller_key == key, first.c.at == at))
        found = {row.definition: row.at for row in connection.execute(statement)}
    return found


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
    if not question.rehearsals:
        statement = statement.where(not_rehearsed(Call.call_id))
    return connection.execute(statement).scalar_one()


def coverage(connection: Connection, question: Question, since: datetime, counted: int) -> Coverage:
    """Return how much of the line the result is about."""
    without = func.sum(case((Call.caller_key.is_(None), 1), else_=0))
    statement = select(func.count(), without).where(Call.decided_at >= since, Call.decided_at < question.until)
    if not question.rehearsals:
        statement = statement.where(not_rehearsed(Call.call_id))
    calls, unidentified = connection.execute(statement).one()
    return Coverage(calls, counted, int(unidentified or 0))
