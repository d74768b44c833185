"""Distributions on plain floats. References are in docs/statistics.md."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import ceil, erfc, exp, gamma, inf, lgamma, log, log1p, nan, pi, sqrt
from statistics import NormalDist

NORMAL = NormalDist()

_LARGE = 1000
"""The degrees of freedom from which Student's quantile is expanded about the normal's: to 1e-11 there."""
_TINY, _EXACT = 1e-300, 1e-15
_FAR = 7
"""Standard deviations beyond which a normal density is left out."""
_PANEL = 4
"""The width of a quadrature panel, in standard deviations of the narrowest step beside it."""
_GAUSS_LEGENDRE = (
    (0.1834346424956498, 0.3626837833783620),
    (0.5255324099163290, 0.3137066458778873),
    (0.7966664774136267, 0.2223810344533745),
    (0.9602898564975363, 0.1012285362903763),
)
"""The positive half of the eight nodes on (-1, 1), with their weights."""


def chi_square_tail(x: float, degrees: int) -> float:
    """Return the probability that chi-square exceeds ``x``."""
    half = x / 2
    if degrees % 2:
        a, tail, term = 0.5, erfc(sqrt(half)), sqrt(half) * exp(-half) / gamma(1.5)
    else:
        a, tail, term = 0.0, 0.0, exp(-half)
    while a < degrees / 2 - 0.5:
        tail += term
        a += 1
        term *= half / a
    return tail


def student_tail(t: float, degrees: float) -> float:
    """Return the probability that Student's t exceeds ``t``, which is not negative."""
    square = t * t / degrees
    x = 1 / (1 + square)
    a, b = degrees / 2, 0.5
    if not square:
        return 0.5
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) - a * log1p(square) + b * (log(square) - log1p(square)))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a / 2
    return 0.5 - front * _beta_fraction(b, a, square * x) / b / 2


def student_quantile(tail: float, degrees: float) -> float:
    """Return the t that Student's t exceeds with probability ``tail``, at most 1/2; NaN without degrees of freedom."""
    if not degrees > 0:
        return nan
    z = -NORMAL.inv_cdf(tail)
    if degrees >= _LARGE:
        return _expanded(z, degrees)
    log_height = lgamma((degrees + 1) / 2) - lgamma(degrees / 2) - log(degrees * pi) / 2
    # Newton's steps rise to the root: t is beyond z, and its tail is convex.
    t, step = z, inf
    while step > 1e-13 * t:
        density = exp(log_height - (degrees + 1) / 2 * log1p(t * t / degrees))
        step = (student_tail(t, degrees) - tail) / density
        t += step
    return t


def crossing_probability(boundaries: Sequence[float], information: Sequence[float], drift: float = 0.0) -> float:
    """Return the probability that a test statistic crosses a boundary at one of several looks.

    The statistic's score Z·√I has independent normal increments, with mean ``drift`` and variance 1 for each unit of
    information I. Its density inside the boundaries is integrated from look to look (Armitage, McPherson & Rowe 1969).

    :param boundaries: for each look, what the absolute value of Z crosses.
    :param information: for each look; rising.
    """
    steps = [after - before for before, after in pairwise([0.0, *information])]
    scores, masses = [0.0], [1.0]
    for look, (boundary, seen, step) in enumerate(zip(boundaries, information, steps, strict=True)):
        low = max(-boundary, drift * sqrt(seen) - _FAR) * sqrt(seen)
        high = min(boundary, drift * sqrt(seen) + _FAR) * sqrt(seen)
        if low >= high:
            return 1.0
        moved, spread = [score + drift * step for score in scores], sqrt(step)
        if look == len(steps) - 1:
            return 1 - sum(
                mass * (NORMAL.cdf((high - score) / spread) - NORMAL.cdf((low - score) / spread))
                for score, mass in zip(moved, masses, strict=True)
            )
        scores, weights = _quadrature(low, high, _PANEL * sqrt(min(step, steps[look + 1])))
        masses = [
            weight * _density(score, moved, masses, spread) for score, weight in zip(scores, weights, strict=True)
        ]
    return 0.0


def _density(score: float, centres: Sequence[float], masses: Sequence[float], spread: float) -> float:
    near = slice(bisect_left(centres, score - _FAR * spread), bisect_right(centres, score + _FAR * spread))
    scale = -1 / (2 * spread * spread)
    found = 0.0
    for centre, mass in zip(centres[near], masses[near], strict=True):
        distance = score - centre
        found += mass * exp(scale * distance * distance)
    return found / (spread * sqrt(2 * pi))


def _quadrature(low: float, high: float, width: float) -> tuple[list[float], list[float]]:
    """Return nodes and weights of Gauss and Legendre's quadrature on panels no wider than ``width``."""
    panels = ceil((high - low) / width)
    half = (high - low) / panels / 2
    positive = [(half * node, half * weight) for node, weight in _GAUSS_LEGENDRE]
    rule = [*((-node, weight) for node, weight in reversed(positive)), *positive]
    middles = [low + (2 * panel + 1) * half for panel in range(panels)]
    return [middle + node for middle in middles for node, _ in rule], [weight for _ in middles for _, weight in rule]


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function, by the method of Lentz."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or _TINY)
    found, change, m = d, inf, 0
    while abs(change - 1) > _EXACT:
        m += 1
        change = 1.0
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + term * d or _TINY)
            c = 1 + term / c or _TINY
            change *= c * d
        found *= change
    return found


def _expanded(z: float, degrees: float) -> float:
    """Return Student's quantile, expanded about the normal's quantile ``z`` (Abramowitz & Stegun 26.7.5)."""
    q = z * z
    terms = (
        z,
        z * (q + 1) / 4,
        z * ((5 * q + 16) * q + 3) / 96,
        z * (((3 * q + 19) * q + 17) * q - 15) / 384,
        z * ((((79 * q + 776) * q + 1482) * q - 1920) * q - 945) / 92160,
    )
    return sum(term / degrees**power for power, term in enumerate(terms))
