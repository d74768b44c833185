"""Calls over HTTP on real databases: a call that the vendor gives no id, and its report in two parts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from conftest import BOOKED, NOW, MakePhone, Phone
from contracts import CALL
from flask_pickup import Pickup
from flask_pickup.platforms import CallEnded, SampleCall, ToolCalls
from flask_pickup.testing import CALLER, PickupClient

CONTENT = {
    "greetings/first_message.j2": "Good day.",
    "experiments/warm-opening/experiment.toml": BOOKED,
    "experiments/warm-opening/warm/first_message.j2": "How lovely that you call!",
}
LACKING = {"call_ended": ["call_analysis"], "call_analyzed": ["transcript", "transcript_object", "duration_ms"]}
"""The keys that a part of the report has not."""


def ring(phone: Phone) -> tuple[PickupClient, SampleCall]:
    """Send a call, and return what the vendor tells of it later, under an id of its own."""
    client = PickupClient(phone.app, platform="retell")
    answer = client.post_call("a").get_json()
    return client, replace(CALL, id="call_theirs", answer=answer)


@pytest.fixture
def config() -> dict[str, Any]:
    """What enables the platform."""
    return {"pickup": Pickup(clock=lambda: NOW), "PICKUP_RETELL_API_KEY": "key_of-the-account-on-retell"}


@pytest.mark.parametrize("order", [("call_ended", "call_analyzed"), ("call_analyzed", "call_ended")])
def test_parts_of_a_report_complete_one_another(
    make_phone: MakePhone, config: dict[str, Any], database_url: str, order: tuple[str, str]
) -> None:
    """Both parts join the call by our metadata, in either order, and the vendor's own id is kept."""
    phone = make_phone(CONTENT, url=database_url, **config)
    client, call = ring(phone)
    found = {"call_analysis": {"custom_analysis_data": {"booked": True}, "user_sentiment": "Negative"}}
    for name in order:
        body = json.loads(client.platform.payload(CallEnded, call, found))
        of_call = {key: value for key, value in body["call"].items() if key not in LACKING[name]}
        client.post_signed(json.dumps({**body, "event": name, "call": of_call}).encode(), CallEnded)
    [(call_id, *row)] = phone.rows("SELECT call_id, platform_call_id, decision, end_reason FROM pickup_calls")
    assert call_id.startswith("retell-")
    assert row == ["call_theirs", "arm", "user_hangup"]
    assert phone.rows("SELECT delivered FROM pickup_assignments") == [(1,)]
    expected = {
        "duration_seconds": 42.0,
        "user_messages": 1.0,
        "early_hang_up": 0.0,
        "completed": 1.0,
        "analysis.booked": 1.0,
        "analysis.retell.user_sentiment.Negative": 1.0,
        "analysis.retell.user_sentiment.Positive": 0.0,
    }
    assert expected.items() <= dict(phone.rows("SELECT name, value FROM pickup_outcomes")).items()


def test_author_may_reject_silently(make_phone: MakePhone, config: dict[str, Any]) -> None:
    """An arm with ``reject`` answers nothing else, and the assignment is recorded."""
    arm = {"experiments/warm-opening/warm/override.retell.json": {"call_inbound": {"reject": True}}}
    pins = f'{BOOKED}[pins]\n"{CALLER}" = "warm"\n'
    phone = make_phone({**CONTENT, **arm, "experiments/warm-opening/experiment.toml": pins}, **config)
    _, call = ring(phone)
    assert call.answer == {"call_inbound": {"reject": True}}
    assert phone.rows("SELECT arm FROM pickup_assignments") == [("warm",)]


def test_custom_function_finds_the_call(make_phone: MakePhone, config: dict[str, Any]) -> None:
    """A host that answers custom functions at our address sees the call's id as it stands in the tables."""
    config["pickup"].on("tool-calls")(lambda event: {"call": event.call_id})
    phone = make_phone(CONTENT, **config)
    client, call = ring(phone)
    found = client.post_signed(client.platform.payload(ToolCalls, call), ToolCalls).get_json()
    assert [(found["call"],)] == phone.rows("SELECT call_id FROM pickup_calls")
