"""How many callers an experiment would enrol, by the calls of the last weeks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from conftest import BOOKED, CALLER, CONTENT, NOW, MakePhone, Phone
from flask_pickup import Pickup
from flask_pickup.caller import REHEARSAL
from flask_pickup.cli import pickup

HOUR = 3600
CALLERS = 24
OTHER_LINE = "+31850835038"
FILES: Mapping[str, Any] = {
    **CONTENT,
    "greetings/first_message.de.j2": "Guten Tag.",
    "greetings/settings.toml": f'[lines."{OTHER_LINE}"]\nname = "Sales"\n',
    "greetings/hours.toml": 'timezone = "UTC"\n[week]\nsaturday = "09:00-14:00"\nsunday = "09:00-14:00"\n',
    # It has half of the layer's callers.
    "experiments/another/experiment.toml": 'status = "running"\nlayer = "opening"\nlayer_range = [0.0, 0.5]\n'
    "[arms]\ncontrol = 1\n",
}


def app_with(make_phone: MakePhone, definition: str, url: str | None = None, pins: str = "", **options: Any) -> Phone:
    experiment = definition + BOOKED.replace('status = "running"\n', "") + pins
    return make_phone({**FILES, "experiments/warm-opening/experiment.toml": experiment}, url=url, **options)


def ring_all(phone: Phone) -> None:
    """Let callers of three countries call, a third of them twice: the second time on another line, when it is closed."""
    for index in range(CALLERS):
        caller = (f"+316123456{index:02}", f"+120155501{index:02}", f"+4915112345{index:03}")[index % 3]
        phone.ring(f"call-{index}", caller=caller)
        if index % 3 == 0:
            phone.now = phone.client.freeze(NOW + 3 * HOUR)()
            phone.ring(f"again-{index}", caller=caller, line=OTHER_LINE)
            phone.now = phone.client.freeze(NOW)()


def expected(phone: Phone) -> dict[str, Any]:
    phone.client.freeze(NOW + 24 * HOUR)
    command = ["plan", "warm-opening", "--baseline", "0.3", "--format", "json"]
    found = phone.app.test_cli_runner().invoke(pickup, command)
    assert found.exit_code == 0, found.output
    return dict(json.loads(found.stdout)["enrolment"])


@pytest.mark.parametrize(
    "definition",
    [
        'layer = "opening"\n',
        'layer = "opening"\nlayer_range = [0.5, 0.8]\ntraffic = 0.5\n',
        "audience = \"caller.country == 'NL' or caller.language == 'de'\"\n",
        "audience = \"language == 'de' or now.hour > 13\"\n",
        "audience = \"line.name == 'Sales' and not open\"\n",
    ],
)
def test_expected_are_those_who_are_enrolled(definition: str, make_phone: MakePhone, database_url: str) -> None:
    """As many callers are expected, also while it is a draft, as are enrolled while it runs."""
    running = app_with(make_phone, f'status = "running"\n{definition}', database_url)
    ring_all(running)
    [(enrolled,)] = running.rows(
        "SELECT COUNT(DISTINCT caller_key) FROM pickup_assignments WHERE experiment = 'warm-opening'"
    )
    assert 0 < enrolled < CALLERS
    for phone in (running, app_with(make_phone, definition, database_url, migrate=False)):
        assert expected(phone) == {"callers": CALLERS, "enrolled": enrolled, "unidentified": 0, "is_upper_bound": False}


def test_who_is_left_out(make_phone: MakePhone, database_url: str) -> None:
    """Rehearsals, callers who called before the last four weeks, and pinned callers are not expected, nor calls without a number."""
    phone = app_with(make_phone, 'unidentified = "per-call"\n', database_url, f'[pins]\n"{CALLER}" = "warm"\n')
    phone.now = phone.client.freeze(NOW - 5 * 7 * 24 * HOUR)()
    phone.ring("old", caller="+31612345600")
    phone.now = phone.client.freeze(NOW)()
    for call_id, caller in {"new": "+31612345601", "old-again": "+31612345600", "pinned": CALLER, "none": None}.items():
        phone.ring(call_id, caller=caller)
    phone.ring(f"{REHEARSAL}1", caller="+31612345602")
    assert expected(phone) == {"callers": 0.5, "enrolled": 0.25, "unidentified": 0.25, "is_upper_bound": False}


def shown(phone: Phone) -> str:
    """Return what the terminal says."""
    command = ["plan", "warm-opening", "--baseline", "0.3"]
    return str(phone.app.test_cli_runner().invoke(pickup, command).stdout)


def author() -> Pickup:
    """A Pickup whose callers are all important customers."""
    made = Pickup(clock=lambda: NOW)
    made.customer(lambda _: {"vip": True, "tier": "gold"})
    return made


@pytest.mark.parametrize(
    ("audience", "enrolled", "is_upper_bound"),
    [
        ("caller.country == 'NL' and not customer.vip", 8, True),
        ("customer.tier in ['gold'] or customer_raw", CALLERS, True),
        ("caller.number in ['+31612345600']", CALLERS, True),
        ("caller.country == 'XX' and customer.vip", 0, False),
    ],
)
def test_what_is_not_recorded_is_counted_and_said(
    audience: str,
    enrolled: int,
    is_upper_bound: bool,  # noqa: FBT001
    make_phone: MakePhone,
) -> None:
    """Callers whom only their record or number decides are counted, and the plan says that it is the most there can be."""
    phone = app_with(make_phone, f'audience = "{audience}"\n', pickup=author())
    ring_all(phone)
    found = expected(phone)
    assert (found["enrolled"], found["is_upper_bound"]) == (enrolled, is_upper_bound)
    said = f"By the calls of the last four weeks, {enrolled} of {CALLERS} new callers a week would be enrolled"
    assert said in shown(phone)
    assert (
        "the audience asks for the customer or the number, which are not recorded" in shown(phone)
    ) == is_upper_bound


def test_no_calls_yet(make_phone: MakePhone) -> None:
    """Without calls the terminal asks for the number."""
    assert "No calls are recorded" in shown(app_with(make_phone, ""))
