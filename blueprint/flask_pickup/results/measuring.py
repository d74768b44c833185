"""What callers did before anything was changed: the baseline of a plan, measured in the tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, case, func, select

from flask_pickup.caller import REHEARSAL
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.models import Assignment, Call, Outcome
from flask_pickup.results import estimates
from flask_pickup.results.planning import Baseline
from flask_pickup.results.sums import Sums

MEASURED = timedelta(weeks=12)
RECENT = timedelta(weeks=4)
FEWEST = 30
"""Callers below which nothing is measured."""


def measured(engine: Engine, metric: MetricDefinition, *, now: datetime) -> Baseline | None:
    """Return what the callers of the last twelve weeks did; None if they are too few to say.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    with engine.connect() as connection:
        row = connection.execute(_sums_of(_per_caller(metric, now - MEASURED), metric)).mappings().one()
    if row["callers"] < FEWEST:
        return None
    sums = _sums(row, metric)
    return Baseline(
        mean=float(estimates.ratio(sums)),
        spread=float(estimates.variance(sums)) * sums.callers,
        is_proportion=sums.is_proportion,
        calls_per_caller=float(row["calls"]) / sums.callers,
        callers=sums.callers,
    )


def new_callers_a_week(engine: Engine, experiment: str, *, traffic: float, now: datetime) -> float | None:
    """Return the new callers a week, of the last four: those that the experiment was given, or could be.

    :param traffic: the share of all new callers that would be enrolled, where nobody is yet.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    enrolled = select(Assignment.caller_key, func.min(Assignment.assigned_at).label("first")).where(
        Assignment.experiment == experiment, Assignment.source == "hash"
    )
    everybody = select(Call.caller_key, func.min(Call.decided_at).label("first")).where(*_counted())
    with engine.connect() as connection:
        for firsts, share in ((enrolled, 1.0), (everybody, traffic)):
            first = firsts.group_by("caller_key").subquery().c.first
            row = connection.execute(select(func.min(first), func.sum(case((first > now - RECENT, 1), else_=0)))).one()
            if row[0] is not None:
                weeks: float = min(RECENT, max(now - row[0], timedelta(weeks=1))) / timedelta(weeks=1)
                return float(row[1]) * share / weeks
    return None


def _counted() -> list[ColumnElement[bool]]:
    return [
        Call.caller_key.is_not(None),
        Call.decision.in_(("arm", "base")),
        ~Call.call_id.startswith(REHEARSAL, autoescape=True),
    ]


def _per_caller(metric: MetricDefinition, since: datetime) -> Select[*tuple[Any, ...]]:
    value: Any = func.coalesce(Outcome.value, 0.0) if metric.missing == "zero" else Outcome.value
    return (
        select(
            func.count().label("calls"),
            func.count(value).label("counted"),
            func.sum(value).label("total"),
            func.max(value).label("most"),
            func.sum(case((value.in_((0, 1)), 0), else_=1)).label("others"),
        )
        .select_from(Call)
        .outerjoin(Outcome, and_(Outcome.call_id == Call.call_id, Outcome.name == metric.outcome))
        .where(*_counted(), Call.decided_at > since)
        .group_by(Call.caller_key)
        .having(func.count(value) > 0)
    )


def _sums_of(callers: Select[*tuple[Any, ...]], metric: MetricDefinition) -> Select[*tuple[Any, ...]]:
    one = callers.subquery().c
    total, calls = func.sum, one.counted
    columns = {"callers": func.count(), "calls": total(one.calls), "others": total(one.others)}
    # Did they ever: the most of their values, where these are 0 and 1.
    columns |= {"most": total(one.most), "most_squares": total(one.most * one.most)}
    columns |= {"s": total(one.total), "ss": total(one.total * one.total)}
    if metric.per == "call":
        columns |= {"d": total(calls), "dd": total(calls * calls), "sd": total(one.total * calls)}
    return select(*(column.label(name) for name, column in columns.items()))


def _sums(row: Mapping[Any, Any], metric: MetricDefinition) -> Sums:
    callers, is_proportion = int(row["callers"]), not row["others"]
    ever = metric.per == "caller" and is_proportion
    s, ss = float(row["most" if ever else "s"]), float(row["most_squares" if ever else "ss"])
    d, dd, sd = (float(callers), float(callers), s) if metric.per == "caller" else map(float, _pairs(row))
    return Sums(callers, int(row["calls"]), s, d, ss, dd, sd, is_proportion=is_proportion)


def _pairs(row: Mapping[Any, Any]) -> tuple[Any, Any, Any]:
    return row["d"], row["dd"], row["sd"]
