"""Experiments without any difference, looked at a hundred times: how often something is found all the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from flask_pickup.results import estimates
from flask_pickup.results.false_alarms import SCENARIOS, FalseAlarms, false_alarms

RUNS = 1000


@pytest.fixture(scope="module")
def found() -> Sequence[FalseAlarms]:
    return list(false_alarms(runs=RUNS))


def test_looking_daily_is_allowed(found: Sequence[FalseAlarms]) -> None:
    """Of a thousand such experiments fewer than one in twenty is called decided, whatever is measured and how split."""
    assert len(found) == 2 * len(SCENARIOS)
    assert {each.weights for each in found} == {(1, 1), (1, 9)}
    assert all(0 < each.always_valid < 0.05 for each in found), found


def test_a_fixed_interval_does_not_allow_it(found: Sequence[FalseAlarms]) -> None:
    """The interval that is right for one look is wrong in more than a quarter of them: the scenarios do try us."""
    assert all(each.fixed > 0.25 for each in found), found


def test_alarms_are_rarely_false() -> None:
    """All alarms together fire in fewer than one in twenty sound experiments that are looked at on a hundred days."""
    random, runs, days = np.random.default_rng(0), 200, 100
    alarms = 0
    for _ in range(runs):
        callers = random.multinomial(40, [0.5, 0.5], days)
        counts = {share: np.cumsum(random.binomial(callers, share), axis=0) for share in (0.97, 0.02, 0.01, 0.1)}
        totals = np.cumsum(callers, axis=0)
        alarms += any(
            p_value < estimates.ALARM
            for day in range(days)
            for p_value in (
                estimates.split_p_value(totals[day], [1, 1]),
                estimates.split_p_value(counts[0.97][day], [1, 1]),
                *(estimates.share_p_value(counts[share][day], totals[day]) for share in (0.02, 0.01, 0.1)),
            )
        )
    assert alarms / runs < 0.05
