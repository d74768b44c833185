"""How many callers an experiment would enrol by the calls of the last weeks, and what they are too few for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Engine, RowMapping, func, select

from flask_pickup.caller import REHEARSAL, Caller, language_in
from flask_pickup.calls import CallFacts
from flask_pickup.catalog import Catalog, Complaint, Experiment
from flask_pickup.customer import Customer, UnavailableCustomer
from flask_pickup.decision import Deciding
from flask_pickup.engines import reading
from flask_pickup.models import Call
from flask_pickup.results import planning
from flask_pickup.results.aggregates import RECENT
from flask_pickup.results.baselines import Baseline, measured
from flask_pickup.results.plan_wording import guardrail_missed, lift_missed


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
    catalog = catalog.with_experiment(running)
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


_SAMPLE = 4_000
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


@dataclass(frozen=True)
class Forecast:
    """What callers let expect of a running experiment: its metrics' baselines, and new callers a week."""

    experiment: Experiment
    baselines: Mapping[str, Baseline]
    new_callers_a_week: float


def forecasts(engine: Engine, catalog: Catalog, *, now: datetime) -> Iterator[Forecast]:
    """Yield what is expected of each running experiment whose primary metric has been measured.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    for experiment in catalog.experiments:
        if not experiment.is_running or experiment.metric(experiment.primary) is None:
            continue
        baselines = measured(engine, experiment.metrics, now=now)
        counted = enrolment(engine, catalog, experiment, now=now) if experiment.primary in baselines else None
        if counted and counted.enrolled:
            yield Forecast(experiment, baselines, counted.enrolled)


def undetectable(known: Forecast) -> Iterator[Complaint]:
    """Yield a warning for what an experiment will probably not find by its horizon."""
    experiment = known.experiment
    metric = experiment.metric(experiment.primary)
    assert metric
    guardrails = {each.name for each in experiment.metrics if each.guardrail}
    with suppress(ValueError):
        plan = planning.plan(
            experiment,
            metric,
            known.baselines[metric.name],
            new_callers_a_week=known.new_callers_a_week,
            guardrails={name: known.baselines[name] for name in guardrails & known.baselines.keys()},
        )
        missed = [lift_missed(plan)] if plan.lift and not plan.week else []
        missed += [guardrail_missed(each, plan) for each in plan.guardrails if not each.week]
        for problem, remedy in missed:
            yield Complaint(experiment.file, 0, problem, remedy, "warning")
