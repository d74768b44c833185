"""What running experiments could find in twelve weeks, at the callers that the database has seen: for ``check``."""

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

WEEKS = 12


def prospects(engine: Engine, bodies: Mapping[str, Mapping[str, Any]], *, now: datetime) -> Iterator[str]:
    """Yield a sentence for each running experiment of whose primary metric enough is known.

    :param bodies: experiment to its definition.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    for name, body in sorted(bodies.items()):
        design = Experiment.of(body)
        metric = next((metric for metric in design.metrics if metric.name == design.primary), None)
        baseline = measuring.measured(engine, metric, now=now) if metric and design.status == "running" else None
        pace = measuring.new_callers_a_week(engine, name, traffic=body["traffic"], now=now) if baseline else None
        with suppress(ValueError):
            if metric and baseline and pace:
                yield _prospect(planning.plan(design, metric, replace(baseline, new_callers_a_week=pace)), pace)


def _prospect(plan: planning.Plan, pace: float) -> str:
    kind = (WEEKS, planning.CONFIDENCES[0], "always valid")
    least = next(each.difference for each in plan.detectable if (each.weeks, each.confidence, each.interval) == kind)
    what = (
        f"a difference of {amount(float(f'{least:.2g}'), plan.unit)}"
        if least
        else "no difference that there is room for"
    )
    at = f"at {pace:,.0f} new callers a week"
    return f"{plan.experiment}: in {WEEKS} weeks, {at}, it can find {what} on {plan.metric}."
