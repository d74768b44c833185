"""Before the first row: how many callers a difference takes, and what can be found in some weeks.

For the fixed-horizon interval there is a formula. For the always-valid one there is none that is right, because it may
find a difference at any of its looks: there a few thousand random walks are drawn, always the same ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil, inf, isfinite, sqrt
from typing import Any

import numpy as np

from flask_pickup.catalog.definition import CONTROL, Experiment, MetricDefinition, Per
from flask_pickup.results import estimates
from flask_pickup.results.model import Unit

POWER = 0.8
WEEKS = (4, 12, 26)
CONFIDENCES = (0.95, 0.8)
_WALKS = 4000
_LOOKS = 200
_ROUNDS = 40


@dataclass(frozen=True)
class Baseline:
    """What is known of a metric before anything is changed: measured, or said.

    :param mean: a rate, or a mean in the metric's unit.
    :param spread: the variance that one caller adds: an arm's squared standard error times its callers.
    :param calls_per_caller: None if it is not known.
    :param new_callers_a_week: those who would be enrolled; None if it is not known.
    :param callers: on how many it was measured; None if somebody said it.
    """

    mean: float
    spread: float
    is_proportion: bool
    calls_per_caller: float | None = None
    new_callers_a_week: float | None = None
    callers: int | None = None

    def spread_at(self, mean: float) -> float:
        """Return the spread of an arm with another mean: a rate's own follows from the rate."""
        plain = self.mean * (1 - self.mean)
        if not self.is_proportion or not plain:
            return self.spread
        # What regulars add to a rate of calls, they add in every arm.
        return self.spread / plain * max(mean * (1 - mean), 0.0)


@dataclass(frozen=True)
class Needed:
    """The callers, in all arms together, at whom a lift is found with a chance of 80 %; None where it never is."""

    confidence: float
    interval: str
    callers: int | None
    weeks: int | None


@dataclass(frozen=True)
class Detectable:
    """The least difference that is found with a chance of 80 % in so many weeks; None where none is."""

    weeks: int
    callers: int
    confidence: float
    interval: str
    difference: float | None


@dataclass(frozen=True)
class Plan:
    """What an experiment can find, and when."""

    experiment: str
    metric: str
    per: Per
    arms: int
    baseline: Baseline
    lift: float | None
    needed: tuple[Needed, ...]
    detectable: tuple[Detectable, ...]

    @property
    def is_proportion(self) -> bool:
        """Whether the metric is a rate."""
        return self.baseline.is_proportion

    @property
    def unit(self) -> Unit:
        """The unit of differences."""
        return "share" if self.is_proportion else self.per

    def as_json(self) -> dict[str, Any]:
        """Return the plan for programs."""
        return asdict(self)


def said(baseline: float, *, deviation: float | None, callers_a_week: float | None) -> Baseline:
    """Return a baseline that somebody says.

    :param deviation: a mean's standard deviation over callers; None for a rate.
    """
    spread = baseline * (1 - baseline) if deviation is None else deviation**2
    return Baseline(baseline, spread, is_proportion=deviation is None, new_callers_a_week=callers_a_week)


def plan(design: Experiment, metric: MetricDefinition, baseline: Baseline, lift: float | None = None) -> Plan:
    """Return what can be found of ``metric``.

    :param lift: the difference to find; by default the metric's ``smallest``.
    :raises ValueError: if nothing can be planned from such a baseline.
    """
    if baseline.is_proportion and not 0 < baseline.mean < 1:
        raise ValueError("a rate lies between 0 and 1, both excluded; a mean needs its standard deviation too")
    if not 0 < baseline.spread < inf:
        raise ValueError("values that are all the same say nothing about how they vary")
    lift = lift or metric.smallest
    setting = _setting(design, metric, baseline)
    settings = [(replace(setting, confidence=each), each) for each in CONFIDENCES]
    kinds = (("always valid", _AlwaysValid), ("fixed", _Fixed))
    needed = [
        _needed(kind(here), confidence, name, lift)
        for here, confidence in settings
        for name, kind in kinds
        if lift is not None
    ]
    pace = baseline.new_callers_a_week
    detectable = [
        Detectable(weeks, round(pace * weeks), confidence, name, kind(here).detectable(weeks))
        for weeks in WEEKS
        for here, confidence in settings
        for name, kind in kinds
        if pace
    ]
    return Plan(
        experiment=design.name,
        metric=metric.name,
        per=metric.per,
        arms=len(design.weights),
        baseline=baseline,
        lift=lift,
        needed=tuple(needed),
        detectable=tuple(detectable),
    )


@dataclass(frozen=True)
class _Setting:
    """A comparison of control with the arm that has fewest callers.

    :param shares: the arm's and control's, of the callers of both.
    :param of_all: both arms' share of all callers.
    """

    baseline: Baseline
    sign: int
    confidence: float
    comparisons: int
    expected: float
    shares: tuple[float, float]
    of_all: float
    least_weeks: int

    @property
    def alpha(self) -> float:
        return (1 - self.confidence) / self.comparisons

    @property
    def pace(self) -> float | None:
        """New callers of both arms a week."""
        pace = self.baseline.new_callers_a_week
        return pace * self.of_all if pace else None

    def spread(self, lift: float) -> float:
        """Return the difference's squared standard error times the callers of both arms."""
        arm, control = self.shares
        other = self.baseline.spread_at(self.baseline.mean + self.sign * lift)
        return other / arm + self.baseline.spread_at(self.baseline.mean) / control

    def is_possible(self, lift: float) -> bool:
        return not self.baseline.is_proportion or 0 <= self.baseline.mean + self.sign * lift <= 1

    def lift_of(self, effect: float) -> float | None:
        """Return the lift that is ``effect`` standard deviations of the difference at one caller."""
        lift = effect * sqrt(self.spread(0))
        for _ in range(_ROUNDS):
            if not self.is_possible(lift):
                return None
            lift = effect * sqrt(self.spread(lift))
        return lift if isfinite(lift) else None

    def least_callers(self) -> float:
        """Return the callers of both arms below which the always-valid interval is silent."""
        rarer = min(self.baseline.mean, 1 - self.baseline.mean) if self.baseline.is_proportion else 1
        return max(estimates.FEWEST_CALLERS, estimates.FEWEST_EVENTS / rarer) / min(self.shares)


class _Fixed:
    """One look, at a size set beforehand."""

    def __init__(self, setting: _Setting) -> None:
        self.setting = setting
        self.quantiles = estimates.normal_quantile(1 - setting.alpha / 2) + estimates.normal_quantile(POWER)

    def callers(self, lift: float) -> float:
        return self.quantiles**2 * self.setting.spread(lift) / lift**2

    def detectable(self, weeks: int) -> float | None:
        return self.setting.lift_of(self.quantiles / sqrt((self.setting.pace or 0) * weeks))


class _AlwaysValid:
    """Many looks: what is found is found at the first that finds it."""

    def __init__(self, setting: _Setting) -> None:
        self.setting = setting

    def callers(self, lift: float) -> float:
        """Return the 80th percentile, over random walks, of the size at which one first leaves its bounds."""
        setting, spread = self.setting, self.setting.spread(lift)
        enough = estimates.callers_needed(spread, lift, setting.alpha, setting.expected, power=0.95)
        most = max(enough, setting.least_callers())
        sizes, lacking = self._walk(most, most / _LOOKS)
        found = lacking <= lift / sqrt(spread)
        stopped = np.where(found.any(axis=1), sizes[found.argmax(axis=1)], inf)
        return float(np.quantile(stopped, POWER, method="inverted_cdf"))

    def detectable(self, weeks: int) -> float | None:
        """Return the lift of which four walks in five have left their bounds by then."""
        pace = self.setting.pace or 0
        sizes, lacking = self._walk(pace * weeks, pace)
        effect = float(np.quantile(lacking.min(axis=1), POWER)) if len(sizes) else inf
        return self.setting.lift_of(effect) if isfinite(effect) else None

    def _walk(self, most: float, step: float) -> tuple[Any, Any]:
        """Return the sizes at which is looked, and for each walk and look the effect that it lacks to be out."""
        looks = round(most / step)
        sizes = step * np.arange(1, looks + 1)
        steps = np.random.default_rng(0).standard_normal((_WALKS, looks)) * sqrt(step)
        speaks = sizes >= self.setting.least_callers()
        sizes, walks = sizes[speaks], np.cumsum(steps, axis=1)[:, speaks]
        bounds = estimates.always_valid_factor(sizes, self.setting.alpha, self.setting.expected)
        return sizes, (bounds - walks / np.sqrt(sizes)) / np.sqrt(sizes)


def _setting(design: Experiment, metric: MetricDefinition, baseline: Baseline) -> _Setting:
    weights, total = design.weights, sum(design.weights.values())
    arm = min((weight for name, weight in weights.items() if name != CONTROL), default=1.0)
    both = arm + weights[CONTROL]
    return _Setting(
        baseline=baseline,
        sign=1 if metric.goal == "increase" else -1,
        confidence=design.decision.confidence,
        comparisons=max(len(design.pairs), 1),
        expected=design.decision.expected_callers,
        shares=(arm / both, weights[CONTROL] / both),
        of_all=both / max(total, both),
        least_weeks=ceil(design.decision.minimum_days / 7),
    )


def _needed(kind: _Fixed | _AlwaysValid, confidence: float, name: str, lift: float) -> Needed:
    setting = kind.setting
    callers = kind.callers(lift) if setting.is_possible(lift) else inf
    if not isfinite(callers):
        return Needed(confidence, name, None, None)
    weeks = max(ceil(callers / setting.pace - 1e-9), setting.least_weeks) if setting.pace else None
    return Needed(confidence, name, ceil(callers / setting.of_all - 1e-9), weeks)
