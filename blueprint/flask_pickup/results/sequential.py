"""The interval of one comparison over the weekly looks and the days between them.

At each look the interval reaches a group-sequential boundary's standard errors to either side of the difference, until
the horizon; on any day it is the always-valid one. Both have a part of the error, so that all of them hold together, and so
does their intersection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from math import inf, isfinite, isnan
from typing import Any

from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import Sums
from flask_pickup.results.model import Interval, Spending
from flask_pickup.results.spending import boundary
from flask_pickup.results.spending import spent as spent_by

_MORE = 1 + 1e-9
_RULES = ("outcome", "goal", "guardrail", "per", "missing", "within", "cap")
_solved = lru_cache(maxsize=16)(boundary)
"""Both ends mostly ask for the same boundary."""

Earlier = Sequence[Mapping[str, Any]]
"""A comparison as it stood at the earlier looks, as plain values."""


@dataclass(frozen=True)
class IntervalAt:
    """A comparison's intervals at one moment.

    :param interval: the intersection with all earlier ones.
    :param own: that of the moment alone.
    :param reach: the standard errors to the nearer end of ``own``; infinite without an interval.
    :param has_changed: whether an interval and those before it ever had nothing in common.
    """

    interval: Interval | None
    own: Interval | None
    relative: Interval | None
    reach: float = inf
    spending: Spending | None = None
    has_changed: bool = False


def error_share(design: Experiment) -> float:
    """Return the error that each comparison may make, so that all of them together keep to ``confidence``."""
    return (1 - design.decision.confidence) / max(len(design.pairs), 1)


def errors_of_ends(design: Experiment, metric: MetricDefinition) -> tuple[float, float]:
    """Return the two-sided errors of the designs that give the lower and the upper end of a metric's intervals.

    A guardrail asks two one-sided questions. All guardrails must be safe, so each may err as often as one; that none is
    called harmed by chance, each may err by its share.
    """
    alpha = error_share(design)
    if not metric.guardrail:
        return alpha, alpha
    safe = 2 * alpha
    harmed = safe / sum(each.guardrail for each in design.metrics)
    return (safe, harmed) if metric.goal == "increase" else (harmed, safe)


class Comparing:
    """Two arms in one metric.

    :param design: with the weights of the period.
    """

    def __init__(self, design: Experiment, metric: MetricDefinition, x: Sums, y: Sums, *, equal: bool) -> None:
        self.horizon, self.expected = design.decision.maximum_weeks, design.decision.expected_callers
        self.errors = errors_of_ends(design, metric)
        self.weekly, self.always = zip(*(estimates.split_error(each, metric) for each in self.errors), strict=True)
        self.x, self.y, self.difference = x, y, estimates.ratio(x) - estimates.ratio(y)
        self.error = estimates.cautious_error(x, y, equal=equal)
        # Neither a margin nor the smallest relevant difference changes an interval.
        rules = [*(getattr(metric, name) for name in _RULES), self.errors, x.is_proportion and y.is_proportion]
        self.basis = sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:16]

    def alone(self) -> IntervalAt:
        """Return the always-valid interval that has the whole error, for results without weekly looks."""
        return self._intersected(self._always_valid(self.errors), (), None)

    def step(self, earlier: Earlier, week: int | None) -> IntervalAt:
        """Return the interval after those of earlier looks.

        :param week: the number of the look; None on a day between looks.
        """
        spending = self._spend(earlier, week) if week is not None and week <= self.horizon else None
        reaches = self._always_valid(self.always)
        if spending:
            low, high = map(_or_infinite, spending.boundaries)
            reaches = min(reaches[0], low), min(reaches[1], high)
        return self._intersected(reaches, earlier, spending)

    def reach(self, earlier: Earlier, step: IntervalAt, weeks: int) -> float:
        """Return the standard errors that a difference must have to be found now: on other days, as at the last look.

        :param weeks: those that are over.
        """
        last = self._alike(earlier)[-1:] if weeks < self.horizon else []
        boundaries = [end for each in last if each["spending"] for end in each["spending"]["boundaries"]]
        return min([step.reach, *map(_or_infinite, boundaries)])

    def _always_valid(self, errors: Sequence[float]) -> tuple[float, float]:
        """Return how many standard errors the always-valid interval reaches to either side."""
        if isnan(self.error):
            return inf, inf
        callers = self.x.callers + self.y.callers
        low, high = (estimates.always_valid_factor(callers, each, self.expected) for each in errors)
        return low, high

    def _spend(self, earlier: Earlier, week: int) -> Spending | None:
        if isnan(self.error) or not self.error:
            return None
        spent = [each["spending"] for each in earlier if each["spending"]]
        before = [each["spending"] for each in self._alike(earlier) if each["spending"]]
        information = 1 / self.error**2
        if before and information <= _MORE * before[-1]["information"]:
            # Values that still grow can make the looks less precise: such a look is skipped, and spends nothing.
            return None
        already = spent[-1]["spent"] if spent else (0.0, 0.0)
        low, high = (self._end(before, information, week, end, already[end]) for end in (0, 1))
        return Spending(information, (low[0], high[0]), (low[1], high[1]))

    def _alike(self, earlier: Earlier) -> Earlier:
        """Return the looks that were decided by the same rules: other intervals are about something else."""
        return [each for each in earlier if each["basis"] == self.basis]

    def _end(
        self, before: Sequence[Mapping[str, Any]], information: float, week: int, end: int, already: float
    ) -> tuple[float | None, float]:
        """Return the boundary of an end, and what is spent on it by now."""
        looks = tuple((each["information"], _or_infinite(each["boundaries"][end])) for each in before)
        allowed = max(already, spent_by(self.weekly[end], week / self.horizon))
        found = _solved(looks, information, allowed - already)
        return (found, allowed) if isfinite(found) else (None, already)

    def _intersected(self, reaches: tuple[float, float], earlier: Earlier, spending: Spending | None) -> IntervalAt:
        none: Mapping[str, Any] = {"interval": None, "relative_interval": None, "has_changed": False}
        last = [none, *self._alike(earlier)][-1]
        before, relative = _interval(last["interval"]), _interval(last["relative_interval"])
        if not isfinite(max(reaches)):
            return IntervalAt(before, None, relative, has_changed=last["has_changed"])
        own = (self.difference - reaches[0] * self.error, self.difference + reaches[1] * self.error)
        joint = _intersection(own, before)
        own_relative = self._relative(reaches)
        return IntervalAt(
            interval=joint or own,
            own=own,
            relative=own_relative if joint is None or not own_relative else _intersection(own_relative, relative),
            reach=min(reaches),
            spending=spending,
            has_changed=joint is None or last["has_changed"],
        )

    def _relative(self, reaches: tuple[float, float]) -> Interval | None:
        welch = estimates.difference_error(self.x, self.y)
        ends = [estimates.relative_interval(self.x, self.y, each * self.error / welch) for each in reaches]
        low, high = ends[0][0], ends[1][1]
        return (low, high) if isfinite(low) and isfinite(high) else None


def _intersection(one: Interval, other: Interval | None) -> Interval | None:
    low, high = one if other is None else (max(one[0], other[0]), min(one[1], other[1]))
    return (low, high) if low <= high else None


def _interval(ends: Sequence[float] | None) -> Interval | None:
    return (ends[0], ends[1]) if ends else None


def _or_infinite(value: float | None) -> float:
    return inf if value is None else value
