"""What the calls of the last weeks tell a plan: a metric's baseline, and how many callers an experiment would enrol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Engine, RowMapping, func, select

from flask_pickup.caller import REHEARSAL, Caller, language_in
from flask_pickup.calls import CallFacts
from flask_pickup.catalog import Catalog, Experiment
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.customer import Customer, UnavailableCustomer
from flask_pickup.decision import Deciding
from flask_pickup.engines import reading
from flask_pickup.models import Call
from flask_pickup.results import estimates, planning
from flask_pickup.results.aggregates import RECENT, ArmAggregates
from flask_pickup.results.calls import CountQuery
from flask_pickup.results.counting import aggregate
from flask_pickup.results.planning import Baseline
from flask_pickup.results.wording import amount

_WEEKS = 12
"""The baseline's, and those for which ``check`` says what can be detected."""
_FEWEST = 30
"""Callers below which nothing is measured."""


def measured(engine: Engine, metric: MetricDefinition, *, now: datetime) -> Baseline | None:
    """Return what the callers of the last twelve weeks did; None if they are too few to say.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    query = CountQuery(None, (metric,), until=now + timedelta(seconds=1), after=now - timedelta(weeks=_WEEKS))
    with reading(engine) as connection:
        [found] = aggregate(connection, query)
    everybody = next(iter(found.values()), ArmAggregates())
    sums = everybody.of(metric.name)
    if sums.callers < _FEWEST:
        return None
    return Baseline(
        mean=estimates.ratio(sums),
        spread=estimates.variance(sums) * sums.callers,
        is_proportion=sums.is_proportion,
        calls_per_caller=everybody.calls / everybody.callers,
        callers=sums.callers,
    )


@dataclass(frozen=True)
class Enrolment:
    """New callers a week, of the last four weeks. Rehearsals and callers who were turned away are left out.

    :param callers: those with a number.
    :param enrolled: those of them whom the experiment would have enrolled, as it is defined now.
    :param unidentified: calls a week without a number, which never count.
    :param is_upper_bound: whether the audience asks for the customer or the number, which are not recorded. Callers whom
        they decide count as enrolled.
    """

    callers: float
    enrolled: float
    unidentified: float
    is_upper_bound: bool


def enrolment(
    engine: Engine, catalog: Catalog, experiment: Experiment, *, now: datetime, seconds: float | None = None
) -> Enrolment | None:
    """Return how many callers ``experiment`` would enrol if it ran; None if no call is recorded.

    :param seconds: how long the database may take.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    running = replace(experiment, status="running")
    experiments = (running if each.name == running.name else each for each in catalog.experiments)
    catalog = replace(catalog, experiments=tuple(experiments))
    heard = (~Call.call_id.startswith(REHEARSAL), Call.decided_at <= now, Call.decision != "closed")
    key, first_at = Call.caller_key, func.min(Call.decided_at)
    new = select(key).where(*heard, key.is_not(None)).group_by(key).having(first_at > now - RECENT)
    calls = select(Call.__table__).where(*heard, key.in_(new.order_by(key).limit(_SAMPLE)))
    without_number = select(func.count()).where(*heard, key.is_(None), Call.decided_at > now - RECENT)
    reasons: dict[str, set[str]] = {}
    with reading(engine, seconds) as connection:
        began = connection.scalar(select(first_at).where(*heard))
        if began is None:
            return None
        callers = connection.scalar(select(func.count()).select_from(new.subquery())) or 0
        unidentified = connection.scalar(without_number) or 0
        for call in connection.execute(calls.execution_options(yield_per=1000)).mappings():
            known = reasons.setdefault(call["caller_key"], set())
            if known.isdisjoint(_SETTLED):
                deciding = Deciding(
                    catalog, catalog.platforms[0], _facts(catalog, call), _NOT_RECORDED, call["language"]
                )
                known.add(deciding.place(running)[1])
    enrolled = sum(not known.isdisjoint({"enrolled", "customer_failed"}) for known in reasons.values())
    unsure = any("customer_failed" in known and "enrolled" not in known for known in reasons.values())
    weeks = min(RECENT, max(now - began, timedelta(weeks=1))) / timedelta(weeks=1)
    return Enrolment(callers / weeks, enrolled * callers / max(len(reasons), 1) / weeks, unidentified / weeks, unsure)


_SAMPLE = 10_000
"""Callers whose calls are looked at; a pseudonym is random, so that the first are like all."""

_SETTLED = {"enrolled", "pin", "layer", "traffic"}
"""Reasons that no other call of the caller changes."""

_NOT_RECORDED = Customer(failed="customers are not recorded")


def _facts(catalog: Catalog, call: RowMapping) -> CallFacts:
    """Return the facts of a recorded call; an audience that uses the caller's number meets ``CustomerFailed``."""
    line = catalog.line(call["line"], None)
    language = language_in(call["country"], catalog.languages_on(line))
    caller = Caller(cast(Any, UnavailableCustomer()), call["country"], language, call["caller_key"])
    return CallFacts(call["call_id"], call["platform"], call["call_type"], caller, line, call["decided_at"])


def detectable_effects(engine: Engine, catalog: Catalog, *, now: datetime) -> Iterator[str]:
    """Yield a sentence for each running experiment whose primary metric has been measured.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    for experiment in catalog.experiments:
        metric = experiment.metric(experiment.primary)
        if not experiment.is_running or metric is None or not (baseline := measured(engine, metric, now=now)):
            continue
        expected = enrolment(engine, catalog, experiment, now=now)
        with suppress(ValueError):
            if expected and expected.enrolled:
                known = replace(baseline, new_callers_a_week=expected.enrolled)
                yield _sentence(planning.plan(experiment, metric, known), expected.enrolled)


def _sentence(plan: planning.Plan, pace: float) -> str:
    kind = (_WEEKS, planning.CONFIDENCES[0], "always valid")
    least = next(each.difference for each in plan.detectable if (each.weeks, each.confidence, each.interval) == kind)
    effect = f"a difference of {amount(float(f'{least:.2g}'), plan.unit)}" if least else "no possible difference"
    return f"{plan.experiment}: in {_WEEKS} weeks, at {pace:,.0f} new callers a week, it can detect {effect} on {plan.metric}."
