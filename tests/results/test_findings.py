"""From rows to verdicts, findings and periods: what a reader is told, and what is not compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from flask_pickup.models import Definition
from flask_pickup.results.assembling import ResultOptions, results
from flask_pickup.results.model import Results
from result_rows import BOOKED, HANG_UP, START, Rows, body, callers

DAY = timedelta(days=1)
NOW = START + 57 * DAY
METRICS = {"booked": BOOKED, "hang_up": HANG_UP}
SAME = {"number": 600, "booked": 0.3}


def shown(engine: Engine, rows: Rows, *, metrics: Any = None, options: Any = None, **changed: Any) -> Results:
    rows.write(engine, [("d", body(metrics or METRICS, **changed))])
    return results(engine, "opening", options=ResultOptions(**{"now": NOW, **(options or {})}))


def both(control: Mapping[str, Any], warm: Mapping[str, Any]) -> Rows:
    """Return the callers of two arms."""
    rows = Rows()
    callers(rows, "control", **control)
    callers(rows, "warm", **warm)
    return rows


def codes(found: Results) -> dict[str, str]:
    return {each.code: each.message for each in found.warnings}


def arms(found: Any, name: str) -> list[Any]:
    return [getattr(arm, name) for arm in found.arms]


@pytest.mark.parametrize(
    ("control", "warm", "changed", "state", "stop"),
    [
        (SAME, {"number": 600, "booked": 0.5, "hang_up": 0.05}, {}, "better", True),
        (SAME, {"number": 600, "booked": 0.1}, {}, "worse", True),
        (SAME, {"number": 600, "booked": 0.31}, {"decision": {"maximum_weeks": 60}}, "cannot tell yet", False),
        (SAME, {"number": 600, "booked": 0.31}, {"decision": {"maximum_weeks": 8}}, "choice", True),
        ({"number": 400, "booked": 0.3}, {"number": 600, "booked": 0.3}, {}, "broken", False),
    ],
)  # fmt: skip
def test_each_verdict_is_reached_from_rows(  # noqa: PLR0913 (a case of each)
    sqlite_engine: Engine, control: Any, warm: Any, changed: Any, state: str, *, stop: bool
) -> None:
    """Better, worse, not yet, a choice at the horizon, and broken; test_verdict.py has the others, from sums."""
    verdict = shown(sqlite_engine, both(control, warm), **changed).verdict
    assert verdict
    assert (verdict.state, verdict.stop) == (state, stop), verdict.message


def test_verdict_is_about_whole_weeks(sqlite_engine: Engine) -> None:
    """What the callers of the week that is not over did is in the figures, and not yet in the verdict."""
    rows = both(*({"number": 300, "booked": 0.3, "last": 56},) * 2)
    late = START + 56 * DAY + DAY / 2
    for caller in range(400):
        rows.call(f"late-{caller}", late, ("control", "warm")[caller % 2], {"analysis.booked": float(caller % 2)})
    found = shown(sqlite_engine, rows, metrics={"booked": BOOKED})
    assert found.metrics[0].comparisons[0].state == "better"
    assert found.verdict
    assert found.verdict.until == START + 56 * DAY
    assert found.verdict.state != "better"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_hardly_any_callers_are_nulls(engine: Engine, number: int) -> None:
    """An empty arm, one caller, two: nulls and no verdict, never a crash or a number out of nothing."""
    found = shown(engine, both({"number": number, "booked": 0}, {"number": 0, "booked": 0}))
    assert found.verdict
    assert found.verdict.state == "cannot tell yet"
    assert found.metrics[0].comparisons[0].difference is None
    assert "nan" not in str(found.as_json()).lower()


# --- reports ------------------------------------------------------------------------------------------------------------


def lossy(rows: Rows, arm: str, lost: float, *, young: bool = False) -> None:
    """Add 600 callers, each in touch with the shop later; of a share the report is lost, or only not here yet."""
    for caller in range(600):
        is_lost = caller < 600 * lost
        at = START + (57 if is_lost and young else 55 * ((caller * 0.618) % 1)) * DAY - timedelta(hours=1)
        told = None if is_lost else {"analysis.booked": float(caller % 3 == 0), "early_hang_up": 0.0}
        call_id = rows.call(f"{arm}-{caller}", at + timedelta(hours=1 - young), arm, told)
        rows.outcome(call_id, "sale", float(caller % 10 < (3 if arm == "control" else 6)), at + timedelta(hours=2))


@pytest.mark.parametrize(("primary", "state"), [("booked", "broken"), ("sale", "better")])
def test_lost_reports_of_one_arm_suppress_what_they_tell(sqlite_engine: Engine, primary: str, state: str) -> None:
    """A difference in the share of calls without a report is shown, and only the host's own outcomes are compared."""
    rows = Rows()
    lossy(rows, "control", 0.02)
    lossy(rows, "warm", 0.1)
    metrics = {"booked": BOOKED, "hang_up": HANG_UP, "sale": {"outcome": "sale", "smallest": 0.05}}
    found = shown(sqlite_engine, rows, metrics={primary: metrics.pop(primary), **metrics})
    assert arms(found, "without_report") == [0.02, 0.1]
    states = {metric.metric: metric.comparisons[0].state for metric in found.metrics}
    assert states == {
        "booked": "suppressed",
        "hang_up": "suppressed",
        "sale": "better" if primary == "sale" else "exploratory",
    }
    assert "control 2.0 %, warm 10.0 %" in codes(found)["missing"]
    assert found.verdict
    assert found.verdict.state == state


@pytest.mark.parametrize("case", ["young", "regular"])
def test_reports_are_not_missed_too_soon(sqlite_engine: Engine, case: str) -> None:
    """Calls of the last hours may still get their report; a switchboard that lost three hundred is one caller."""
    rows = Rows()
    lost = 0.0 if case == "young" else 0.02
    lossy(rows, "control", lost)
    lossy(rows, "warm", 0.1 if case == "young" else lost, young=case == "young")
    for call in range(300 if case == "regular" else 0):
        rows.call("warm-599", START + 40 * DAY + call * DAY / 1000, "warm")
    found = shown(sqlite_engine, rows, metrics={"booked": BOOKED})
    assert [round(share, 2) for share in arms(found, "without_report")] == ([0, 0] if case == "young" else [0.02, 0.35])
    assert "missing" not in codes(found)
    assert found.metrics[0].comparisons[0].state != "suppressed"


# --- periods ------------------------------------------------------------------------------------------------------------

OTHER_TEMPLATES = {"files": {"warm": {"first_message.j2": "Another greeting."}}}


def in_two_periods(engine: Engine, *, pool: bool = False, **changed: Any) -> Results:
    """Return the results of callers under one definition, and three weeks later under another."""
    rows = Rows()
    for arm in ("control", "warm"):
        callers(rows, arm, 300, 0.3, last=20, definition="a")
        for caller in range(200):
            told = {"analysis.booked": float(caller % 2), "early_hang_up": 0.0}
            rows.call(f"late-{arm}-{caller}", START + 21 * DAY + caller * DAY / 40, arm, told, definition="b")
    # One of the first period's callers calls again under the second.
    rows.call("control-0-0", START + 22 * DAY, "warm", {"analysis.booked": 1.0}, definition="b")
    rows.write(engine, [("a", body(METRICS)), ("b", body(**{"metrics": METRICS, **changed}))])
    return results(engine, "opening", options=ResultOptions(now=START + 27 * DAY, pool=pool))


@pytest.mark.parametrize(
    ("changed", "begins"),
    [
        ({"arms": {"control": 1, "warm": 3}}, True),
        ({"arms": {"control": 1, "warm": 1, "brisk": 1}}, True),
        (OTHER_TEMPLATES, True),
        ({"audience": "caller.country == 'NL'"}, True),
        ({"callers": "another secret's"}, True),
        ({"seed": "another"}, True),
        ({"traffic": 0.5, "description": "x", "status": "paused", "pins": {"k": "warm"}}, False),
        ({"decision": {"confidence": 0.8}}, False),
        ({"metrics": {"booked": {**BOOKED, "label": "Sales"}, "hang_up": HANG_UP}}, False),
    ],
)
def test_what_callers_can_notice_begins_a_period(sqlite_engine: Engine, changed: Any, *, begins: bool) -> None:
    """After a change that callers can notice the verdict is about later callers alone; else all count together."""
    found = in_two_periods(sqlite_engine, **changed)
    assert [found.period, *(period.period for period in found.earlier_periods)] == ([2, 1] if begins else [1])
    assert sum(arms(found, "callers")) == (400 if begins else 1000)
    assert [sum(arms(period, "callers")) for period in found.earlier_periods] == [600] * begins
    assert ("changed" in codes(found)) is begins


@pytest.mark.parametrize(("changed", "number"), [(OTHER_TEMPLATES, 1000), ({"arms": {"control": 1, "warm": 3}}, 400)])
def test_pooling_is_for_equal_weights(engine: Engine, changed: Any, number: int) -> None:
    """Periods of equal weights are pooled where that is asked for, and that is said; others never are."""
    found = in_two_periods(engine, pool=True, **changed)
    assert sum(arms(found, "callers")) == number
    assert ("pooled" in codes(found)["changed"]) is (number == 1000)


@pytest.mark.parametrize("resumed", [False, True])
def test_calls_after_the_end_do_not_count(engine: Engine, *, resumed: bool) -> None:
    """Once concluded, everybody hears the winner: calls from then on are no part of the result, unless it was resumed."""
    rows = Rows()
    callers(rows, "control", 100, 0.3, last=20, definition="a")
    for row in rows.assignments[:50]:
        rows.call(row["caller_key"], START + 25 * DAY, None, {})
    if resumed:
        callers(rows, "control", 150, 0.3, last=40, definition="a")
        rows.assignments = [
            row
            for row in rows.assignments
            if row["assigned_at"] < START + 21 * DAY or row["assigned_at"] > START + 27 * DAY
        ]
    rows.write(engine)
    ended = body(METRICS, status="concluded")
    edited = {**ended, "description": "edited since", "arms": {"control": 1}, "files": {}, "audience": "open"}
    definitions = {"a": (body(METRICS), 0), "b": (ended, 21), "c": (edited, 22)}
    with engine.begin() as connection:
        for name, (definition, day) in definitions.items():
            values = {
                "fingerprint": name,
                "experiment": "opening",
                "body": definition,
                "first_seen_at": START + day * DAY,
            }
            connection.execute(insert(Definition).values(values))
    found = results(engine, "opening", options=ResultOptions(now=NOW))
    assert sum(arms(found, "calls")) == len(rows.assignments)
    assert (found.until > START + 35 * DAY) is resumed
    assert [arm.arm for arm in found.arms] == ["control", "warm"]


# --- what a reader must know ----------------------------------------------------------------------------------------------


def test_callers_in_two_arms_are_told(engine: Engine) -> None:
    """A caller of two arms counts in the first, and the difference without such callers is said."""
    rows = both({"number": 300, "booked": 0.3}, {"number": 300, "booked": 0.5})
    for caller in range(20):
        rows.call(f"warm-300-{caller}", START + 56 * DAY, "control", {})
    found = shown(engine, rows)
    [finding] = [each for each in found.warnings if each.code == "two-arms"]
    [(arm, difference)] = finding.values["differences"]
    assert (finding.values["callers"], arm) == (20, "warm")
    assert difference == pytest.approx(0.1643, abs=1e-4)


def test_one_caller_with_many_calls_is_told(sqlite_engine: Engine) -> None:
    """One caller with over 5 % of the calls is probably a switchboard."""
    rows = both(*({"number": 100, "booked": 0.3},) * 2)
    for call in range(20):
        rows.call("warm-100-1", START + 55 * DAY + call * DAY / 100, "warm", {})
    assert "21 of the 220 calls" in codes(shown(sqlite_engine, rows))["one-caller"]


def test_unread_reports_are_told(engine: Engine) -> None:
    """The calls whose transcript or analysis could not be read are told, and change no verdict; rehearsals are not."""
    rows = both(SAME, {"number": 600, "booked": 0.5, "hang_up": 0.05})
    rehearsal = rows.call("ann", START, "warm", {}, call_id="pickup-rehearsal-a")
    for call_id, name in (
        ("call-0", "messages"),
        ("call-0", "analysis"),
        ("call-1", "analysis"),
        (rehearsal, "analysis"),
    ):
        rows.outcome(call_id, f"unread.{name}", 3, START + DAY)
    found = shown(engine, rows)
    assert codes(found)["unread"] == (
        "1 call has a transcript that could not be read: how often that caller spoke is unknown. "
        "2 calls have analyses with values that could not be read: they count as missing."
    )
    assert found.verdict
    assert found.verdict.state == "better"


@pytest.mark.parametrize(
    ("audience", "call_id", "told"),
    [("not customer.vip", "a", True), ("caller.country == 'NL'", "a", False), ("customer.vip", "pickup-rehearsal-a", False)],
)  # fmt: skip
def test_failed_hook_is_told(engine: Engine, audience: str, call_id: str, *, told: bool) -> None:
    """An audience that needs the customer loses callers when the hook fails; a rehearsal is not one."""
    rows = Rows()
    callers(rows, "control", 100, 0.3)
    rows.call("ann", START + 50 * DAY, reasons={"opening": "customer_failed"}, call_id=call_id)
    assert ("hook-failed" in codes(shown(engine, rows, audience=audience))) is told


@pytest.mark.parametrize(("on_retell", "is_told"), [(0.5, False), (0.1, True)])
def test_delivery_is_compared_within_a_platform(sqlite_engine: Engine, on_retell: float, *, is_told: bool) -> None:
    """Platforms may deliver differently, and one that has more of an arm's callers tells nothing of the arm."""
    rows = Rows()
    for arm, numbers in {"control": {"flireo": 300, "retell": 200}, "warm": {"flireo": 200, "retell": 300}}.items():
        for platform, number in numbers.items():
            share = 1.0 if platform == "flireo" else 0.5 if arm == "control" else on_retell
            for delivered, part in ((True, share), (False, 1 - share)):
                callers(rows, arm, round(number * part), 0.3, platform=platform, delivered=delivered)
    told = codes(shown(sqlite_engine, rows))
    assert ("delivery" in told) is is_told
    assert "on flireo" not in told.get("delivery", "")
    assert not is_told or "delivered on retell: control 50.0 %, warm 10.0 %" in told["delivery"]


def test_one_platforms_results_have_no_verdict(engine: Engine) -> None:
    """Results of one platform are about its calls alone; the experiment has one verdict."""
    rows = Rows()
    callers(rows, "control", 300, 0.3)
    callers(rows, "warm", 300, 0.3)
    callers(rows, "control", 100, 0.2, platform="retell")
    callers(rows, "warm", 100, 0.6, platform="retell", delivered=None)
    whole = shown(engine, rows)
    one = results(engine, "opening", options=ResultOptions(now=NOW, platform="retell"))
    assert (arms(whole, "callers"), arms(one, "callers")) == ([400, 400], [100, 100])
    assert arms(one, "delivered") == [1.0, None]
    assert [arm.mean for arm in one.metrics[0].arms] == [0.2, 0.6]
    assert (one.platform, one.verdict, whole.platform, whole.verdict is None) == ("retell", None, None, False)


def test_uneven_missing_values_are_told(sqlite_engine: Engine) -> None:
    """Where values are left out and one arm lacks more of them, the reader is told; an arm can cause that."""
    rows = Rows()
    for arm, known in (("control", 300), ("warm", 200)):
        for caller in range(300):
            told = {"score": float(caller % 7)} if caller < known else {}
            rows.call(f"{arm}-{caller}", START + caller * DAY / 10, arm, told)
    found = shown(sqlite_engine, rows, metrics={"score": {"outcome": "score", "missing": "leave out"}})
    assert found.metrics[0].comparisons[0].state == "undecided"
    assert codes(found)["missing-values"].endswith("control 0.0 %, warm 33.3 %.")
    assert [arm.missing for arm in found.metrics[0].arms] == [0, 100]


@pytest.mark.parametrize(("before", "told"), [(START, True), (START - 3 * DAY, False)])
def test_purged_calls_are_told(sqlite_engine: Engine, before: datetime, *, told: bool) -> None:
    """Where calls are purged after some days, callers may have begun before the rows that are left."""
    found = shown(sqlite_engine, both(SAME, SAME), options={"purged_before": before})
    assert ("purged" in codes(found)) is told
    assert asdict(found)["since"] == START
