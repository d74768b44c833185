"""The statement behind all results: from calls to what they come to for each caller, and for each arm.

All is as it was known at a moment: a call, a report or an outcome from then on is no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CTE, ColumnElement, Double, Select, and_, case, cast, func, select

from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.models import Moment
from flask_pickup.outcome_names import ANALYSED, HUNG_UP
from flask_pickup.results.aggregates import RECENT
from flask_pickup.results.call_rows import CallRows
from flask_pickup.results.calls import CountQuery

REPORTED_WITHIN = timedelta(hours=6)
"""How long after a call began its report is waited for: until then no report says nothing."""
WHO = 5
"""Columns of the statement of callers before those of the metrics."""
SUMS_OF_CALLS = ("calls_per_caller", "reports")
"""The sums that are there whatever the metrics are."""
FEWEST_MESSAGES = 2
"""A caller's messages from which an analysis of the call is expected."""
COUNTS_OF_CALLS = ("unassigned", "unreached")
"""The numbers of calls that are."""


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
        """Return a value, or the cap where it is larger; a refund counts for as much at most."""
        if self.cap is None:
            return value
        lower = [(value < -self.cap, -self.cap)] if self.cap > 0 else []
        return case((value > self.cap, self.cap), *lower, else_=value)


class Statement:
    """Three steps: calls with what came of them and their caller's arm, what they come to for a caller, for an arm.

    :param scales: metric to its scale; None where the statement is to find them.
    :param finds_lost: whether what reports lack is counted too.
    """

    def __init__(
        self, dialect: str, query: CountQuery, scales: Mapping[str, Scale] | None = None, *, finds_lost: bool = False
    ) -> None:
        self._query = query if scales is None else replace(query, scaled_by=frozenset())
        self._scales = scales or {}
        self._calls = CallRows(dialect, self._query, finds_lost=finds_lost)
        self._lost = lost_sums(query) if finds_lost else ()

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
        calls = found.n_calls_per_caller_0.label("calls")
        who: tuple[Any, ...] = (found.caller, found.arm, found.definition, found.since, calls)
        assert len(who) == WHO
        names = [metric.name for metric in self._query.metrics]
        pairs = [(found[f"s_{i}_0"].label(name), found[f"d_{i}_0"].label(f"{name}_of")) for i, name in enumerate(names)]
        return select(*who, *(column for pair in pairs for column in pair)).where(found.since < self._query.until)

    def means_of_calls(self) -> Select[Any]:
        """Return the statement: two columns a metric, the mean of its values, and 1 if one of them is neither 0 nor 1."""
        columns: list[ColumnElement[Any]] = []
        for metric in self._query.metrics:
            value = case((self._calls.sets_scale(metric), self._value(metric)))
            columns += [func.avg(value), func.max(case((value.not_in((0, 1)), 1), else_=0))]
        return select(*columns)

    def values_of(self, metric: MetricDefinition) -> Select[Any]:
        """Return the values of a metric, one for each call or caller that has any."""
        value = self._value(metric)
        has = and_(self._calls.sets_scale(metric), value.is_not(None))
        if metric.per == "call":
            return select(value.label("value")).where(has)
        return select(func.sum(value).label("value")).where(has).group_by(self._calls.columns.caller)

    def _value(self, metric: MetricDefinition) -> ColumnElement[Any]:
        return self._calls.value(metric.outcome, self._query.until)

    # --- callers ------------------------------------------------------------------------------------------------------

    def _callers(self, moments: Sequence[datetime]) -> CTE:
        calls = self._calls.columns
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
            .where(self._calls.since_assigned())
            .group_by(calls.caller)
            .cte("callers")
        )

    def _of_caller(self, moment: datetime) -> dict[str, ColumnElement[Any]]:
        """Return what a caller's calls come to; those from ``moment`` on do not count."""
        calls = self._calls.columns
        is_made = [] if moment == self._query.until else [calls.at < moment]
        counts = [calls.reached, *is_made]
        is_due, is_reported = (calls.reached, calls.at < moment - REPORTED_WITHIN), calls.reported_at < moment
        is_in = func.min(calls.since) < moment
        made, due = _number(*counts), _number(*is_due)
        lost = due - _number(*is_due, is_reported)
        found: dict[str, ColumnElement[Any]] = {
            "reported": _number(*counts, is_reported),
            "unassigned": _number(*counts, calls.assigned.is_(None)),
            "unreached": _number(*is_made, ~calls.reached),
            **_pair("calls_per_caller", is_in, is_in, made, 1, made, 0),
            **_pair("reports", is_in, is_in, lost, due, due, lost),
        }
        for platform in self._query.delivered_on:
            on = [*counts, calls.platform == platform]
            if moment != self._query.until:
                on.append(calls.told_at < moment)
            known, lost = _number(*on, calls.delivered.is_not(None)), _number(*on, calls.delivered.is_(False))
            found |= _share(delivery_on(platform), lost, known)
        for index, metric in enumerate(self._query.metrics):
            found |= self._of_metric(index, metric, moment, counts)
        return found | self._of_lost(moment, [*counts, is_reported])

    def _of_lost(self, moment: datetime, counts: Sequence[Any]) -> dict[str, ColumnElement[Any]]:
        """Return what a caller's reports lack."""
        found: dict[str, ColumnElement[Any]] = {}
        if "analyses" in self._lost:
            is_analysed, said = self._calls.is_analysed(moment), self._calls.value("user_messages", moment)
            could_be = (*counts, func.coalesce(said, FEWEST_MESSAGES) >= FEWEST_MESSAGES)
            asked = _number(*could_be)
            found |= {"analysed": _number(*counts, is_analysed)} | _share(
                "analyses", asked - _number(*could_be, is_analysed), asked
            )
            for index, metric in enumerate(self._query.metrics):
                if metric.outcome.startswith(ANALYSED):
                    is_lacking = self._calls.value(metric.outcome, moment).is_(None)
                    found[f"lacking_{index}"] = _number(*counts, is_analysed, is_lacking)
        if "hang_ups" in self._lost:
            asked, known = _number(*counts), self._calls.value(HUNG_UP, moment).is_not(None)
            found |= _share("hang_ups", asked - _number(*counts, known), asked)
        return found

    def _of_metric(
        self, index: int, metric: MetricDefinition, moment: datetime, counts: Sequence[Any]
    ) -> dict[str, ColumnElement[Any]]:
        scale, since = self._scales[metric.name], func.min(self._calls.columns.since)
        value, in_time = self._calls.value(metric.outcome, moment), self._calls.in_time(metric)
        has = [*counts, value.is_not(None), *in_time]
        made, having = _number(*counts, *in_time[:1]), _number(*has)
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
            **{name: func.sum(of(name)) for name in COUNTS_OF_CALLS},
            "reported": _number(of("reported") > 0),
        }
        for index, metric in enumerate(self._query.metrics):
            if "analyses" in self._lost and metric.outcome.startswith(ANALYSED):
                found[f"analysed_{index}"] = _number(of("analysed") > 0)
                found[f"lacking_{index}"] = _number(of(f"lacking_{index}") > 0)
        delivery = map(delivery_on, self._query.delivered_on)
        for name in (*SUMS_OF_CALLS, *self._lost, *delivery, *map(str, range(len(self._query.metrics)))):
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


def lost_sums(query: CountQuery) -> tuple[str, ...]:
    """Return the names of the sums of what reports lack, as far as a metric is of it."""
    if query.experiment is None:
        return ()
    outcomes = [metric.outcome for metric in query.metrics]
    is_asked = {"analyses": any(name.startswith(ANALYSED) for name in outcomes), "hang_ups": HUNG_UP in outcomes}
    return tuple(name for name, asked in is_asked.items() if asked)


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


def _share(name: str, lost: Any, asked: Any) -> dict[str, ColumnElement[Any]]:
    """Return a caller's part in the share of calls that lack something, of those that are asked."""
    return _pair(name, asked > 0, asked > 0, lost, asked, asked, lost)


def _number(*conditions: Any) -> ColumnElement[Any]:
    """Return how many rows meet all conditions."""
    return func.count(case((and_(*conditions), 1)))
