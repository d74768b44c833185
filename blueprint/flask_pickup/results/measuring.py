"""What callers did before anything was changed: the baseline of a plan, measured in the tables."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, case, func, select

from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.models import Assignment, Call
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import RECENT
from flask_pickup.results.calls import CountQuery
from flask_pickup.results.counting import aggregate
from flask_pickup.results.planning import Baseline
from flask_pickup.results.reading import reading

MEASURED = timedelta(weeks=12)
FEWEST_MEASURED = 30
"""Callers below which nothing is measured."""


def measured(engine: Engine, metric: MetricDefinition, *, now: datetime) -> Baseline | None:
    """Return what the callers of the last twelve weeks did; None if they are too few to say.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    query = CountQuery(None, (metric,), until=now + timedelta(seconds=1), after=now - MEASURED)
    with reading(engine) as connection:
        [found] = aggregate(connection, query)
    everybody = next(iter(found.values()), None)
    if everybody is None or everybody.metrics[metric.name].callers < FEWEST_MEASURED:
        return None
    sums = everybody.metrics[metric.name]
    return Baseline(
        mean=estimates.ratio(sums),
        spread=estimates.variance(sums) * sums.callers,
        is_proportion=sums.is_proportion,
        calls_per_caller=everybody.calls / everybody.callers,
        callers=sums.callers,
    )


def new_callers_a_week(engine: Engine, experiment: str, *, traffic: float, now: datetime) -> float | None:
    """Return the new callers a week, of the last four: those that the experiment was given, or could be.

    :param traffic: the share of all new callers that would be enrolled, where nobody is yet.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    includes = CountQuery(experiment, (), until=now).includes
    enrolled = select(Assignment.caller_key, func.min(Assignment.assigned_at).label("first")).where(
        Assignment.experiment == experiment, Assignment.source == "hash"
    )
    everybody = select(Call.caller_key, func.min(Call.decided_at).label("first")).where(
        Call.caller_key.is_not(None), Call.decision.in_(("arm", "base")), includes(Call.call_id)
    )
    with reading(engine) as connection:
        for firsts, share in ((enrolled, 1.0), (everybody, traffic)):
            first = firsts.group_by("caller_key").subquery().c.first
            row = connection.execute(select(func.min(first), func.sum(case((first > now - RECENT, 1), else_=0)))).one()
            if row[0] is not None:
                weeks: float = min(RECENT, max(now - row[0], timedelta(weeks=1))) / timedelta(weeks=1)
                return float(row[1]) * share / weeks
    return None
