"""Experiments without any difference, looked at a hundred times: how often one is found all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from arms import START, design
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import ArmAggregates, PeriodAggregates, Sums
from flask_pickup.results.statistics import results_of

RUNS, LOOKS = 200, 100
"""docs/statistics.md has the figures of 1,000 runs."""

Draw = Callable[[Any, int], tuple[Any, Any]]
"""From a generator and the callers of each look: s and d of each caller, as arrays of looks by callers."""


@dataclass(frozen=True)
class Scenario:
    """A kind of outcome, and the callers in both arms at the last look."""

    callers: int
    draw: Draw
    is_proportion: bool = True


def of_rate(rate: float) -> Draw:
    return lambda random, each: (random.random((LOOKS, each), np.float32) < rate, np.ones((LOOKS, each)))


def amounts(random: Any, each: int) -> tuple[Any, Any]:
    """One caller in five buys, and a few buy very much."""
    values = random.lognormal(4, 1.2, (LOOKS, each))
    return values * (random.random((LOOKS, each)) < 0.2), np.ones((LOOKS, each))


def calls(random: Any, each: int) -> tuple[Any, Any]:
    often = random.random((LOOKS, each)) < 0.1
    return np.where(often, 1 + random.poisson(12, (LOOKS, each)), 1), often


def habits(random: Any, each: int) -> tuple[Any, Any]:
    """One caller in ten calls a dozen times, each of them with a rate of their own."""
    d, often = calls(random, each)
    return random.binomial(d, np.where(often, random.beta(1.5, 3.5, d.shape), 0.3)), d


def lengths(random: Any, each: int) -> tuple[Any, Any]:
    """Those who call often have shorter calls."""
    d, often = calls(random, each)
    return d * np.where(often, 40.0, 90.0) * random.lognormal(0, 0.6, d.shape), d


SCENARIOS = {
    "a rate of 30 %": Scenario(20_000, of_rate(0.3)),
    "a rate of 2 %": Scenario(40_000, of_rate(0.02)),
    "skewed amounts": Scenario(20_000, amounts, is_proportion=False),
    "a rate of calls, one caller in ten a regular": Scenario(10_000, habits),
    "a mean of calls, one caller in ten a regular": Scenario(10_000, lengths, is_proportion=False),
}


def looks(scenario: Scenario, callers: int, random: Any) -> list[Sums]:
    """Return the sums of an arm that grows, at each look."""
    each = callers // LOOKS
    s, d = (np.asarray(value, float) for value in scenario.draw(random, each))
    columns = [part.sum(axis=1).cumsum().tolist() for part in (s, d, s * s, d * d, s * d)]
    return [
        Sums(each * look, int(d), s, d, ss, dd, sd, is_proportion=scenario.is_proportion)
        for look, (s, d, ss, dd, sd) in enumerate(zip(*columns, strict=True), 1)
    ]


@pytest.mark.parametrize("weights", [(1, 1), (1, 9)])
@pytest.mark.parametrize("name", SCENARIOS)
def test_looking_daily_is_allowed(name: str, weights: tuple[int, int]) -> None:
    """Fewer than one in twenty is called decided by the always-valid interval, a quarter by one for a single look."""
    random, scenario = np.random.default_rng(0), SCENARIOS[name]
    alarms = np.zeros(2)
    for _ in range(RUNS):
        one, other = (looks(scenario, scenario.callers * weight // sum(weights), random) for weight in weights)
        found = np.array([crossed(x, y, equal=weights == (1, 1)) for x, y in zip(one, other, strict=True)])
        alarms += found.any(axis=0)
    always_valid, fixed = alarms / RUNS
    assert always_valid < 0.05
    assert fixed > 0.25


def crossed(x: Sums, y: Sums, *, equal: bool) -> tuple[bool, bool]:
    difference = abs(estimates.ratio(x) - estimates.ratio(y))
    always_valid = estimates.always_valid_half_width(x, y, 0.05, 2000, equal=equal)
    return difference > always_valid, difference > estimates.welch_half_width(x, y, 0.05)


def test_alarms_are_rarely_false() -> None:
    """All alarms together fire in fewer than one in twenty sound experiments that are looked at on a hundred days."""
    random, runs = np.random.default_rng(1), 60
    alarmed = sum(any(map(_alarms, _days(random))) for _ in range(runs))
    assert alarmed / runs < 0.05


def _days(random: Any, days: int = 100) -> Iterator[Any]:
    """Yield what has been counted by each day: rows of counts, a column for each of two arms."""
    callers = random.multinomial(40, [0.5, 0.5], days)
    shares = [random.binomial(callers, share) for share in (0.97, 0.01, 0.1)]
    calls = 1 + random.negative_binomial(0.2, 0.05, (days, 2, 40))
    calls *= np.arange(40) < callers[:, :, None]
    # A caller of whom one report is lost loses all of them: regulars too.
    lost = calls * (random.random(calls.shape) < 0.03)
    summed = [each.sum(axis=2) for each in (calls, calls * calls, lost, lost * lost, lost * calls, lost > 0)]
    counted = np.cumsum([callers, *shares, *summed], axis=1)
    yield from counted.transpose(1, 2, 0).tolist()


OF = design(MetricDefinition("length", "duration_seconds", per="call"))


def _alarms(day: list[list[int]]) -> list[str]:
    """Return what is found wrong on one day."""
    arms = {}
    for arm, (callers, reported, undelivered, incomplete, calls, squares, *lost) in zip(OF.weights, day, strict=True):
        sums = Sums(callers, calls, calls, callers, squares, callers, calls, asked=callers, incomplete=incomplete)
        without, without_squared, without_calls, unreported = lost
        arms[arm] = ArmAggregates(
            calls_per_caller=sums,
            reports=Sums(
                callers, calls, without, calls, without_squared, squares, without_calls, incomplete=unreported
            ),
            delivery={"flireo": Sums(callers, calls, d=calls, asked=callers, incomplete=undelivered)},
            sums={"length": sums},
            since=START,
            reported=reported,
        )
    shown = results_of(OF, PeriodAggregates(1, OF.weights, START, arms))
    return [finding.code for finding in shown.warnings if finding.code != "few"]
