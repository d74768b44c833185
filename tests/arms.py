"""Callers made up for the statistics: their values, and the sums that SQL would yield of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from flask_pickup.catalog.definition import DecisionRules, Experiment, MetricDefinition
from flask_pickup.results.aggregates import ArmAggregates, PeriodAggregates, Sums
from flask_pickup.results.looks import PastLooks, WeeklyLook
from flask_pickup.results.model import Finding, Results
from flask_pickup.results.statistics import results_of
from flask_pickup.results.verdict import decide_verdict

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""A Monday."""


@dataclass(frozen=True)
class Callers:
    """One arm's callers: for each the sum of their values, and the number of calls that count (or 1)."""

    s: Any
    d: Any

    @np.errstate(all="ignore")
    def sums(self, *, centre: float = 0.0, is_proportion: bool = False, missing: int = 0) -> Sums:
        """Return the arm's sufficient statistics."""
        d = np.asarray(self.d, dtype=float)
        x = np.asarray(self.s, dtype=float) - centre * d
        n = len(d)
        return Sums(
            callers=n,
            calls=int(d.sum()),
            s=float(x.sum()),
            d=float(d.sum()),
            ss=float((x * x).sum()),
            dd=float((d * d).sum()),
            sd=float((x * d).sum()),
            centre=centre,
            is_proportion=is_proportion,
            missing=missing,
            asked=n + missing,
            incomplete=missing,
        )


def once(values: Any) -> Callers:
    """Return callers with one value each."""
    return Callers(np.asarray(values, dtype=float), np.ones(len(values)))


def rate(events: int, callers: int) -> Sums:
    """Return an arm in which so many callers of so many did it."""
    return once([1.0] * events + [0.0] * (callers - events)).sums(is_proportion=True)


def mean(average: float, deviation: float, callers: int) -> Sums:
    """Return an arm whose values have this mean and this deviation."""
    half = np.resize([-1.0, 1.0], callers)
    values = (half - half.mean()) / (half.std(ddof=1) or 1) * deviation + average
    return once(values).sums()


def design(*metrics: MetricDefinition, weights: Mapping[str, float] | None = None, **options: Any) -> Experiment:
    """Return a design of control and warm whose first metric is the primary one."""
    metrics = metrics or (MetricDefinition("booked", "analysis.booked", smallest=0.05),)
    arms = weights or {"control": 1, "warm": 1}
    return Experiment("warm-opening", "running", arms, metrics, metrics[0].name, DecisionRules(**options))


def period(
    of: Experiment,
    metrics: Mapping[str, Mapping[str, Sums]],
    *,
    weeks: float = 8,
    number: int = 1,
    arms: Mapping[str, Mapping[str, Any]] | None = None,
) -> PeriodAggregates:
    """Return a period whose arms have the callers of the first metric; ``arms`` gives more of their aggregates."""
    first = next(iter(metrics.values()))
    found = dict.fromkeys(of.weights, ArmAggregates())
    for arm in (arm for arm in of.weights if arm in first):
        callers = first[arm].asked
        known = {"calls_per_caller": once([1.0] * callers).sums(), "reported": callers, **(arms or {}).get(arm, {})}
        sums = {name: each[arm] for name, each in metrics.items() if arm in each}
        found[arm] = ArmAggregates(sums, since=START, **known)
    return PeriodAggregates(number, of.weights, START + timedelta(weeks=weeks), found)


def results(
    of: Experiment, metrics: Mapping[str, Mapping[str, Sums]], *, pace: float | None = 250.0, **options: Any
) -> Results:
    """Return the results of made-up sums without weekly looks, with so many new callers a week."""
    return replace(results_of(of, period(of, metrics, **options)), new_callers_a_week=pace)


def look(  # noqa: PLR0913 (all that a look follows from)
    of: Experiment,
    metrics: Mapping[str, Mapping[str, Sums]],
    *,
    week: int = 8,
    earlier: Sequence[WeeklyLook] = (),
    pace: float | None = 250.0,
    alarm: Finding | None = None,
    **options: Any,
) -> WeeklyLook:
    """Return a weekly look at made-up sums, after earlier ones, with its verdict."""
    history = PastLooks(earlier, alarm, week)
    found = results_of(of, period(of, metrics, weeks=week, **options), histories={1: history})
    found = replace(found, week=week, rules="d", new_callers_a_week=pace)
    return WeeklyLook(week, replace(found, verdict=decide_verdict(found, of, history)).as_data())
