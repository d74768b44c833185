"""What a page tells beside the results: the SQL to copy, and who had called before."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from flask_pickup.results.assembling import ResultOptions, analysis
from flask_pickup.results.details import ExperimentDetails, details_of
from flask_pickup.results.model import Results
from result_rows import START, Rows, body

DAY = timedelta(days=1)
NOW = START + 60 * DAY
METRICS: dict[str, dict[str, Any]] = {
    "booked": {"outcome": "analysis.booked"},
    "booked-calls": {"outcome": "analysis.booked", "per": "call"},
    "seconds": {"outcome": "duration_seconds", "per": "call", "missing": "leave out", "cap": 0.9},
    "moment": {"outcome": "moment", "per": "call", "missing": "leave out"},
    "sales": {"outcome": "sale", "within": 7.0},
}
OLD, NEW = body(METRICS, files={"warm": "old"}), body(METRICS)


def told(engine: Engine, rows: Rows) -> tuple[Results, ExperimentDetails]:
    rows.write(engine, [("old", OLD), ("new", NEW)])
    with analysis(engine, "opening", NEW, ResultOptions(now=NOW)) as read:
        found = read.results()
        assert found.since
        return found, details_of(read, found.since)


def made_up() -> Rows:
    """Return callers of two periods, some of them regulars, with holes in what is known of them."""
    chance, rows = random.Random(5), Rows()
    for caller in range(200):
        arm, definition = chance.choice(["control", "warm"]), "old" if caller < 50 else "new"
        at = START + chance.uniform(0, 20) * DAY + (20 * DAY if definition == "new" else timedelta())
        for _ in range(chance.choice([1, 1, 2, 7])):
            values = {"duration_seconds": chance.expovariate(1 / 80), "moment": 1.7e9 + chance.random()}
            if chance.random() < 0.7:
                values["analysis.booked"] = float(chance.random() < 0.4)
            call_id = rows.call(f"caller-{caller}", at, arm, values, definition=definition)
            if chance.random() < 0.3:
                rows.outcome(call_id, "sale", chance.expovariate(1 / 50), at + chance.uniform(0, 9) * DAY)
            at += chance.uniform(0, 3) * DAY
    rows.call("test", START + 30 * DAY, "warm", {"duration_seconds": 9999.0}, call_id="pickup-rehearsal-x")
    return rows


def test_sql_to_copy_gives_the_numbers_of_all_metrics(engine: Engine) -> None:
    """The statement, run as it stands, gives each mean and standard error of the period in force, to nine digits.

    Psql and sqlite3 take it: no parameter is left open, and no percent sign doubled.
    """
    found, shown = told(engine, made_up())
    assert all(sign not in shown.sql for sign in ("%%", "%(", " :", "?"))
    with engine.connect().execution_options(no_parameters=True) as connection:
        rows = {row["arm"]: row for row in connection.exec_driver_sql(shown.sql).mappings()}
    for arm in found.arms:
        row = rows[arm.arm]
        assert (row["callers"], row["calls"]) == (arm.callers, arm.calls)
        for metric in found.metrics:
            mean = metric.arm(arm.arm)
            assert mean.standard_error is not None
            assert row[f"{metric.metric}_mean"] == pytest.approx(mean.mean, rel=1e-9)
            error = row[f"{metric.metric}_squared_error"] ** 0.5
            # Near 1.7e9 a double has hardly more than seven digits after the point.
            assert error == pytest.approx(mean.standard_error, rel=1e-9 if metric.metric != "moment" else 1e-5)


def test_who_had_called_before_is_told_apart(engine: Engine) -> None:
    """Callers who had been answered before they drew an arm, and those who had not, each with their own mean."""
    rows = Rows()
    rows.call("ann", START, None, {})
    rows.call("ann", START + 30 * DAY, "warm", {"analysis.booked": 1.0}, definition="new")
    rows.call("bob", START + 30 * DAY, "warm", {"analysis.booked": 0.0}, definition="new")
    rows.call("bob", START + 31 * DAY, "warm", {"analysis.booked": 0.0}, definition="new")
    # Nobody heard these two before.
    rows.call("cas", START, None, decision="closed")
    rows.call("cas", START, None, call_id="pickup-rehearsal-cas")
    rows.call("cas", START + 30 * DAY, "warm", {"analysis.booked": 1.0}, definition="new")
    rows.call("dirk", START, "control", {"analysis.booked": 1.0}, definition="old")
    rows.call("eva", START + 30 * DAY, "control", {}, definition="new")
    _, shown = told(engine, rows)
    assert shown.before == {"control": ((1, 0.0), (0, None)), "warm": ((2, 0.5), (1, 1.0))}
