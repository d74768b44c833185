"""Calls and reports at the platform's URL, and the rows that become of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conftest import CALLER, NOW, MakePhone, Phone
from elevens import OPTIONS, REQUEST, SID, TOKEN, post, report
from flask_pickup import Pickup
from flask_pickup.platforms import CallEnded, IncomingCall, OtherEvent
from flask_pickup.testing import PickupClient

CONTENT = {
    "greetings/first_message.j2": "Good day.",
    "greetings/override.elevenlabs.json": {"conversation_config_override": {"agent": {"language": "{{ language }}"}}},
    "experiments/warm/experiment.toml": f"""\
status = "running"
primary = "booked"
[arms]
control = 1
warm = 1
[pins]
"{CALLER}" = "warm"
[metrics.booked]
outcome = "analysis.booked"
smallest = 0.05
""",
    "experiments/warm/warm/first_message.j2": "Hello there, how lovely that you call!",
}


@pytest.fixture
def eleven(make_phone: MakePhone, database_url: str) -> Phone:
    """An app that ElevenLabs calls, on each database in turn."""
    return make_phone(CONTENT, url=database_url, pickup=Pickup(clock=lambda: NOW), **OPTIONS)


def ring(phone: Phone, **fields: Any) -> dict[str, Any]:
    response = post(phone, json.dumps({**REQUEST, **fields}).encode(), IncomingCall)
    assert response.status_code == 200
    found: dict[str, Any] = response.get_json()
    return found


def tell(phone: Phone, answer: dict[str, Any], **data: Any) -> None:
    """Send the report on a call that was answered so."""
    sent = {key: value for key, value in answer.items() if key != "type"}
    body = report(conversation_initiation_client_data=sent, **data)
    assert post(phone, json.dumps(body).encode(), CallEnded).status_code == 200


JOINED = """
SELECT call_id, platform_call_id, decision, delivered, end_reason, value FROM pickup_calls
JOIN pickup_assignments USING (call_id) JOIN pickup_outcomes USING (call_id) WHERE name = 'analysis.booked'
"""


def test_call_is_joined_to_its_report(eleven: Phone) -> None:
    """The request and the post-call webhook come to one URL, and become one call with its arm and outcomes."""
    answer = ring(eleven)
    assert answer["type"] == "conversation_initiation_client_data"
    assert answer["conversation_config_override"] == {
        "agent": {"language": "en", "first_message": "Hello there, how lovely that you call!"}
    }
    tell(eleven, answer)
    assert eleven.rows(JOINED) == [(SID, "conv_1", "arm", True, "Call ended by remote party", 1)]


@pytest.mark.parametrize("variables", [True, False])
def test_call_without_metadata_is_joined_by_its_id(eleven: Phone, variables: bool) -> None:  # noqa: FBT001
    """Where our variable does not come back the id joins, and whether the arm was delivered is unknown."""
    answer = ring(eleven, call_sid=None, call_id="sip-1")
    phone_call = {"type": "sip_trunking", "call_id": "sip-1", "call_sid": "another"}
    tell(eleven, answer if variables else {**answer, "dynamic_variables": None}, metadata={"phone_call": phone_call})
    assert [row[:4] for row in eleven.rows(JOINED)] == [("sip-1", "conv_1", "arm", variables or None)]


def test_call_without_an_id_is_joined_by_our_variable(eleven: Phone) -> None:
    """A request without an id gets one of ours, which our variable carries to the report."""
    answers = [ring(eleven, call_sid=None) for _ in range(2)]
    ids = {json.loads(answer["dynamic_variables"]["pickup"])["call"] for answer in answers}
    assert len(ids) == 2
    for number, answer in enumerate(answers):
        tell(eleven, answer, conversation_id=f"conv_{number}", metadata={"phone_call": {"call_sid": None}})
    assert {row[0] for row in eleven.rows(JOINED)} == ids


# --- bodies over the limit --------------------------------------------------------------------------------------------

AUDIO = json.dumps({"type": "post_call_audio", "data": {"full_audio": "A" * 5000}}).encode()


@pytest.fixture
def small(make_phone: MakePhone) -> Phone:
    """An app with a small limit."""
    return make_phone(CONTENT, pickup=Pickup(clock=lambda: NOW), PICKUP_MAX_BODY=4000, **OPTIONS)


def test_large_body_is_acknowledged_unread(small: Phone) -> None:
    """Ten refusals in a row would switch the post-call webhook off, reports included; /health counts them."""
    response = post(small, AUDIO, OtherEvent)
    assert (response.status_code, response.get_json()["type"]) == (200, "conversation_initiation_client_data")
    assert small.client.get("/pickup/health").get_json()["refused"] == {"413": 1}
    # It is not read, so nothing is verified either.
    assert small.client.post("/pickup/elevenlabs", data=AUDIO).status_code == 200
    assert small.client.post("/pickup/webhook", data=AUDIO).status_code == 413


def test_audio_within_the_limit_is_acknowledged(eleven: Phone) -> None:
    """It is verified as every event, and ignored."""
    assert post(eleven, AUDIO, OtherEvent).status_code == 200
    assert eleven.client.post("/pickup/elevenlabs", data=AUDIO, headers={"X-Token": TOKEN}).status_code == 401
    assert eleven.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]


# --- the test client --------------------------------------------------------------------------------------------------


def test_client_merges_fields(eleven: Phone) -> None:
    """A host's tests send what they need of a report, and the client the rest."""
    client = PickupClient(eleven.app, platform="elevenlabs")
    client.post_call("test-call", from_=CALLER)
    client.post_report(analysis={"data_collection_results": {"booked": {"value": True}}}, status="failed")
    assert [(row[0], row[3], row[5]) for row in eleven.rows(JOINED)] == [("test-call", True, 1)]
    assert eleven.rows("SELECT value FROM pickup_outcomes WHERE name = 'error'") == [(1,)]


def test_client_sends_no_tool_calls(eleven: Phone) -> None:
    """The platform sends tool calls to URLs of the tools' own."""
    with pytest.raises(ValueError, match="ElevenLabs sends no tool-calls to Pickup"):
        PickupClient(eleven.app, platform="elevenlabs").post_tool_call("find_slots")
