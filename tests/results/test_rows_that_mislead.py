"""Right rows that once made wrong verdicts: what happens on a real line, in experiments whose arms are alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine

from flask_pickup.results.assembling import ResultOptions, results
from flask_pickup.results.model import Results
from result_rows import BOOKED, HANG_UP, START, Rows, body

WEEK = timedelta(weeks=1)
SALE = {"outcome": "sale", "smallest": 0.05}
METRICS = {"booked": BOOKED, "hang_up": HANG_UP, "sale": SALE}
ARMS = ("control", "warm")

Told = Callable[[str, Random], dict[str, float] | None]
"""From an arm to what the report of a call in it tells; None without a report."""


@pytest.fixture
def engine(sqlite_engine: Engine) -> Engine:
    """Empty tables: what is said follows from aggregates, which other tests hold on both databases."""
    return sqlite_engine


def alike(arm: str, random: Random) -> dict[str, float]:
    """Return what is told of callers of whom 30 % book, 10 % hang up and 20 % buy, whatever their arm."""
    booked, hung_up, bought = (float(random.random() < rate) for rate in (0.3, 0.1, 0.2))
    return {"analysis.booked": booked, "early_hang_up": hung_up, "user_messages": 4.0, "sale": bought}


def made(told: Told, callers: int = 1500, seed: int = 1) -> Rows:
    """Return one call a caller over eight weeks."""
    rows, random = Rows(), Random(seed)
    for caller in range(callers):
        arm = random.choice(ARMS)
        rows.call(f"caller-{caller}", START + random.random() * 8 * WEEK, arm, told(arm, random))
    return rows


def shown(engine: Engine, rows: Rows, week: float = 8.1, **changed: Any) -> Results:
    rows.write(engine, [("d", body(changed.pop("metrics", METRICS), **changed))])
    return results(engine, "opening", options=ResultOptions(now=START + week * WEEK))


def states(found: Results) -> dict[str, str]:
    return {metric.metric: metric.comparisons[0].state for metric in found.metrics}


def told(found: Results) -> dict[str, str]:
    return {each.code: each.message for each in found.warnings}


def test_arms_that_are_alike(engine: Engine) -> None:
    """Nothing is suppressed, and nothing found, of a line on which nothing is lost."""
    found = shown(engine, made(alike))
    assert states(found) == {"booked": "undecided", "hang_up": "safe", "sale": "exploratory"}
    assert told(found) == {}


@pytest.mark.parametrize(
    ("lost", "suppressed", "says"),
    [
        ("analysis.booked", {"booked"}, "no analysis: control 0.0 %, warm 2"),
        ("early_hang_up", {"hang_up"}, "do not tell whether the caller hung up early: control 0.0 %, warm 2"),
    ],
)
def test_silent_loss_in_one_arm_suppresses(engine: Engine, lost: str, suppressed: set[str], says: str) -> None:
    """An arm that loses a fifth of its analyses, or of its hang-ups, is not called worse: what is lost is not compared."""

    def losing(arm: str, random: Random) -> dict[str, float]:
        found = alike(arm, random)
        return {
            name: value for name, value in found.items() if name != lost or arm == "control" or random.random() > 0.2
        }

    found = shown(engine, made(losing))
    assert {name for name, state in states(found).items() if state == "suppressed"} == suppressed
    assert says in told(found)["missing"]
    assert found.verdict
    assert (found.verdict.state == "broken") is ("booked" in suppressed)


def test_a_short_call_needs_no_analysis(engine: Engine) -> None:
    """Calls of less than two messages are not asked for an analysis: an arm may have more of them."""

    def shorter(arm: str, random: Random) -> dict[str, float]:
        if random.random() > (0.05 if arm == "control" else 0.3):
            return alike(arm, random)
        return {"early_hang_up": 0.0, "user_messages": 1.0}

    assert "missing" not in told(shown(engine, made(shorter)))


def test_a_missing_key_is_told_and_suppresses_nothing(engine: Engine) -> None:
    """Where an analysis is there and lacks one key more often in one arm, the arm can be why; the reader is told."""

    def without_key(arm: str, random: Random) -> dict[str, float]:
        found = {**alike(arm, random), "analysis.polite": 1.0}
        if arm == "warm" and random.random() < 0.2:
            del found["analysis.booked"]
        return found

    found = shown(engine, made(without_key))
    assert states(found)["booked"] != "suppressed"
    assert "value of booked is missing: control 0.0 %, warm 2" in told(found)["missing-values"]


def test_the_hosts_own_outcomes_are_never_suppressed(engine: Engine) -> None:
    """A row of the host's own is what is measured: an arm without sales has no lost ones."""

    def selling(arm: str, random: Random) -> dict[str, float]:
        found = alike(arm, random)
        if arm == "warm" or not found["sale"]:
            del found["sale"]
        return found

    found = shown(engine, made(selling), metrics={"sale": SALE, "booked": BOOKED})
    assert states(found)["sale"] == "worse"
    assert told(found) == {}


# --- later calls --------------------------------------------------------------------------------------------------------


def returning(rows: Rows, random: Random, **call: Any) -> None:
    """Add for each caller five later calls in no arm, which bring nothing."""
    for row in rows.assignments[:]:
        for day in range(1, 6):
            at = row["assigned_at"] + timedelta(days=day)
            told = {"analysis.booked": 0.0, "early_hang_up": float(random.random() < 0.1)}
            rows.call(row["caller_key"], at, None, told, call_id=f"{row['call_id']}-{day}", **call)


def better(arm: str, random: Random) -> dict[str, float]:
    """Return what is told where warm books 15 points more, and loses 15 points more at once."""
    more = 0.15 if arm == "warm" else 0.0
    booked, hung_up = (float(random.random() < rate + more) for rate in (0.3, 0.1))
    return {"analysis.booked": booked, "early_hang_up": hung_up}


PER_CALL = {
    "booked": {**BOOKED, "per": "call", "missing": "leave out"},
    "hang_up": {**HANG_UP, "per": "call", "missing": "leave out"},
}


@pytest.mark.parametrize("reason", ["layer", "traffic", "paused", None])
def test_calls_that_no_arm_could_reach_dilute_nothing(engine: Engine, reason: str | None) -> None:
    """They do not count, so the effect is as large as it is, and no guardrail is safe by them; the reader is told."""
    rows, random = made(better), Random(2)
    returning(rows, random, reasons={"opening": reason} if reason else {})
    found = shown(engine, rows, week=9, metrics=PER_CALL)
    difference = found.metrics[0].comparisons[0].difference
    assert difference == pytest.approx(0.15, abs=0.05)
    assert states(found) == {"booked": "better", "hang_up": "harmed"}
    assert "do not count: control 8" in told(found)["unreached"]


def test_calls_that_the_audience_excluded_count(engine: Engine) -> None:
    """An arm can be why a caller left the audience: their later calls count, and dilute."""
    rows, random = made(better), Random(2)
    returning(rows, random, reasons={"opening": "audience"})
    found = shown(engine, rows, week=9, metrics=PER_CALL)
    difference = found.metrics[0].comparisons[0].difference
    assert difference == pytest.approx(0.15 / 6, abs=0.02)
    assert "unreached" not in told(found)


def test_pinned_calls_are_credited_to_no_arm(engine: Engine) -> None:
    """A caller counts until their first pinned call, in the arm that the hash gave."""
    rows = made(alike)
    for row in rows.assignments[:]:
        if row["arm"] == "control":
            at, told = row["assigned_at"] + timedelta(days=1), {"analysis.booked": 1.0, "early_hang_up": 0.0}
            rows.call(row["caller_key"], at, "warm", told, call_id=f"{row['call_id']}-pin", source="pin")
            rows.call(row["caller_key"], at + timedelta(days=1), "control", told, call_id=f"{row['call_id']}-after")
    found = shown(engine, rows, week=9)
    assert states(found)["booked"] == "undecided"
    assert found.metrics[0].arms[0].mean == pytest.approx(0.3, abs=0.05)
    assert sum(arm.pinned for arm in found.arms) == found.arms[0].callers


def test_one_caller_an_arm_has_no_error(engine: Engine) -> None:
    """One caller does not show how callers vary: errors and intervals are null."""
    rows = Rows()
    for arm in ARMS:
        rows.call(arm, START, arm, {"analysis.booked": float(arm == "warm"), "early_hang_up": 0.0})
    found = shown(engine, rows)
    for metric in found.metrics:
        assert [arm.standard_error for arm in metric.arms] == [None, None]
        assert (metric.comparisons[0].standard_error, metric.comparisons[0].fixed_interval) == (None, None)
