"""Calls without a number that were drawn one by one: what came of them, held against SciPy's Welch on the same rows."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from math import log, sqrt
from statistics import fmean
from typing import Any

import pytest
from scipy.stats import sem, ttest_ind
from sqlalchemy import Engine

from flask_pickup.results.assembling import ResultOptions, results
from flask_pickup.results.model import Results, Unidentified
from result_rows import START, Rows, body

NOW = START + timedelta(days=60)
METRICS: Mapping[str, Mapping[str, Any]] = {
    "booked": {"outcome": "analysis.booked", "smallest": 0.05},
    "seconds": {"outcome": "duration_seconds", "per": "call", "missing": "leave out"},
    "known": {"outcome": "analysis.booked", "missing": "leave out"},
    "hang_up": {"outcome": "early_hang_up", "per": "call", "goal": "decrease", "guardrail": True, "margin": 0.05},
}
ARMS = ("control", "warm")


def nameless(rows: Rows, arm: str, at: datetime, told: dict[str, float] | None, **options: Any) -> None:
    rows.call(None, at, arm, told, source="unidentified", delivered=True, **options)


def made_up() -> Rows:
    """Return calls of two arms without a number, with holes in what is known of them, and some callers with one."""
    chance, rows = random.Random(5), Rows()
    for index in range(900):
        arm, at = chance.choice(ARMS), START + timedelta(days=chance.uniform(0, 58))
        told = {"duration_seconds": chance.expovariate(1 / (80 if arm == "warm" else 70))}
        if chance.random() < 0.8:
            told["analysis.booked"] = float(chance.random() < (0.5 if arm == "warm" else 0.3))
        told["early_hang_up"] = float(chance.random() < 0.1)
        nameless(rows, arm, at, told if chance.random() < 0.95 else None)
        if index % 3 == 0:
            rows.call(f"caller-{index}", at, ARMS[index // 3 % 2], {"analysis.booked": float(index % 2)})
    return rows


def values(rows: Rows, metric: Mapping[str, Any], arm: str) -> list[float]:
    """Return a metric's value of each call of an arm, read from the rows one by one."""
    told = {row["call_id"]: row["value"] for row in rows.outcomes if row["name"] == metric["outcome"]}
    calls = [row["call_id"] for row in rows.assignments if row["source"] == "unidentified" and row["arm"] == arm]
    if metric.get("missing") == "leave out":
        return [told[call_id] for call_id in calls if call_id in told]
    return [told.get(call_id, 0.0) for call_id in calls]


def shown(engine: Engine, rows: Rows, *, pool: bool = False, **changed: Any) -> Results:
    """Return the results; pooled ones of one period are the same without a verdict and the looks for it."""
    rows.write(engine, [("d", body(METRICS, **{"unidentified": "per-call", **changed}))])
    return results(engine, "opening", options=ResultOptions(now=NOW, pool=pool))


def apart(found: Results) -> Unidentified:
    assert found.unidentified
    return found.unidentified


def always_valid(difference: float, error: float, calls: int, alpha: float) -> tuple[float, float]:
    """Return the always-valid interval by its formula, written down once more."""
    rho2 = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / 2000
    inside = 2 * (calls * rho2 + 1) / (calls**2 * rho2) * log(sqrt(calls * rho2 + 1) / alpha)
    half = error * sqrt(calls) * sqrt(inside)
    return difference - half, difference + half


def test_calls_are_the_unit(engine: Engine) -> None:
    """Means, errors, Welch's interval and the always-valid one are those of calls, each for itself."""
    rows = made_up()
    found = apart(shown(engine, rows, pool=True))
    assert {metric.metric for metric in found.metrics} == METRICS.keys()
    assert found.sample_ratio.ok
    for metric in found.metrics:
        control, warm = (values(rows, METRICS[metric.metric], arm) for arm in ARMS)
        calls = [sum(row["arm"] == arm and row["source"] != "hash" for row in rows.assignments) for arm in ARMS]
        assert metric.per == "call"
        for arm, expected, made in zip(metric.arms, (control, warm), calls, strict=True):
            assert (arm.callers, arm.calls, arm.missing) == (None, len(expected), made - len(expected))
            assert arm.mean == pytest.approx(fmean(expected), rel=1e-9)
            assert arm.standard_error == pytest.approx(sem(expected), rel=1e-6)
        [one] = metric.comparisons
        welch = ttest_ind(warm, control, equal_var=False).confidence_interval(0.95)
        difference, error = fmean(warm) - fmean(control), sqrt(sem(warm) ** 2 + sem(control) ** 2)
        assert one.difference == pytest.approx(difference, rel=1e-9)
        assert one.fixed_interval == pytest.approx((welch.low, welch.high), rel=1e-6)
        valid = always_valid(difference, error, len(control) + len(warm), 0.1 if metric.guardrail else 0.05)
        assert one.interval == pytest.approx(valid, rel=1e-6)
    assert {metric.metric: metric.comparisons[0].state for metric in found.metrics} == {
        "booked": "better", "seconds": "exploratory", "known": "exploratory", "hang_up": "unknown",
    }  # fmt: skip


def test_they_change_nothing_else(engine: Engine) -> None:
    """All that is said of callers is what would be said without these calls, but for their number."""
    everything, rows = made_up(), Rows()
    named = {row["call_id"] for row in everything.calls if row["caller_key"]}
    for name in ("calls", "assignments", "outcomes"):
        setattr(rows, name, [row for row in getattr(everything, name) if row["call_id"] in named])
    without = shown(engine, rows)
    for name in ("calls", "assignments", "outcomes"):
        setattr(rows, name, [row for row in getattr(everything, name) if row["call_id"] not in named])
    rows.write(engine)
    found = results(engine, "opening", options=ResultOptions(now=NOW))
    arms = tuple(replace(arm, unidentified=0) for arm in found.arms)
    assert sum(arm.unidentified for arm in found.arms) == 900
    assert without.unidentified is None
    assert replace(found, arms=arms, coverage=without.coverage, unidentified=None) == without


def test_calls_that_are_not_spread_as_the_weights_say_are_suppressed(engine: Engine) -> None:
    """Where calls of an arm are lost, nothing is said of these; the verdict about callers stands."""
    rows = made_up()
    for _ in range(300):
        nameless(rows, "warm", START, {"analysis.booked": 1.0})
    found = shown(engine, rows)
    assert not apart(found).sample_ratio.ok
    states = {metric.metric: metric.comparisons[0].state for metric in apart(found).metrics}
    assert (states["booked"], states["hang_up"]) == ("suppressed", "suppressed")
    assert found.sample_ratio.ok
    assert found.verdict
    assert found.verdict.state != "broken"
