"""The formulas, on plain floats: NaN where nothing is defined. References are in docs/statistics.md."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, comb, exp, inf, isnan, lgamma, log, nan, sqrt

from flask_pickup.results.aggregates import Sums
from flask_pickup.results.distributions import NORMAL, chi_square_tail, student_quantile

FEWEST_CALLERS = 100
"""The callers in each arm from which the always-valid interval, which is asymptotic, is given."""
FEWEST_EVENTS = 20
"""The events, and non-events, that each arm must expect at the pooled rate before proportions are compared."""
PRIOR_COUNTS = 100
"""The counts that the prior of the sequential multinomial test is worth."""
FEWEST_EXPECTED = 5
"""The expected count below which the exact distribution takes the place of chi-square."""
ALARM = 0.001
"""The p-value of an alarm: alarms too are looked at every day."""

_ROUNDING = 1e-12
"""A variance below this share of the squares that it is the difference of is a rounding error."""
_MOST_OUTCOMES = 200_000
_FAR_COUNT = 1000
"""A count that a mean of few expected ones does not reach."""


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


def split_error(alpha: float, *, grows: bool) -> tuple[float, float]:
    """Return a comparison's error at the weekly looks, and that of the always-valid interval.

    :param grows: whether a caller's value can still grow after their first calls: of metrics per caller without
        ``within``. Increments between looks are then not quite independent, which a fifth of the error is kept for.
    """
    return alpha * (0.6 if grows else 0.8), alpha * 0.2


def rho_squared(alpha: float, expected: float) -> float:
    """Return the parameter that makes the always-valid interval narrowest at ``expected`` callers (its equation 10)."""
    return (-2 * log(alpha) + log(1 - 2 * log(alpha))) / expected


def always_valid_factor(callers: float, alpha: float, expected: float) -> float:
    """Return how many standard errors the always-valid interval reaches to either side.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (arXiv 2103.06476): with
    probability 1 - ``alpha`` it covers the truth at every size at once.

    :param callers: those of the two arms compared.
    :param expected: the size at which a decision is expected.
    """
    scaled = callers * rho_squared(alpha, expected)
    return sqrt(_divide(2 * (scaled + 1), scaled) * log(sqrt(scaled + 1) / alpha))


def always_valid_half_width(x: Sums, y: Sums, alpha: float, expected: float, *, equal: bool) -> float:
    """Return the half-width of the always-valid interval; NaN where there is none yet.

    :param equal: whether the arms have equal weights.
    """
    return cautious_error(x, y, equal=equal) * always_valid_factor(x.callers + y.callers, alpha, expected)


def cautious_error(x: Sums, y: Sums, *, equal: bool) -> float:
    """Return the standard error that intervals of repeated looks are made of; NaN where there are none yet.

    :param equal: whether the arms have equal weights.
    """
    if not is_enough(x, y):
        return nan
    spread = cautious_variance(x) + cautious_variance(y)
    if not equal and not (_is_binomial(x) and _is_binomial(y)):
        pooled = pooled_variance(x, y)
        spread = pooled if isnan(pooled) else max(spread, pooled)
    return sqrt(spread)


def pooled_variance(x: Sums, y: Sums) -> float:
    """Return the variance of the difference of two means if callers of both arms vary alike.

    The small arm of an unequal split has seen few of the rare large values, and so underrates both its mean and its
    variance: on skewed amounts at 1 to 9, Welch's variance alone raises false alarms in 6-23 % of experiments. With
    equal weights both variances are the same.
    """
    n, m = x.callers, y.callers
    within = _divide((n - 1) * n * variance(x) + (m - 1) * m * variance(y), n + m - 2)
    return within * (_divide(1, n) + _divide(1, m))


def is_enough(x: Sums, y: Sums) -> bool:
    """Return whether there are callers enough, and for a proportion events enough, for the always-valid interval.

    Without the second rule a 2 % event at weights of 1 to 9 raises false alarms in 16-19 % of experiments.
    """
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


def split_p_value(counts: Sequence[int], weights: Sequence[float], finite: float = 1.0) -> float:
    """Return the probability of counts this uneven, if ``weights`` hold; NaN without counts.

    Chi-square; exact where an expected count is below 5.

    :param finite: what the variance of a count is multiplied by, because the counted are a part of some total.
    """
    n, shares = sum(counts), [weight / sum(weights) for weight in weights]
    if not n or len(shares) < 2:  # noqa: PLR2004
        return nan
    expected = [n * share for share in shares]
    if min(expected) < FEWEST_EXPECTED:
        return _exact_p_value(counts, shares)
    chi_square = sum((count - each) * (count - each) / each for count, each in zip(counts, expected, strict=True))
    return chi_square_tail(chi_square / finite, len(shares) - 1)


def share_p_value(counts: Sequence[int], totals: Sequence[int]) -> float:
    """Return the probability of shares this different, if they are the same in truth; NaN if all or none are counted.

    It is the split of the rarer kind over the totals: chi-square of the table, or exact.
    """
    overall = sum(counts) / max(sum(totals), 1)
    asked = [(count, total) for count, total in zip(counts, totals, strict=True) if total > 0]
    if not 0 < overall < 1:
        return nan
    if overall > 1 / 2:
        asked, overall = [(total - count, total) for count, total in asked], 1 - overall
    return split_p_value([count for count, _ in asked], [total for _, total in asked], 1 - overall)


def share_of_calls_p_value(arms: Sequence[Sums]) -> float:
    """Return the probability of shares of calls this different, if they are the same; NaN if all or none are counted.

    The score test of the ratio of sums: s of a caller's d calls. A caller's deviation from the share of all counts as
    one, so that a regular is no more than one caller; where everybody calls once it is the chi-square of the table.
    Where the rarer kind is that of fewer than five callers an arm, callers with such a call are split, each once.
    """
    asked = [each for each in arms if each.d]
    s, d = sum(each.s for each in asked), sum(each.d for each in asked)
    ss, dd, sd = (sum(getattr(each, name) for each in asked) for name in ("ss", "dd", "sd"))
    share = _divide(s, d)
    if len(asked) < 2 or not 0 < share < 1:  # noqa: PLR2004
        return nan
    # As many callers, alike and with such calls alone, would vary as much.
    alike = min(s * s / ss, (d - s) * (d - s) / (dd - 2 * sd + ss))
    if alike * min(each.d for each in asked) / d < FEWEST_EXPECTED:
        return share_p_value([each.incomplete for each in asked], [each.callers for each in asked])
    spread = (ss - 2 * share * sd + share * share * dd) / d
    deviations = ((each.s - share * each.d, each.d) for each in asked)
    return chi_square_tail(sum(e * e / (spread * calls) for e, calls in deviations), len(asked) - 1)


def least_callers(rate: float | None, share: float) -> float:
    """Return the callers of two arms at whom the always-valid interval begins; infinite for a rate of 0 or 1.

    :param rate: that of a proportion; None for a mean.
    :param share: the smaller arm's, of the callers of both.
    """
    rarer = 1 if rate is None else min(rate, 1 - rate)
    return max(FEWEST_CALLERS, FEWEST_EVENTS / rarer if rarer > 0 else inf) / share


def callers_needed(spread: float, difference: float, alpha: float, expected: float, *, power: float) -> float:
    """Return the callers of two arms at whom the always-valid interval finds ``difference`` with chance ``power``.

    These are a little too many: the chance is that of one look, without those before it.

    :param spread: the squared standard error of the difference times the callers that it comes from.
    """
    quantile = NORMAL.inv_cdf(power)

    def is_enough_of(callers: float) -> bool:
        return (always_valid_factor(callers, alpha, expected) + quantile) * sqrt(spread / callers) <= difference

    most = 1.0
    while not is_enough_of(most) and most < inf:
        most *= 2
    least = most / 2
    while most - least > max(1.0, 1e-9 * most):
        middle = (least + most) / 2
        least, most = (least, middle) if is_enough_of(middle) else (middle, most)
    return float(ceil(most))


def _exact_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the probability of all multinomial outcomes that are no likelier than the observed one.

    Where they are too many to list, the arms that expect few are taken together and compared with the others, and the
    others with each other by chi-square; NaN where all expect few.
    """
    n = sum(counts)
    if comb(n + len(counts) - 1, len(counts) - 1) <= _MOST_OUTCOMES:
        return _multinomial_p_value(counts, shares, n)
    arms = list(zip(counts, shares, strict=True))
    few = [arm for arm in arms if n * arm[1] < FEWEST_EXPECTED]
    others = [arm for arm in arms if n * arm[1] >= FEWEST_EXPECTED]
    if not others:
        return nan
    count, share = sum(count for count, _ in few), sum(share for _, share in few)
    # Whatever is beyond the longest list has no probability to speak of.
    p_value = _multinomial_p_value([count, n - count], [share, 1 - share], max(_FAR_COUNT, count))
    if len(others) < 2:  # noqa: PLR2004
        return p_value
    common = split_p_value([count for count, _ in others], [share for _, share in others])
    return min(1.0, 2 * min(p_value, common))


def _multinomial_p_value(counts: Sequence[int], shares: Sequence[float], longest: int) -> float:
    """Return the p-value from a list of all outcomes with at most ``longest`` in each arm but the last."""
    n, logs = sum(counts), [log(share) for share in shares]

    def term(arm: int, count: int) -> float:
        return count * logs[arm] - lgamma(count + 1)

    observed = sum(term(arm, count) for arm, count in enumerate(counts))
    outcomes = [(n, 0.0)]
    for arm in range(len(counts) - 1):
        outcomes = [
            (left - count, found + term(arm, count))
            for left, found in outcomes
            for count in range(min(left, longest) + 1)
        ]
    found = [each + term(len(counts) - 1, left) for left, each in outcomes]
    return min(1.0, sum(exp(each + lgamma(n + 1)) for each in found if each <= observed + 1e-9))


def _is_binomial(x: Sums) -> bool:
    """Return whether each caller is one yes or no; the rule about events covers these."""
    return x.is_proportion and x.dd == x.d


def _events(x: Sums) -> float:
    return x.s + x.centre * x.d


def _divide(a: float, b: float) -> float:
    """Divide; NaN by zero."""
    return a / b if b else nan
