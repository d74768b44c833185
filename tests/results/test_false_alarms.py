"""Experiments without any difference, looked at a hundred times: how often something is found all the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from arms import START, design
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.results.aggregates import ArmAggregates, PeriodAggregates, Sums
from flask_pickup.results.false_alarms import SCENARIOS, FalseAlarms, false_alarms
from flask_pickup.results.statistics import results_of

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
            reports=Sums(callers, calls, without, calls, without_squared, squares, without_calls, incomplete=unreported),
            metrics={"length": sums}, since=START, reported=reported, known=callers, undelivered=undelivered,
        )  # fmt: skip
    shown = results_of(OF, PeriodAggregates(1, OF.weights, START, arms))
    return [finding.code for finding in shown.warnings if finding.code != "few"]
