"""The platform's deliveries, made up: for rehearsals and tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
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
from flask_pickup.platforms.reading import mapping
from flask_pickup.platforms.sampling import TOOL, encode

Payload = dict[str, Any]

_SECONDS = 42
_ANALYSIS = {
    "call_summary": "A rehearsal.",
    "call_successful": True,
    "in_voicemail": False,
    "user_sentiment": "Positive",
    "custom_analysis_data": {"rehearsed": True},
}


def sample_payload(event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> Payload:
    """Return a payload; that of a report is of ``call_analyzed``, which has all that ``call_ended`` has.

    :param fields: keys of ``call_inbound`` or ``call``, which win over the sample's own.
    """
    if event is IncomingCall:
        return _payload("call_inbound", call, _ringing(call), fields)
    if event is ToolCalls:
        tool = call.tool or TOOL
        return {"name": tool.name, "args": tool.arguments, "call": {**_ongoing(call), **(fields or {})}}
    if event is CallEnded:
        return _payload("call_analyzed", call, {**_ended(call), "call_analysis": _ANALYSIS}, fields)
    return _payload("call_started", call, _ongoing(call), fields)


def _payload(name: str, call: SampleCall, about: JsonObject, fields: JsonObject | None = None) -> Payload:
    key = "call_inbound" if name == "call_inbound" else "call"
    return {"event": name, "event_timestamp": int(1000 * call.at.timestamp()), key: {**about, **(fields or {})}}


def _ringing(call: SampleCall) -> Payload:
    # The request has no id of the call; a rehearsal is known by its agent's.
    return {"agent_id": call.id, "agent_version": 1, "from_number": call.caller, "to_number": call.line}


def _ongoing(call: SampleCall) -> Payload:
    answer = mapping(mapping(call.answer).get("call_inbound"))
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
        "end_timestamp": int(1000 * (call.at.timestamp() + _SECONDS)),
        "duration_ms": 1000 * _SECONDS,
        "disconnection_reason": "user_hangup",
        "transcript": "Agent: Hello.\nUser: Hello.\n",
        "transcript_object": [{"role": role, "content": words, "words": []} for role, words in said],
    }


def all_samples(call: SampleCall) -> Iterator[Sample]:
    """Yield all events, and what the platform might send."""

    def sample(title: str, event: type[Event], of: SampleCall, payload: JsonObject) -> Sample:
        return Sample(title, encode(payload), event, of)

    older = replace(call, id=f"{call.id}-older")
    numberless = replace(call, id=f"{call.id}-no-numbers", caller=None, line=None)
    web = {"direction": None, "call_type": "web_call"}
    yield sample("call_inbound", IncomingCall, call, sample_payload(IncomingCall, call))
    yield sample(
        "call_inbound without its time", IncomingCall, older, {"event": "call_inbound", "call_inbound": _ringing(older)}
    )
    yield sample("call_started", OtherEvent, call, _payload("call_started", call, _ongoing(call)))
    yield sample("a custom function", ToolCalls, call, sample_payload(ToolCalls, call))
    yield sample("call_ended", CallEnded, call, _payload("call_ended", call, _ended(call)))
    yield sample("call_analyzed", CallEnded, call, sample_payload(CallEnded, call))
    yield sample("a call without numbers", IncomingCall, numberless, sample_payload(IncomingCall, numberless))
    yield sample(
        "an outbound call", OtherEvent, call, _payload("call_ended", call, _ended(call), {"direction": "outbound"})
    )
    yield sample("a call from the web", OtherEvent, call, _payload("call_ended", call, _ended(call), web))
    yield Sample("a text message", b'{"event": "chat_inbound", "chat_inbound": {}}', OtherEvent)
    yield Sample("an event of an unknown type", b'{"event": "something_new"}', OtherEvent)
    yield Sample("a call without its object", b'{"event": "call_inbound"}', IncomingCall)
    yield Sample("a report without its call", b'{"event": "call_ended"}', CallEnded, is_refused=True)
    yield Sample("a report that is not JSON", b"Hello?", CallEnded, is_refused=True)
