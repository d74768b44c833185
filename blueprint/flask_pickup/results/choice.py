"""Which arm to keep where the horizon ended without a verdict: the one that is expected to cost least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, pi, prod, sqrt

from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.results.distributions import NORMAL
from flask_pickup.results.model import ArmMean, Choice, Metric

_FAR = 8.0
"""Standard deviations beyond which a normal density is left out."""
_STEPS = 160

Estimate = tuple[float, float]
"""A mean, such that more is better, and its variance."""


def choose(metric: Metric, definition: MetricDefinition, arms: Sequence[str]) -> Choice | None:
    """Return the arm with the smallest expected loss; None where an arm has no mean, or the author named no ``smallest``.

    :param arms: those that can be kept.
    """
    smallest, sign = definition.smallest, 1 if definition.goal == "increase" else -1
    found = [(arm, _estimate(metric.arm(arm), sign, metric)) for arm in arms]
    known = [(arm, each) for arm, each in found if each is not None]
    if smallest is None or len(known) < len(found):
        return None
    best, cost = expected_loss([each for _, each in known], smallest)
    return Choice(known[best][0], metric.metric, cost, smallest, metric.per)


def expected_loss(arms: Sequence[Estimate], deviation: float) -> tuple[int, float]:
    """Return the arm with the smallest expected loss, and that loss: E[max over all arms - chosen].

    The arms' true means have a common level, of which nothing is believed, and independent normal deviations from it,
    so that each difference of two has a normal prior about 0 with standard deviation ``deviation``. For two arms the loss
    is s·φ(m/s) - |m|·Φ(-|m|/s), where m and s² are the posterior mean and variance of their difference.
    """
    prior = deviation * deviation / 2
    weights = [1 / (prior + variance) for _, variance in arms]
    level = sum(weight * mean for weight, (mean, _) in zip(weights, arms, strict=True)) / sum(weights)
    spreads = [sqrt(prior * variance / (prior + variance)) for _, variance in arms]

    def means(at: float) -> list[float]:
        """Return the posterior means, given the level."""
        return [(mean * prior + at * variance) / (prior + variance) for mean, variance in arms]

    chosen = max(range(len(arms)), key=means(level).__getitem__)
    uncertain = sqrt(1 / sum(weights))
    return chosen, _integral(lambda at: _loss(means(at), spreads, chosen), level, uncertain)


def _loss(means: Sequence[float], spreads: Sequence[float], chosen: int) -> float:
    """Return E[max - chosen] of independent normal values: the integral of P(all below x) against the chosen one's."""
    low = min(mean - _FAR * spread for mean, spread in zip(means, spreads, strict=True))
    high = max(mean + _FAR * spread for mean, spread in zip(means, spreads, strict=True))
    step = (high - low) / _STEPS
    found = 0.0
    for index in range(_STEPS):
        x = low + (index + 0.5) * step
        below = [NORMAL.cdf((x - mean) / spread) for mean, spread in zip(means, spreads, strict=True)]
        # E[max] - E[chosen] is the integral of P(chosen < x) - P(all < x).
        found += (below[chosen] - prod(below)) * step
    return found


def _integral(of: Callable[[float], float], middle: float, deviation: float) -> float:
    """Return the mean of a function of a normal value."""
    step = 2 * _FAR / _STEPS
    places = (-_FAR + (index + 0.5) * step for index in range(_STEPS))
    return sum(of(middle + z * deviation) * exp(-z * z / 2) for z in places) * step / sqrt(2 * pi)


def _estimate(arm: ArmMean, sign: int, metric: Metric) -> Estimate | None:
    if arm.mean is None:
        return None
    if arm.standard_error:
        return sign * arm.mean, arm.standard_error**2
    units = arm.callers or 0
    if not metric.is_proportion or not units:
        return None
    # Nobody or everybody: one event and one non-event more, as in the intervals.
    rate = (arm.mean * units + 1) / (units + 2)
    return sign * arm.mean, rate * (1 - rate) / units
