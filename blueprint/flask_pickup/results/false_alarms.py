"""How often an experiment in which nothing differs would be called decided by somebody who looks a hundred times.

``flask pickup simulate --no-effect`` prints it. Every interval here comes from the lines that a real result comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from flask_pickup.results import estimates

LOOKS = 100
_AT_A_TIME = 100


Increments = tuple[Any, Any, Any, Any, Any]
"""What each look adds to Σs, Σd, Σs², Σd² and Σsd: arrays of runs by looks."""
Draw = Callable[[Any, int], Increments]
"""From a random generator and the callers between two looks."""


@dataclass(frozen=True)
class Scenario:
    """A kind of outcome, and how often people call.

    :param callers: in both arms at the last look: enough for the small arm of 1 to 9 to have something to say.
    """

    name: str
    callers: int
    is_proportion: bool
    draw: Draw


@dataclass(frozen=True)
class FalseAlarms:
    """The share of experiments without a difference that an interval called decided at one of its looks."""

    scenario: str
    weights: tuple[int, int]
    runs: int
    always_valid: float
    fixed: float


@dataclass
class GrowingArm:
    """An arm of many experiments at all their looks: sums as arrays of runs by looks."""

    callers: Any
    s: Any
    d: Any
    ss: Any
    dd: Any
    sd: Any
    is_proportion: bool
    centre: float = 0.0


def false_alarms(
    *, runs: int = 1000, confidence: float = 0.95, expected_callers: int = 2000, seed: int = 0
) -> Iterator[FalseAlarms]:
    """Yield for each scenario, at equal weights and at 1 to 9, how often nothing is taken for something."""
    for scenario in SCENARIOS:
        for weights in ((1, 1), (1, 9)):
            random = np.random.default_rng(seed)
            found = np.zeros(2)
            for _ in range(runs // _AT_A_TIME):
                arms = [_arm(scenario, scenario.callers * weight // sum(weights), random) for weight in weights]
                found += _alarms(*arms, alpha=1 - confidence, expected=expected_callers, equal=weights == (1, 1))
            always_valid, fixed = (found / (runs // _AT_A_TIME * _AT_A_TIME)).tolist()
            yield FalseAlarms(scenario.name, weights, runs, always_valid, fixed)


@np.errstate(all="ignore")
def _alarms(one: GrowingArm, other: GrowingArm, *, alpha: float, expected: float, equal: bool) -> Any:
    difference = np.abs(estimates.ratio(one) - estimates.ratio(other))
    reaches = (
        estimates.always_valid_half_width(one, other, alpha, expected, equal=equal),
        estimates.welch_half_width(one, other, alpha),
    )
    return np.array([(difference > reach).any(axis=1).sum() for reach in reaches])


def _arm(scenario: Scenario, callers: int, random: Any) -> GrowingArm:
    each = callers // LOOKS
    s, d, ss, dd, sd = (increment.cumsum(axis=1) for increment in scenario.draw(random, each))
    return GrowingArm(np.arange(1, LOOKS + 1) * each, s, d, ss, dd, sd, scenario.is_proportion)


def _rate(rate: float) -> Draw:
    def draw(random: Any, each: int) -> Increments:
        events = random.binomial(each, rate, (_AT_A_TIME, LOOKS)).astype(float)
        callers = np.full((_AT_A_TIME, LOOKS), float(each))
        return events, callers, events, callers, events

    return draw


def _amounts(random: Any, each: int) -> Increments:
    """One caller in five buys, and a few buy very much."""
    amounts = np.zeros((_AT_A_TIME, LOOKS, each))
    buys = random.random(amounts.shape, dtype=np.float32) < 0.2  # noqa: PLR2004
    amounts[buys] = random.lognormal(4, 1.2, int(buys.sum()))
    return _summed(amounts, np.ones(amounts.shape))


def _habits(random: Any, each: int) -> Increments:
    """One caller in ten calls a dozen times, each of them with a habit of their own."""
    calls, often = _calls(random, each)
    events = (random.random(calls.shape, dtype=np.float32) < 0.3).astype(float)  # noqa: PLR2004
    events[often] = random.binomial(calls[often].astype(int), random.beta(1.5, 3.5, int(often.sum())))
    return _summed(events, calls)


def _lengths(random: Any, each: int) -> Increments:
    """Those who call often call for shorter."""
    calls, often = _calls(random, each)
    return _summed(calls * np.where(often, 40.0, 90.0) * random.lognormal(0, 0.6, calls.shape), calls)


def _calls(random: Any, each: int) -> tuple[Any, Any]:
    calls = np.ones((_AT_A_TIME, LOOKS, each))
    often = random.random(calls.shape, dtype=np.float32) < 0.1  # noqa: PLR2004
    calls[often] = 1 + random.poisson(12, int(often.sum()))
    return calls, often


def _summed(s: Any, d: Any) -> Increments:
    return s.sum(axis=2), d.sum(axis=2), (s * s).sum(axis=2), (d * d).sum(axis=2), (s * d).sum(axis=2)


SCENARIOS = (
    Scenario("a rate of 30 %", 20_000, is_proportion=True, draw=_rate(0.3)),
    Scenario("a rate of 2 %", 40_000, is_proportion=True, draw=_rate(0.02)),
    Scenario("a rate of 0.5 %", 100_000, is_proportion=True, draw=_rate(0.005)),
    Scenario("skewed amounts", 20_000, is_proportion=False, draw=_amounts),
    Scenario("a rate of calls, one caller in ten a regular", 10_000, is_proportion=True, draw=_habits),
    Scenario("a mean of calls, one caller in ten a regular", 10_000, is_proportion=False, draw=_lengths),
)
