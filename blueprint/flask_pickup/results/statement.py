"""The statement behind all results: from calls to what they come to for each caller, and for each arm.

A caller belongs to the arm and the definition of their first hashed assignment, and counts with all calls from then on:
also those after they left the audience or the traffic, because an arm may change who stays in them. Calls that were
turned away before an arm could be heard do not count. Nor do those outside the experiment's range of a layer: no arm
changes who is in it, and another experiment may have answered them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Double,
    Select,
    Subquery,
    and_,
    case,
    cast,
    extract,
    func,
    join,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased

from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.models import Assignment, Call, Moment, Outcome
from flask_pickup.outcome_names import is_reported
from flask_pickup.results.aggregates import RECENT
from flask_pickup.results.calls import CountQuery, was_heard

REPORTED_WITHIN = timedelta(hours=6)
"""How long after a call began its report is waited for: until then no report says nothing."""
WHO = 5
"""Columns of the statement of callers before those of the metrics."""
SUMS_OF_CALLS = ("calls_per_caller", "reports")
"""The sums that are there whatever the metrics are."""
_DAY = 86_400.0


@dataclass(frozen=True)
class Scale:
    """What is known of a metric's values before they are summed.

    :param centre: a rounded number near the mean, from which they are measured.
    :param cap: what larger values are cut to.
    """

    centre: float = 0.0
    is_proportion: bool = False
    cap: float | None = None

    def cut(self, value: Any) -> Any:
        """Return a value, or the cap where it is larger."""
        return value if self.cap is None else case((value > self.cap, self.cap), else_=value)


class Statement:
    """Three steps: calls with what came of them and their caller's arm, what they come to for a caller, for an arm.

    :param scales: metric to its scale; None where the statement is to find them.
    """

    def __init__(self, dialect: str, query: CountQuery, scales: Mapping[str, Scale] | None = None) -> None:
        self._is_sqlite = dialect == "sqlite"
        self._query = query if scales is None else replace(query, scaled_by=frozenset())
        self._scales = scales or {}
        names = sorted({metric.outcome for metric in query.metrics})
        self._outcomes = {name: aliased(Outcome, name=f"outcome_{index}") for index, name in enumerate(names)}
        self._calls = self._called()

    def by_arm(self, moments: Sequence[datetime]) -> Select[Any]:
        """Return the statement: a row for each definition, arm and whether its callers had two arms.

        The columns of each moment are numbered.
        """
        callers = self._callers(moments)
        columns = [
            column.label(f"{name}_{index}")
            for index, moment in enumerate(moments)
            for name, column in self._of_arm(callers, index, moment).items()
        ]
        by = (callers.c.definition, callers.c.arm, callers.c.two_armed)
        return select(*by, *columns).group_by(*by)

    def by_caller(self) -> Select[Any]:
        """Return the statement: a row for each caller."""
        found = self._callers((self._query.until,)).c
        who: tuple[Any, ...] = (
            found.caller,
            found.arm,
            found.definition,
            found.since,
            found.n_calls_per_caller_0.label("calls"),
        )
        assert len(who) == WHO
        names = [metric.name for metric in self._query.metrics]
        pairs = [(found[f"s_{i}_0"].label(name), found[f"d_{i}_0"].label(f"{name}_of")) for i, name in enumerate(names)]
        return select(*who, *(column for pair in pairs for column in pair)).where(found.since < self._query.until)

    def means_of_calls(self) -> Select[Any]:
        """Return the statement: two columns a metric, the mean of its values, and 1 if one of them is neither 0 nor 1."""
        columns: list[ColumnElement[Any]] = []
        for metric in self._query.metrics:
            value = case((and_(*self._sets_scale(metric)), self._value(metric)))
            columns += [func.avg(value), func.max(case((value.not_in((0, 1)), 1), else_=0))]
        return select(*columns).where(self._counted())

    def values_of(self, metric: MetricDefinition) -> Select[Any]:
        """Return the values of a metric, one for each call or caller that has any."""
        value = self._value(metric)
        has = and_(self._counted(), value.is_not(None), *self._sets_scale(metric))
        if metric.per == "call":
            return select(value.label("value")).where(has)
        return select(func.sum(value).label("value")).where(has).group_by(self._calls.c.caller)

    # --- calls --------------------------------------------------------------------------------------------------------

    def _called(self) -> Subquery:
        """Return the calls that somebody heard of all who are enrolled, each with its caller's first time in an arm."""
        query, unit = self._query, getattr(Call, self._query.unit)
        is_drawn = Assignment.source == query.source
        # Where a report brought an assignment back, its row is younger than the call.
        at = func.coalesce(Call.decided_at, Assignment.assigned_at)
        since = at if query.experiment is None else case((is_drawn, at))
        sets_scale = and_(is_drawn, Assignment.definition.in_(sorted(query.scaled_by)))
        since_scaled = func.min(case((sets_scale, at)), type_=Moment()).over(partition_by=unit).label("since_scaled")
        statement = (
            select(
                unit.label("caller"),
                at.label("at"),
                func.min(since, type_=Moment()).over(partition_by=unit).label("since"),
                case((is_drawn, Assignment.arm)).label("arm"),
                case((is_drawn, Assignment.definition)).label("definition"),
                Call.reported_at,
                Assignment.call_id.label("assigned"),
                Assignment.delivered,
                Call.platform,
                *([since_scaled] if query.scaled_by else []),
                *self._outcome_columns(),
            )
            .select_from(self._joined())
            # The times of calls are what PostgreSQL has statistics of; those without one are the reports' alone.
            .where(or_(Call.decided_at < query.until, Call.decided_at.is_(None)), was_heard())
            .where(query.includes(Call.call_id))
            .where(unit.is_not(None) if query.experiment is None else unit.in_(self._enrolled()))
        )
        if query.experiment is not None:
            statement = statement.where(or_(Assignment.call_id.is_not(None), self._reason() != "layer"))
        if query.after is not None:
            statement = statement.where(Call.decided_at > query.after)
        return statement.subquery("calls")

    def _joined(self) -> Any:
        """Return the calls with their assignments and outcomes: by whole keys, so that there is one row a call."""
        is_own = and_(Assignment.call_id == Call.call_id, Assignment.experiment == self._query.experiment)
        found = join(Call, Assignment, is_own, isouter=True)
        for name, outcome in self._outcomes.items():
            found = found.outerjoin(outcome, and_(outcome.call_id == Call.call_id, outcome.name == name))
        return found

    def _reason(self) -> ColumnElement[str]:
        """Return why a call is not in the experiment, as SQL that can be copied; empty where that is not known."""
        reasons, name = Call.reasons, self._query.experiment
        found = (
            func.json_extract(reasons, f'$."{name}"')
            if self._is_sqlite
            else func.jsonb_extract_path_text(reasons, name)
        )
        return func.coalesce(found, "")

    def _outcome_columns(self) -> Iterator[ColumnElement[Any]]:
        timed = {metric.outcome for metric in self._query.metrics if metric.within is not None}
        for index, (name, outcome) in enumerate(self._outcomes.items()):
            yield outcome.value.label(f"value_{index}")
            if name in timed and not is_reported(name):
                yield outcome.reported_at.label(f"time_{index}")

    def _enrolled(self) -> Select[Any]:
        return select(getattr(Assignment, self._query.unit)).where(
            Assignment.experiment == self._query.experiment,
            Assignment.source == self._query.source,
            getattr(Assignment, self._query.unit).is_not(None),
            self._query.includes(Assignment.call_id),
        )

    def _place(self, metric: MetricDefinition) -> int:
        return list(self._outcomes).index(metric.outcome)

    def _value(self, metric: MetricDefinition) -> ColumnElement[Any]:
        return self._calls.c[f"value_{self._place(metric)}"]

    def _counted(self) -> ColumnElement[bool]:
        """Return whether a call counts: from its caller's first assignment on."""
        calls = self._calls
        return and_(calls.c.at >= calls.c.since, calls.c.at < self._query.until)

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

    def _sets_scale(self, metric: MetricDefinition) -> list[ColumnElement[bool]]:
        """Return the conditions under which a call's value is one by which the metric's scale is set."""
        calls, found = self._calls.c, [true(), *self._in_time(metric)]
        if metric.within is not None:
            found.append(calls.since <= self._query.until - timedelta(days=metric.within))
        if self._query.scaled_by:
            found.append(calls.since == calls.since_scaled)
        return found

    def _days(self, later: Any, earlier: Any) -> ColumnElement[Any]:
        if self._is_sqlite:
            return func.julianday(later) - func.julianday(earlier)
        return cast(extract("epoch", later - earlier), Double) / _DAY

    # --- callers ------------------------------------------------------------------------------------------------------

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
        counts = [] if moment == self._query.until else [calls.at < moment]
        is_due = calls.at < moment - REPORTED_WITHIN
        is_in = func.min(calls.since) < moment
        made, lost, due = _number(*counts), _number(is_due, calls.reported_at.is_(None)), _number(is_due)
        found: dict[str, ColumnElement[Any]] = {
            "reported": _number(*counts, calls.reported_at.is_not(None)),
            "unassigned": _number(*counts, calls.assigned.is_(None)),
            **_pair("calls_per_caller", is_in, is_in, made, 1, made, 0),
            **_pair("reports", is_in, is_in, lost, due, due, lost),
        }
        for platform in self._query.delivered_on:
            on = (*counts, calls.platform == platform)
            known, lost = _number(*on, calls.delivered.is_not(None)), _number(*on, calls.delivered.is_(False))
            found |= _pair(delivery_on(platform), known > 0, known > 0, lost, known, known, lost)
        for index, metric in enumerate(self._query.metrics):
            found |= self._of_metric(index, metric, moment, counts)
        return found

    def _of_metric(
        self, index: int, metric: MetricDefinition, moment: datetime, counts: Sequence[Any]
    ) -> dict[str, ColumnElement[Any]]:
        scale, value, since = self._scales[metric.name], self._value(metric), func.min(self._calls.c.since)
        has = [*counts, value.is_not(None), *self._in_time(metric)]
        made, having = _number(*counts, *self._in_time(metric)[:1]), _number(*has)
        # Later callers are not asked: what they will still do would be missing.
        is_asked = since < moment if metric.within is None else since <= moment - timedelta(days=metric.within)
        if metric.per == "caller":
            whole = func.max if scale.is_proportion else func.sum
            s = scale.cut(func.coalesce(whole(case((and_(*has), value))), 0.0)) - scale.centre
            if metric.missing == "zero":
                return _pair(index, is_asked, is_asked, s, 1, made, 0)
            return _pair(index, is_asked, and_(is_asked, having > 0), s, 1, made, case((having > 0, 0), else_=1))
        # A value is cut and shifted where it stands.
        s = func.coalesce(func.sum(case((and_(*has), scale.cut(value) - scale.centre))), 0.0)
        if metric.missing == "zero":
            # A call without a value has 0, which lies one centre below it.
            s -= scale.centre * cast(made - having, Double)
            return _pair(index, is_asked, and_(is_asked, made > 0), s, made, made, 0)
        return _pair(index, is_asked, and_(is_asked, having > 0), s, having, having, made - having)

    # --- arms ---------------------------------------------------------------------------------------------------------

    def _of_arm(self, callers: CTE, moment: int, until: datetime) -> dict[str, ColumnElement[Any]]:
        def of(name: str) -> Any:
            return callers.c[f"{name}_{moment}"]

        is_in = callers.c.since < until
        found: dict[str, ColumnElement[Any]] = {
            "since": func.min(case((is_in, callers.c.since))),
            "recent": _number(is_in, callers.c.since >= until - RECENT),
            "most_calls": func.max(of("n_calls_per_caller")),
            "unassigned": func.sum(of("unassigned")),
            "reported": _number(of("reported") > 0),
        }
        delivery = map(delivery_on, self._query.delivered_on)
        for name in (*SUMS_OF_CALLS, *delivery, *map(str, range(len(self._query.metrics)))):
            s, d, n, missing = (of(f"{part}_{name}") for part in ("s", "d", "n", "missing"))
            found |= {
                f"callers_{name}": func.count(s),
                f"calls_{name}": func.sum(n),
                f"asked_{name}": func.count(missing),
                f"missing_{name}": func.sum(missing),
                f"incomplete_{name}": _number(missing > 0),
                f"s_{name}": func.sum(s),
                f"d_{name}": func.sum(d),
                f"ss_{name}": func.sum(s * s),
                f"dd_{name}": func.sum(d * d),
                f"sd_{name}": func.sum(s * d),
            }
        return found


def delivery_on(platform: str) -> str:
    """Return the name of the sums of a platform's delivery."""
    return f"delivery_{platform}"


def _pair(  # noqa: PLR0913, PLR0917 (all that a caller's part in a metric is)
    name: object, is_asked: Any, has: Any, s: Any, d: Any, calls: Any, missing: Any
) -> dict[str, ColumnElement[Any]]:
    """Return a caller's part in a metric: s, d and the calls where they have one, what is missing if they are asked."""
    return {
        f"s_{name}": case((has, cast(s, Double))),
        f"d_{name}": case((has, cast(d, Double))),
        f"n_{name}": case((has, calls)),
        f"missing_{name}": case((is_asked, missing)),
    }


def _number(*conditions: Any) -> ColumnElement[Any]:
    """Return how many rows meet all conditions."""
    return func.count(case((and_(*conditions), 1))) if conditions else func.count()
