"""What docs/statistics.md promises of decisions, in one setting; ``benchmarks/decisions`` has the others."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import numpy as np
import pytest

from simulated import Setting, find, follow, screen
from simulated_alarms import Line

WITHOUT = Setting("30 %", pace=200)
"""A line without any difference between the arms, for 180 days."""


def test_looking_daily_is_allowed() -> None:
    """Without a difference, at most one experiment in twenty ever finds one: at a weekly look, or on any day."""
    runs = 2000
    arms = WITHOUT.simulate(np.random.default_rng(0), runs)
    found = find(WITHOUT, arms, screen(WITHOUT, arms).any)
    assert 0.02 < sum(each.day is not None for each in found) / runs < 0.05


def test_nothing_is_missed_on_days_that_are_not_asked_for() -> None:
    """Asking for everything on every day finds the same."""
    setting = Setting("30 %", pace=200, days=90, lift=0.05)
    arms = setting.simulate(np.random.default_rng(1), 8)
    for run, found in enumerate(find(setting, arms, screen(setting, arms).any)):
        assert replace(found, compared=True) == follow(setting, arms, run, range(90), everything=True)


@pytest.mark.parametrize(("horizon", "week"), [(8, 8), (12, 10)])
def test_a_lift_is_found_weeks_before_the_horizon(horizon: int, week: int) -> None:
    """At 50 new callers a week, four experiments in five find a lift from 30 to 45 % by then."""
    runs = 400
    setting = Setting("30 %", days=7 * week, lift=0.15, options={"maximum_weeks": horizon})
    arms = setting.simulate(np.random.default_rng(2), runs)
    found = [each.state for each in find(setting, arms, screen(setting, arms).looks)]
    assert found.count("better") / runs > 0.8
    assert "worse" not in found


def test_alarms_are_rarely_false() -> None:
    """All checks that suppress results together alarm in at most one sound experiment in a hundred."""
    alarms = list(Line().alarms(np.random.default_rng(3), 500))
    assert sum(alarm is not None for alarm in alarms) / len(alarms) <= 0.01


@pytest.mark.parametrize(("loses", "about", "days"), [("callers", "split", 45), ("analyses", "unanalysed", 15)])
def test_a_loss_of_a_fifth_is_found_in_weeks(loses: str, about: str, days: int) -> None:
    """Half of the experiments find by then that an arm loses a fifth of its callers, or of its analyses."""
    line = Line(regulars=False, loses=loses, days=90)
    alarms = [alarm or (line.days, about) for alarm in line.alarms(np.random.default_rng(4), 60)]
    assert {found for _, found in alarms} == {about}
    assert median(day for day, _ in alarms) < days
