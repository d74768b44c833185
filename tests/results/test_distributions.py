"""Each distribution against SciPy, tails included, and crossing probabilities against published constants."""

from __future__ import annotations

from itertools import product
from math import isnan, sqrt

import numpy as np
import pytest
from scipy import stats

from flask_pickup.results.distributions import (
    chi_square_tail,
    crossing_probability,
    student_quantile,
    student_tail,
)


def test_chi_square_is_scipys() -> None:
    """The tail agrees to 1e-9 of itself for 1 to 40 degrees of freedom."""
    for degrees, x in product([*range(1, 12), 25, 40], [0, 1e-9, 1e-3, 0.5, 1, 3.84, 10, 40, 200, 1000]):
        assert chi_square_tail(x, degrees) == pytest.approx(stats.chi2.sf(x, degrees), rel=1e-9, abs=0), (degrees, x)


def test_student_is_scipys() -> None:
    """Tail and quantile agree to 1e-9 of themselves, from 1 degree of freedom to a billion."""
    for degrees, t in product([1, 1.5, 2, 4.7, 30, 99.3, 999, 1e4], [0, 1e-3, 0.5, 1.7, 2, 5, 15, 1e3, 1e6]):
        assert student_tail(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-9, abs=0), (degrees, t)
    for degrees, tail in product([1, 1.5, 2, 4.7, 30, 99.3, 999, 1000, 1e5, 1e9], [0.5, 0.4, 0.025, 1e-3, 1e-6, 1e-12]):
        wanted = stats.t.isf(tail, degrees)
        assert student_quantile(tail, degrees) == pytest.approx(wanted, rel=1e-9, abs=1e-15), (degrees, tail)
    assert isnan(student_quantile(0.025, float("nan")))


@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"),
    [(1, 1.960, 1.960), (2, 2.178, 1.977), (5, 2.413, 2.040), (10, 2.555, 2.087), (20, 2.672, 2.126)],
)
def test_group_sequential_constants(looks: int, pocock: float, obrien_fleming: float) -> None:
    """The boundaries of Pocock and of O'Brien and Fleming have an error of 5 % (Jennison & Turnbull 2000, ch. 2)."""
    information = range(1, looks + 1)
    falling = [obrien_fleming * sqrt(looks / look) for look in information]
    assert crossing_probability([pocock] * looks, information) == pytest.approx(0.05, abs=2e-4)
    assert crossing_probability(falling, information) == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize(("shape", "constant", "inflation"), [(0, 2.413, 1.207), (0.5, 2.040, 1.026)])
def test_group_sequential_power(shape: float, constant: float, inflation: float) -> None:
    """With the published inflation of the sample size, five looks have a power of 90 %."""
    information = [inflation * (1.959964 + 1.281552) ** 2 * look / 5 for look in range(1, 6)]
    boundaries = [constant * (5 / look) ** shape for look in range(1, 6)]
    assert crossing_probability(boundaries, information, drift=1) == pytest.approx(0.9, abs=1e-3)


def test_uneven_looks_are_those_of_a_simulation() -> None:
    """At uneven looks, with uneven boundaries and a drift, two hundred thousand random walks cross as often."""
    boundaries, information, drift = [4.0, float("inf"), 2.6, 2.2, 2.9], [10.0, 30.0, 31.0, 90.0, 300.0], 0.12
    steps = np.diff([0.0, *information])
    walks = np.random.default_rng(0).normal(drift * steps, np.sqrt(steps), (200_000, 5)).cumsum(axis=1)
    crossed = (np.abs(walks / np.sqrt(information)) >= boundaries).any(axis=1).mean()
    assert crossing_probability(boundaries, information, drift) == pytest.approx(crossed, abs=0.003)
