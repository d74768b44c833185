"""What each platform says of how a call ended, and what of its events cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest

from contracts import CALL, platform_of
from flask_pickup import BadWebhook
from flask_pickup.platforms import CallEnded

FIELDS: Mapping[str, Any] = {
    "vapi": lambda reason: {"endedReason": reason},
    "retell": lambda reason: {"disconnection_reason": reason},
    "elevenlabs": lambda reason: {"metadata": {"termination_reason": reason}},
    "telnyx": lambda reason: dict(zip(("hangup_cause", "hangup_source"), reason.split(" by "), strict=False)),
}
"""The keys of a report that have the reason."""

ENDINGS: dict[str, dict[str | None, list[str]]] = {
    # test_vapi_sdk.py has all of the vendor's.
    "vapi": {
        "caller": ["customer-ended-call", "call.ringing.sip-inbound-caller-hungup-before-call-connect"],
        # The answer's own error was spoken.
        "agent": [
            "assistant-said-end-call-phrase",
            "call.ringing.hook-executed-say",
            "assistant-request-returned-error",
        ],
        "transferred": ["assistant-forwarded-call", "call.forwarding.operator", "call.ending.hook-executed-transfer"],
        "completed": ["call.in-progress.twilio-completed-call"],
        "voicemail": ["voicemail"],
        "silence": ["silence-timed-out"],
        "limit": ["exceeded-max-duration"],
        "error": [
            *("assistant-request-failed", "assistant-request-returned-no-assistant", "assistant-join-timed-out"),
            *(
                "call.forwarding.operator-busy",
                "call.transfer.operator-declined",
                "call.forwarded.destination-unavailable",
            ),
            *("phone-call-provider-closed-websocket", "call.in-progress.error-warm-transfer-silence-timeout"),
        ],
        None: ["manually-canceled", "vonage-disconnected"],
    },
    "retell": {
        "caller": ["user_hangup"],
        "agent": ["agent_hangup"],
        "completed": ["user_requested_dnc", "user_requested_callback"],
        "transferred": ["call_transfer", "transfer_bridged", "call_take_over", "no_concurrency_fallback"],
        "voicemail": ["voicemail_reached", "ivr_reached", "machine_detected"],
        "silence": ["inactivity"],
        "limit": ["max_duration_reached"],
        "error": [
            *("concurrency_limit_reached", "no_valid_payment", "credit_exhausted", "budget_reached", "scam_detected"),
            *("dial_busy", "dial_failed", "dial_no_answer", "invalid_destination", "error_llm_websocket_open"),
            *("telephony_provider_permission_denied", "telephony_provider_unavailable", "sip_routing_error"),
            *("marked_as_spam", "network_blocked", "user_declined", "error_llm_websocket_lost_connection"),
            *("error_llm_websocket_runtime", "error_llm_websocket_corrupt_payload", "error_no_audio_received"),
            *("error_asr", "error_retell", "error_unknown", "error_user_not_joined", "registered_call_timeout"),
            "error_inbound_webhook",
        ],
        # Nothing says what became of the caller.
        None: ["transfer_cancelled", "manual_stopped", "something_new"],
    },
    "elevenlabs": {
        "caller": ["Call ended by remote party", "Client disconnected: 1000"],
        "agent": ["end_call tool was called."],
        "voicemail": ["voicemail_detection tool was called."],
        "transferred": ["transfer_to_number tool was called."],
        "silence": ["Ending conversation after 40 seconds of silence.", "Max inactive time reached"],
        "limit": ["Max duration limit reached", "Maximum conversation duration exceeded"],
        "error": [
            *("custom_llm generation failed", "Override for field 'first_message' is not allowed by config."),
            "Missing required dynamic variables in tools: {'name'}",
        ],
        None: ["Brand new."],
    },
    # The caller, or the assistant, who is called.
    "telnyx": {
        "caller": ["normal_clearing by caller", "originator_cancel by caller"],
        "agent": ["normal_clearing by callee", "unspecified by callee"],
        "completed": ["normal_clearing by unknown", "normal_clearing"],
        "limit": ["time_limit by unknown"],
        None: ["unspecified by unknown", "user_busy by callee", "something_new by caller"],
    },
}


def read(name: str, body: bytes) -> Any:
    platform = platform_of(name)
    return platform.parse(platform.sign(body, CallEnded))


@pytest.mark.parametrize(
    ("name", "ending", "reason"),
    [(name, ending, each) for name, found in ENDINGS.items() for ending, reasons in found.items() for each in reasons],
)
def test_reason_says_how_the_call_ended(name: str, ending: str | None, reason: str) -> None:
    """A reason is classified by its words, one that names nobody is counted, and all are kept."""
    fields = FIELDS[name](reason)
    if name == "telnyx":
        fields = {"hangup_source": None, **fields}
    event = read(name, platform_of(name).payload(CallEnded, CALL, fields))
    assert (event.end_reason, event.ending) == (reason, ending)
    assert event.unread == ({} if ending else {"end reasons": 1})


def test_retells_sdk_knows_no_other_reason() -> None:
    """The vendor's SDK has no reasons but those above."""
    types = pytest.importorskip("retell.types")
    [literal, _] = get_args(types.PhoneCallResponse.model_fields["disconnection_reason"].annotation)
    assert set(get_args(literal)) <= {reason for found in ENDINGS["retell"].values() for reason in found}


FAILED = {"retell": {"call_status": "error"}, "elevenlabs": {"status": "failed"}}


@pytest.mark.parametrize("name", FAILED)
def test_failed_call_is_an_error(name: str) -> None:
    """The status says it, whatever the reason is."""
    fields = {**FIELDS[name]("something new"), **FAILED[name]}
    assert read(name, platform_of(name).payload(CallEnded, CALL, fields)).ending == "error"


SAID = [{"role": "bot", "message": "Hi."}, {"role": "User", "content": [{"text": "Hello."}]}]
NOWHERE: Mapping[str, Any] = {
    "flireo": {"messages": None, "transcript": None},
    "vapi": {"artifact": None},
    "retell": {"transcript_object": None, "transcript": None},
    "elevenlabs": {"transcript": None},
    "telnyx": {"messages": []},
}
NAMES = ("messages", "transcript", "transcript_object", "transcript_with_tool_calls")


@pytest.mark.parametrize("name", NOWHERE)
def test_transcript_by_any_of_its_names(name: str) -> None:
    """A transcript is read wherever a version of the platform writes it; one that is a text is counted as unread."""
    platform = platform_of(name)
    for key in NAMES:
        event = read(name, platform.payload(CallEnded, CALL, {**NOWHERE[name], key: SAID}))
        assert (event.user_messages, len(event.transcript), event.unread) == (1, 2, {}), key
        event = read(name, platform.payload(CallEnded, CALL, {**NOWHERE[name], key: "AI: Hi.\nUser: Hello."}))
        assert (event.user_messages, event.unread) == (None, {"messages": 1}), key
        both = {**NOWHERE[name], "transcript": "AI: Hi.\nUser: Hello.", "messages": SAID}
        assert read(name, platform.payload(CallEnded, CALL, both)).user_messages == 1
    event = read(name, platform.payload(CallEnded, CALL, NOWHERE[name]))
    assert (event.user_messages, event.transcript, event.unread) == (None, None, {})


LONG = {"id": "x" * 300}
REFUSED: dict[str, list[tuple[Any, str | None]]] = {
    "flireo": [
        *(({}, "message"), ({"message": "text"}, "message"), ({"eventType": ["end-of-call-report"]}, "message")),
        *(({"message": {}}, "message.type"), ({"message": {"type": 7, "call": {"id": "x"}}}, "message.type")),
        ({"message": {"type": "end-of-call-report", "call": {}}}, "message.call.id"),
        ({"message": {"type": "status-update", "call": []}}, "message.call.id"),
        ({"message": {"type": "tool-calls", "call": LONG}}, "message.call.id"),
    ],
    "vapi": [
        *(([], None), ({"message": "text"}, "message"), ({"message": {}}, "message.type")),
        ({"message": {"type": 7}}, "message.type"),
        ({"message": {"type": "assistant-request", "call": {"id": ""}}}, "message.call.id"),
        ({"message": {"type": "assistant-request", "call": None}}, "message.call.id"),
        *(
            ({"message": {"type": kind, "call": LONG}}, "message.call.id")
            for kind in ("status-update", "tool-calls", "end-of-call-report")
        ),
    ],
    "retell": [
        *((body, "event") for body in ({}, {"event": None}, {"event": ""}, {"event": ["call_ended"]}, {"name": "x"})),
        *(
            ({"event": kind, "call": call}, "call.call_id")
            for kind in ("call_ended", "call_analyzed")
            for call in (None, "x", {}, {"call_id": ""}, {"call_id": "x" * 257})
        ),
    ],
    "elevenlabs": [
        *(({}, "type"), ({"type": 7}, "type"), ({"type": "post_call_transcription"}, "data")),
        ({"type": "post_call_transcription", "data": []}, "data"),
        (
            {"type": "post_call_transcription", "data": {"metadata": {"phone_call": {"call_sid": "x" * 300}}}},
            "data.conversation_id",
        ),
    ],
    "telnyx": [
        *(({}, "data.event_type"), ({"data": {"event_type": ""}}, "data.event_type")),
        ({"data": {"event_type": ["call.hangup"], "payload": {}}}, "data.event_type"),
        ({"data": {"event_type": "call.hangup"}}, "data.payload.call_control_id"),
        ({"data": {"event_type": "call.hangup", "payload": {"call_control_id": {}}}}, "data.payload.call_control_id"),
    ],
}
"""For each platform bodies that it cannot read, and the field that the refusal names."""


@pytest.mark.parametrize(
    ("name", "body", "field"), [(name, *refused) for name, found in REFUSED.items() for refused in found]
)
def test_unreadable_event_names_its_field(name: str, body: Any, field: str | None) -> None:
    """Without its type, or its call's id where that matters, an event is refused."""
    with pytest.raises(BadWebhook) as caught:
        read(name, json.dumps(body).encode())
    assert caught.value.field == field
