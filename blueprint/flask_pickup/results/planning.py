"""How many callers a difference takes, and what can be found in some weeks, before the first call.

For the fixed-horizon interval there is a formula. The always-valid interval may find a difference at any look: there
the probability of crossing its bounds is integrated over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil, inf, isfinite, sqrt
from typing import Any

from flask_pickup.catalog.definition import CONTROL, Experiment, MetricDefinition, Per
from flask_pickup.results import estimates
from flask_pickup.results.distributions import NORMAL, crossing_probability
from flask_pickup.results.model import Unit

POWER = 0.8
WEEKS = (4, 12, 26)
CONFIDENCES = (0.95, 0.8)
_LOOKS = 50
"""Evenly spaced looks up to the callers that are needed."""
_ROUNDS = 40
_PRECISION = 1e-4


@dataclass(frozen=True)
class Baseline:
    """What is known of a metric before anything is changed: measured or stated.

    :param mean: a rate, or a mean in the metric's unit.
    :param spread: the variance that one caller adds: an arm's squared standard error times its callers.
    :param calls_per_caller: None if it is not known.
    :param new_callers_a_week: those who would be enrolled; None if it is not known.
    :param callers: on how many it was measured; None if it was stated.
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


def stated(mean: float, *, deviation: float | None = None, callers_a_week: float | None = None) -> Baseline:
    """Return a baseline that an author states.

    :param deviation: a mean's standard deviation over callers; None for a rate.
    """
    spread = mean * (1 - mean) if deviation is None else deviation**2
    return Baseline(mean, spread, is_proportion=deviation is None, new_callers_a_week=callers_a_week)


def plan(experiment: Experiment, metric: MetricDefinition, baseline: Baseline, lift: float | None = None) -> Plan:
    """Return what can be found of ``metric``.

    :param lift: the difference to find; by default the metric's ``smallest``.
    :raises ValueError: if nothing can be planned from such a baseline.
    """
    if baseline.is_proportion and not 0 < baseline.mean < 1:
        raise ValueError("a rate lies between 0 and 1, both excluded; a mean needs its standard deviation too")
    if not 0 < baseline.spread < inf:
        raise ValueError("values that are all the same say nothing about how they vary")
    lift, pace = lift or metric.smallest, baseline.new_callers_a_week
    kinds = [
        (_comparison(experiment, metric, baseline, confidence), confidence, interval)
        for confidence in CONFIDENCES
        for interval in ("always valid", "fixed")
    ]
    try:
        return Plan(
            experiment=experiment.name,
            metric=metric.name,
            per=metric.per,
            arms=len(experiment.weights),
            baseline=baseline,
            lift=lift,
            needed=tuple(_needed(*kind, lift) for kind in kinds if lift is not None),
            detectable=tuple(
                Detectable(weeks, round(pace * weeks), confidence, interval, compared.detectable(weeks, interval))
                for weeks in WEEKS
                for compared, confidence, interval in kinds
                if pace
            ),
        )
    except OverflowError as error:
        raise ValueError("the difference is too small, or the callers are too few") from error


@dataclass(frozen=True)
class _Planned:
    """The comparison of control with the arm that has fewest callers.

    :param alpha: the error that the comparison may make.
    :param shares: the arm's and control's, of the callers of both.
    :param of_all: both arms' share of all callers.
    """

    baseline: Baseline
    sign: int
    alpha: float
    expected: float
    shares: tuple[float, float]
    of_all: float
    least_weeks: int

    @property
    def pace(self) -> float:
        """New callers of both arms a week."""
        return (self.baseline.new_callers_a_week or 0) * self.of_all

    @property
    def quantiles(self) -> float:
        """The standard errors that a difference must have for a single look to find it."""
        return NORMAL.inv_cdf(1 - self.alpha / 2) + NORMAL.inv_cdf(POWER)

    def callers(self, lift: float, interval: str) -> float:
        """Return the callers of both arms at whom ``lift`` is found; infinite if it is impossible."""
        if not self._is_possible(lift):
            return inf
        spread = self._spread(lift)
        if interval == "fixed":
            return self.quantiles**2 * spread / lift**2
        least, effect = self._least_callers(), lift / sqrt(spread)

        def power(callers: float) -> float:
            return self._power([callers * look / _LOOKS for look in range(1, _LOOKS + 1)], effect)

        most = estimates.callers_needed(spread, lift, self.alpha, self.expected, power=POWER)
        return _where_enough(power, least, max(most, least))

    def detectable(self, weeks: int, interval: str) -> float | None:
        """Return the least lift that is found in so many weeks; None if none is possible."""
        looks = [self.pace * week for week in range(1, weeks + 1)]
        if interval == "fixed":
            return self._lift_of(self.quantiles / sqrt(looks[-1]))
        if looks[-1] < self._least_callers():
            return None
        bound = estimates.always_valid_factor(looks[-1], self.alpha, self.expected) + NORMAL.inv_cdf(POWER)
        return self._lift_of(_where_enough(lambda effect: self._power(looks, effect), 0.0, bound / sqrt(looks[-1])))

    def _power(self, looks: Sequence[float], effect: float) -> float:
        """Return the probability that the always-valid interval excludes zero at one of the looks.

        :param effect: the lift in standard deviations of the difference at one caller.
        """
        least = self._least_callers()
        sizes = [callers for callers in looks if callers >= least]
        bounds = [estimates.always_valid_factor(callers, self.alpha, self.expected) for callers in sizes]
        return crossing_probability(bounds, sizes, effect)

    def _spread(self, lift: float) -> float:
        """Return the difference's squared standard error times the callers of both arms."""
        arm, control = self.shares
        other = self.baseline.spread_at(self.baseline.mean + self.sign * lift)
        return other / arm + self.baseline.spread_at(self.baseline.mean) / control

    def _is_possible(self, lift: float) -> bool:
        return not self.baseline.is_proportion or 0 <= self.baseline.mean + self.sign * lift <= 1

    def _lift_of(self, effect: float) -> float | None:
        lift = effect * sqrt(self._spread(0))
        for _ in range(_ROUNDS):
            if not self._is_possible(lift):
                return None
            lift = effect * sqrt(self._spread(lift))
        return lift if isfinite(lift) else None

    def _least_callers(self) -> float:
        """Return the callers of both arms from which the always-valid interval is given."""
        rate = self.baseline.mean if self.baseline.is_proportion else None
        return estimates.least_callers(rate, min(self.shares))


def _comparison(experiment: Experiment, metric: MetricDefinition, baseline: Baseline, confidence: float) -> _Planned:
    weights, decision = experiment.weights, experiment.decision
    arm = min((weight for name, weight in weights.items() if name != CONTROL), default=1.0)
    both = arm + weights[CONTROL]
    return _Planned(
        baseline=baseline,
        sign=1 if metric.goal == "increase" else -1,
        alpha=(1 - confidence) / max(len(experiment.pairs), 1),
        expected=decision.expected_callers,
        shares=(arm / both, weights[CONTROL] / both),
        of_all=both / max(sum(weights.values()), both),
        least_weeks=ceil(decision.minimum_days / 7),
    )


def _needed(compared: _Planned, confidence: float, interval: str, lift: float) -> Needed:
    callers = compared.callers(lift, interval)
    if not isfinite(callers):
        return Needed(confidence, interval, None, None)
    weeks = max(ceil(callers / compared.pace - 1e-9), compared.least_weeks) if compared.pace else None
    return Needed(confidence, interval, ceil(callers / compared.of_all - 1e-9), weeks)


def _where_enough(power: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising power reaches ``POWER``, by false position with bisection; at most ``high``."""
    below, above = power(low) - POWER, power(high) - POWER
    if below >= 0:
        return low
    while above > _PRECISION and high - low > _PRECISION * high:
        for middle in (low - below * (high - low) / (above - below), (low + high) / 2):
            found = power(middle) - POWER
            if found < 0:
                low, below = middle, found
            else:
                high, above = middle, found
    return high
