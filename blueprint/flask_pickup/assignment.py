"""The hash that says which arm a caller hears: pure functions, the same in every process and release.

An arm is drawn by a weighted rendezvous: each draws an exponential variate with its weight as rate, and the least wins.
The shares come out exactly as the weights (the minimum of independent exponentials), and because no arm's variate
depends on another's, adding an arm or changing a weight moves callers only to or from that arm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import log
from typing import NamedTuple

_STEPS = 2**52


class Assigned(NamedTuple):
    """An arm that the call is given; ``source`` is ``hash``, ``pin`` or ``unidentified``."""

    experiment: str
    arm: str
    source: str
    definition: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the tables say of a call that was decided before.

    :param kind: the decision: ``arm``, ``base``, ``closed`` or ``fallback``.
    """

    kind: str | None
    assignments: tuple[Assigned, ...]


def uniform(*parts: str) -> float:
    """Return a number in the open interval (0, 1) that follows from ``parts`` alone.

    The parts are joined by ``:``, so only the last may contain one; the first says what is drawn.
    """
    digest = sha256(":".join(parts).encode()).digest()
    return ((int.from_bytes(digest[:8], "big") >> 12) + 0.5) / _STEPS


def draw_arm(seed: str, weights: Mapping[str, float], key: str) -> str:
    """Return the arm of an experiment that ``key`` hears, in shares as weighted.

    :param weights: arm to weight, each positive; at least one arm.
    """
    return min(weights, key=lambda arm: -log(uniform("arm", seed, arm, key)) / weights[arm])


def place_in_layer(layer: str, key: str) -> float:
    """Return where in ``layer`` the caller ``key`` is: the experiment whose range holds the place may have them."""
    return uniform("layer", layer, key)


def is_enrolled(seed: str, traffic: float, key: str) -> bool:
    """Return whether ``key`` is in the share ``traffic`` of an experiment's audience."""
    return uniform("traffic", seed, key) < traffic
