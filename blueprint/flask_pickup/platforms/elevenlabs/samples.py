"""The platform's deliveries, made up: for rehearsals and tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask_pickup.override import merge
from flask_pickup.platforms.elevenlabs.answer import OVERRIDE, VARIABLES
from flask_pickup.platforms.elevenlabs.payloads import REPORT
from flask_pickup.platforms.events import CallEnded, Event, IncomingCall, JsonObject, OtherEvent, Sample, SampleCall
from flask_pickup.platforms.sampling import SECONDS_LONG, another, encode, strange_samples

Payload = dict[str, Any]


def make_payload(event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> bytes:
    """Return the body of an event.

    :param fields: are merged into the request, or into a report's ``data``.
    :raises ValueError: if the platform sends no such event.
    """
    if event is IncomingCall:
        numbers = {"caller_id": call.caller, "called_number": call.line}
        return encode({**numbers, "agent_id": "agent_rehearsal", "call_sid": call.id, **(fields or {})})
    if event is CallEnded:
        return _event(REPORT, call, merge(_report(call), fields or {}))
    raise ValueError(f"ElevenLabs sends no {event.name} to Pickup.")


def _event(kind: str, call: SampleCall, data: JsonObject) -> bytes:
    return encode({"type": kind, "event_timestamp": int(call.at.timestamp()), "data": data})


def _report(call: SampleCall) -> Payload:
    answer = call.answer or {}
    # The platform shows every field that it knows, with null for those that were not overridden.
    nothing = {
        "agent": {"first_message": None, "language": None, "prompt": {"prompt": None}},
        "tts": {"voice_id": None},
    }
    return {
        "agent_id": "agent_rehearsal",
        "conversation_id": f"conv-{call.id}",
        "status": call.status or "done",
        "transcript": [
            {"role": "agent", "message": "Hello.", "time_in_call_secs": 0},
            {"role": "user", "message": "Hello.", "time_in_call_secs": 3},
        ],
        "metadata": {
            "start_time_unix_secs": int(call.at.timestamp()) - SECONDS_LONG,
            "call_duration_secs": SECONDS_LONG,
            "termination_reason": "Call ended by remote party",
            "phone_call": {
                "type": "twilio",
                "direction": "inbound",
                "phone_number_id": "phnum_rehearsal",
                "agent_number": call.line,
                "external_number": call.caller,
                "stream_sid": f"stream-{call.id}",
                "call_sid": call.id,
            },
        },
        "analysis": {
            "call_successful": "success",
            "transcript_summary": "A rehearsal.",
            "evaluation_criteria_results": {},
            "data_collection_results": {
                name: {"data_collection_id": name, "value": value, "rationale": "It was rehearsed."}
                for name, value in call.analysis.items()
            },
        },
        "conversation_initiation_client_data": {
            OVERRIDE: merge(nothing, answer.get(OVERRIDE, {})),
            VARIABLES: dict(answer.get(VARIABLES, {})),
        },
    }


def all_samples(call: SampleCall) -> Iterator[Sample]:
    """Yield all events, and what the platform might send."""
    for event in (IncomingCall, CallEnded):
        yield Sample(event.name, make_payload(event, call), event, call)
    ours = another(call, "sip")
    request = {"call_sid": None, "call_id": ours.id}
    phone = {"type": "sip_trunking", "call_sid": "sid-of-the-trunk", "call_id": ours.id}
    yield Sample("a call by a SIP trunk", make_payload(IncomingCall, ours, request), IncomingCall, ours)
    yield Sample(
        "the report on it", make_payload(CallEnded, ours, {"metadata": {"phone_call": phone}}), CallEnded, ours
    )
    outbound, web = {"phone_call": {"direction": "outbound"}}, {"phone_call": None}
    yield Sample("the report on an outbound call", make_payload(CallEnded, call, {"metadata": outbound}), OtherEvent)
    yield Sample("the report on a call from the web", make_payload(CallEnded, call, {"metadata": web}), OtherEvent)
    for kind in ("post_call_audio", "call_initiation_failure"):
        yield Sample(kind, _event(kind, call, {"conversation_id": f"conv-{call.id}"}), OtherEvent)
    yield Sample("a call that is not JSON", b"Hello?", IncomingCall)
    nameless = {"conversation_id": None, "metadata": {"phone_call": {"call_sid": None}}}
    yield Sample("a report without an id", make_payload(CallEnded, call, nameless), CallEnded, is_refused=True)
    yield from strange_samples(make_payload, call, {"type": "something_new"})
