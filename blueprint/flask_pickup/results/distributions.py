"""Distributions on plain floats. References are in docs/statistics.md."""

from __future__ import annotations

from math import exp, inf, lgamma, log, log1p, nan, pi
from statistics import NormalDist

NORMAL = NormalDist()

_LARGE = 1000
"""The degrees of freedom from which Student's quantile is expanded about the normal's: to 1e-11 there."""
_TINY, _EXACT = 1e-300, 1e-15


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
