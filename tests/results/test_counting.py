"""From rows to sums: what SQL yields is what an independent reader of the same rows yields."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any

import pytest
from sqlalchemy import Engine, update

from flask_pickup.models import Outcome
from flask_pickup.results.assembling import ResultOptions, analysis, results
from flask_pickup.results.counting import aggregate
from flask_pickup.results.details import details_of
from flask_pickup.results.model import Metric, Results
from result_rows import PLAIN, START, Rows, body

NOW = START + timedelta(days=60)
ONCE = ResultOptions(now=NOW, pool=True)
"""Without weekly looks, which would count the same rows eight times: sums do not depend on them."""


METRICS: Mapping[str, Mapping[str, Any]] = {
    "booked": {"outcome": "analysis.booked"},
    "booked_known": {"outcome": "analysis.booked", "missing": "leave out"},
    "booked-calls": {"outcome": "analysis.booked", "per": "call"},
    "seconds": {"outcome": "duration_seconds", "per": "call", "missing": "leave out"},
    "seconds_zero": {"outcome": "duration_seconds", "per": "call"},
    "seconds_total": {"outcome": "duration_seconds", "per": "caller", "missing": "leave out"},
    "euros": {"outcome": "euros"},
    "euros_capped": {"outcome": "euros", "cap": 0.9},
    "seconds_capped": {"outcome": "duration_seconds", "per": "call", "missing": "leave out", "cap": 0.9},
    "euros_soon": {"outcome": "euros", "within": 7.0},
    "booked_soon": {"outcome": "analysis.booked", "within": 7.0},
    "moment": {"outcome": "moment", "per": "call", "missing": "leave out"},
}


def made_up(seed: int) -> Rows:
    """Return callers and regulars of two arms over sixty days, with holes in what is known of them."""
    chance, rows = random.Random(seed), Rows()
    for caller in range(300):
        arm = chance.choice(["control", "warm"])
        at = START + timedelta(days=chance.uniform(0, 58))
        for _ in range(chance.choice([1, 1, 1, 2, 3, 9])):
            told = {"duration_seconds": chance.expovariate(1 / 80), "moment": 1.7e9 + chance.random()}
            if chance.random() < 0.7:
                told["analysis.booked"] = float(chance.random() < 0.4)
            call_id = rows.call(f"caller-{caller}", at, arm, told if chance.random() < 0.9 else None)
            if chance.random() < 0.2:
                rows.outcome(call_id, "euros", chance.expovariate(1 / 50), at + timedelta(days=chance.uniform(0, 9)))
            at += timedelta(days=chance.uniform(0, 6))
    return rows


def pairs(rows: Rows, metric: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Return (s, d) of each caller by arm, read from the rows one by one."""
    metric = {**PLAIN, **metric}
    outcomes: dict[str, tuple[float, datetime]] = {
        row["call_id"]: (row["value"], row["reported_at"])
        for row in rows.outcomes
        if row["name"] == metric["outcome"] and row["reported_at"] < NOW
    }
    arm_of = {row["caller_key"]: row["arm"] for row in reversed(rows.assignments)}
    calls: dict[str, list[Any]] = defaultdict(list)
    for call in sorted(rows.calls, key=lambda row: row["decided_at"]):
        if call["decided_at"] < NOW:
            calls[call["caller_key"]].append(call)
    found: dict[str, list[tuple[str, list[float], int]]] = defaultdict(list)
    for caller, made in calls.items():
        first, within = made[0]["decided_at"], timedelta(days=metric["within"] or 1000)
        if metric["within"] and first > NOW - within:
            continue
        counted = [call for call in made if call["decided_at"] - first < within]
        known = [outcomes[call["call_id"]] for call in counted if call["call_id"] in outcomes]
        values = [value for value, at in known if metric["outcome"] != "euros" or at - first < within]
        found[arm_of[caller]].append((caller, values, len(counted)))
    return {arm: list(_pairs(of_arm, metric, found)) for arm, of_arm in found.items()}


def _pairs(of_arm: Any, metric: Mapping[str, Any], everybody: Any) -> Iterator[tuple[float, float]]:
    is_flag = metric["outcome"] == "analysis.booked"
    limit = _limit(metric, everybody)
    for _, values, calls in of_arm:
        if metric["missing"] == "leave out" and not values:
            continue
        if metric["per"] == "call":
            yield sum(min(value, limit) for value in values), (calls if metric["missing"] == "zero" else len(values))
        else:
            yield min(max(values, default=0.0) if is_flag else sum(values), limit), 1


def _limit(metric: Mapping[str, Any], everybody: Any) -> float:
    if not metric["cap"]:
        return float("inf")
    callers = [values for of_arm in everybody.values() for _, values, _ in of_arm if values]
    units = [value for values in callers for value in values] if metric["per"] == "call" else list(map(sum, callers))
    return sorted(units)[int(metric["cap"] * (len(units) - 1))]


def ratio(found: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the ratio of sums and its standard error by the delta method."""
    n, s, d = len(found), fmean(pair[0] for pair in found), fmean(pair[1] for pair in found)
    residuals = [pair[0] - s / d * pair[1] for pair in found]
    return s / d, (sum(r * r for r in residuals) / (n - 1) / n) ** 0.5 / d


@pytest.mark.parametrize("seed", [1, 2])
def test_sums_are_those_of_the_rows(engine: Engine, seed: int) -> None:
    """Per caller or call, zero or left out, within, capped: means and errors are those of the rows read one by one."""
    rows = made_up(seed)
    rows.write(engine, [("d", body(METRICS))])
    found = results(engine, "opening", options=ONCE)
    for name, metric in METRICS.items():
        for arm, expected in pairs(rows, metric).items():
            shown = metric_of(found, name).arm(arm)
            mean, error = ratio(expected)
            assert (name, arm, shown.callers) == (name, arm, len(expected))
            assert shown.mean == pytest.approx(mean, rel=1e-9), (name, arm)
            assert shown.standard_error == pytest.approx(error, rel=1e-6), (name, arm)


def metric_of(found: Results, name: str) -> Metric:
    metric = found.metric(name)
    assert metric is not None
    return metric


def shown(engine: Engine, rows: Rows, *metrics: Mapping[str, Any], **options: Any) -> Results:
    named = {f"m{index}": metric for index, metric in enumerate(metrics or ({"outcome": "analysis.booked"},))}
    rows.write(engine, [("d", body(named))])
    return results(engine, "opening", options=ResultOptions(now=NOW, **options))


def arms(found: Results, name: str) -> dict[str, Any]:
    return {arm.arm: getattr(arm, name) for arm in found.arms}


def left(reason: str) -> dict[str, str]:
    """Return why a call is in no arm."""
    return {"opening": reason}


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def test_arms_and_metrics_keep_the_files_order(engine: Engine) -> None:
    """Control first, then arms and metrics as the file has them, on a database too that sorts keys."""
    rows = Rows()
    rows.call("ann", at(0), "warmest", {})
    written = body(
        {name: {"outcome": name} for name in ("booked", "seconds", "b")}, arms={"control": 1, "warmest": 1, "a": 1}
    )
    rows.write(engine, [("d", written)])
    found = results(engine, "opening", written, ResultOptions(now=NOW))
    assert [arm.arm for arm in found.arms] == ["control", "warmest", "a"]
    assert [metric.metric for metric in found.metrics] == ["booked", "seconds", "b"]


@pytest.mark.parametrize("rehearsals", [False, True])
def test_which_calls_count(engine: Engine, *, rehearsals: bool) -> None:
    """Calls count from the caller's first hashed one to the first pinned, if an arm could reach them."""
    rows = Rows()
    rows.call("ann", at(0))
    rows.call("ann", at(1), "warm", {})
    rows.call("ann", at(2), None, {"analysis.booked": 1}, reasons=left("audience"))
    rows.call("ann", at(2), None, {"analysis.booked": 0}, reasons=left("customer_failed"))
    rows.call("ann", at(2), None, {"analysis.booked": 0}, decision="fallback", reasons={"_faults": ["greetings"]})
    rows.call("ann", at(3), None, decision="closed")
    rows.call("team", at(1), "warm", {}, source="pin")
    rows.call("bob", at(1), "warm", {}, source="pin")
    rows.call("bob", at(2), "control", {})
    rows.call("fay", at(1), "control", {})
    rows.call("fay", at(1.5), None, {}, reasons=left("layer"))
    rows.call("fay", at(2), "warm", {"analysis.booked": 1}, source="pin")
    rows.call("fay", at(3), "control", {"analysis.booked": 1})
    rows.call("fay", at(4), None, {}, reasons=left("traffic"))
    rows.call("gus", at(2), "control", {"analysis.booked": 1})
    rows.call("gus", at(2), "control", {"analysis.booked": 1}, source="pin")
    rows.call(None, at(1), "warm", {}, source="unidentified")
    rows.call("cas", at(1), "warm", {"analysis.booked": 1}, call_id="pickup-rehearsal-cas")
    # The rows of these two were lost: a report brought back an assignment, and an assignment without its call.
    rows.call("dirk", at(0.5), "warm", {"analysis.booked": 1})
    rows.assignments[-1]["assigned_at"] = at(1.5)
    rows.call("eva", at(1), "warm", {"analysis.booked": 1})
    rows.calls[-1] |= {"decided_at": None, "decision": None}
    found = shown(engine, rows, rehearsals=rehearsals)
    assert found.since == at(0.5)
    assert arms(found, "callers") == {"control": 1, "warm": 3 + rehearsals}
    assert arms(found, "calls") == {"control": 1, "warm": 6 + rehearsals}
    assert [arms(found, name)["warm"] for name in ("unassigned", "pinned", "unidentified")] == [3, 3, 1]
    assert [metric_of(found, "m0").arm(arm).mean for arm in ("control", "warm")] == [0, 1]
    assert [each.code for each in found.warnings if "rehearsal" in each.code] == ["rehearsal"] * rehearsals


@pytest.mark.parametrize("reason", ["layer", "traffic", "paused", None])
def test_calls_that_no_arm_could_reach_do_not_count(engine: Engine, reason: str | None) -> None:
    """They are told apart, and a change of range begins no period: another experiment may have answered them."""
    rows, outside = Rows(), left(reason) if reason else {"other": "audience"}
    rows.call("ann", at(1), "warm", {})
    rows.call("ann", at(3), None, {"analysis.booked": 1}, reasons=outside)
    rows.call("bob", at(1), "warm", {})
    rows.call("bob", at(3), None, {"analysis.booked": 1}, reasons=left("audience"))
    rows.call("bob", at(4), None, None, reasons=outside)
    rows.call("cas", at(0), None, {"analysis.booked": 1}, reasons=outside)
    rows.call("cas", at(1), "warm", {})
    rows.call("cas", at(2), None, {"analysis.booked": 1}, reasons=outside)
    rows.call("cas", at(3), "warm", {}, definition="e")
    named = {"m0": {"outcome": "analysis.booked"}}
    ranges = {"d": [0.0, 1.0], "e": [0.0, 0.5]}
    rows.write(engine, [(name, body(named, layer="opening", layer_range=each)) for name, each in ranges.items()])
    with analysis(engine, "opening", None, ResultOptions(now=at(6))) as read:
        found = read.results()
        [[each]] = [counts.values() for counts in aggregate(read.connection, read.query)]
    assert (found.earlier_periods, [warning.code for warning in found.warnings if warning.code == "changed"]) == (
        (),
        [],
    )
    assert [arms(found, name)["warm"] for name in ("callers", "calls", "unassigned")] == [3, 5, 1]
    assert metric_of(found, "m0").arm("warm").mean == pytest.approx(1 / 3)
    assert (each.unreached, each.reported, each.reports.s, each.most_calls) == (3, 3, 0, 2)


def test_weeks_begin_with_the_first_who_counts(engine: Engine) -> None:
    """A rehearsal, a pinned number, a hashed call after that and a call without a number move no verdict."""
    rows = Rows()
    rows.call("test", at(0), "warm", {}, call_id="pickup-rehearsal-a")
    rows.call("team", at(1), "warm", {}, source="pin")
    rows.call(None, at(2), "warm", {}, source="unidentified")
    rows.call("team", at(2.5), "control", {})
    rows.call("ann", at(3), "control", {})
    verdict = shown(engine, rows).verdict
    assert verdict
    assert verdict.until == at(3) + timedelta(weeks=8)


def test_weeks_of_a_period_begin_with_its_first_new_caller(engine: Engine) -> None:
    """A caller of an earlier period who rings again is no caller of this one, and begins none of its weeks."""
    rows = Rows()
    rows.call("ann", at(0), "warm", {}, definition="c")
    rows.call("ann", at(10), "warm", {})
    rows.call("bob", at(13), "control", {})
    named = {"m0": {"outcome": "analysis.booked"}}
    rows.write(engine, [("c", body(named, arms={"control": 1, "warm": 3})), ("d", body(named))])
    found = results(engine, "opening", options=ResultOptions(now=NOW))
    assert found.verdict
    assert (found.since, found.verdict.until) == (at(13), at(13) + timedelta(weeks=6))


def test_delivery_reports_and_coverage_are_counted(engine: Engine) -> None:
    """The share delivered, the callers with and without reports, and how much of the line it is about."""
    rows = Rows()
    rows.call("ann", at(1), "warm", {})
    rows.call("bob", at(1), "warm", None, delivered=False)
    rows.call("bob", at(2), "warm", {}, delivered=None)
    rows.call(None, at(3))
    found = shown(engine, rows)
    [warm] = [arm for arm in found.arms if arm.arm == "warm"]
    assert (warm.callers, warm.calls, warm.delivered) == (2, 3, 0.5)
    assert warm.without_report == pytest.approx(1 / 3)
    assert found.coverage is not None
    assert (found.coverage.calls, found.coverage.counted, found.coverage.unidentified) == (4, 3, 1)


def test_callers_for_whom_the_time_has_not_passed_wait(engine: Engine) -> None:
    """With ``within``, who came in less than that ago is not counted yet, and later events count for nobody."""
    rows = Rows()
    rows.outcome(rows.call("ann", at(10), "warm", {}), "sale", 1, at(12))
    rows.outcome(rows.call("bob", at(10), "warm", {}), "sale", 1, at(19))
    rows.outcome(rows.call("cat", at(58), "warm", {}), "sale", 1, at(59))
    found = metric_of(shown(engine, rows, {"outcome": "sale", "within": 7.0}), "m0").arm("warm")
    assert (found.callers, found.mean) == (2, 0.5)


def test_only_callers_who_count_influence_a_result(engine: Engine) -> None:
    """Outcomes outside the arms, the time, the period and the calls that count change no figure, however large."""
    metrics = {**METRICS, "euros_99": {"outcome": "euros", "cap": 0.99}}
    rows = made_up(1)
    rows.write(engine, [("c", body(metrics, arms={"control": 1, "warm": 3})), ("d", body(metrics))])
    expected = figures(engine)
    huge = {metric["outcome"]: 1e9 for metric in METRICS.values()}
    others = Rows()
    first = next(row for row in rows.assignments if row["arm"] == "warm")
    others.call("in no arm", at(1), None, huge, call_id="x-base")
    others.call("in another experiment", at(1), "warm", huge, call_id="x-other", experiment="other")
    others.call("pinned", at(1), "warm", huge, call_id="x-pinned", source="pin")
    others.call("in an earlier period", at(1), "warm", huge, call_id="x-earlier", definition="c")
    others.call("of the team", at(1), "warm", huge, call_id="pickup-rehearsal-x")
    others.call(None, at(1), "warm", huge, call_id="x-withheld", source="unidentified")
    others.call("later", NOW + timedelta(days=1), "warm", huge, call_id="x-later")
    others.call("rejected", at(1), "warm", huge, call_id="x-closed", decision="closed")
    others.call(first["caller_key"], first["assigned_at"] - timedelta(days=1), None, huge, call_id="x-before")
    others.write(engine)
    assert figures(engine) == pytest.approx(expected, rel=1e-9)


def figures(engine: Engine) -> list[float | None]:
    """Return what results show; the SQL to copy gives the same."""
    with analysis(engine, "opening", None, ONCE) as read:
        found = read.results()
        assert found.since
        sql = details_of(read, found.since).sql
    assert all(sign not in sql for sign in ("%%", "%(", " :", "?"))
    with engine.connect().execution_options(no_parameters=True) as connection:
        copied = {row["arm"]: row for row in connection.exec_driver_sql(sql).mappings()}
    assert {arm.arm: (arm.callers, arm.calls) for arm in found.arms} == {
        arm: (row["callers"], row["calls"]) for arm, row in copied.items()
    }
    for metric in found.metrics:
        for arm in metric.arms:
            mean, error = (copied[arm.arm][f"{metric.metric}_{name}"] for name in ("mean", "squared_error"))
            assert mean == pytest.approx(arm.mean, rel=1e-9)
            # Near 1.7e9 a double has hardly more than seven digits after the point.
            assert error**0.5 == pytest.approx(arm.standard_error, rel=1e-9 if metric.metric != "moment" else 1e-5)
    arms = (arm for metric in found.metrics for arm in metric.arms)
    return [value for arm in arms for value in (arm.callers, arm.calls, arm.missing, arm.mean, arm.standard_error)]


@pytest.mark.parametrize("amount", [1e12, -1e12])
def test_one_huge_amount_is_cut(engine: Engine, amount: float) -> None:
    """An amount beyond the cap of a caller who counts leaves the figures as if it were the cap; so does a refund."""
    rows = made_up(1)
    rows.write(engine, [("d", body({"euros": {"outcome": "euros", "cap": 0.9}}))])
    largest = max((row for row in rows.outcomes if row["name"] == "euros"), key=lambda row: row["value"])
    of_it = (Outcome.call_id == largest["call_id"], Outcome.name == "euros")
    if amount < 0:
        # Another refund of as much as the cap is what it counts for.
        with engine.begin() as connection:
            connection.execute(update(Outcome).where(*of_it).values(value=-largest["value"]))
    expected = figures(engine)
    with engine.begin() as connection:
        connection.execute(update(Outcome).where(*of_it).values(value=amount))
    assert figures(engine) == pytest.approx(expected, rel=1e-9)


def test_period_without_values_is_measured_as_those_before(engine: Engine) -> None:
    """A rate stays a rate while a new period waits for its first outcome."""
    rows, named = Rows(), {"m0": {"outcome": "analysis.booked"}}
    rows.call("ann", at(1), "warm", {"analysis.booked": 1}, definition="c")
    rows.call("bob", at(13), "control", {})
    rows.write(engine, [("c", body(named, arms={"control": 1, "warm": 3})), ("d", body(named))])
    assert metric_of(results(engine, "opening", options=ResultOptions(now=NOW)), "m0").is_proportion
