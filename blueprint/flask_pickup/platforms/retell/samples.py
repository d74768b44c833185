"""The platform's deliveries, made up: for rehearsals and tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask_pickup.platforms.events import (
    CallEnded,
    Event,
    IncomingCall,
    JsonObject,
    OtherEvent,
    Sample,
    SampleCall,
    ToolCalls,
)
from flask_pickup.platforms.reading import object_at
from flask_pickup.platforms.sampling import SECONDS_LONG, TOOL, another, encode, strange_samples

Payload = dict[str, Any]

_ANALYSIS = {
    "call_summary": "A rehearsal.",
    "call_successful": True,
    "in_voicemail": False,
    "user_sentiment": "Positive",
}


def make_payload(event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> bytes:
    """Return a body; that of a report is of ``call_analyzed``, which has all that ``call_ended`` has.

    :param fields: keys of ``call_inbound`` or ``call``, which win over the sample's own.
    """
    if event is IncomingCall:
        return _body("call_inbound", call, _ringing(call), fields)
    if event is ToolCalls:
        tool = call.tool or TOOL
        return encode({"name": tool.name, "args": tool.arguments, "call": {**_ongoing(call), **(fields or {})}})
    if event is CallEnded:
        analysis = {**_ANALYSIS, "custom_analysis_data": call.analysis}
        return _body("call_analyzed", call, {**_ended(call), "call_analysis": analysis}, fields)
    return _body("call_started", call, _ongoing(call), fields)


def _body(name: str, call: SampleCall, about: JsonObject, fields: JsonObject | None = None) -> bytes:
    key = "call_inbound" if name == "call_inbound" else "call"
    at = int(1000 * call.at.timestamp())
    return encode({"event": name, "event_timestamp": at, key: {**about, **(fields or {})}})


def _ringing(call: SampleCall) -> Payload:
    # The request has no id of the call; a rehearsal is known by its agent's.
    return {"agent_id": call.id, "agent_version": 1, "from_number": call.caller, "to_number": call.line}


def _ongoing(call: SampleCall) -> Payload:
    answer = object_at(call.answer, "call_inbound")
    returned = {"metadata": answer.get("metadata"), "retell_llm_dynamic_variables": answer.get("dynamic_variables")}
    return {
        "call_type": "phone_call",
        "direction": "inbound",
        "call_id": call.id,
        "call_status": "ongoing",
        **_ringing(call),
        "agent_id": "agent_rehearsal",
        "start_timestamp": int(1000 * call.at.timestamp()),
        **{key: value for key, value in returned.items() if value},
    }


def _ended(call: SampleCall) -> Payload:
    said = (("agent", "Hello."), ("user", "Hello."))
    return {
        **_ongoing(call),
        "call_status": "ended",
        "end_timestamp": int(1000 * (call.at.timestamp() + SECONDS_LONG)),
        "duration_ms": 1000 * SECONDS_LONG,
        "disconnection_reason": "user_hangup",
        "transcript": "Agent: Hello.\nUser: Hello.\n",
        "transcript_object": [{"role": role, "content": words, "words": []} for role, words in said],
    }


def all_samples(call: SampleCall) -> Iterator[Sample]:
    """Yield all events, and what the platform might send."""
    yield Sample("call_inbound", make_payload(IncomingCall, call), IncomingCall, call)
    older = another(call, "older")
    timeless = encode({"event": "call_inbound", "call_inbound": _ringing(older)})
    yield Sample("call_inbound without its time", timeless, IncomingCall, older)
    yield Sample("call_started", make_payload(OtherEvent, call), OtherEvent, call)
    yield Sample("a custom function", make_payload(ToolCalls, call), ToolCalls, call)
    yield Sample("call_ended", _body("call_ended", call, _ended(call)), CallEnded, call)
    yield Sample("call_analyzed", make_payload(CallEnded, call), CallEnded, call)
    outbound, web = {"direction": "outbound"}, {"direction": None, "call_type": "web_call"}
    yield Sample("the report on an outbound call", make_payload(CallEnded, call, outbound), OtherEvent, call)
    yield Sample("the report on a call from the web", make_payload(CallEnded, call, web), OtherEvent, call)
    yield Sample("a call without its object", b'{"event": "call_inbound"}', IncomingCall)
    yield Sample("a report without its call", b'{"event": "call_ended"}', CallEnded, is_refused=True)
    yield from strange_samples(make_payload, call, {"event": "something_new"})
