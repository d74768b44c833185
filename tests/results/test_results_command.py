"""``flask pickup results`` and ``export``: what people and programs get."""

from __future__ import annotations

import csv
import json
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from click.testing import Result

from conftest import MakePhone, Phone
from flask_pickup import Pickup
from flask_pickup.caller import REHEARSAL
from flask_pickup.cli import pickup
from result_rows import BOOKED, HANG_UP, START, Rows, body, callers

DAY = timedelta(days=1)
METRICS = {"booked": BOOKED, "hang_up": HANG_UP}


@pytest.fixture
def host(make_phone: MakePhone) -> Phone:
    """An app eight weeks after the experiment began, whose folder of it is gone."""
    return make_phone({}, pickup=Pickup(clock=(START + 57 * DAY).timestamp), PICKUP_RETENTION=57)


def run(phone: Phone, *arguments: str) -> Result:
    return phone.app.test_cli_runner().invoke(pickup, list(arguments))


def shown(phone: Phone) -> dict[str, Any]:
    found = run(phone, "results", "opening", "--format", "json")
    assert found.stdout, found.output
    return dict(json.loads(found.stdout))


def rows_of(phone: Phone, text: str, *arguments: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(run(phone, text, *arguments).stdout)))


def fill(phone: Phone, rows: Rows, metrics: Any = None, **changed: Any) -> None:
    rows.write(phone.app.extensions["pickup"].engine, [("d", body(metrics or METRICS, **changed))])


def winning(phone: Phone, control: int = 600) -> None:
    """Write callers among whom the warm arm is better."""
    rows = Rows()
    callers(rows, "control", control, 0.3)
    callers(rows, "warm", 600, 0.5, 0.05)
    fill(phone, rows)


def test_people_read_the_verdict_first(host: Phone) -> None:
    """The verdict stands above the tables, and no line is wider than a terminal of 80 columns."""
    winning(host)
    text = run(host, "results", "opening").stdout
    assert text.splitlines()[1].startswith("warm is better (found on ")
    assert text.index("What to do: Roll out warm") < text.index("weight") < text.index("standard error")
    assert max(map(len, text.splitlines())) <= 80
    assert "analysis.booked, share of callers with at least one, to increase" in text
    assert re.search(r"\+20\.0\s+pp\s+\(interval:\s+\+\d+\.\d\s+to\s+\+\d+\.\d\s+pp;", text)
    assert "These results include 100.0 % of the 1,200 calls" in text
    assert "without a number" not in text


def test_json_has_the_documented_keys(host: Phone) -> None:
    """Programs find what the documentation names, and what is undefined is null."""
    winning(host)
    found = shown(host)
    keys = {"experiment", "status", "since", "period", "unit", "arms", "sample_ratio", "metrics", "warnings", "verdict"}
    assert keys | {"earlier_periods"} <= found.keys()
    assert (found["unit"], found["unidentified"]) == ("caller", None)
    arm = {"arm", "weight", "callers", "calls", "delivered", "unidentified", "pinned"}
    assert all(arm <= each.keys() for each in found["arms"])
    assert found["sample_ratio"] == {"p_value": 1.0, "ok": True}
    metric = {"metric", "outcome", "goal", "guardrail", "per", "arms", "comparisons"}
    assert all(metric <= each.keys() for each in found["metrics"])
    comparison = found["metrics"][0]["comparisons"][0]
    assert {"arm", "against", "difference", "standard_error", "interval", "fixed_interval"} <= comparison.keys()
    assert {"relative", "relative_interval", "state"} <= comparison.keys()
    assert {"headline", "message", "advice", "action", "change", "detectable", "choice", "found"} <= found[
        "verdict"
    ].keys()
    assert "2 Mar 2026" in next(each["message"] for each in found["warnings"] if each["code"] == "purged")


def test_calls_without_a_number_stand_apart(host: Phone) -> None:
    """People see them below all else, programs under their own key; the CSV leaves them out."""
    rows = Rows()
    for index in range(300):
        arm, told = ("control", "warm")[index % 2], {"analysis.booked": float(index % 3 == 0)}
        rows.call(None, START + index * DAY / 10, arm, told, source="unidentified")
    fill(host, rows, unidentified="per-call")
    found = shown(host)["unidentified"]
    assert found["sample_ratio"]["ok"]
    assert [metric["metric"] for metric in found["metrics"]] == ["booked", "hang_up"]
    assert [(arm["callers"], arm["calls"]) for arm in found["metrics"][0]["arms"]] == [(None, 150), (None, 150)]
    assert found["metrics"][0]["comparisons"][0]["interval"] is not None
    text = run(host, "results", "opening").stdout
    assert text.index("hang_up") < text.index("Calls without a number")
    assert max(map(len, text.splitlines())) <= 80
    assert {line["callers"] for line in rows_of(host, "results", "opening", "--format", "csv")} == {"0"}


def test_what_is_missing_is_shown_as_a_share(host: Phone) -> None:
    """People read, by arm, which share of a metric's calls has no value, and of later calls no assignment or report."""
    rows = Rows()
    for caller in range(120):
        arm, told = ("control", "warm")[caller % 2], {"duration_seconds": 60.0} if caller % 4 > 1 else {}
        rows.call(f"caller-{caller}", START, arm, told)
        reasons = {"opening": "enrolled" if caller % 6 else "audience"}
        told = {"duration_seconds": 60.0}
        rows.call(f"caller-{caller}", START + DAY, arm if caller % 6 else None, told, reasons=reasons)
    rows.calls[0]["reported_at"] = None
    fill(host, rows, {"seconds": {"outcome": "duration_seconds", "per": "call", "missing": "leave out"}})
    text = run(host, "results", "opening").stdout
    assert all(part in text for part in ("30 (25.0 %)", "20 (16.7 %)", "no report"))
    assert "duration_seconds, mean of calls, to increase" in text


def test_one_platform_alone(host: Phone) -> None:
    """With --platform only its calls count; a platform that there is not is a usage error."""
    winning(host)
    assert run(host, "results", "opening", "--platform", "flireo").stdout.startswith(
        "opening: running, period 1 of 1 since 2 Mar 2026, on flireo alone\nNo verdict: it comes from weekly looks"
    )
    refused = run(host, "results", "opening", "--platform", "nobody")
    assert (refused.exit_code, refused.stderr.startswith("No platform is called 'nobody'. There are: ")) == (2, True)


def test_rehearsed_calls_are_said_not_to_count(host: Phone) -> None:
    """Where nobody else has called, too, a line says how many rehearsed calls there are, and what counts them."""
    rows = Rows()
    for index in range(2):
        rows.call(f"caller-{index}", START + DAY, "warm", {}, call_id=f"{REHEARSAL}{index}")
    fill(host, rows)
    line = "2 rehearsed calls are not counted; --rehearsals counts them."
    assert line in run(host, "results", "opening").stdout.splitlines()
    assert line not in run(host, "results", "opening", "--rehearsals").stdout
    assert shown(host)["rehearsals_not_counted"] == 2


def test_a_draft_says_how_to_start_it(host: Phone) -> None:
    """A draft's results say that no caller hears it, and what to change."""
    fill(host, Rows(), status="draft")
    lines = run(host, "results", "opening").stdout.splitlines()
    assert lines[1] == "A draft: no caller hears it"
    assert "guardrail: must not increase by more than 5 pp" in " ".join(lines)
    assert 'What to do: Set status = "running" in experiment.toml to start it.' in lines
    assert shown(host)["verdict"]["change"] == 'status = "running"'


def test_few_callers_are_told_in_words(host: Phone) -> None:
    """Of few callers there are words instead of states, and no interval; a metric has its label beside its name."""
    rows = Rows()
    callers(rows, "control", 3, 0.0)
    callers(rows, "warm", 3, 1.0)
    fill(host, rows, {"booked": {**BOOKED, "label": "Visits"}, "hang_up": HANG_UP})
    lines = run(host, "results", "opening").stdout.splitlines()
    assert (
        lines[lines.index("Visits (booked)") + 1] == "analysis.booked, share of callers with at least one, to increase"
    )
    assert "  warm against control: too few callers to compare, +100.0 pp so far" in lines
    guarded = "early_hang_up, share of callers with at least one, guardrail: must not increase by more than 5 pp"
    assert guarded in " ".join(lines)
    assert any(line.startswith("Arms are not compared below 100 callers each") for line in lines)


def test_breakdowns_are_shown_on_request(host: Phone) -> None:
    """With --breakdowns people and programs get new and returning callers apart; there is no CSV of them."""
    rows = Rows()
    for arm, again in (("control", 0.3), ("warm", 0.6)):
        for caller in range(80):
            rows.call(f"{arm}-{caller}", START - DAY, None, {})
        for known in range(2):
            callers(rows, arm, 80, (0.3, again)[known])
        for call, assigned in zip(rows.calls[-80:], rows.assignments[-80:], strict=True):
            call["caller_key"] = assigned["caller_key"] = f"{arm}-{call['caller_key'].rpartition('-')[2]}"
    fill(host, rows)
    text = run(host, "results", "opening", "--breakdowns").stdout
    assert "booked by callers  exploratory" in text
    assert "warm against control: +30.0 pp more among returning than others (95.0 %" in text
    assert max(map(len, text.splitlines())) <= 80
    [found] = json.loads(run(host, "results", "opening", "--breakdowns", "--format", "json").stdout)["breakdowns"]
    assert [each["callers"] for each in found["groups"]] == [80] * 4
    assert found["interactions"][0]["difference"] == pytest.approx(0.3)
    assert run(host, "results", "opening", "--breakdowns", "--format", "csv").exit_code == 2


@pytest.mark.parametrize("option", ["--pool", "--rehearsals"])
def test_other_calls_have_no_verdict(host: Phone, option: str) -> None:
    """Results that no weekly look is of say so, and why."""
    winning(host)
    assert run(host, "results", "opening", option).stdout.splitlines()[1].startswith("No verdict: it comes from weekly")


def test_unknown_experiment_is_asked_wrongly(host: Phone) -> None:
    """An experiment that nobody knows is a sentence with those that there are."""
    winning(host)
    for command in ("results", "export"):
        found = run(host, command, "closing")
        assert (found.exit_code, found.stdout) == (2, "")
        assert "There are: opening." in found.stderr


def test_all_experiments_are_a_list(host: Phone) -> None:
    """Without a name there is one object for each experiment, and one CSV for all."""
    winning(host)
    assert [each["experiment"] for each in json.loads(run(host, "results", "--format", "json").stdout)] == ["opening"]
    rows = rows_of(host, "results", "--format", "csv")
    assert [(row["metric"], row["arm"]) for row in rows] == [
        ("booked", "control"), ("booked", "warm"), ("hang_up", "control"), ("hang_up", "warm"),
    ]  # fmt: skip
    assert (rows[1]["unit"], float(rows[1]["mean"])) == ("percent", 50.0)


def test_unreliable_results_are_an_exit_status(host: Phone) -> None:
    """A script learns from the exit status that results are not reliable."""
    winning(host, control=400)
    assert run(host, "results", "opening").exit_code == 1


def test_export_without_rows_is_its_header(host: Phone) -> None:
    """Before the first call a program finds the columns, and no row."""
    fill(host, Rows())
    [header] = run(host, "export", "opening").stdout.splitlines()
    assert header.startswith("period,")
    assert "booked,booked_of" in header


def test_export_reproduces_the_means(make_phone: MakePhone, database_url: str) -> None:
    """A row for each caller, from which a notebook gets our means."""
    phone = make_phone({}, url=database_url, pickup=Pickup(clock=(START + 57 * DAY).timestamp))
    winning(phone)
    rows = rows_of(phone, "export", "opening")
    assert len(rows) == 1200
    warm = [row for row in rows if row["arm"] == "warm"]
    assert sum(float(row["booked"]) for row in warm) / sum(float(row["booked_of"]) for row in warm) == 0.5
    assert {row["period"] for row in rows} == {"1"}
