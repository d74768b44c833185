"""Every formula against an implementation that shares nothing with it."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import beta, binom, dirichlet_multinomial, multinomial, norm

from arms import Callers, mean, once, rate
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.results import estimates


def regulars(seed: int, callers: int = 400) -> Callers:
    """Callers of whom one in ten calls often, with values of their own."""
    random = np.random.default_rng(seed)
    calls = np.where(random.random(callers) < 0.1, 1 + random.poisson(12, callers), 1)
    return Callers(calls * random.gamma(2, 30, callers) + random.normal(0, 5, callers), calls)


def skewed(seed: int, callers: int) -> Callers:
    return once(np.random.default_rng(seed).lognormal(3, 1, callers))


@pytest.mark.parametrize("seed", range(3))
def test_mean_of_calls_is_that_of_clustered_regression(seed: int) -> None:
    """A mean of calls and its error are those of statsmodels' regression with errors clustered by caller."""
    api: Any = pytest.importorskip("statsmodels.api")
    random, callers = np.random.default_rng(seed), regulars(seed)
    caller = np.repeat(np.arange(len(callers.d)), callers.d)
    noise = random.normal(0, 3, len(caller))
    values = np.repeat(callers.s / callers.d, callers.d) + noise
    sums = Callers(np.bincount(caller, values), callers.d).sums(centre=60)
    fit = api.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": caller, "use_correction": False}
    )
    n = sums.callers
    assert estimates.ratio(sums) == pytest.approx(fit.params[0], rel=1e-9)
    assert estimates.variance(sums) == pytest.approx(fit.cov_params()[0, 0] * n / (n - 1), rel=1e-6)


def test_interval_is_welchs() -> None:
    """The fixed-horizon interval of two means is that of statsmodels with unequal variances."""
    weightstats: Any = pytest.importorskip("statsmodels.stats.weightstats")
    one, other = skewed(1, 150), skewed(2, 400)
    means = weightstats.CompareMeans(weightstats.DescrStatsW(one.s), weightstats.DescrStatsW(other.s))
    low, high = means.tconfint_diff(alpha=0.05, usevar="unequal")
    half_width = estimates.welch_half_width(one.sums(centre=20), other.sums(centre=20), 0.05)
    difference = estimates.ratio(one.sums(centre=20)) - estimates.ratio(other.sums(centre=20))
    assert (difference - half_width, difference + half_width) == pytest.approx((low, high), rel=1e-6)


@pytest.mark.parametrize(("callers", "alpha", "expected"), [(200, 0.05, 2000), (2000, 0.05, 2000), (9e5, 0.1, 500)])
def test_always_valid_interval_is_the_mixtures_boundary(callers: float, alpha: float, expected: float) -> None:
    """At its ends the mixture of likelihood ratios, integrated numerically, is 1/alpha: Ville's inequality at work."""
    rho = np.sqrt((-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / expected)
    end = float(estimates.always_valid_factor(callers, alpha, expected)) * np.sqrt(callers)
    variance = 1 / (callers + rho**-2)
    middle, width = end * variance, 12 * np.sqrt(variance)

    def weighted(effect: float) -> float:
        return float(np.exp(effect * end - effect**2 * callers / 2) * norm.pdf(effect, 0, rho))

    mixture, _ = quad(weighted, middle - width, middle + width, epsrel=1e-10)
    assert mixture == pytest.approx(1 / alpha, rel=1e-6)


def test_always_valid_interval_is_narrowest_at_the_expected_size() -> None:
    """No other expected size gives a narrower interval there, but for the hundredth that the closed form costs."""
    here = estimates.always_valid_factor(2000, 0.05, 2000)
    others = [estimates.always_valid_factor(2000, 0.05, expected) for expected in np.geomspace(200, 20_000, 400)]
    assert here <= 1.01 * min(others)


def test_error_is_split() -> None:
    """Weekly looks and the always-valid interval share the error; where values grow, a fifth is kept back."""
    ever = MetricDefinition("booked", "analysis.booked", per="caller")
    assert estimates.split_error(0.05, ever) == pytest.approx((0.03, 0.01))
    for fixed in (replace(ever, within=7), replace(ever, per="call")):
        assert estimates.split_error(0.05, fixed) == pytest.approx((0.04, 0.01))


def test_unequal_arms_take_the_larger_error() -> None:
    """The small arm of an unequal split, whose large values are still to come, borrows the others' spread."""
    small, large = mean(10, 1, 200), mean(10, 8, 1800)
    factor = estimates.always_valid_factor(2000, 0.05, 2000)
    spread = (199 * 1 + 1799 * 64) / 1998 * (1 / 200 + 1 / 1800)
    found = estimates.always_valid_half_width(small, large, 0.05, 2000, equal=False)
    assert found == pytest.approx(factor * spread**0.5, rel=1e-6)
    assert found > estimates.always_valid_half_width(small, large, 0.05, 2000, equal=True)


@pytest.mark.parametrize(
    ("one", "other", "enough"),
    [
        (rate(30, 99), rate(30, 200), False),
        (rate(30, 100), rate(30, 100), True),
        (rate(10, 100), rate(30, 100), True),
        (rate(19, 1000), rate(20, 1000), False),
        (rate(20, 1000), rate(20, 1000), True),
        (rate(980, 1000), rate(980, 1000), True),
        (rate(981, 1000), rate(981, 1000), False),
        (rate(0, 100), rate(400, 900), True),
        (rate(2, 100), rate(18, 900), False),
        (mean(1, 1, 100), mean(1, 1, 99), False),
        (mean(1, 1, 100), mean(1, 1, 100), True),
    ],
)
def test_silence(one: Any, other: Any, *, enough: bool) -> None:
    """Nothing is said below 100 callers an arm, nor while one would expect fewer than 20 events or non-events."""
    assert estimates.is_enough(one, other) == enough
    assert np.isfinite(estimates.always_valid_half_width(one, other, 0.05, 2000, equal=True)) == enough


def test_relative_interval_is_where_the_scaled_difference_excludes_zero() -> None:
    """Its ends are the lifts at which the interval of x - q·y touches 0, found by searching."""
    x, y, factor = skewed(3, 500).sums(), skewed(4, 800).sums(), 3.1

    def room(q: float) -> float:
        error = np.sqrt(estimates.variance(x) + q**2 * estimates.variance(y))
        return float(abs(estimates.ratio(x) - q * estimates.ratio(y)) - factor * error)

    middle = float(estimates.ratio(x) / estimates.ratio(y))
    wanted = (brentq(room, 0.01, middle) - 1, brentq(room, middle, 10) - 1)
    assert estimates.relative_interval(x, y, factor) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("control", [rate(1, 300), rate(0, 300), mean(-3, 1, 300)])
def test_no_relative_interval_without_a_base(control: Any) -> None:
    """Where control's mean may be zero, or is not above it, a relative lift has no bounds."""
    assert np.isnan(estimates.relative_interval(rate(100, 300), control, 3.0)).all()


def test_split_is_tested_by_a_dirichlet_mixture() -> None:
    """The p-value is the likelihood under the weights over its mean under the prior."""
    one = estimates.multinomial_p_value([300, 240], [1, 1])
    mixture, _ = quad(lambda share: beta(50, 50).pdf(share) * binom(540, share).pmf(300), 0, 1, epsabs=0)
    assert one == pytest.approx(binom(540, 0.5).pmf(300) / mixture, rel=1e-6)
    three = estimates.multinomial_p_value([40, 10, 70], [1, 1, 2])
    expected = multinomial(120, [0.25, 0.25, 0.5]).pmf([40, 10, 70])
    assert three == pytest.approx(expected / dirichlet_multinomial([25, 25, 50], 120).pmf([40, 10, 70]), rel=1e-6)
    assert estimates.multinomial_p_value([50, 50], [1, 1]) == 1
    assert estimates.multinomial_p_value([10_000_000, 9_000_000], [1, 1]) < 1e-300
    assert isnan(estimates.multinomial_p_value([5], [1]))
    assert isnan(estimates.multinomial_p_value([0, 0], [1, 1]))


@given(
    st.lists(st.tuples(st.integers(0, 500), st.floats(0.1, 10)), min_size=2, max_size=5),
    st.randoms(),
    st.floats(0.1, 9),
)
def test_split_does_not_depend_on_order_or_scale(arms: list[tuple[int, float]], random: Any, scale: float) -> None:
    """The order of the arms, and the unit of their weights, are of no account."""
    mixed = random.sample(arms, len(arms))
    one = estimates.multinomial_p_value([count for count, _ in arms], [weight for _, weight in arms])
    other = estimates.multinomial_p_value([count for count, _ in mixed], [scale * weight for _, weight in mixed])
    assert one == pytest.approx(other, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("weights", [(1, 1), (1, 9), (1, 1, 1)])
def test_split_raises_few_false_alarms(weights: tuple[int, ...]) -> None:
    """Of 500 sound experiments with 20 callers a day, few alarm on any of 180 days."""
    random, shares = np.random.default_rng(0), np.array(weights) / sum(weights)
    counts = random.multinomial(20, shares, size=(500, 180)).cumsum(axis=1)
    alarms = [any(estimates.multinomial_p_value(day, weights) <= 0.05 for day in days) for days in counts.tolist()]
    assert 0 < np.mean(alarms) <= 0.05


def test_large_values_keep_their_digits() -> None:
    """Values near 1.7e9 have the error of the same values without it, when they are shifted first."""
    values = np.random.default_rng(1).normal(0, 1, 1000)
    near, far = once(values).sums(), once(values + 1.7e9).sums(centre=1.7e9)
    assert estimates.ratio(far) == pytest.approx(1.7e9 + float(estimates.ratio(near)), abs=1e-6)
    assert estimates.variance(far) == pytest.approx(float(estimates.variance(near)), rel=1e-6)
