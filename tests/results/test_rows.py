"""Which rows are part of a result: those that were there on its day, of calls in which an arm could be heard."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, update

from flask_pickup.models import Assignment, Call
from flask_pickup.results.aggregates import ArmAggregates
from flask_pickup.results.assembling import ResultOptions, analysis
from flask_pickup.results.counting import aggregate
from flask_pickup.results.estimates import ratio
from result_rows import START, Rows, body

DAY = START + timedelta(days=30)
NOW = START + timedelta(days=60)
METRICS: Mapping[str, Mapping[str, Any]] = {
    "hung_up": {"outcome": "early_hang_up", "per": "call"},
    "booked": {"outcome": "analysis.booked"},
    "seconds": {"outcome": "duration_seconds", "per": "call", "missing": "leave out"},
    "polite": {"outcome": "analysis.polite", "per": "call", "missing": "leave out"},
    "euros": {"outcome": "euros", "cap": 0.9},
    "euros_soon": {"outcome": "euros", "within": 7.0},
}

Counts = Mapping[tuple[str, str, bool], ArmAggregates]


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def made_up(seed: int) -> Rows:
    """Return calls of 150 callers, in and out of arms and pinned; of reports, which may come late, much is missing."""
    chance, rows = random.Random(seed), Rows()
    for caller in range(150):
        arm, when = chance.choice(["control", "warm"]), at(chance.uniform(0, 58))
        for _ in range(chance.choice([1, 1, 2, 3, 9])):
            given = chance.choice([arm] * 7 + ["control", None])
            source = chance.choice(["hash"] * 19 + ["pin"])
            reasons = {"opening": source if given else chance.choice(["audience", "traffic", "paused"])}
            known: dict[str, Any] = {"source": source, "delivered": chance.choice([True, True, False])} if given else {}
            call_id = rows.call(f"caller-{caller}", when, given, reasons=reasons, **known)
            reported = when + timedelta(days=chance.choice([0.001, 9]) * chance.random())
            if chance.random() < 0.9:
                rows.calls[-1]["reported_at"] = reported
                for name, value in told(chance).items():
                    if chance.random() < 0.8:
                        rows.outcome(call_id, name, value, reported)
            if chance.random() < 0.3:
                rows.outcome(call_id, "euros", chance.expovariate(1 / 50), when + timedelta(days=chance.uniform(0, 9)))
            # Some of a caller's calls begin at once, such as when a line is called twice.
            when += timedelta(days=chance.choice([0, 1, 1, 1]) * chance.uniform(0, 6))
    return rows


def told(chance: random.Random) -> dict[str, float]:
    """Return what a whole report tells; the analysis fails as a whole, or finds a part."""
    found = {"early_hang_up": float(chance.random() < 0.2), "duration_seconds": chance.uniform(5, 300)}
    found["user_messages"] = float(chance.choice([0, 1, 2, 9]))
    keys = chance.choice([("booked", "polite", "topic.price"), ("polite", "topic.price"), ("booked",), ()])
    return found | {f"analysis.{key}": float(chance.random() < 0.4) for key in keys}


def split(rows: Rows, day: datetime) -> tuple[Rows, Rows, list[dict[str, Any]]]:
    """Return the rows as they were on a day, those that came later, and the reports that came later."""
    then, later, reports = Rows(), Rows(), list[dict[str, Any]]()
    assigned = {row["call_id"]: row for row in rows.assignments}
    for call in rows.calls:
        there, own = then if call["decided_at"] < day else later, assigned.get(call["call_id"])
        is_late = there is then and call["reported_at"] and call["reported_at"] >= day
        if is_late:
            reports.append({"id": call["call_id"], "at": call["reported_at"], "told": own and own["delivered"]})
        there.calls.append({**call, "reported_at": None} if is_late else call)
        if own:
            there.assignments.append({**own, "delivered": None} if is_late else own)
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
        connection.execute(told.values(delivered=bindparam("told")), reports)
    assert len(reports) > 10
    assert [figures(each) for each in counted(engine, DAY)] == [pytest.approx(figures(expected), rel=1e-12)]
    # Sums about another centre are others.
    flags = {"hung_up", "booked", "polite"}
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


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_reports_lack_is_counted(engine: Engine, seed: int) -> None:
    """Calls, reports and what these lack are those that a reader of the rows as they were that day finds."""
    rows = made_up(seed)
    rows.write(engine, [("d", body(METRICS))])
    [found] = counted(engine, DAY)
    then, _, _ = split(rows, DAY)
    shown = figures(found)
    for arm in ("control", "warm"):
        for name, expected in read(then, arm).items():
            assert shown[f"{arm}.{name}"] == expected, (arm, name)
        assert shown[f"{arm}.analyses.s"] > 0 < shown[f"{arm}.hang_ups.s"]


def read(rows: Rows, arm: str) -> dict[str, float]:
    """Return the numbers of an arm's calls and reports, from rows that are read one by one."""
    outcomes: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows.outcomes:
        outcomes[row["call_id"]][row["name"]] = row["value"]
    callers, found = callers_of(rows, arm), Counter[str]()
    for calls, unreached in callers:
        reported = [outcomes[call["call_id"]] for call in calls if call["reported_at"]]
        analysed = [told for told in reported if any(name.startswith("analysis.") for name in told)]
        long = [told for told in reported if told.get("user_messages", 2) >= 2]
        is_due = [call for call in calls if call["decided_at"] < DAY - timedelta(hours=6)]
        numbers = {
            "calls_per_caller": (len(calls), 1),
            "reports": (sum(not call["reported_at"] for call in is_due), len(is_due)),
            "analyses": (sum(told not in analysed for told in long), len(long)),
            "hang_ups": (sum("early_hang_up" not in told for told in reported), len(reported)),
        }
        for name, (s, d) in numbers.items():
            found.update({f"{name}.s": s, f"{name}.d": d, f"{name}.ss": s * s, f"{name}.sd": s * d})
        for name in ("booked", "polite"):
            found[f"sums.{name}.analysed"] += bool(analysed)
            found[f"sums.{name}.lacking"] += any(f"analysis.{name}" not in told for told in analysed)
        found.update({"unreached": unreached, "reported": bool(reported)})
    return dict(found)


def callers_of(rows: Rows, arm: str) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Yield for each caller of an arm their calls that count, and how many no arm could reach."""
    assigned = {row["call_id"]: row for row in rows.assignments}
    of_caller = defaultdict(list)
    for call in rows.calls:
        of_caller[call["caller_key"]].append((call["decided_at"], assigned.get(call["call_id"]), call))
    for calls in of_caller.values():
        hashed = [(when, own["arm"]) for when, own, _ in calls if own and own["source"] == "hash"]
        pinned = [when for when, own, _ in calls if own and own["source"] == "pin"]
        since, end = min(hashed, default=(DAY, "")), min(pinned, default=DAY)
        within = [(own, call) for when, own, call in calls if since[0] <= when < end]
        counts = [call for own, call in within if own or call["reasons"] == {"opening": "audience"}]
        if since[1] == arm and since[0] < end:
            yield counts, len(within) - len(counts)


TWO = {"analysis.booked": 2.0}
PIN: tuple[Any, ...] = ("ann", at(3), "warm", {}, {"source": "pin"})
STRAYS: Mapping[str, Sequence[tuple[Any, ...]]] = {
    "period": [("bob", at(0.1), "warm", TWO, {"definition": "c"})],
    "experiment": [("bob", at(2), "warm", TWO, {"experiment": "other"})],
    "number": [(None, at(2), "warm", TWO, {"source": "unidentified"})],
    "pinned": [("bob", at(2), "warm", TWO, {"source": "pin"})],
    "after a pin": [PIN, ("ann", at(4), "warm", TWO, {})],
    "audience, after a pin": [PIN, ("ann", at(4), None, TWO, {"reasons": {"opening": "audience"}})],
    "traffic": [("ann", at(3), None, TWO, {"reasons": {"opening": "traffic"}})],
    "paused": [("ann", at(3), None, TWO, {"reasons": {"opening": "paused"}})],
    "layer": [("ann", at(3), None, TWO, {"reasons": {"opening": "layer"}})],
    "concluded": [("ann", at(3), None, TWO, {"reasons": {}})],
    "closed": [("ann", at(3), None, TWO, {"decision": "closed"})],
    "rehearsal": [("ann", at(3), "warm", TWO, {"call_id": "pickup-rehearsal-1"})],
    "before": [("ann", at(0.1), None, TWO, {"reasons": {"opening": "audience"}})],
    "later call": [("ann", DAY, "warm", TWO, {})],
    "later report": [("ann", DAY - timedelta(seconds=1), "warm", TWO, {})],
}
"""Calls whose value of 2 is no part of the result."""


@pytest.mark.parametrize("name", STRAYS)
def test_value_elsewhere_changes_no_scale(engine: Engine, name: str) -> None:
    """Whether a metric is a share or a total, its centre and its cap depend on the calls that count alone."""
    rows = Rows()
    for day in (1, 2):
        rows.call("ann", at(day), "warm", {"analysis.booked": 1.0})
    rows.call("cas", at(1), "control", {"analysis.booked": 0.0})
    for *call, options in STRAYS[name]:
        rows.call(*call, **options)
    named: dict[str, dict[str, Any]] = {
        "booked": {"outcome": "analysis.booked"},
        "cut": {"outcome": "analysis.booked", "cap": 0.99},
    }
    rows.write(engine, [("c", body(named, files={"warm": "old"})), ("d", body(named))])
    assert sums_of(engine, "booked") == sums_of(engine, "cut") == (True, 0.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (None, (1.0, 1.0), (True, 0.0, 1.0)),
        (None, (1.0, 2.0), (False, 1.0, 3.0)),
        ("flag", (1.0, 2.0), (True, 0.0, 1.0)),
        ("number", (1.0, 1.0), (False, 0.666667, 2.0)),
    ],
)
def test_kind_of_a_metric_says_its_scale(
    engine: Engine, kind: str | None, values: tuple[float, ...], expected: tuple[bool, float, float]
) -> None:
    """A flag asks whether it ever happened, a number for the total; where the kind is unknown, the values tell."""
    rows = Rows()
    for value in values:
        rows.call("ann", at(value), "warm", {"analysis.booked": value})
    rows.call("cas", at(1), "control", {"analysis.booked": 0.0})
    rows.write(engine, [("d", body({"booked": {"outcome": "analysis.booked", "kind": kind}}))])
    assert sums_of(engine, "booked") == pytest.approx(expected)


def sums_of(engine: Engine, metric: str) -> tuple[bool, float, float]:
    """Return whether a metric is a proportion, its centre, and the mean of the arm ``warm``."""
    [counts] = counted(engine, DAY)
    sums = counts["d", "warm", False].of(metric)
    return sums.is_proportion, sums.centre, ratio(sums)
