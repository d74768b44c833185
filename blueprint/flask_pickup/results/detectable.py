"""The smallest effects that running experiments detect in twelve weeks, at the measured pace: for ``check``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from flask_pickup.catalog.definition import Experiment
from flask_pickup.results import measuring, planning
from flask_pickup.results.wording import amount

_WEEKS = 12


def detectable_effects(engine: Engine, bodies: Mapping[str, Mapping[str, Any]], *, now: datetime) -> Iterator[str]:
    """Yield a sentence for each running experiment whose primary metric has been measured.

    :param bodies: experiment to its definition.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    for name, body in sorted(bodies.items()):
        experiment = Experiment.of(body)
        metric = experiment.metric(experiment.primary)
        baseline = measuring.measured(engine, metric, now=now) if metric and experiment.is_running else None
        pace = measuring.new_callers_a_week(engine, name, traffic=experiment.traffic, now=now) if baseline else None
        with suppress(ValueError):
            if metric and baseline and pace:
                yield _sentence(planning.plan(experiment, metric, replace(baseline, new_callers_a_week=pace)), pace)


def _sentence(plan: planning.Plan, pace: float) -> str:
    kind = (_WEEKS, planning.CONFIDENCES[0], "always valid")
    least = next(each.difference for each in plan.detectable if (each.weeks, each.confidence, each.interval) == kind)
    effect = f"a difference of {amount(float(f'{least:.2g}'), plan.unit)}" if least else "no possible difference"
    return f"{plan.experiment}: in {_WEEKS} weeks, at {pace:,.0f} new callers a week, it can detect {effect} on {plan.metric}."
