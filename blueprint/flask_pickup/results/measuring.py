"""What callers did before anything was changed: the baseline of a plan, measured in the tables, and what follows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, case, func, select

from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.engines import reading
from flask_pickup.models import Assignment, Call
from flask_pickup.results import estimates, planning
from flask_pickup.results.aggregates import RECENT, ArmAggregates
from flask_pickup.results.calls import CountQuery
from flask_pickup.results.counting import aggregate
from flask_pickup.results.planning import Baseline
from flask_pickup.results.wording import amount

MEASURED = timedelta(weeks=12)
FEWEST_MEASURED = 30
"""Callers below which nothing is measured."""
_WEEKS = 12
"""For how many weeks ``check`` says what can be detected."""


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


def new_callers_a_week(engine: Engine, experiment: Experiment, *, now: datetime) -> float | None:
    """Return the new callers a week, of the last four: those that the experiment was given, or could be.

    Where nobody is enrolled yet, its traffic says which share of all new callers would be.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    includes = CountQuery(experiment.name, (), until=now).includes
    enrolled = select(Assignment.caller_key, func.min(Assignment.assigned_at).label("first")).where(
        Assignment.experiment == experiment.name, Assignment.source == "hash"
    )
    everybody = select(Call.caller_key, func.min(Call.decided_at).label("first")).where(
        Call.caller_key.is_not(None), Call.decision.in_(("arm", "base")), includes(Call.call_id)
    )
    with reading(engine) as connection:
        for firsts, share in ((enrolled, 1.0), (everybody, experiment.traffic)):
            first = firsts.group_by("caller_key").subquery().c.first
            row = connection.execute(select(func.min(first), func.sum(case((first > now - RECENT, 1), else_=0)))).one()
            if row[0] is not None:
                weeks: float = min(RECENT, max(now - row[0], timedelta(weeks=1))) / timedelta(weeks=1)
                return float(row[1]) * share / weeks
    return None


def detectable_effects(engine: Engine, bodies: Mapping[str, Mapping[str, Any]], *, now: datetime) -> Iterator[str]:
    """Yield a sentence for each running experiment whose primary metric has been measured.

    :param bodies: experiment to its definition.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    for _, body in sorted(bodies.items()):
        experiment = Experiment.of(body)
        metric = experiment.metric(experiment.primary)
        baseline = measured(engine, metric, now=now) if metric and experiment.is_running else None
        pace = new_callers_a_week(engine, experiment, now=now) if baseline else None
        with suppress(ValueError):
            if metric and baseline and pace:
                yield _sentence(planning.plan(experiment, metric, replace(baseline, new_callers_a_week=pace)), pace)


def _sentence(plan: planning.Plan, pace: float) -> str:
    kind = (_WEEKS, planning.CONFIDENCES[0], "always valid")
    least = next(each.difference for each in plan.detectable if (each.weeks, each.confidence, each.interval) == kind)
    effect = f"a difference of {amount(float(f'{least:.2g}'), plan.unit)}" if least else "no possible difference"
    return f"{plan.experiment}: in {_WEEKS} weeks, at {pace:,.0f} new callers a week, it can detect {effect} on {plan.metric}."
