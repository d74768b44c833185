"""The calls of all who are enrolled, a row each: their caller's first time in an arm, and what came of them.

A caller belongs to the arm and the definition of their first hashed assignment, and counts with all calls from then on
to the first pinned one: also those after they left the audience, because an arm may change who stays in it. Calls that
were turned away before an arm could be heard do not count. Nor do those that no arm could reach: outside the traffic or
the experiment's range of a layer, or while the experiment was paused or concluded.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
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
from flask_pickup.outcome_names import ANALYSED, is_reported
from flask_pickup.results.calls import CountQuery, was_heard

_DAY = 86_400.0
_LEFT = ("audience", "customer_failed")
"""Reasons of calls in no arm that count."""


class CallRows:
    """The calls that may count, as they were known at ``query.until``, and the conditions that are asked of them.

    :param query: its ``scaled_by`` says whose calls set a scale.
    :param finds_lost: whether analyses that are missing are asked for, if a metric is of one.
    """

    def __init__(self, dialect: str, query: CountQuery, *, finds_lost: bool = False) -> None:
        self._is_sqlite = dialect == "sqlite"
        self._query = query
        names = sorted({metric.outcome for metric in query.metrics})
        self._analyses = [name for name in names if finds_lost and name.startswith(ANALYSED)]
        if self._analyses:
            names = sorted({*names, "user_messages"})
        self._outcomes = {name: aliased(Outcome, name=f"outcome_{index}") for index, name in enumerate(names)}
        self._calls = self._called()

    @property
    def columns(self) -> Any:
        """The columns of a call."""
        return self._calls.c

    def since_assigned(self) -> ColumnElement[bool]:
        """Return whether a call is between its caller's first assignment and their first pinned call."""
        calls = self._calls.c
        return and_(calls.at >= calls.since, calls.at < calls.end)

    def counted(self) -> ColumnElement[bool]:
        """Return whether a call counts."""
        return and_(self.since_assigned(), self._calls.c.reached)

    def value(self, outcome: str, moment: datetime) -> ColumnElement[Any]:
        """Return an outcome's value as it was known at a moment; null without any."""
        place = list(self._outcomes).index(outcome)
        value, time = self._calls.c[f"value_{place}"], self._calls.c[f"time_{place}"]
        return value if moment == self._query.until else case((time < moment, value))

    def is_analysed(self, moment: datetime) -> ColumnElement[bool]:
        """Return whether an analysis of the call was known at a moment, whatever it found."""
        known = (self.value(name, moment).is_not(None) for name in self._analyses)
        return or_(self._calls.c.analysed_at < moment, *known)

    def in_time(self, metric: MetricDefinition) -> list[ColumnElement[bool]]:
        """Return the conditions under which a call, and what came of it, is within the metric's time."""
        if metric.within is None:
            return []
        calls = self._calls
        found = [self._days(calls.c.at, calls.c.since) < metric.within]
        if is_reported(metric.outcome):
            return found
        happened = calls.c[f"time_{list(self._outcomes).index(metric.outcome)}"]
        return [*found, self._days(happened, calls.c.since) < metric.within]

    def sets_scale(self, metric: MetricDefinition) -> ColumnElement[bool]:
        """Return whether a call's value is one by which the metric's scale is set."""
        calls, found = self._calls.c, [self.counted(), *self.in_time(metric)]
        if metric.within is not None:
            found.append(calls.since <= self._query.until - timedelta(days=metric.within))
        if self._query.scaled_by:
            found.append(calls.since == calls.since_scaled)
        return and_(*found)

    def _called(self) -> Subquery:
        query, unit = self._query, getattr(Call, self._query.unit)
        is_drawn = Assignment.source == query.source
        # Where a report brought an assignment back, its row is younger than the call.
        at = func.coalesce(Call.decided_at, Assignment.assigned_at)
        since = at if query.experiment is None else case((is_drawn, at))
        sets_scale = and_(is_drawn, Assignment.definition.in_(sorted(query.scaled_by)))
        end = case((Assignment.source == "pin", at), else_=query.until)
        since_scaled = func.min(case((sets_scale, at)), type_=Moment()).over(partition_by=unit).label("since_scaled")
        # Of a fallback it is known at once that no arm was heard.
        told_at = case((Call.decision == "fallback", at), else_=func.coalesce(Call.reported_at, at))
        statement = (
            select(
                unit.label("caller"),
                at.label("at"),
                func.min(since, type_=Moment()).over(partition_by=unit).label("since"),
                func.min(end, type_=Moment()).over(partition_by=unit).label("end"),
                self._reached().label("reached"),
                case((is_drawn, Assignment.arm)).label("arm"),
                case((is_drawn, Assignment.definition)).label("definition"),
                Call.reported_at,
                Assignment.call_id.label("assigned"),
                case((told_at < query.until, Assignment.delivered)).label("delivered"),
                told_at.label("told_at"),
                Call.platform,
                *([since_scaled] if query.scaled_by else []),
                *self._outcome_columns(),
                *([self._analysed_at()] if self._analyses else []),
            )
            .select_from(self._joined())
            # The times of calls are what PostgreSQL has statistics of; those without one are the reports' alone.
            .where(or_(Call.decided_at < query.until, Call.decided_at.is_(None)), was_heard())
            .where(query.includes(Call.call_id))
            .where(unit.is_not(None) if query.experiment is None else unit.in_(self._enrolled()))
        )
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

    def _reached(self) -> ColumnElement[bool]:
        """Return whether a call is in an arm, or an arm may be why it is in none."""
        if self._query.experiment is None:
            return true()
        reason = self._reason()
        # Where the base is broken nobody's place is recorded.
        is_broken = and_(Call.decision == "fallback", reason == "")
        return or_(Assignment.call_id.is_not(None), reason.in_(_LEFT), is_broken)

    def _reason(self) -> ColumnElement[str]:
        """Return why a call is or is not in the experiment, as SQL that can be copied; empty where that is not known."""
        reasons, name = Call.reasons, self._query.experiment
        found = (
            func.json_extract(reasons, f'$."{name}"')
            if self._is_sqlite
            else func.jsonb_extract_path_text(reasons, name)
        )
        return func.coalesce(found, "")

    def _outcome_columns(self) -> Iterator[ColumnElement[Any]]:
        for index, outcome in enumerate(self._outcomes.values()):
            yield self._known_value(outcome).label(f"value_{index}")
            yield outcome.reported_at.label(f"time_{index}")

    def _known_value(self, outcome: type[Outcome]) -> ColumnElement[Any]:
        # Asked of the rows that are joined, not of the whole table in the join.
        return case((outcome.reported_at < self._query.until, outcome.value))

    def _analysed_at(self) -> ColumnElement[Any]:
        """Return when an analysis that no metric is of was reported first; null where one of a metric's is known."""
        other, own = aliased(Outcome, name="other_outcome"), [self._outcomes[name] for name in self._analyses]
        is_analysis = (other.call_id == Call.call_id, other.name.startswith(ANALYSED))
        first = select(func.min(other.reported_at, type_=Moment())).where(*is_analysis).correlate(Call)
        # A look-up takes longer than a join has: only calls without a row of the metrics need one.
        is_unknown = and_(Call.reported_at.is_not(None), *(self._known_value(each).is_(None) for each in own))
        return case((is_unknown, first.scalar_subquery())).label("analysed_at")

    def _enrolled(self) -> Select[Any]:
        unit = getattr(Assignment, self._query.unit)
        return select(unit).where(
            Assignment.experiment == self._query.experiment,
            Assignment.source == self._query.source,
            unit.is_not(None),
            self._query.includes(Assignment.call_id),
        )

    def _days(self, later: Any, earlier: Any) -> ColumnElement[Any]:
        if self._is_sqlite:
            return func.julianday(later) - func.julianday(earlier)
        return cast(extract("epoch", later - earlier), Double) / _DAY
