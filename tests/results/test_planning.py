"""How many callers a difference takes, against statsmodels' formulas and against experiments made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from arms import design
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.results import estimates
from flask_pickup.results.planning import Detectable, Needed, Plan, plan, stated

BOOKED = MetricDefinition("booked", "analysis.booked", smallest=0.05)
THIRTY = stated(0.3, deviation=None, callers_a_week=200)


def needed(of: Plan, interval: str, confidence: float = 0.95) -> Needed:
    [found] = [each for each in of.needed if (each.interval, each.confidence) == (interval, confidence)]
    return found


def detectable(of: Plan, interval: str, weeks: int, confidence: float = 0.95) -> Detectable:
    wanted = (interval, confidence, weeks)
    [found] = [each for each in of.detectable if (each.interval, each.confidence, each.weeks) == wanted]
    return found


@pytest.mark.parametrize("weights", [{"control": 1, "warm": 1}, {"control": 9, "warm": 1}])
def test_fixed_plan_of_a_mean_is_that_of_statsmodels(weights: dict[str, float]) -> None:
    """For a mean the callers are those of statsmodels' power of a z-test, at equal weights and at others."""
    power: Any = pytest.importorskip("statsmodels.stats.power")
    found = plan(design(BOOKED, weights=weights), BOOKED, stated(90, deviation=60, callers_a_week=200), lift=6)
    ratio = weights["control"] / weights["warm"]
    warm = power.NormalIndPower().solve_power(effect_size=6 / 60, alpha=0.05, power=0.8, ratio=ratio)
    assert needed(found, "fixed").callers == pytest.approx(warm * (1 + ratio), abs=2)


def simulated_power(per_look: int, looks: int, lift: float, interval: str, alpha: float = 0.05) -> float:
    """Return how often a true lift of 30 % is found in either of so many looks."""
    random, runs = np.random.default_rng(2), 3000
    events = [random.binomial(per_look, rate, (runs, looks)).cumsum(axis=1) for rate in (0.3 + lift, 0.3)]
    callers = np.arange(1, looks + 1) * per_look
    rates = [each / callers for each in events]
    spread = sum(rate * (1 - rate) for rate in rates) / (callers - 1)
    factor = [estimates.always_valid_factor(2 * each, alpha, 2000) for each in callers.tolist()]
    reach = np.sqrt(spread) * (norm.isf(alpha / 2) if interval == "fixed" else factor)
    expected = callers * sum(rates) / 2
    found = (rates[0] - rates[1] > reach) & (callers >= 100) & (np.minimum(expected, callers - expected) >= 20)
    return float((found[:, -1] if interval == "fixed" else found.any(axis=1)).mean())


@pytest.mark.parametrize(("interval", "looks"), [("fixed", 1), ("always valid", 50)])
def test_planned_callers_find_it_four_times_in_five(interval: str, looks: int) -> None:
    """As many experiments made up, of as many callers as planned, find the difference with a chance of 80 %."""
    callers = needed(plan(design(BOOKED), BOOKED, THIRTY), interval).callers
    assert callers is not None
    assert simulated_power(callers // 2 // looks, looks, 0.05, interval) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("interval", ["fixed", "always valid"])
def test_detectable_difference_is_found_four_times_in_five(interval: str) -> None:
    """What is said to be found in twelve weeks is found in them, by weekly looks, with a chance of 80 %."""
    found = detectable(plan(design(BOOKED), BOOKED, THIRTY), interval, 12)
    assert found.callers == 2400
    assert found.difference is not None
    assert simulated_power(100, 12, found.difference, interval) == pytest.approx(0.8, abs=0.03)


def test_honesty_costs() -> None:
    """Looking whenever one likes takes more callers than one look; 80 % takes fewer than 95 %; a third arm more."""
    two = plan(design(BOOKED), BOOKED, THIRTY)
    three = plan(design(BOOKED, weights={"control": 1, "warm": 1, "brisk": 1}), BOOKED, THIRTY)
    uneven = plan(design(BOOKED, weights={"control": 9, "warm": 1}), BOOKED, THIRTY)
    callers = {
        name: needed(of, interval, confidence).callers or 0
        for name, of, interval, confidence in (
            ("here", two, "always valid", 0.95),
            ("fixed", two, "fixed", 0.95),
            ("easy", two, "always valid", 0.8),
            ("three", three, "always valid", 0.95),
            ("uneven", uneven, "always valid", 0.95),
        )
    }
    assert callers["fixed"] < callers["easy"] < callers["here"] < callers["three"] < callers["uneven"]


def test_weeks_follow_the_pace() -> None:
    """The weeks are the callers over those who come in a week; without a pace there are none."""
    found = needed(plan(design(BOOKED), BOOKED, THIRTY), "fixed")
    assert (found.callers, found.weeks) == (2748, 14)
    without = plan(design(BOOKED), BOOKED, stated(0.3, deviation=None, callers_a_week=None))
    assert needed(without, "fixed").weeks is None
    assert without.detectable == ()


def test_what_cannot_be_is_not_planned() -> None:
    """A rate above 100 % is never found, and neither is anything of a few callers."""
    found = plan(design(BOOKED), BOOKED, stated(0.97, deviation=None, callers_a_week=30))
    assert needed(found, "always valid").callers is None
    assert detectable(found, "fixed", 4).difference is None
    assert detectable(found, "always valid", 4).difference is None


def test_a_goal_to_decrease_is_planned_downwards() -> None:
    """From 2 % one cannot lose 5 points, and a loss of one is easier to see than a gain: lower rates vary less."""
    fewer = MetricDefinition("hang_up", "early_hang_up", goal="decrease", smallest=0.01)
    more = MetricDefinition("hang_up", "early_hang_up", smallest=0.01)
    low = stated(0.02, deviation=None, callers_a_week=1000)
    assert needed(plan(design(fewer), fewer, low, 0.05), "fixed").callers is None
    down, up = (needed(plan(design(each), each, low), "fixed").callers or 0 for each in (fewer, more))
    assert down < up


@pytest.mark.parametrize(("mean", "deviation"), [(0, None), (1, None), (12, None), (90, 0)])
def test_impossible_baselines_are_refused(mean: float, deviation: float | None) -> None:
    """A rate that never or always happens, or values that are all the same, are nothing to plan with."""
    with pytest.raises(ValueError, match=r"rate|same"):
        plan(design(BOOKED), BOOKED, stated(mean, deviation=deviation, callers_a_week=200))


PAGE = (Path(__file__).parents[2] / "docs/few-calls.md").read_text("utf-8")
ROWS = [
    [float(cell.replace(",", "")) for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| 0")
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_figures_on_the_page_are_the_plans(row: list[float]) -> None:
    """Each row of docs/few-calls.md is what plan says."""
    rate, lift, arms, pace, *figures = row
    weights = {"control": 1.0, **{f"arm-{number}": 1.0 for number in range(1, int(arms))}}
    found = plan(design(BOOKED, weights=weights), BOOKED, stated(rate, deviation=None, callers_a_week=pace), lift)
    ours, easy, one_look = needed(found, "always valid"), needed(found, "always valid", 0.8), needed(found, "fixed")
    assert figures == [ours.callers, ours.weeks, easy.weeks, one_look.weeks]
