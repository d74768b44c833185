"""Calls outside the hours: turned away, or answered in another way."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import CALLER, LINE, NOW, MakePhone, Phone
from flask_pickup import Pickup
from flask_pickup.cli import pickup as commands

DESK = "+31850123456"
SATURDAY_NOON = NOW
MONDAY_MORNING = NOW + 2 * 24 * 3600
HOURS = 'timezone = "Europe/Amsterdam"\n[week]\nmonday = "09:00-17:00"\n'
RUNNING = 'status = "running"\n[arms]\ncontrol = 1\nwarm = 1\n[pins]\n"+12015550123" = "warm"\n[metrics.score]\n'
SHOP: dict[str, Any] = {
    "greetings/first_message.j2": "Welcome{% if not open %}, though we are closed{% endif %}.",
    "greetings/closed.j2": "We are closed. Call back on Monday.",
    "greetings/closed.nl.j2": "We zijn gesloten. Bel maandag terug.",
    "greetings/first_message.nl.j2": "Welkom.",
    "greetings/hours.toml": HOURS,
    "experiments/warm-opening/experiment.toml": RUNNING,
    "experiments/warm-opening/warm/first_message.j2": "Hello, {{ 'open' if open else 'closed' }}!",
}


def open_at(make_phone: MakePhone, now: float, files: Any = None, **options: Any) -> Phone:
    phone = make_phone(files or SHOP, pickup=Pickup(clock=lambda: now), **options)
    phone.now = now
    return phone


def without(*names: str) -> dict[str, Any]:
    return {path: text for path, text in SHOP.items() if path.removeprefix("greetings/") not in names}


@pytest.mark.parametrize(
    ("caller", "words"),
    [
        (CALLER, "We zijn gesloten. Bel maandag terug."),
        ("+12015550199", "We are closed. Call back on Monday."),
        ("+12015550123", "We are closed. Call back on Monday."),  # pinned
        ("anonymous", "We are closed. Call back on Monday."),
    ],
)
def test_calls_are_turned_away_with_the_authors_words(make_phone: MakePhone, caller: str, words: str) -> None:
    """Outside the hours a call is rejected with closed.j2 in the caller's language, and nothing else leaves."""
    shop = open_at(make_phone, SATURDAY_NOON)
    assert shop.ring(caller=caller).get_json() == {"error": words}


def test_closed_calls_are_no_exposure(make_phone: MakePhone, database_url: str) -> None:
    """A call that is turned away is a row that says so; no experiment has it, even after a report. In the hours one has."""
    shop = open_at(make_phone, SATURDAY_NOON, url=database_url)
    shop.ring()
    shop.report(duration_seconds=4)
    assert shop.rows("SELECT decision, reasons FROM pickup_calls") in ([("closed", {})], [("closed", "{}")])
    assert shop.rows("SELECT COUNT(*) FROM pickup_assignments") == [(0,)]
    assert shop.rows("SELECT COUNT(*) FROM pickup_results") == [(0,)]
    assert shop.client.get("/pickup/health").get_json()["calls"] == {"closed": 1}
    in_hours = open_at(make_phone, MONDAY_MORNING)
    assert "error" not in in_hours.ring().get_json()
    assert in_hours.rows("SELECT decision FROM pickup_calls") == [("arm",)]


def test_redelivery_after_closing_time_keeps_the_arm(make_phone: MakePhone) -> None:
    """A call that was given an arm a minute before closing keeps it when it is delivered again a minute after."""
    clock = [MONDAY_MORNING + 4 * 3600 - 30]
    shop = make_phone(SHOP, pickup=Pickup(clock=lambda: clock[0]))
    shop.now = clock[0]
    shop.ring()
    shop.now = clock[0] = clock[0] + 60
    assert "error" not in shop.ring().get_json()
    assert shop.ring("another").get_json()["error"]


def test_agent_may_answer_differently_instead(make_phone: MakePhone) -> None:
    """Without closed.j2 the call is answered, and templates and overrides know that it is closed."""
    files = {
        **without("closed.j2", "closed.nl.j2", "first_message.nl.j2"),
        "greetings/override.json": {"assistant": {"voicemail_message": "{{ 'Away' if not open else 'Here' }}"}},
        "experiments/warm-opening/experiment.toml": "[arms]\ncontrol = 1\nwarm = 1\n",
    }
    closed = open_at(make_phone, SATURDAY_NOON, files).ring().get_json()["assistant"]
    assert closed == {"first_message": "Welcome, though we are closed.", "voicemail_message": "Away"}
    opened = open_at(make_phone, MONDAY_MORNING, files).ring().get_json()["assistant"]
    assert opened == {"first_message": "Welcome.", "voicemail_message": "Here"}


@pytest.mark.parametrize(
    ("words", "decision"),
    [
        ("{% if caller.country != 'NL' %}We are closed.{% endif %}", "arm"),
        ("{{ 1 / 0 }}", "arm"),
        ("{% include 'nowhere.j2' %}", "arm"),
        ("{% if caller.country == 'NL' %}We are closed.{% endif %}", "closed"),
    ],
)
def test_empty_or_broken_closing_words_answer_the_call(make_phone: MakePhone, words: str, decision: str) -> None:
    """Where closed.j2 comes out empty or cannot be rendered, the call is answered; the row says what failed."""
    shop = open_at(make_phone, SATURDAY_NOON, {**without("closed.nl.j2"), "greetings/closed.j2": words})
    assert shop.ring().get_json().get("error") == ("We are closed." if decision == "closed" else None)
    assert shop.rows("SELECT decision FROM pickup_calls") == [(decision,)]
    assert ("greetings/closed.j2" in str(shop.rows("SELECT reasons FROM pickup_calls"))) == ("if" not in words)


LINES = f"""
[lines."{DESK}"]
greetings = "lines/desk"
[lines."+31850987654"]
name = "like all"
"""


@pytest.mark.parametrize(
    ("line", "now", "is_closed"),
    [
        (LINE, SATURDAY_NOON, True),
        ("+31850987654", SATURDAY_NOON, True),
        (DESK, SATURDAY_NOON, False),
        (LINE, MONDAY_MORNING, False),
        (DESK, MONDAY_MORNING, True),
    ],
)
def test_lines_have_their_own_hours(make_phone: MakePhone, line: str, now: float, is_closed: bool) -> None:  # noqa: FBT001
    """A line with an hours.toml of its own opens by that, all others by the base's."""
    files = {
        **SHOP,
        "greetings/settings.toml": LINES,
        "greetings/lines/desk/hours.toml": 'timezone = "UTC"\n[week]\nsaturday = "00:00-24:00"\n',
    }
    assert ("error" in open_at(make_phone, now, files).ring(line=line).get_json()) is is_closed


def test_lines_have_their_own_words(make_phone: MakePhone) -> None:
    """A line's folder may turn its calls away where the others are answered."""
    files = {
        **without("closed.j2", "closed.nl.j2"),
        "greetings/settings.toml": LINES,
        "greetings/lines/desk/closed.j2": "The desk is closed; it is {{ now.strftime('%H:%M') }}.",
    }
    shop = open_at(make_phone, SATURDAY_NOON, files)
    assert shop.ring("1", line=DESK).get_json() == {"error": "The desk is closed; it is 13:00."}
    assert "error" not in shop.ring("2").get_json()


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-03-02T08:59", False),
        ("2026-03-02T16:59", True),
        ("2026-03-02T16:30Z", False),
        ("2026-03-02T15:30Z", True),
        ("2026-03-29T02:30", False),
        ("2050-03-07T12:00", True),
    ],
)
def test_preview_shows_any_time(make_phone: MakePhone, at: str, is_open: bool) -> None:  # noqa: FBT001
    """Preview with --at shows the answer at a time of the business's own clock, or of the zone it names."""
    shop = open_at(make_phone, SATURDAY_NOON)
    result = shop.app.test_cli_runner().invoke(commands, ["preview", "--from", CALLER, "--at", at])
    assert result.exit_code == 0, result.output
    assert ("We zijn gesloten" in result.output) is not is_open
    assert shop.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]
