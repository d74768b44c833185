"""Error spending and its boundaries against published constants, SciPy's multivariate normal and simulation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import integrate, stats

from flask_pickup.results.spending import BoundedLook, boundary, crossing_probabilities, spent


def looks_of(information: Sequence[float], errors: Sequence[float]) -> list[BoundedLook]:
    """Return the looks at which these cumulative errors are spent."""
    looks: list[BoundedLook] = []
    for seen, (before, after) in zip(information, pairwise([0, *errors]), strict=True):
        looks.append((seen, boundary(looks, seen, after - before)))
    return looks


def test_spent_is_lan_and_demets() -> None:
    """The error is a normal tail: next to nothing early, all of it at the horizon and after."""
    for alpha, t in [(0.05, 0.1), (0.05, 0.5), (0.04, 0.99), (0.001, 0.3)]:
        expected = 2 * stats.norm.sf(stats.norm.isf(alpha / 2) / sqrt(t))
        assert spent(alpha, t) == pytest.approx(expected, rel=1e-9)
    assert spent(0.05, 1) == pytest.approx(0.05)
    assert spent(0.05, 3) == spent(0.05, 1)
    assert spent(0.05, 0) == 0


def test_boundaries_are_the_published_ones() -> None:
    """Five looks that spend 2.5 % to each side have the boundaries of Lan and DeMets's software."""
    found = looks_of(range(1, 6), [2 * spent(0.025, look / 5) for look in range(1, 6)])
    published = [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]
    assert [limit for _, limit in found] == pytest.approx(published, abs=2e-4)


@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"),
    [(1, 1.960, 1.960), (2, 2.178, 1.977), (5, 2.413, 2.040), (10, 2.555, 2.087), (20, 2.672, 2.126)],
)
def test_group_sequential_constants(looks: int, pocock: float, obrien_fleming: float) -> None:
    """The boundaries of Pocock and of O'Brien and Fleming have an error of 5 % (Jennison & Turnbull 2000, ch. 2)."""
    equal = [(look, pocock) for look in range(1, looks + 1)]
    falling = [(look, obrien_fleming * sqrt(looks / look)) for look in range(1, looks + 1)]
    assert crossing_probabilities(equal)[-1] == pytest.approx(0.05, abs=2e-4)
    assert crossing_probabilities(falling)[-1] == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize(("shape", "constant", "inflation"), [(0, 2.413, 1.207), (0.5, 2.040, 1.026)])
def test_group_sequential_power(shape: float, constant: float, inflation: float) -> None:
    """With the published inflation of the sample size, five looks have a power of 90 %."""
    needed = inflation * (1.959964 + 1.281552) ** 2
    looks = [(needed * look / 5, constant * (5 / look) ** shape) for look in range(1, 6)]
    assert crossing_probabilities(looks, 1)[-1] == pytest.approx(0.9, abs=1e-3)


def test_boundaries_are_scipys() -> None:
    """At uneven looks the chance of a first crossing is the multivariate normal's."""
    information = [1.0, 1.3, 5.0]
    looks = looks_of(information, [0.002, 0.006, 0.04])
    limits = [limit for _, limit in looks]
    correlation = np.sqrt(np.minimum.outer(information, information) / np.maximum.outer(information, information))
    for size, error in ((1, 0.002), (2, 0.006), (3, 0.04)):
        inside = stats.multivariate_normal(cov=correlation[:size, :size], abseps=1e-8, releps=1e-8, seed=0).cdf(
            limits[:size], lower_limit=[-limit for limit in limits[:size]]
        )
        assert 1 - inside == pytest.approx(error, abs=1e-6)


@pytest.mark.parametrize("difference", [0, 0.5, 1.5])
def test_crossing_probabilities_are_gsdesigns(difference: float) -> None:
    """They are those of the port of gsDesign, whose integration is of another kind, at uneven looks."""
    gsdesign: Any = pytest.importorskip("gsdesign")
    information = [0.4, 1.0, 1.05, 4.0, 6.0]
    looks = looks_of(information, [spent(0.04, look / 5) for look in range(1, 6)])
    expected, inside = [], None
    for number, (seen, limit) in enumerate(looks):
        ends = (difference, seen, -limit, limit)
        if inside is None:
            inside = gsdesign.h1(18, *ends)
        else:
            inside = gsdesign.hupdate(18, *ends, difference, information[number - 1], inside)
        expected.append(1 - inside[2].sum())
    assert crossing_probabilities(looks, difference) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("shares", "published"),
    [
        ([0.1, 0.35, 0.4, 0.8, 1], [3.480756, 2.763573, 2.812548, 2.208725, 2.101057]),
        (
            [week / 12 for week in range(1, 13)],
            [
                *(3.577254, 3.258861, 3.065429, 2.915153, 2.789066, 2.678923),
                *(2.580232, 2.490230, 2.407048, 2.329392, 2.256281, 2.186984),
            ],
        ),
    ],
)
def test_boundaries_are_spotifys(shares: list[float], published: list[float]) -> None:
    """With the error 0.05 t² they are what ``bounds(t, 0.05, rho=2, ztrun=8, sides=2)`` of spotify-confidence 4.1.0 gives.

    Its numbers are written here, because it pins a pandas of its own.
    """
    found = looks_of(shares, [0.05 * share**2 for share in shares])
    assert [limit for _, limit in found] == pytest.approx(published, abs=1e-3)


@given(
    steps=st.lists(st.floats(-4, 3), min_size=1, max_size=12),
    start=st.floats(-6, 6),
    alpha=st.sampled_from([0.05, 0.1, 0.01, 1e-4]),
)
@example(steps=[-4] * 59, start=0, alpha=0.04)
@example(steps=[3, -4, 3], start=0, alpha=0.04)
def test_all_error_is_spent(steps: list[float], start: float, alpha: float) -> None:
    """Whatever information each week brings, by each look just the error that was to be spent is."""
    information = list(10**start * np.cumprod([1, *(1 + 10**step for step in steps)]))
    errors = [spent(alpha, look / len(information)) for look in range(1, len(information) + 1)]
    found = crossing_probabilities(looks_of(information, errors))
    assert found == pytest.approx(errors, abs=1e-7)


def test_scale_of_information_is_free() -> None:
    """Boundaries depend on ratios of information alone."""
    errors = [1e-4, 0.01, 0.05]
    small, large = (looks_of([scale * each for each in (1, 2, 4)], errors) for scale in (1e-8, 1e8))
    assert [limit for _, limit in small] == pytest.approx([limit for _, limit in large])


def test_tiny_errors() -> None:
    """An error of 1e-10 has its boundary; one that is not positive, or below 1e-12, has none and costs nothing."""
    assert boundary([], 5, 1e-10) == pytest.approx(stats.norm.isf(5e-11))
    limit = boundary([(4, 6)], 5, 1e-10) * sqrt(5)
    first, _ = integrate.quad(
        lambda z: stats.norm.pdf(z) * (stats.norm.sf(limit - 2 * z) + stats.norm.sf(limit + 2 * z)),
        *(-6, 6),
        epsabs=0,
        points=[5, 5.5],
    )
    assert first == pytest.approx(1e-10, rel=1e-6)
    assert (
        boundary([], 5, 0) == boundary([], 5, -0.01) == boundary([], 5, 1e-13) == boundary([], 5, float("nan")) == inf
    )
    assert boundary([(3, inf), (4, 3)], 5, 0.01) == boundary([(4, 3)], 5, 0.01)
