"""Breakdowns of the primary metric, against plain formulas over its rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import sqrt
from statistics import fmean, variance
from typing import Any

import pytest
import scipy.stats
from sqlalchemy import Engine

from flask_pickup.results.assembling import ResultOptions, analysis
from flask_pickup.results.breakdowns import Breakdown, breakdowns_of, caller_groups
from result_rows import START, Rows, body

DAY = timedelta(days=1)
METRICS = {"booked": {"outcome": "analysis.booked"}}


def broken_down(engine: Engine, rows: Rows, *definitions: tuple[str, Any], metrics: Any) -> dict[str, Breakdown]:
    """Return the breakdowns by what they are by."""
    rows.write(engine, [*definitions, ("d", body(metrics))])
    with analysis(engine, "opening", body(metrics), ResultOptions(now=START + 60 * DAY)) as read:
        return {each.by: each for each in breakdowns_of(read, caller_groups(read))}


def test_who_had_called_before_is_told_apart(engine: Engine) -> None:
    """Callers who had been answered before they drew an arm, and those who had not, each with their own mean."""
    rows = Rows()
    rows.call("ann", START, None, {})
    rows.call("ann", START + 30 * DAY, "warm", {"analysis.booked": 1.0})
    rows.call("bob", START + 30 * DAY, "warm", {"analysis.booked": 0.0})
    rows.call("bob", START + 31 * DAY, "warm", {"analysis.booked": 0.0})
    # These two heard nothing before.
    rows.call("cas", START, None, decision="closed")
    rows.call("cas", START, None, call_id="pickup-rehearsal-cas")
    rows.call("cas", START + 30 * DAY, "warm", {"analysis.booked": 1.0})
    rows.call("dirk", START, "control", {"analysis.booked": 1.0}, definition="old")
    rows.call("eva", START + 30 * DAY, "control", {})
    found = broken_down(engine, rows, ("old", body(METRICS, files={"warm": "old"})), metrics=METRICS)["callers"]
    assert [(each.group, each.arm, each.callers, each.mean) for each in found.groups] == [
        ("new", "control", 1, 0.0), ("new", "warm", 2, 0.5), ("returning", "control", 0, None), ("returning", "warm", 1, 1.0),
    ]  # fmt: skip
    assert [(each.group, each.arm, each.interval) for each in found.interactions] == [("returning", "warm", None)]


def filled(
    metric: dict[str, Any], *, shift: float = 0.0
) -> tuple[Rows, dict[tuple[str, str], list[tuple[float, int]]]]:
    """Return rows of callers on three platforms, and of each platform and arm their sums and numbers of calls."""
    rows = Rows()
    callers: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for index in range(360):
        platform, arm = ("flireo", "retell", "vapi")[index % 3], ("control", "warm")[index // 3 % 2]
        calls = 1 + index % 5 // 3
        values = [
            shift + 37 * (index + call) % 101 + 9 * (arm == "warm") * (platform == "vapi") for call in range(calls)
        ]
        for call, value in enumerate(values):
            # The second call of some comes on another platform: a caller is of the first one's.
            on = platform if call == 0 or index % 7 else "vapi"
            rows.call(
                f"caller-{index}", START + (index % 40 + call) * DAY, arm, {metric["outcome"]: value}, platform=on
            )
        callers.setdefault((platform, arm), []).append((sum(values), calls))
    return rows, callers


def ratio(callers: Sequence[tuple[float, int]]) -> tuple[float, float, int]:
    """Return the sum over the calls, its variance from the callers' residuals, and their number."""
    s, d = (sum(each[place] for each in callers) for place in (0, 1))
    residuals = [one - s / d * calls for one, calls in callers]
    return s / d, len(callers) * variance(residuals, 0) / (d * d), len(callers)


def mean(callers: Sequence[tuple[float, int]]) -> tuple[float, float, int]:
    values = [one for one, _ in callers]
    return fmean(values), variance(values) / len(values), len(values)


@pytest.mark.parametrize(("per", "shift"), [("caller", 0.0), ("call", 0.0), ("call", 1.7e9)])
def test_interactions_by_platform(engine: Engine, per: str, shift: float) -> None:
    """Each platform's difference less that of all others, with Welch's interval of four means, on both databases."""
    metric = {"outcome": "seconds", "per": per}
    rows, callers = filled(metric, shift=shift)
    found = broken_down(engine, rows, metrics={"seconds": metric})
    assert found.keys() == {"platform"}
    told = found["platform"].interactions
    assert [each.group for each in told] == ["flireo", "retell", "vapi"]
    for each in told:
        groups = ([each.group], [name for name in ("flireo", "retell", "vapi") if name != each.group])
        four = [
            (mean if per == "caller" else ratio)([one for name in names for one in callers[name, arm]])
            for names in groups
            for arm in ("warm", "control")
        ]
        difference = four[0][0] - four[1][0] - four[2][0] + four[3][0]
        spread = sum(part[1] for part in four)
        degrees = spread**2 / sum(part[1] ** 2 / (part[2] - 1) for part in four)
        reach = scipy.stats.t.ppf(0.975, degrees) * sqrt(spread)
        assert each.difference == pytest.approx(difference, rel=1e-6)
        assert each.interval == pytest.approx((difference - reach, difference + reach), rel=1e-5)
