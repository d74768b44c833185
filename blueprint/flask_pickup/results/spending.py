"""Group-sequential boundaries by error spending, and their power, on plain floats. References are in docs/statistics.md.

A *look* here is a pair: the information 1/SE² that it had, and the boundary that the absolute value of its statistic
Z = difference/SE crosses. The score S = Z·√I has independent normal increments with mean δ and variance 1 for each unit
of information, δ being the true difference. Without one (δ = 0) the density of |S| inside all boundaries so far is
integrated from look to look (Armitage, McPherson & Rowe 1969); with one, it is that density times
exp(-δ²I/2) · cosh(δS), so that one integration serves every difference.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import ceil, erfc, exp, inf, log, pi, sqrt

from flask_pickup.results.distributions import NORMAL

BoundedLook = tuple[float, float]

_FAR = 8
"""The standard deviations beyond which a normal density is left out, and a boundary is none."""
_LEAST = 1e-12
"""The smallest error that is spent at a look."""
_PANEL = 4
"""The width of a quadrature panel, in standard deviations of the narrower step beside it."""
_GAUSS_LEGENDRE = (
    (0.1834346424956498, 0.3626837833783620),
    (0.5255324099163290, 0.3137066458778873),
    (0.7966664774136267, 0.2223810344533745),
    (0.9602898564975363, 0.1012285362903763),
)
"""The positive half of the eight nodes on (-1, 1), with their weights."""
_RULE = [*((-node, weight) for node, weight in reversed(_GAUSS_LEGENDRE)), *_GAUSS_LEGENDRE]
_ROOT_TWO, _ROOT_TWO_PI = sqrt(2), sqrt(2 * pi)


def spent(alpha: float, t: float) -> float:
    """Return the two-sided error that looks may have spent by the share ``t`` of the horizon.

    The function of Lan and DeMets (1983) of the type of O'Brien and Fleming: next to nothing early, ``alpha`` at 1.
    """
    if t <= 0:
        return 0.0
    return erfc(-NORMAL.inv_cdf(alpha / 2) / sqrt(2 * min(t, 1.0)))


def boundary(earlier: Sequence[BoundedLook], information: float, exceed: float) -> float:
    """Return the boundary whose first crossing at this look has the probability ``exceed`` without a difference.

    :param earlier: the information and boundary of each earlier look, oldest first.
    :param information: this look's, above that of every earlier look.
    :returns: infinity for a probability below 1e-12.
    """
    if not exceed >= _LEAST:
        return inf
    kept = _kept(earlier)
    scores, masses = _inside(kept, information)
    seen, edge = (kept[-1][0], kept[-1][1] * sqrt(kept[-1][0])) if kept else (0.0, 0.0)
    if exceed >= sum(masses):
        return 0.0
    spread = sqrt(information - seen)
    # The tail is log-concave: from beyond the root, the steps of Newton in its logarithm only descend to the root.
    marginal = -NORMAL.inv_cdf(exceed / 2)
    found, step = min(marginal * sqrt(information), edge + marginal * spread), inf
    while step > 1e-9 * found:
        tail, density = _tail(found, scores, masses, spread)
        step = log(exceed / tail) * tail / density
        found -= step
    return found / sqrt(information)


def crossing_probabilities(looks: Sequence[BoundedLook], difference: float = 0.0) -> list[float]:
    """Return for each look the probability that a boundary was crossed by then, if the difference is ``difference``."""
    found, crossed = [], 0.0
    for number, (information, limit) in enumerate(looks):
        if limit <= _FAR:
            after = looks[number + 1][0] if number + 1 < len(looks) else inf
            scores, masses = _inside(_kept(looks[: number + 1]), after)
            centre = difference * difference * information / 2
            crossed = 1 - sum(
                mass * (exp(difference * score - centre) + exp(-difference * score - centre)) / 2
                for score, mass in zip(scores, masses, strict=True)
            )
        found.append(crossed)
    return found


def _kept(looks: Iterable[BoundedLook]) -> tuple[BoundedLook, ...]:
    return tuple(look for look in looks if look[1] <= _FAR)


@lru_cache(maxsize=512)
def _inside(looks: tuple[BoundedLook, ...], after: float) -> tuple[list[float], list[float]]:
    """Return nodes of |S| at the last look, and the probability at each that no boundary was crossed.

    :param after: the information of the look after, for which the nodes must be close enough.
    """
    if not looks:
        return [0.0], [1.0]
    information, limit = looks[-1]
    step = information - (looks[-2][0] if len(looks) > 1 else 0.0)
    spread = sqrt(step)
    earlier, masses = _inside(looks[:-1], information)
    scores, weights = _quadrature(limit * sqrt(information), _PANEL * min(spread, sqrt(after - information)))
    reach, scale = _FAR * spread, -1 / (2 * step)
    densities = []
    for score in scores:
        low, high = bisect_left(earlier, score - reach), bisect_left(earlier, score + reach)
        density = 0.0
        for other, mass in zip(earlier[low:high], masses[low:high], strict=True):
            apart, together = score - other, score + other
            density += mass * (exp(scale * apart * apart) + exp(scale * together * together))
        densities.append(density)
    height = 1 / (spread * _ROOT_TWO_PI)
    return scores, [weight * density * height for weight, density in zip(weights, densities, strict=True)]


def _tail(edge: float, scores: Sequence[float], masses: Sequence[float], spread: float) -> tuple[float, float]:
    """Return the probability that |S| exceeds ``edge`` after the next step, and its density there."""
    tail = density = 0.0
    for score, mass in zip(scores, masses, strict=True):
        apart, together = (edge - score) / spread, (edge + score) / spread
        tail += mass * (erfc(apart / _ROOT_TWO) + erfc(together / _ROOT_TWO))
        density += mass * (exp(-apart * apart / 2) + exp(-together * together / 2))
    return tail / 2, density / (spread * _ROOT_TWO_PI)


def _quadrature(high: float, width: float) -> tuple[list[float], list[float]]:
    """Return nodes and weights of Gauss and Legendre's quadrature from 0, on panels no wider than ``width``."""
    panels = ceil(high / width)
    half = high / panels / 2
    middles = [(2 * panel + 1) * half for panel in range(panels)]
    nodes = [middle + half * node for middle in middles for node, _ in _RULE]
    return nodes, [half * weight for _ in middles for _, weight in _RULE]
