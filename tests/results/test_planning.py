"""What a plan promises, against statsmodels' formulas and against experiments made up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from arms import design
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.results.baselines import Baseline, stated, with_assumed
from flask_pickup.results.horizon import Horizon
from flask_pickup.results.plan_wording import guardrail_missed, lift_missed
from flask_pickup.results.planning import GuardrailPlan, Plan, Week, plan

BOOKED = MetricDefinition("booked", "analysis.booked", smallest=0.15)
HANG_UP = MetricDefinition("hang_up", "early_hang_up", goal="decrease", guardrail=True, margin=0.05)
THIRTY, TEN = stated(0.3), stated(0.1)
FOUR = {"control": 1, "warm": 1, "brisk": 1, "short": 1}


def planned(
    metric: MetricDefinition = BOOKED,
    baseline: Baseline = THIRTY,
    *,
    lift: float | None = None,
    pace: float | None = 50,
    weights: dict[str, float] | None = None,
    **rules: Any,
) -> Plan:
    of = design(metric, weights=weights, **rules)
    return plan(of, metric, baseline, lift=lift, new_callers_a_week=pace)


def guarded(
    margin: float = 0.05, pace: float | None = 200, baseline: Baseline = TEN, **rules: Any
) -> tuple[GuardrailPlan, Plan]:
    guardrail = MetricDefinition("hang_up", "early_hang_up", goal="decrease", guardrail=True, margin=margin)
    of = design(BOOKED, guardrail, **rules)
    found = plan(of, BOOKED, THIRTY, new_callers_a_week=pace, guardrails={"hang_up": baseline})
    [only] = found.guardrails
    return only, found


@pytest.mark.parametrize("weights", [{"control": 1, "warm": 1}, {"control": 9, "warm": 1}])
def test_fixed_plan_of_a_mean_is_that_of_statsmodels(weights: dict[str, float]) -> None:
    """For a mean the callers of one look are those of statsmodels' power of a z-test, whatever the weights."""
    power: Any = pytest.importorskip("statsmodels.stats.power")
    found = planned(BOOKED, stated(90, deviation=60), lift=6, weights=weights).needed[0]
    ratio = weights["control"] / weights["warm"]
    warm = power.NormalIndPower().solve_power(effect_size=6 / 60, alpha=0.05, power=0.8, ratio=ratio)
    assert found.fixed_callers == pytest.approx(warm * (1 + ratio), abs=2)


def simulated(
    rates: tuple[float, float], pace: int, horizon: Horizon, *, least: float, beyond: float = 0
) -> list[float]:
    """Return by week how often experiments made up have found that the rates differ from ``beyond``.

    :param pace: the callers of each arm a week.
    """
    random, weeks = np.random.default_rng(2), np.arange(1, horizon.weeks + 1)
    events = [random.binomial(pace, rate, (20_000, horizon.weeks)).cumsum(axis=1) for rate in rates]
    means = [each / (weeks * pace) for each in events]
    error = np.sqrt(sum(mean * (1 - mean) for mean in means) / (weeks * pace))
    looks = horizon.looks(pace=2 * pace, spread=1, least=least)
    limits = [looks[week][1] if week in looks else np.inf for week in weeks.tolist()]
    crossed = np.abs(means[0] - means[1] - beyond) / np.maximum(error, 1e-9) >= limits
    return list(np.maximum.accumulate(crossed, axis=1).mean(axis=0))


def test_chances_are_those_of_experiments_made_up() -> None:
    """By each week, as many experiments made up have found the lift as the plan says."""
    found = planned()
    made_up = simulated((0.45, 0.3), 25, Horizon.of(design(BOOKED), BOOKED), least=200)
    for week in found.weeks:
        assert week.chance == pytest.approx(made_up[week.week - 1], abs=0.02), week
    assert found.week == 10
    assert made_up[8] < 0.8 < made_up[9]


def test_proposed_horizon_finds_it() -> None:
    """With the proposed horizon the lift is found in four of five experiments by its end; with a shorter one it is not."""
    [proposed, easy] = planned().needed
    assert (proposed.maximum_weeks, easy.maximum_weeks, easy.confidence) == (8, 5, 0.8)
    assert planned(maximum_weeks=8).week == 8
    assert planned(maximum_weeks=7).week is None
    made_up = simulated((0.45, 0.3), 25, Horizon.of(design(BOOKED, maximum_weeks=8), BOOKED), least=200)
    assert made_up[-1] == pytest.approx(0.81, abs=0.02)


def test_detectable_difference_is_found_four_times_in_five() -> None:
    """What is detectable by the horizon is found by then with a chance of 80 %."""
    week: Week = planned().weeks[-1]
    assert week.detectable
    made_up = simulated((0.3 + week.detectable, 0.3), 25, Horizon.of(design(BOOKED), BOOKED), least=200)
    assert made_up[-1] == pytest.approx(0.8, abs=0.02)


def test_guardrail_is_safe_as_often_as_in_experiments_made_up() -> None:
    """A guardrail that is not harmed is called safe by one end of an interval of twice the error."""
    found, _ = guarded(pace=200)
    horizon = Horizon.of(design(BOOKED, HANG_UP), HANG_UP)
    made_up = simulated((0.1, 0.1), 100, horizon, least=400, beyond=0.05)
    assert found.chance == pytest.approx(made_up[-1], abs=0.02)
    assert found.week is not None
    assert made_up[found.week - 2] < 0.8 < made_up[found.week - 1]


def test_what_makes_a_guardrail_reachable() -> None:
    """The longer horizon, the callers and the margin that are named do make it safe with a chance of 80 %."""
    found, of = guarded(0.03, 50)
    assert found.week is None
    assert found.chance is not None
    assert found.chance < 0.3
    longer, callers, margin = found.needed.maximum_weeks, found.needed.callers, found.reachable_margin
    assert callers is not None
    assert margin is not None
    assert callers > 3000
    assert guarded(0.03, 50, maximum_weeks=longer)[0].week is not None
    assert guarded(0.03, callers / 12 * 1.01)[0].week is not None
    assert guarded(margin * 1.01, 50)[0].week is not None
    problem, remedy = guardrail_missed(found, of)
    assert problem == (
        "guardrail hang_up (if it is 10.0 %, margin 3 pp) will probably not be called safe by week 12 (maximum_weeks) "
        "at 50 new callers a week, even if it is not harmed: the chance is 24.4 %"
    )
    assert remedy == f"each of these makes it 80 %: maximum_weeks = {longer}, 270 new callers a week, margin = 0.069"


def test_what_would_find_a_lift() -> None:
    """A lift that the horizon does not find is named with its chance, and the horizon that finds it."""
    assert lift_missed(planned(lift=0.05)) == (
        "+5.0 pp on booked will probably not be found by week 12 (maximum_weeks) at 50 new callers a week: the chance is 18.5 %",
        "write maximum_weeks = 68, or more: that finds it with a chance of 80 %",
    )
    assert "over two years" in lift_missed(planned(lift=0.01))[1]
    assert "leaves no room" in lift_missed(planned(lift=0.8))[1]


def test_surer_and_more_take_longer() -> None:
    """Looking weekly takes more callers than one look; 80 % fewer than 95 %; more arms and uneven ones more."""
    two, four = planned(lift=0.1), planned(lift=0.1, weights=dict(FOUR))
    uneven = planned(lift=0.1, weights={"control": 9, "warm": 1})
    callers = [each.needed[0].callers or 0 for each in (two, four, uneven)]
    assert (two.needed[1].callers or 0) < (two.needed[0].fixed_callers or 0) < callers[0] < callers[1] < callers[2]


def test_weeks_follow_the_pace() -> None:
    """Without a pace there are callers and no weeks."""
    found = planned(pace=None)
    assert found.needed[0].callers == planned().needed[0].callers
    assert (found.needed[0].maximum_weeks, found.needed[0].fixed_weeks, found.week, found.weeks) == (
        None,
        None,
        None,
        (),
    )
    guardrail, _ = guarded(pace=None)
    assert (guardrail.week, guardrail.chance, guardrail.reachable_margin) == (None, None, None)
    assert guardrail.needed.callers == guarded(pace=50)[0].needed.callers


def test_no_verdict_before_the_minimum() -> None:
    """However many call, nothing is found before minimum_days, and no shorter horizon is proposed."""
    found = planned(pace=100_000, minimum_days=20)
    assert (found.week, found.needed[0].maximum_weeks, found.needed[0].fixed_weeks) == (3, 3, 3)


def test_what_cannot_be_is_not_planned() -> None:
    """A rate above 100 % is never found, and neither is anything of a few callers."""
    found = planned(BOOKED, stated(0.97), lift=0.05, pace=10)
    assert found.needed[0].callers is None
    assert not found.is_possible
    assert {(week.chance, week.detectable) for week in found.weeks} == {(None, None)}


def test_a_goal_to_decrease_is_planned_downwards() -> None:
    """From 2 % one cannot lose 5 points, and a loss of one is easier to see than a gain: lower rates vary less."""
    fewer = MetricDefinition("hang_up", "early_hang_up", goal="decrease", smallest=0.01)
    more = MetricDefinition("hang_up", "early_hang_up", smallest=0.01)
    assert not planned(fewer, stated(0.02), lift=0.05, pace=1000).is_possible
    down, up = (planned(each, stated(0.02), pace=1000) for each in (fewer, more))
    assert (down.needed[0].fixed_callers or 0) < (up.needed[0].fixed_callers or 0)
    assert (down.sign, up.sign) == (-1, 1)


def test_guardrails_without_calls_are_assumed() -> None:
    """A guardrail that nobody measured is taken for a rate of 10 % if its margin is one of a rate of callers."""
    length = MetricDefinition("duration_seconds", "duration_seconds", guardrail=True, per="call", margin=10)
    assert with_assumed({}, [HANG_UP, length]) == {"hang_up": TEN}
    found = {"duration_seconds": stated(90, deviation=60), "booked": THIRTY}
    assert with_assumed(found, [HANG_UP, length]) == {"hang_up": TEN, "duration_seconds": found["duration_seconds"]}


@pytest.mark.parametrize(("mean", "deviation"), [(0, None), (1, None), (12, None), (90, 0)])
def test_impossible_baselines_are_refused(mean: float, deviation: float | None) -> None:
    """A rate that never or always happens, or values that are all the same, are nothing to plan with."""
    with pytest.raises(ValueError, match=r"rate|same"):
        planned(BOOKED, stated(mean, deviation=deviation))
