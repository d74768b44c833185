"""From sums to results: states, what is wrong with the split, and data of which nothing can be said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arms import Callers, design, mean, once, period, rate, results
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.results.aggregates import Sums
from flask_pickup.results.model import Comparison, Results
from flask_pickup.results.statistics import results_of

BOOKED = MetricDefinition("booked", "analysis.booked", smallest=0.05)
HANG_UP = MetricDefinition("hang_up", "early_hang_up", goal="decrease", guardrail=True, margin=0.03)
LENGTH = MetricDefinition("length", "duration_seconds", per="call", missing="leave out")


def compared(metric: MetricDefinition, control: Sums, warm: Sums, **options: Any) -> Comparison:
    """Return warm held against control."""
    [found] = (
        results(design(metric, **options), {metric.name: {"control": control, "warm": warm}}).metrics[0].comparisons
    )
    return found


@pytest.mark.parametrize(
    ("metric", "control", "warm", "state"),
    [
        # An arm without any event is not certain, and not silent.
        (BOOKED, rate(0, 1000), rate(60, 1000), "better"),
        (BOOKED, rate(0, 1000), rate(1000, 1000), "better"),
        (replace(BOOKED, smallest=None), rate(3000, 10_000), rate(3010, 10_000), "undecided"),
        (BOOKED, rate(30, 90), rate(50, 90), "too few"),
        (BOOKED, rate(2, 1000), rate(12, 1000), "too few"),
        (HANG_UP, rate(500, 5000), rate(300, 5000), "safe"),
        (HANG_UP, rate(5, 50), rate(25, 50), "unknown"),
        (replace(HANG_UP, margin=0), rate(500, 5000), rate(500, 5000), "unknown"),
    ],
)
def test_states_without_a_verdict_of_their_own(metric: MetricDefinition, control: Sums, warm: Sums, state: str) -> None:
    """Few events, no smallest difference, no margin: what test_verdict.py does not tell apart."""
    assert compared(metric, control, warm).state == state


def test_relative_lift_agrees_with_the_difference() -> None:
    """The relative interval excludes zero just where the absolute one does."""
    for events in range(300, 420, 10):
        found = compared(BOOKED, rate(300, 1000), rate(events, 1000))
        assert found.interval is not None
        assert found.relative_interval is not None
        assert found.relative == pytest.approx(events / 300 - 1)
        assert (found.interval[0] > 0) == (found.relative_interval[0] > 0)


def test_each_of_several_arms_may_err_less() -> None:
    """With two arms beside control each comparison has half the error, and where they are asked for three a third."""
    sums = {"control": rate(300, 1000), "warm": rate(330, 1000), "brisk": rate(310, 1000)}

    def widths(**options: Any) -> list[float]:
        of = design(BOOKED, weights={"control": 1, "warm": 1, "brisk": 1}, **options)
        found = results(of, {"booked": sums}).metrics[0].comparisons
        return [high - low for each in found for low, high in [each.interval or (0, 0)]]

    def alone(alpha: float) -> float:
        low, high = compared(BOOKED, sums["control"], sums["warm"], confidence=1 - alpha).interval or (
            0,
            0,
        )
        return high - low

    assert widths()[0] == pytest.approx(alone(0.025))
    assert widths(arm_to_arm=True)[0] == pytest.approx(alone(0.05 / 3))
    assert (len(widths()), len(widths(arm_to_arm=True))) == (2, 3)


def found(
    control: int, warm: int, *metrics: MetricDefinition, more: Mapping[str, Any] | None = None, **sums: Any
) -> Results:
    """Return the results of arms whose callers all have the rate of 30 %; ``more`` gives aggregates of both arms."""
    of = design(*(metrics or (BOOKED,)))
    plain = {arm: rate(callers * 3 // 10, callers) for arm, callers in (("control", control), ("warm", warm))}
    arms = {arm: {name: pair[i] for name, pair in (more or {}).items()} for i, arm in enumerate(of.weights)}
    return results(of, {of.primary: plain, **sums}, arms=arms)


def codes(of: Results) -> list[str]:
    return [finding.code for finding in of.warnings]


@pytest.mark.parametrize(
    ("control", "warm", "more", "wanted"),
    [
        (1000, 800, {}, ["split"]),
        (1000, 1000, {"reported": (990, 800)}, ["split"]),
        (1000, 900, {}, []),
    ],
)
def test_split_is_tested(control: int, warm: int, more: Mapping[str, Any], wanted: list[str]) -> None:
    """A split that the weights do not explain, of callers or of those with a report, suppresses all."""
    shown = found(control, warm, more=more)
    assert codes(shown) == wanted
    assert shown.sample_ratio.ok is (not wanted)
    assert (shown.metrics[0].comparisons[0].state == "suppressed") is bool(wanted)


def test_moved_calls_are_found() -> None:
    """Where callers of an arm call more often, metrics per call have a warning."""
    of = design(BOOKED, LENGTH)
    calls = {"control": once([1, 2] * 500).sums(), "warm": once([2, 3] * 500).sums()}
    same = {"control": rate(300, 1000), "warm": rate(300, 1000)}
    shown = results(
        of, {"booked": same, "length": same}, arms={arm: {"calls_per_caller": each} for arm, each in calls.items()}
    )
    assert codes(shown) == ["calls-moved"]
    assert shown.warnings[0].message.startswith(
        "Callers of warm call more often than those of control. length: averages"
    )


def test_too_few_are_named() -> None:
    """Arms with too few callers, and metrics with too few events, are named."""
    assert "control 60, warm 50" in found(60, 50).warnings[0].message
    rare = {"control": rate(3, 1000), "warm": rate(5, 1000)}
    shown = found(1000, 1000, BOOKED, booked=rare)
    assert codes(shown) == ["few"]
    assert "booked" in shown.warnings[0].message


def test_earlier_periods_have_their_own_arms() -> None:
    """An earlier period is computed with the arms and weights that it had."""
    of = design(BOOKED)
    old = replace(of, weights={"control": 1, "cold": 3})
    sums = {"booked": {"control": rate(300, 1000), "cold": rate(900, 3000)}}
    now = period(of, {"booked": {"control": rate(30, 100), "warm": rate(30, 100)}}, number=2)
    [earlier] = results_of(of, now, [period(old, sums)]).earlier_periods
    assert earlier.sample_ratio.ok
    assert [each.arm for each in earlier.metrics[0].comparisons] == ["cold"]


# --- degenerate data ---------------------------------------------------------------------------------------------------

FEW = {"undecided", "too few", "no difference", "suppressed"}


@pytest.mark.parametrize(
    ("control", "warm", "known"),
    [
        ({}, {}, set()),
        (rate(30, 100), {}, {"control"}),
        (rate(1, 1), rate(0, 1), {"control", "warm"}),
        (rate(0, 300), rate(0, 300), {"control", "warm"}),
        (rate(300, 300), rate(300, 300), {"control", "warm"}),
        (once([7.0] * 300).sums(), once([7.0] * 300).sums(), {"control", "warm"}),
        (once([7.0] * 300).sums(), once([8.0] * 300).sums(), {"control", "warm"}),
        (once([1.7e9] * 300).sums(), mean(1.7e9, 3, 300), {"control", "warm"}),
        (once([0.0] * 300).sums(), mean(0, 3, 300), {"control", "warm"}),
        (Callers([0.0], [0.0]).sums(), Callers([0.0, 0.0], [0.0, 0.0]).sums(), set()),
        (once([1e200] * 200).sums(), once([-1e200, 1e200] * 100).sums(), {"control", "warm"}),
    ],
)
def test_degenerate_data_give_nulls_and_no_certainty(control: Any, warm: Any, known: set[str]) -> None:
    """An empty arm, one caller, values all the same: no number that is none, and no arm called better."""
    sums = {arm: each for arm, each in (("control", control), ("warm", warm)) if each}
    shown = results(design(BOOKED), {"booked": sums})
    json.dumps(shown.as_json(), allow_nan=False)
    [metric] = shown.metrics
    assert {arm.arm for arm in metric.arms if arm.mean is not None} == known
    assert metric.comparisons[0].state in FEW
    if any(each.callers < 2 for each in sums.values()):
        assert metric.comparisons[0].standard_error is None


VALUES = st.sampled_from([0.0, 1.0, -3.5, 1.7e9, 1.7e9 + 1, 1e-300, 1e150])
ARM = st.lists(st.tuples(VALUES, st.integers(1, 5)), max_size=6)


@given(ARM, ARM, st.sampled_from([BOOKED, HANG_UP, LENGTH]), st.booleans(), st.sampled_from([0.0, 1.7e9]))
def test_no_data_break_it(control: Any, warm: Any, metric: MetricDefinition, proportion: bool, centre: float) -> None:  # noqa: FBT001
    """Whatever few callers bring, all numbers are finite or null, and nothing is claimed of them."""

    def arm(rows: list[tuple[float, int]]) -> Sums:
        s, d = (np.array([row[i] for row in rows], dtype=float) for i in (0, 1))
        return Callers(s, d).sums(centre=centre, is_proportion=proportion and bool(np.isin(s, (0, 1)).all()))

    shown = results(design(metric), {metric.name: {"control": arm(control), "warm": arm(warm)}})
    json.dumps(shown.as_json(), allow_nan=False)
    assert shown.metrics[0].comparisons[0].state in {"too few", "unknown", "suppressed"}
    assert shown.metrics[0].comparisons[0].interval is None


def test_sums_add_up() -> None:
    """Two periods' sums are those of their callers together, as long as they have one centre."""
    one, other = np.arange(10.0), np.arange(5.0, 25.0)
    assert once(one).sums(centre=3) + once(other).sums(centre=3) == once(np.append(one, other)).sums(centre=3)
    with pytest.raises(ValueError, match="two centres"):
        once(one).sums() + once(other).sums(centre=1)
