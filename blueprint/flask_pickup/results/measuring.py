"""What callers did before anything was changed: the baseline of a plan, measured in the tables."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine

from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.engines import reading
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import ArmAggregates
from flask_pickup.results.calls import CountQuery
from flask_pickup.results.counting import aggregate
from flask_pickup.results.planning import Baseline

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
    everybody = next(iter(found.values()), ArmAggregates())
    sums = everybody.of(metric.name)
    if sums.callers < FEWEST_MEASURED:
        return None
    return Baseline(
        mean=estimates.ratio(sums),
        spread=estimates.variance(sums) * sums.callers,
        is_proportion=sums.is_proportion,
        calls_per_caller=everybody.calls / everybody.callers,
        callers=sums.callers,
    )
