"""Which rows are part of a result: those that were there on its day, of calls in which an arm could be heard."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, update

from flask_pickup.models import Assignment, Call
from flask_pickup.results.aggregates import ArmAggregates
from flask_pickup.results.assembling import ResultOptions, analysis
from flask_pickup.results.counting import aggregate
from result_rows import START, Rows, body

DAY = START + timedelta(days=30)
NOW = START + timedelta(days=60)
METRICS: Mapping[str, Mapping[str, Any]] = {
    "hung_up": {"outcome": "early_hang_up", "per": "call"},
    "booked": {"outcome": "analysis.booked"},
    "seconds": {"outcome": "duration_seconds", "per": "call", "missing": "leave out"},
    "euros": {"outcome": "euros", "cap": 0.9},
    "euros_soon": {"outcome": "euros", "within": 7.0},
}

Counts = Mapping[tuple[str, str, bool], ArmAggregates]


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def made_up(seed: int) -> Rows:
    """Return calls of 150 callers, the reports of which come up to nine days later, as do sales."""
    chance, rows = random.Random(seed), Rows()
    for caller in range(150):
        arm, when = chance.choice(["control", "warm"]), at(chance.uniform(0, 58))
        for _ in range(chance.choice([1, 1, 2, 3, 9])):
            given = chance.choice([arm] * 9 + ["control"])
            call_id = rows.call(f"caller-{caller}", when, given, delivered=chance.choice([True, True, False]))
            reported = when + timedelta(days=chance.choice([0.001, 0.001, 9]) * chance.random())
            if chance.random() < 0.9:
                rows.calls[-1]["reported_at"] = reported
                told = {"early_hang_up": float(chance.random() < 0.2), "duration_seconds": chance.uniform(5, 300)}
                for name, value in {**told, "analysis.booked": float(chance.random() < 0.4)}.items():
                    if chance.random() < 0.8:
                        rows.outcome(call_id, name, value, reported)
            if chance.random() < 0.3:
                rows.outcome(call_id, "euros", chance.expovariate(1 / 50), when + timedelta(days=chance.uniform(0, 9)))
            when += timedelta(days=chance.uniform(0, 6))
    return rows


def split(rows: Rows, day: datetime) -> tuple[Rows, Rows, list[dict[str, Any]]]:
    """Return the rows as they were on a day, those that came later, and the reports that came later."""
    then, later, reports = Rows(), Rows(), list[dict[str, Any]]()
    for call, assigned in zip(rows.calls, rows.assignments, strict=True):
        there = then if call["decided_at"] < day else later
        is_late = there is then and call["reported_at"] and call["reported_at"] >= day
        if is_late:
            reports.append({"id": call["call_id"], "at": call["reported_at"], "delivered": assigned["delivered"]})
        there.calls.append({**call, "reported_at": None} if is_late else call)
        there.assignments.append({**assigned, "delivered": None} if is_late else assigned)
    for outcome in rows.outcomes:
        (then if outcome["reported_at"] < day else later).outcomes.append(outcome)
    return then, later, reports


def counted(engine: Engine, *moments: datetime) -> list[Counts]:
    """Return what the rows come to at moments, the last one first."""
    until, *earlier = moments
    with analysis(engine, "opening", None, ResultOptions(now=until)) as read:
        return aggregate(read.connection, read.query, *earlier)


def test_what_comes_later_is_no_part_of_an_earlier_result(engine: Engine) -> None:
    """Calls, reports, outcomes and deliveries of later change nothing: not of a day, not of a day among others."""
    then, later, reports = split(made_up(1), DAY)
    then.write(engine, [("d", body(METRICS))])
    [expected] = counted(engine, DAY)
    later.write(engine)
    with engine.begin() as connection:
        reported = update(Call).where(Call.call_id == bindparam("id")).values(reported_at=bindparam("at"))
        connection.execute(reported, reports)
        told = update(Assignment).where(Assignment.call_id == bindparam("id"))
        connection.execute(told.values(delivered=bindparam("delivered")), reports)
    assert len(reports) > 10
    assert [figures(each) for each in counted(engine, DAY)] == [pytest.approx(figures(expected), rel=1e-12)]
    # Sums about another centre are others.
    flags = {"hung_up", "booked"}
    _, among = counted(engine, NOW, DAY)
    assert figures(among, flags) == figures(expected, flags)


def figures(counts: Counts, only: Collection[str] = METRICS) -> dict[str, float]:
    """Return every number of each arm, of some metrics."""
    found: dict[str, float] = {}
    for arm in ("control", "warm"):
        aggregates = sum((each for key, each in counts.items() if key[1] == arm), ArmAggregates())
        numbers = asdict(replace(aggregates, sums={name: aggregates.of(name) for name in only}))
        found |= {f"{arm}.{name}": value for name, value in _flat(numbers)}
    return found


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{within}", number) for within, number in _flat(value))
        else:
            yield name, value.timestamp() if isinstance(value, datetime) else value
