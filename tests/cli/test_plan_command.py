"""``flask pickup plan``: what an author learns before the first call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import Result

from conftest import BOOKED, CONTENT, NOW, MakePhone, Phone
from flask_pickup.cli import pickup

EXPERIMENT = (
    BOOKED
    + """\
[metrics.duration_seconds]
smallest = 10
[metrics.early_hang_up]
goal = "decrease"
guardrail = true
margin = 0.03
"""
)
FILES = {**CONTENT, "experiments/warm-opening/experiment.toml": EXPERIMENT}


def plan(phone: Phone, *arguments: str) -> Result:
    return phone.app.test_cli_runner().invoke(pickup, ["plan", "warm-opening", *arguments])


def planned(phone: Phone, *arguments: str) -> dict[str, Any]:
    found = plan(phone, *arguments, "--format", "json")
    assert found.exit_code == 0, found.output
    return dict(json.loads(found.stdout))


@pytest.fixture
def empty(make_phone: MakePhone) -> Phone:
    """An app whose database has no calls."""
    return make_phone(FILES)


@pytest.fixture
def called(make_phone: MakePhone, database_url: str) -> Phone:
    """An app that forty callers have rung, every fourth of them twice; every second booked."""
    return rung(make_phone(FILES, url=database_url))


def rung(phone: Phone) -> Phone:
    for caller in range(40):
        for call in range(2 if caller % 4 == 0 else 1):
            name, number = f"call-{caller}-{call}", f"+316123456{caller:02}"
            phone.ring(name, caller=number)
            phone.report(name, caller=number, duration_seconds=60 + caller, analysis={"booked": caller % 2 == 0})
    phone.app.extensions["pickup"].clock = lambda: NOW + 3600  # all reports are here
    return phone


def test_plan_from_what_is_said(empty: Phone) -> None:
    """Baseline, lift and pace give the horizon, callers and weeks, at 95 % and 80 %, and the chance by week."""
    found = planned(empty, "--baseline", "0.3", "--lift", "0.05", "--callers-a-week", "250")
    assert [each["confidence"] for each in found["needed"]] == [0.95, 0.8]
    assert found["needed"][0] == {
        "confidence": 0.95,
        "maximum_weeks": 14,
        "callers": 3320,
        "fixed_weeks": 11,
        "fixed_callers": 2748,
    }
    assert found["week"] is None
    assert [each["week"] for each in found["weeks"]] == [2, 4, 6, 8, 10, 12]
    assert found["weeks"][-1]["chance"] == pytest.approx(0.75, abs=0.05)


def test_plan_for_people(empty: Phone) -> None:
    """People read what is found by when, what to write, two tables, and what guardrails take."""
    text = " ".join(plan(empty, "--baseline", "0.3", "--callers-a-week", "50").stdout.split())
    assert "warm-opening: booked, now 30.0 % of callers, 50 new callers a week, 2 arms." in text
    assert (
        "+5.0 pp on booked will probably not be found by week 12 (maximum_weeks) at 50 new callers a week: the chance is 18.5 %."
        in text
    )
    assert "Write maximum_weeks = 68, or more: that finds it with a chance of 80 %." in text
    assert "95 % 68 3,320 55 2,748" in text
    assert "12 600 18.5 % +12.0 pp +10.9 pp" in text
    assert "Guardrail early_hang_up (if it is 10.0 %, margin 3 pp) will probably not be called safe by week 12" in text
    assert "Each of these makes it 80 %: maximum_weeks = 64, 270 new callers a week, margin = 0.069." in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            "--lift 0.15 --callers-a-week 50",
            "+15.0 pp is found by week 10 with a chance of 80 %. With maximum_weeks = 8",
        ),
        ("--callers-a-week 3000", "is called safe by week 3 with a chance of 80 %, if it is not harmed."),
        ("", "+5.0 pp takes 3,320 callers."),
        ("", "is called safe after 3,147 callers with a chance of 80 %"),
        ("", "--callers-a-week adds the weeks."),
        ("--lift 0.8", "+80.0 pp on booked is not possible. The rate leaves no room for it: plan a smaller one."),
        ("--metric early_hang_up --callers-a-week 400", "Guardrail early_hang_up (if it is 30.0 %, margin 3 pp) will"),
    ],
)
def test_plan_says_what_to_expect(empty: Phone, arguments: str, says: str) -> None:
    """A lift that is found, or never is, and a guardrail that can be safe, or is the metric itself, are each put in words."""
    assert says in " ".join(plan(empty, "--baseline", "0.3", *arguments.split()).stdout.split())


def test_plan_of_a_mean(empty: Phone) -> None:
    """A mean is planned with its deviation, in its own unit."""
    arguments = ("--metric", "duration_seconds", "--baseline", "90", "--deviation", "60", "--callers-a-week", "250")
    assert "+10 per call is found by week " in plan(empty, *arguments).stdout


def test_plan_measures(called: Phone) -> None:
    """Where there are calls, baseline, calls a caller and pace come from them, a mean of calls with its callers' spread."""
    found = planned(called)["baseline"]
    assert (found["mean"], found["callers"], found["calls_per_caller"]) == (0.5, 40, 1.25)
    assert found["spread"] == pytest.approx(0.25 * 40 / 39)
    assert planned(called)["new_callers_a_week"] == 40
    assert "measured on 40 callers, 1.25 calls per caller, 2 arms." in plan(called).stdout

    calls = [(60.0 + caller, 2 if caller % 4 == 0 else 1) for caller in range(40)]
    mean = sum(value * n for value, n in calls) / 50
    spread = sum((n * (value - mean)) ** 2 for value, n in calls) / 39 / 1.25**2
    found = planned(called, "--metric", "duration_seconds")["baseline"]
    assert found["mean"] == pytest.approx(mean)
    assert found["spread"] == pytest.approx(spread)
    assert not found["is_proportion"]


def test_old_calls_are_not_measured(make_phone: MakePhone) -> None:
    """The baseline is the last twelve weeks', the pace the last four's."""
    called = rung(make_phone(FILES))
    called.app.extensions["pickup"].clock = lambda: NOW + 5 * 7 * 86_400
    found = planned(called)
    assert (found["baseline"]["callers"], found["new_callers_a_week"]) == (40, 0)
    called.app.extensions["pickup"].clock = lambda: NOW + 13 * 7 * 86_400
    assert plan(called).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "There are too few calls to measure booked. State its value today: --baseline 0.3"),
        (
            ("--metric", "sold"),
            "'warm-opening' has no metric 'sold'. Name one with --metric: booked, duration_seconds, early_hang_up.",
        ),
        (("--baseline", "1.2"), "Nothing can be planned from a baseline of 1.2: a rate lies between 0 and 1"),
        (("--lift", "1e-200"), "'--lift': 1e-200"),
        (("--callers-a-week", "nan"), "'--callers-a-week': nan"),
        (("--deviation", "0"), "'--deviation': 0"),
        (("--baseline", "1e+308"), "'--baseline': 1e+308"),
    ],
)
def test_what_cannot_be_planned_is_said(empty: Phone, arguments: tuple[str, ...], says: str) -> None:
    """Asked wrongly, it says what to write, with exit status 2."""
    found = plan(empty, *arguments)
    assert found.exit_code == 2
    assert says in found.output
