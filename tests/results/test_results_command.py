"""``flask pickup results`` and ``export``: from rows to words, figures and files."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from click.testing import Result

from conftest import MakePhone, Phone
from flask_pickup import Pickup
from flask_pickup.cli import pickup
from result_rows import BOOKED, HANG_UP, START, Rows, body

DAY = timedelta(days=1)
METRICS = {"booked": BOOKED, "hang_up": HANG_UP}


@pytest.fixture
def host(make_phone: MakePhone, database_url: str) -> Phone:
    """An app eight weeks after the experiment began, whose folder of it is gone."""
    return make_phone({}, url=database_url, pickup=Pickup(clock=(START + 57 * DAY).timestamp))


@pytest.fixture
def small(make_phone: MakePhone) -> Phone:
    """The same on SQLite alone, for what follows from sums and definitions and not from the database."""
    return make_phone({}, pickup=Pickup(clock=(START + 57 * DAY).timestamp))


def engine(phone: Phone) -> Any:
    return phone.app.extensions["pickup"].engine


def run(phone: Phone, *arguments: str) -> Result:
    return phone.app.test_cli_runner().invoke(pickup, list(arguments))


def shown(phone: Phone, *arguments: str) -> dict[str, Any]:
    found = run(phone, "results", "opening", "--format", "json", *arguments)
    assert found.stdout, found.output
    return dict(json.loads(found.stdout))


def callers(  # noqa: PLR0913 (each is said somewhere)
    rows: Rows, arm: str, number: int, booked: float, hang_up: float = 0.1, *, last: float = 55, **options: Any
) -> None:
    """Add callers of an arm over ``last`` days, a share of whom booked, and a share of whom hung up early."""
    known = len(rows.calls)
    for caller in range(number):
        told = {
            "analysis.booked": float(caller < round(booked * number)),
            "early_hang_up": float(number - caller <= round(hang_up * number)),
        }
        # Spread so that those who booked came at all times.
        at = START + last * DAY * ((caller * 0.618) % 1)
        rows.call(f"{arm}-{known}-{caller}", at, arm, told, **options)


def write(phone: Phone, control: Mapping[str, Any], warm: Mapping[str, Any], **changed: Any) -> None:
    rows = Rows()
    callers(rows, "control", **control)
    callers(rows, "warm", **warm)
    metrics = changed.pop("metrics", METRICS)
    rows.write(engine(phone), [("d", body(metrics, **changed))])


SAME = {"number": 600, "booked": 0.3}


@pytest.mark.parametrize(
    ("control", "warm", "changed", "state", "stop"),
    [
        (SAME, {"number": 600, "booked": 0.5, "hang_up": 0.05}, {}, "better", True),
        (SAME, {"number": 600, "booked": 0.5, "hang_up": 0.12}, {}, "better", False),
        (SAME, {"number": 600, "booked": 0.1}, {}, "worse", True),
        (
            {"number": 3000, "booked": 0.02},
            {"number": 3000, "booked": 0.02},
            {"metrics": {"booked": BOOKED}},
            "no difference",
            True,
        ),
        (SAME, {"number": 600, "booked": 0.31}, {"decision": {"maximum_days": 400}}, "cannot tell yet", False),
        (
            SAME,
            {"number": 600, "booked": 0.31},
            {"decision": {"maximum_days": 60}},
            "cannot tell at your number of calls",
            False,
        ),
        ({"number": 400, "booked": 0.3}, {"number": 600, "booked": 0.3}, {}, "broken", False),
    ],
)
def test_each_verdict_is_reached_from_rows(  # noqa: PLR0913 (a case of each)
    small: Phone, control: Any, warm: Any, changed: Any, state: str, *, stop: bool
) -> None:
    """Better, worse, no difference, not yet, never at this number of calls, and broken."""
    write(small, control, warm, **changed)
    verdict = shown(small)["verdict"]
    assert (verdict["state"], verdict["stop"]) == (state, stop), verdict["message"]


def lossy(rows: Rows, arm: str, lost: float, *, young: bool = False) -> None:
    """Add 600 callers, each in touch with the shop later; of a share the report is lost, or only not here yet."""
    for caller in range(600):
        is_lost = caller < 600 * lost
        at = START + (57 if is_lost and young else 55 * ((caller * 0.618) % 1)) * DAY - timedelta(hours=1)
        told = None if is_lost else {"analysis.booked": float(caller % 3 == 0), "early_hang_up": 0.0}
        call_id = rows.call(f"{arm}-{caller}", at + timedelta(hours=1 - young), arm, told)
        rows.outcome(call_id, "sale", float(caller % 10 < (3 if arm == "control" else 6)), at + timedelta(hours=2))


SALE = {"outcome": "sale", "smallest": 0.05}


@pytest.mark.parametrize(("primary", "state"), [("booked", "broken"), ("sale", "better")])
def test_lost_reports_of_one_arm_silence_what_they_tell(small: Phone, primary: str, state: str) -> None:
    """A difference in the share of calls without a report is shown, and only the host's own outcomes are read on."""
    rows = Rows()
    lossy(rows, "control", 0.02)
    lossy(rows, "warm", 0.1)
    metrics = {"booked": BOOKED, "hang_up": HANG_UP, "sale": SALE}
    rows.write(engine(small), [("d", body({primary: metrics.pop(primary), **metrics}))])
    found = shown(small)
    assert [arm["without_report"] for arm in found["arms"]] == [0.02, 0.1]
    states = {metric["metric"]: metric["comparisons"][0]["state"] for metric in found["metrics"]}
    assert states == {"booked": "suppressed", "hang_up": "unknown", "sale": "better"}
    assert "missing" in {warning["code"] for warning in found["warnings"]}
    assert found["verdict"]["state"] == state
    assert "hang_up" in found["verdict"]["message"] or "control 2.0 %, warm 10.0 %" in found["verdict"]["message"]
    assert "no report" in run(small, "results", "opening").stdout


def test_calls_that_only_just_ended_lose_no_report(small: Phone) -> None:
    """A report that may still come is not missed yet: calls of the last hours are no part of the share."""
    rows = Rows()
    lossy(rows, "control", 0)
    lossy(rows, "warm", 0.1, young=True)
    rows.write(engine(small), [("d", body({"booked": BOOKED}))])
    found = shown(small)
    assert [arm["without_report"] for arm in found["arms"]] == [0, 0]
    assert "missing" not in {warning["code"] for warning in found["warnings"]}


def test_lost_reports_of_a_regular_are_one_callers(small: Phone) -> None:
    """A switchboard all of whose three hundred reports were lost is one caller, and no difference between the arms."""
    rows = Rows()
    lossy(rows, "control", 0.02)
    lossy(rows, "warm", 0.02)
    for call in range(300):
        rows.call("warm-599", START + 40 * DAY + call * DAY / 1000, "warm")
    rows.write(engine(small), [("d", body({"booked": BOOKED}))])
    found = shown(small)
    assert [round(arm["without_report"], 2) for arm in found["arms"]] == [0.02, 0.35]
    assert "missing" not in {warning["code"] for warning in found["warnings"]}
    assert found["metrics"][0]["comparisons"][0]["state"] != "suppressed"


def test_verdict_is_about_whole_weeks(small: Phone) -> None:
    """What the callers of the week that is not over did is in the figures, and not yet in the verdict."""
    rows = Rows()
    callers(rows, "control", 300, 0.3, last=56)
    callers(rows, "warm", 300, 0.3, last=56)
    late = START + 56 * DAY + DAY / 2
    for caller in range(400):
        rows.call(f"late-{caller}", late, ("control", "warm")[caller % 2], {"analysis.booked": float(caller % 2)})
    rows.write(engine(small), [("d", body({"booked": BOOKED}))])
    found = shown(small)
    assert found["verdict"]["until"] == (START + 56 * DAY).isoformat()
    assert found["metrics"][0]["comparisons"][0]["state"] == "better"
    assert found["verdict"]["state"] != "better"


def test_people_read_the_verdict_first(host: Phone) -> None:
    """The verdict stands above the tables, and no line is wider than a terminal of 80 columns."""
    write(host, SAME, {"number": 600, "booked": 0.5, "hang_up": 0.05})
    text = run(host, "results", "opening").stdout
    assert text.index("warm is better on booked") < text.index("weight") < text.index("± error")
    assert max(map(len, text.splitlines())) <= 80
    assert "analysis.booked, per caller, to increase" in text
    assert "These results include 100% of the 1,200 calls" in text


def test_json_has_the_documented_keys(host: Phone) -> None:
    """Programs find what the documentation names, and what is undefined is null."""
    write(host, SAME, SAME)
    found = shown(host)
    keys = {"experiment", "status", "since", "period", "unit", "arms", "sample_ratio", "metrics", "warnings", "verdict"}
    assert keys | {"earlier_periods"} <= found.keys()
    assert found["unit"] == "caller"
    arm = {"arm", "weight", "callers", "calls", "delivered", "unidentified", "pinned"}
    assert all(arm <= each.keys() for each in found["arms"])
    assert found["sample_ratio"] == {"p_value": 1.0, "ok": True}
    metric = {"metric", "outcome", "goal", "guardrail", "per", "arms", "comparisons"}
    assert all(metric <= each.keys() for each in found["metrics"])
    comparison = found["metrics"][0]["comparisons"][0]
    assert {"arm", "against", "difference", "standard_error", "interval", "always_valid_interval"} <= comparison.keys()
    assert {"relative", "relative_interval", "state"} <= comparison.keys()


def test_calls_without_a_number_stand_apart(host: Phone) -> None:
    """People see them below all else, programs under their own key; where there are none it is null."""
    rows = Rows()
    for index in range(300):
        arm, told = ("control", "warm")[index % 2], {"analysis.booked": float(index % 3 == 0)}
        rows.call(None, START + index * DAY / 10, arm, told, source="unidentified")
    rows.write(engine(host), [("d", body(METRICS, unidentified="per-call"))])
    found = shown(host)["unidentified"]
    assert found["sample_ratio"]["ok"]
    assert [metric["metric"] for metric in found["metrics"]] == ["booked", "hang_up"]
    assert [(arm["callers"], arm["calls"]) for arm in found["metrics"][0]["arms"]] == [(None, 150), (None, 150)]
    assert found["metrics"][0]["comparisons"][0]["always_valid_interval"] is not None
    text = run(host, "results", "opening").stdout
    assert text.index("hang_up") < text.index("Calls without a number")
    assert max(map(len, text.splitlines())) <= 80
    lines = list(csv.DictReader(StringIO(run(host, "results", "opening", "--format", "csv").stdout)))
    assert {line["callers"] for line in lines} == {"0"}


def test_what_is_left_out_is_shown_as_a_share(small: Phone) -> None:
    """People read, by arm, which share of a metric's calls has no value, and of later calls no assignment."""
    rows = Rows()
    for caller in range(120):
        arm, told = ("control", "warm")[caller % 2], {"duration_seconds": 60.0} if caller % 4 > 1 else {}
        rows.call(f"caller-{caller}", START, arm, told)
        rows.call(f"caller-{caller}", START + DAY, arm if caller % 6 else None, {"duration_seconds": 60.0})
    seconds = {"outcome": "duration_seconds", "per": "call", "missing": "leave out"}
    rows.write(engine(small), [("d", body({"seconds": seconds}))])
    text = run(small, "results", "opening").stdout
    assert "30 (25.0 %)" in text
    assert "20 (16.7 %)" in text


def test_without_such_calls_there_is_null(small: Phone) -> None:
    """Nobody without a number: the key is there, with null, and people read nothing of it."""
    write(small, SAME, SAME)
    assert shown(small)["unidentified"] is None
    assert "without a number" not in run(small, "results", "opening").stdout


@pytest.mark.parametrize("number", [0, 1, 2])
def test_hardly_any_callers_are_nulls_and_words(host: Phone, number: int) -> None:
    """An empty arm, one caller, two: nulls and a warning, never a crash or a number out of nothing."""
    write(host, {"number": number, "booked": 0}, {"number": 0, "booked": 0})
    found = shown(host)
    assert found["verdict"]["state"] == "cannot tell yet"
    assert found["metrics"][0]["comparisons"][0]["difference"] is None
    text = run(host, "results", "opening").stdout
    assert "nan" not in text.lower()
    assert "NaN" not in json.dumps(found)


def test_unknown_experiment_is_asked_wrongly(host: Phone) -> None:
    """An experiment that nobody knows is a sentence with those that there are."""
    write(host, SAME, SAME)
    found = run(host, "results", "closing")
    assert (found.exit_code, found.stdout) == (2, "")
    assert "There are: opening." in found.stderr


def test_all_experiments_are_a_list(host: Phone) -> None:
    """Without a name there is one object for each experiment, and one CSV for all."""
    write(host, SAME, SAME)
    assert [each["experiment"] for each in json.loads(run(host, "results", "--format", "json").stdout)] == ["opening"]
    rows = list(csv.DictReader(StringIO(run(host, "results", "--format", "csv").stdout)))
    assert [(row["metric"], row["arm"]) for row in rows] == [
        ("booked", "control"), ("booked", "warm"), ("hang_up", "control"), ("hang_up", "warm"),
    ]  # fmt: skip
    assert float(rows[1]["mean"]) == 0.3


def test_broken_is_not_well(small: Phone) -> None:
    """A script learns from the exit status that a result must not be read."""
    write(small, {"number": 400, "booked": 0.3}, {"number": 600, "booked": 0.3})
    assert run(small, "results", "opening").exit_code == 1


def test_export_reproduces_the_means(host: Phone) -> None:
    """A row for each caller, from which a notebook gets our means."""
    write(host, SAME, {"number": 600, "booked": 0.5})
    rows = list(csv.DictReader(StringIO(run(host, "export", "opening").stdout)))
    assert len(rows) == 1200
    warm = [row for row in rows if row["arm"] == "warm"]
    assert sum(float(row["booked"]) for row in warm) / sum(float(row["booked_of"]) for row in warm) == 0.5
    assert {row["period"] for row in rows} == {"1"}


# --- periods ------------------------------------------------------------------------------------------------------------


def in_two_periods(phone: Phone, **changed: Any) -> None:
    """Write callers under one definition, and four weeks later under another."""
    rows = Rows()
    for arm in ("control", "warm"):
        callers(rows, arm, 300, 0.3, last=20, definition="a")
    for arm, number in (("control", 200), ("warm", 200)):
        for caller in range(number):
            told = {"analysis.booked": float(caller % 2), "early_hang_up": 0.0}
            rows.call(f"late-{arm}-{caller}", START + 28 * DAY + caller * DAY / 10, arm, told, definition="b")
    # One of the first period's callers calls again under the second.
    rows.call("control-0-0", START + 30 * DAY, "warm", {"analysis.booked": 1.0}, definition="b")
    rows.write(engine(phone), [("a", body(METRICS)), ("b", body(METRICS, **changed))])


@pytest.mark.parametrize(
    "changed",
    [
        {"arms": {"control": 1, "warm": 3}},
        {"arms": {"control": 1, "warm": 1, "brisk": 1}},
        {"files": {"warm": {"first_message.j2": "Other words."}}},
        {"audience": "caller.country == 'NL'"},
        {"callers": "another secret's"},
        {"seed": "another"},
    ],
)
def test_what_callers_can_tell_begins_a_period(small: Phone, changed: Any) -> None:
    """Other weights, arms, words, audience or caller secret: the verdict is about the latest callers alone."""
    in_two_periods(small, **changed)
    found = shown(small)
    assert (found["period"], [period["period"] for period in found["earlier_periods"]]) == (2, [1])
    assert sum(arm["callers"] for arm in found["arms"]) == 400
    assert sum(arm["callers"] for arm in found["earlier_periods"][0]["arms"]) == 600
    assert "changed" in {warning["code"] for warning in found["warnings"]}


@pytest.mark.parametrize(
    "changed",
    [
        {"traffic": 0.5},
        {"description": "x"},
        {"decision": {"confidence": 0.8}},
        {"status": "paused"},
        {"pins": {"k": "warm"}},
    ],
)
def test_what_callers_cannot_tell_begins_none(small: Phone, changed: Any) -> None:
    """More traffic, another pin or another metric's key: all callers count together."""
    in_two_periods(small, **changed)
    found = shown(small)
    assert (found["period"], found["earlier_periods"]) == (1, [])
    assert sum(arm["callers"] for arm in found["arms"]) == 1000


def test_pooling_is_for_equal_weights(host: Phone) -> None:
    """--pool brings periods of equal weights together, and says so; others stay apart."""
    in_two_periods(host, files={"warm": {"first_message.j2": "Other words."}})
    found = shown(host, "--pool")
    assert sum(arm["callers"] for arm in found["arms"]) == 1000
    assert "pooled" in next(each["message"] for each in found["warnings"] if each["code"] == "changed")


def test_pooling_leaves_other_weights_apart(small: Phone) -> None:
    """Callers drawn with other weights are never pooled."""
    in_two_periods(small, arms={"control": 1, "warm": 3})
    assert sum(arm["callers"] for arm in shown(small, "--pool")["arms"]) == 400


# --- what a reader must know ----------------------------------------------------------------------------------------------


def codes(phone: Phone, *arguments: str) -> dict[str, str]:
    return {each["code"]: each["message"] for each in shown(phone, *arguments)["warnings"]}


def test_callers_in_two_arms_are_told(host: Phone) -> None:
    """Who was given two arms counts in the first, and the figure without them stands beside it."""
    rows = Rows()
    callers(rows, "control", 300, 0.3)
    callers(rows, "warm", 300, 0.5)
    for caller in range(20):
        rows.call(f"warm-300-{caller}", START + 56 * DAY, "control", {})
    rows.write(engine(host), [("d", body(METRICS))])
    assert codes(host)["two-arms"].startswith("20 callers were assigned two arms")
    assert "warm +16.4 pp" in codes(host)["two-arms"]


def test_one_caller_with_many_calls_is_told(host: Phone) -> None:
    """One caller with over 5 % of the calls is probably a switchboard."""
    rows = Rows()
    callers(rows, "control", 100, 0.3)
    callers(rows, "warm", 100, 0.3)
    for call in range(20):
        rows.call("warm-100-1", START + 55 * DAY + call * DAY / 100, "warm", {})
    rows.write(engine(host), [("d", body(METRICS))])
    assert "21 of the 220 calls" in codes(host)["one-caller"]


@pytest.mark.parametrize(("audience", "told"), [("not customer.vip", True), ("caller.country == 'NL'", False)])
def test_failed_hook_is_told(host: Phone, audience: str, *, told: bool) -> None:
    """An audience that asks for the customer loses callers when the hook fails."""
    rows = Rows()
    callers(rows, "control", 100, 0.3)
    rows.call("ann", START + 50 * DAY, reasons={"opening": "customer_failed"})
    rows.write(engine(host), [("d", body(METRICS, audience=audience))])
    assert ("hook-failed" in codes(host)) is told


def test_failed_hook_of_a_rehearsal_is_nobodys_loss(host: Phone) -> None:
    """A rehearsed call that the hook failed kept no caller out."""
    rows = Rows()
    callers(rows, "control", 100, 0.3)
    rows.call("ann", START + 50 * DAY, reasons={"opening": "customer_failed"}, call_id="pickup-rehearsal-a")
    rows.write(engine(host), [("d", body(METRICS, audience="customer.vip"))])
    assert "hook-failed" not in codes(host)


def test_broken_split_delivery_and_missing_reports_are_told(host: Phone) -> None:
    """An uneven split, uneven delivery and uneven reports each have their code."""
    rows = Rows()
    callers(rows, "control", 300, 0.3)
    callers(rows, "warm", 500, 0.3, delivered=False)
    for row in rows.calls[400:]:
        row["reported_at"] = None
    rows.write(engine(host), [("d", body(METRICS))])
    assert {"split", "delivery", "missing"} <= codes(host).keys()


def test_uneven_missing_values_silence_the_metric(host: Phone) -> None:
    """Where values are left out and one arm lacks more of them, nothing is said about the metric."""
    rows = Rows()
    for arm, known in (("control", 300), ("warm", 200)):
        for caller in range(300):
            told = {"score": float(caller % 7)} if caller < known else {}
            rows.call(f"{arm}-{caller}", START + caller * DAY / 10, arm, told)
    rows.write(engine(host), [("d", body({"score": {"outcome": "score", "missing": "leave out"}}))])
    found = shown(host)
    assert found["metrics"][0]["comparisons"][0]["state"] == "suppressed"
    assert found["verdict"]["state"] == "broken"
    assert [arm["missing"] for arm in found["metrics"][0]["arms"]] == [0, 100]


def test_calls_after_the_end_do_not_count(host: Phone) -> None:
    """Once concluded, everybody hears the winner: calls from then on are no part of the result."""
    rows = Rows()
    callers(rows, "control", 100, 0.3, last=20, definition="a")
    rows.call("late", START + timedelta(seconds=90), "control", {}, definition="a")
    ended = body(METRICS, status="concluded")
    rows.write(engine(host), [("a", body(METRICS)), ("b", ended), ("c", {**ended, "description": "edited since"})])
    # The second definition was first seen a minute after the experiment began.
    assert sum(arm["callers"] for arm in shown(host)["arms"]) == 1


def test_purged_calls_are_told(make_phone: MakePhone) -> None:
    """Where calls are purged after some days, callers may have begun before the rows that are left."""
    phone = make_phone({}, pickup=Pickup(clock=(START + 57 * DAY).timestamp), PICKUP_RETENTION=57)
    write(phone, SAME, SAME)
    assert "2026-03-02" in codes(phone)["purged"]
