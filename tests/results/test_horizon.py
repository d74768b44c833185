"""What weekly looks until a horizon find, against random walks and formulas."""

from __future__ import annotations

from math import inf, sqrt
from typing import Any

import pytest
from scipy.stats import norm

from arms import design
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.results.horizon import Horizon, minimum_detectable
from flask_pickup.results.outlook import Outlook
from flask_pickup.results.spending import spent

BOOKED = MetricDefinition("booked", "analysis.booked", within=7, smallest=0.05)
HANG_UP = MetricDefinition("hang_up", "early_hang_up", goal="decrease", guardrail=True, margin=0.03)
SPREAD = 4 * 0.3 * 0.7
"""The callers of both arms that make one unit of information, for a rate of 30 % in halves."""
WEEK: dict[str, Any] = {"pace": 50 / SPREAD, "spread": SPREAD, "least": 200}


def test_error_is_that_of_the_metric() -> None:
    """It is divided by the comparisons; a guardrail's is twice as large; where values grow, less is spent weekly."""
    of = design(BOOKED, HANG_UP, weights={"control": 1, "warm": 1, "brisk": 1}, maximum_weeks=9, expected_callers=700)
    primary, guardrail = (Horizon.of(of, metric) for metric in of.metrics)
    assert (primary.weekly, primary.always, primary.error) == pytest.approx((0.02, 0.005, 0.025))
    assert (guardrail.weekly, guardrail.always, guardrail.error) == pytest.approx((0.03, 0.01, 0.05))
    assert (primary.weeks, primary.expected) == (9, 700)


def test_looks_begin_with_enough_callers() -> None:
    """The first look is that of the week with the fewest callers that are compared, and has all the error of those before."""
    horizon = Horizon(0.04, 0.01, 12, 2000)
    looks = horizon.looks(**WEEK)
    assert [*looks] == [*range(4, 13)]
    assert looks[4][0] == pytest.approx(200 / SPREAD)
    [late] = horizon.looks(**{**WEEK, "least": 600}).values()
    assert late == pytest.approx((600 / SPREAD, norm.isf(0.02)))
    assert horizon.looks(**{**WEEK, "least": 601}) == horizon.looks(**WEEK, week=12, information=700) == {}


def test_nearer_boundary_counts() -> None:
    """Early on the always-valid interval excludes more than the looks that wait for the horizon."""
    horizon = Horizon(0.04, 0.01, 52, 2000)
    first = horizon.looks(**{**WEEK, "pace": 1000 / SPREAD})[1]
    assert norm.isf(spent(0.04, 1 / 52) / 2) > 10 > first[1]


def test_past_looks_do_not_change_the_weeks() -> None:
    """Asked halfway, with the looks that were made, the week is the same; what is spent is not spent again.

    Plans tell the same weeks, and are held against experiments made up.
    """
    horizon, difference = Horizon(0.04, 1e-9, 12, 2000), 0.15
    looks = horizon.looks(**WEEK)
    past = [look for week, look in looks.items() if week <= 6]
    ahead = horizon.looks(**WEEK, past=past, week=6, information=past[-1][0])
    assert [*ahead] == [*range(7, 13)]
    assert [*ahead.values()] == [pytest.approx(look) for week, look in looks.items() if week > 6]
    whole = Outlook(0, (), looks)
    assert Outlook(6, tuple(past), ahead).weeks_left(difference) == (whole.weeks_left(difference) or 0) - 6 > 0
    assert whole.weeks_left(0.05) is None


def test_least_detectable_difference() -> None:
    """Of one look it is boundary and power's quantile; more looks find less; none find nothing."""
    assert minimum_detectable([(25, 1.96)]) == pytest.approx((1.96 + norm.isf(0.2)) / sqrt(25), rel=1e-3)
    assert minimum_detectable([(20, 2.5), (25, 1.96)]) < minimum_detectable([(25, 1.96)])
    assert minimum_detectable([]) == minimum_detectable([(25, inf)]) == inf
