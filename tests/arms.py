"""Callers made up for the statistics: their values, and the sums that SQL would yield of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from flask_pickup.catalog.definition import DecisionRules, Experiment, MetricDefinition
from flask_pickup.results.model import ArmCounts, Results
from flask_pickup.results.statistics import results_of
from flask_pickup.results.sums import Sums, Tally

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


def tally(of: Experiment, metrics: Mapping[str, Mapping[str, Sums]], *, weeks: float = 8, **options: Any) -> Tally:
    """Return a period's tally whose arms have the callers of the first metric."""
    sums = next(iter(metrics.values()))
    counts = {arm: sums[arm].asked if arm in sums else 0 for arm in of.weights}
    arms = options.pop("arms", None) or tuple(
        ArmCounts(arm, weight, counts[arm], counts[arm], reported=counts[arm], known=counts[arm])
        for arm, weight in of.weights.items()
    )
    tallied = Tally(1, START, START + timedelta(weeks=weeks), arms, metrics, new_callers_a_week=250.0)
    return replace(tallied, **options)


def results(of: Experiment, metrics: Mapping[str, Mapping[str, Sums]], **options: Any) -> Results:
    """Return the results of made-up sums."""
    return results_of(of, tally(of, metrics, **options))
