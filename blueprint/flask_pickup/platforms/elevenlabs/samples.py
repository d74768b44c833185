"""The platform's deliveries, made up: for rehearsals and tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flask_pickup.override import merge
from flask_pickup.platforms.elevenlabs.answer import OVERRIDE, VARIABLES
from flask_pickup.platforms.elevenlabs.payloads import REPORT
from flask_pickup.platforms.events import CallEnded, Event, IncomingCall, JsonObject, OtherEvent, Sample, SampleCall
from flask_pickup.platforms.sampling import encode

Payload = dict[str, Any]

_SECONDS = 42


def payload(event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> Payload:
    """Return the payload of an event.

    :param fields: are merged into the request, or into a report's ``data``.
    :raises ValueError: if the platform sends no such event.
    """
    if event is IncomingCall:
        agent = {"agent_id": "agent_rehearsal"}
        return {"caller_id": call.caller, **agent, "called_number": call.line, "call_sid": call.id, **(fields or {})}
    if event is CallEnded:
        return _event(REPORT, call, merge(_report(call), fields or {}))
    raise ValueError(f"ElevenLabs sends no {event.name} to Pickup.")


def _event(kind: str, call: SampleCall, data: JsonObject) -> Payload:
    return {"type": kind, "event_timestamp": int(call.at.timestamp()), "data": data}


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
            "start_time_unix_secs": int(call.at.timestamp()) - _SECONDS,
            "call_duration_secs": _SECONDS,
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
                "rehearsed": {"data_collection_id": "rehearsed", "value": True, "rationale": "It was rehearsed."}
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
        yield Sample(event.name, encode(payload(event, call)), event, call)
    ours = replace(call, id=f"{call.id}-sip")
    request = {"call_sid": None, "call_id": ours.id}
    phone = {"type": "sip_trunking", "call_sid": "sid-of-the-trunk", "call_id": ours.id}
    yield Sample("a call by a SIP trunk", encode(payload(IncomingCall, ours, request)), IncomingCall, ours)
    report = payload(CallEnded, ours, {"metadata": {"phone_call": phone}})
    yield Sample("the report on it", encode(report), CallEnded, ours)
    nobody = replace(call, id=f"{call.id}-no-numbers", caller=None, line=None)
    yield Sample("a call without numbers", encode(payload(IncomingCall, nobody)), IncomingCall, nobody)
    yield Sample("a call that is not JSON", b"Hello?", IncomingCall)
    yield from _others(call)
    yield Sample("a report that is not JSON", b"Hello?", CallEnded, is_refused=True)
    without = payload(CallEnded, call, {"conversation_id": None, "metadata": {"phone_call": {"call_sid": None}}})
    yield Sample("a report without an id", encode(without), CallEnded, is_refused=True)


def _others(call: SampleCall) -> Iterator[Sample]:
    outbound = {"metadata": {"phone_call": {"direction": "outbound"}}}
    conversation = {"agent_id": "agent_rehearsal", "conversation_id": f"conv-{call.id}"}
    for title, body in {
        "the report on an outbound call": payload(CallEnded, call, outbound),
        "the report on a conversation on the web": payload(CallEnded, call, {"metadata": {"phone_call": None}}),
        "the audio of a call": _event("post_call_audio", call, {**conversation, "full_audio": "SGVsbG8="}),
        "a call that failed": _event("call_initiation_failure", call, {**conversation, "failure_reason": "no-answer"}),
        "an event of an unknown type": _event("something_new", call, conversation),
    }.items():
        yield Sample(title, encode(body), OtherEvent)
