"""The formulas, on plain floats: NaN where nothing is defined. References are in docs/statistics.md."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, isfinite, isnan, lgamma, log, nan, sqrt

from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.results.aggregates import Sums
from flask_pickup.results.distributions import student_quantile

FEWEST_CALLERS = 100
"""The callers in each arm from which the always-valid interval, which is asymptotic, is given."""
FEWEST_EVENTS = 20
"""The events, and non-events, that each arm must expect at the pooled rate before proportions are compared."""
PRIOR_COUNTS = 100
"""The counts that the prior of the sequential multinomial test is worth."""

_ROUNDING = 1e-12
"""A variance below this share of the squares that it is the difference of is a rounding error."""


def ratio(x: Sums) -> float:
    """Return the mean: the sum of s over the sum of d."""
    return x.centre + _divide(x.s, x.d)


def variance(x: Sums) -> float:
    """Return the variance of the ratio by the delta method, callers being independent (Deng, Knoblich & Lu 2018).

    NaN for fewer than two callers, and where all have the same value: such data do not show how uncertain they are.
    """
    if x.callers < 2 or not x.d:  # noqa: PLR2004
        return nan
    shifted = x.s / x.d
    squares = x.ss - 2 * shifted * x.sd + shifted * shifted * x.dd
    if not squares > _ROUNDING * (x.ss + shifted * shifted * x.dd):
        return nan
    return x.callers / (x.callers - 1) * squares / (x.d * x.d)


def cautious_variance(x: Sums) -> float:
    """Return the variance; for a proportion without any, that of one event and one non-event more.

    An arm with no events, or with nothing else, must neither suppress a comparison for ever nor seem certain.
    """
    found = variance(x)
    if not isnan(found) or not x.is_proportion or x.callers < 2:  # noqa: PLR2004
        return found
    rate = (_events(x) + 1) / (x.d + 2)
    return _divide(rate * (1 - rate), x.callers)


def difference_error(x: Sums, y: Sums) -> float:
    """Return the standard error of the difference of two means."""
    return sqrt(cautious_variance(x) + cautious_variance(y))


def degrees(x: Sums, y: Sums) -> float:
    """Return the degrees of freedom of Welch and Satterthwaite."""
    v, w = cautious_variance(x), cautious_variance(y)
    return _divide((v + w) * (v + w), _divide(v * v, x.callers - 1) + _divide(w * w, y.callers - 1))


def welch_half_width(x: Sums, y: Sums, alpha: float) -> float:
    """Return the half-width of the fixed-horizon interval of the difference of two means."""
    return difference_error(x, y) * student_quantile(alpha / 2, degrees(x, y))


def split_error(alpha: float, metric: MetricDefinition) -> tuple[float, float]:
    """Return a comparison's error at the weekly looks, and that of the always-valid interval.

    Where a caller's value can still grow after a look, its increments are not quite independent: a fifth is kept for that.
    """
    grows = metric.per == "caller" and metric.within is None
    return alpha * (0.6 if grows else 0.8), alpha * 0.2


def always_valid_factor(callers: float, alpha: float, expected: float) -> float:
    """Return how many standard errors the always-valid interval reaches to either side.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (arXiv 2103.06476): with
    probability 1 - ``alpha`` it covers the truth at every size at once.

    :param callers: those of the two arms compared.
    :param expected: the size at which it is narrowest, and a decision is expected.
    """
    rho_squared = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / expected  # its equation 10
    scaled = callers * rho_squared
    return sqrt(_divide(2 * (scaled + 1), scaled) * log(sqrt(scaled + 1) / alpha))


def always_valid_half_width(x: Sums, y: Sums, alpha: float, expected: float, *, equal: bool) -> float:
    """Return the half-width of the always-valid interval; NaN where there is none yet."""
    return cautious_error(x, y, equal=equal) * always_valid_factor(x.callers + y.callers, alpha, expected)


def cautious_error(x: Sums, y: Sums, *, equal: bool) -> float:
    """Return the standard error that intervals of repeated looks are made of; NaN where there are none yet.

    :param equal: whether the arms have equal weights.
    """
    if not is_enough(x, y):
        return nan
    error = difference_error(x, y)
    if equal or (_is_binomial(x) and _is_binomial(y)):
        return error
    pooled = pooled_variance(x, y)
    return nan if isnan(pooled) else max(error, sqrt(pooled))


def pooled_variance(x: Sums, y: Sums) -> float:
    """Return the variance of the difference of two means if callers of both arms vary alike.

    The small arm of an unequal split has seen few of the rare large values, and so underrates both its mean and its
    variance. With equal weights both variances are the same.
    """
    n, m = x.callers, y.callers
    within = _divide((n - 1) * n * variance(x) + (m - 1) * m * variance(y), n + m - 2)
    return within * (_divide(1, n) + _divide(1, m))


def is_enough(x: Sums, y: Sums) -> bool:
    """Return whether there are callers enough, and for a proportion events enough, for intervals of repeated looks."""
    if min(x.callers, y.callers) < FEWEST_CALLERS:
        return False
    if not (x.is_proportion and y.is_proportion):
        return True
    rate = _divide(_events(x) + _events(y), x.d + y.d)
    return min(x.d, y.d) * min(rate, 1 - rate) >= FEWEST_EVENTS


def is_enough_of_shares(x: Sums, y: Sums) -> bool:
    """Return whether there are callers enough for the interval of two shares of calls.

    A caller's calls are often lost together. So events are counted as callers who, alike and with such calls alone, would
    vary as much.
    """
    s, d, ss, dd, sd = (getattr(x, name) + getattr(y, name) for name in ("s", "d", "ss", "dd", "sd"))
    if min(x.callers, y.callers) < FEWEST_CALLERS or not 0 < s < d:
        return False
    alike = min(s * s / ss, (d - s) * (d - s) / (dd - 2 * sd + ss))
    return bool(alike * min(x.d, y.d) / d >= FEWEST_EVENTS)


def relative_interval(x: Sums, y: Sums, factor: float) -> tuple[float, float]:
    """Return the interval of x's ratio over y's, less one, that reaches ``factor`` standard errors (Fieller 1954).

    It holds each q for which the interval of x - q·y holds 0: so it excludes 0 just where the difference's interval
    does, and is as valid. NaN where it would be unbounded, and for a mean that is not positive.
    """
    m, k = ratio(x), ratio(y)
    v, w = factor * factor * cautious_variance(x), factor * factor * cautious_variance(y)
    if not (k > 0 and k * k > w):
        return nan, nan
    bounded = k * k - w
    root = sqrt(m * m * w + k * k * v - v * w)
    return (m * k - root) / bounded - 1, (m * k + root) / bounded - 1


def multinomial_p_value(counts: Sequence[int], weights: Sequence[float]) -> float:
    """Return the anytime-valid p-value of counts that ``weights`` may explain; NaN without counts or a second arm.

    The sequential multinomial test of Lindon and Malek (2022): the reciprocal of the Bayes factor of a Dirichlet prior
    about the weights over the weights. The chance that it is ever at most ``alpha`` is at most ``alpha``, if they hold.
    """
    if len(counts) < 2 or not sum(counts):  # noqa: PLR2004
        return nan
    log_p = lgamma(PRIOR_COUNTS + sum(counts)) - lgamma(PRIOR_COUNTS)
    for count, weight in zip(counts, weights, strict=True):
        share = weight / sum(weights)
        prior = PRIOR_COUNTS * share
        log_p += count * log(share) + lgamma(prior) - lgamma(prior + count)
    return exp(min(log_p, 0.0))


def least_callers(rate: float | None, share: float) -> float:
    """Return the callers of two arms at whom the always-valid interval begins; infinite for a rate of 0 or 1.

    :param rate: that of a proportion; None for a mean.
    :param share: the smaller arm's, of the callers of both.
    """
    rarer = 1 if rate is None else min(rate, 1 - rate)
    return max(FEWEST_CALLERS, FEWEST_EVENTS / rarer if rarer > 0 else inf) / share


def _is_binomial(x: Sums) -> bool:
    """Return whether each caller is one yes or no; the rule about events covers these."""
    return x.is_proportion and x.dd == x.d


def _events(x: Sums) -> float:
    return x.s + x.centre * x.d


def finite(value: float) -> float | None:
    """Return a value; None where it is undefined or infinite."""
    return value if isfinite(value) else None


def _divide(a: float, b: float) -> float:
    """Divide; NaN by zero."""
    return a / b if b else nan
