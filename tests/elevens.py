"""ElevenLabs on the phone: its bodies as its documentation shows them, and a signed request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from werkzeug.test import TestResponse

from conftest import CALLER, LINE, NOW, Phone
from flask_pickup.options import ConfigReader
from flask_pickup.override import merge
from flask_pickup.platforms import CallEnded, Delivery, Event, Platform, enabled_platforms

TOKEN, SECRET = "the-token-of-elevenlabs", "wsec-for-the-tests"
OPTIONS = {"PICKUP_ELEVENLABS_TOKEN": TOKEN, "PICKUP_ELEVENLABS_SECRET": SECRET}

SID = "CA0000000000000000000000000000abcd"
REQUEST = {"caller_id": CALLER, "agent_id": "agent_1", "called_number": LINE, "call_sid": SID}
REPORT: Mapping[str, Any] = {
    "type": "post_call_transcription",
    "event_timestamp": NOW + 95,
    "data": {
        "agent_id": "agent_1",
        "conversation_id": "conv_1",
        "status": "done",
        "user_id": None,
        "transcript": [
            {"role": "agent", "message": "Hello there, how lovely that you call!", "time_in_call_secs": 0},
            {"role": "user", "message": "I would like to see the dentist.", "time_in_call_secs": 4},
            {"role": "agent", "message": None, "tool_calls": [{"tool_name": "find_slots"}], "time_in_call_secs": 6},
        ],
        "metadata": {
            "start_time_unix_secs": NOW + 2,
            "call_duration_secs": 84,
            "cost": 296,
            "termination_reason": "Call ended by remote party",
            "phone_call": {
                "type": "twilio",
                "direction": "inbound",
                "phone_number_id": "phnum_1",
                "agent_number": LINE,
                "external_number": CALLER,
                "stream_sid": "MZ1",
                "call_sid": SID,
            },
        },
        "analysis": {
            "call_successful": "success",
            "transcript_summary": "The caller made an appointment.",
            "evaluation_criteria_results": {
                "polite": {"criteria_id": "polite", "result": "success", "rationale": "…"},
                "short": {"criteria_id": "short", "result": "failure", "rationale": "…"},
                "legal": {"criteria_id": "legal", "result": "unknown", "rationale": "…"},
            },
            "data_collection_results": {
                "booked": {"data_collection_id": "booked", "value": True, "json_schema": {"type": "boolean"}},
                "score": {"data_collection_id": "score", "value": "8", "json_schema": {"type": "integer"}},
                "intent": {
                    "data_collection_id": "intent",
                    "value": "book",
                    "json_schema": {"type": "string", "enum": ["book", "cancel"]},
                },
                "name": {"data_collection_id": "name", "value": "Jan", "json_schema": {"type": "string"}},
                "date": {"data_collection_id": "date", "value": None, "json_schema": {"type": "string"}},
            },
        },
        "conversation_initiation_client_data": {
            "conversation_config_override": {
                "agent": {"prompt": None, "first_message": None, "language": None},
                "tts": {"voice_id": None},
            },
            "custom_llm_extra_body": {},
            "dynamic_variables": {"system__call_sid": SID},
        },
        "has_audio": True,
    },
}


def platform(now: float = NOW, **config: Any) -> Platform:
    return enabled_platforms(ConfigReader({**OPTIONS, **config}), lambda: now)["elevenlabs"]


def report(**data: Any) -> dict[str, Any]:
    """Return the report with changes in its ``data``."""
    found: dict[str, Any] = merge(REPORT, {"data": data})
    return found


def read(body: Any) -> Event:
    """Return the event in a signed body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return platform().parse(platform().sign(content, CallEnded))


def read_report(**data: Any) -> CallEnded:
    """Return the event in the report with changes in its ``data``."""
    event = read(report(**data))
    assert isinstance(event, CallEnded)
    return event


def read_request(body: Any) -> Event:
    """Return the event in a body with the token."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return platform().parse(Delivery({"X-Token": TOKEN}, content))


def post(phone: Phone, body: bytes, event: type[Event]) -> TestResponse:
    """Send a body with the token or the signature that such an event has."""
    response = phone.client.post("/pickup/elevenlabs", data=body, headers=dict(platform().sign(body, event).headers))
    phone.app.extensions["pickup"].signals.wait()
    return response
