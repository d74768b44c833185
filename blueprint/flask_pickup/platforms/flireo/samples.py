"""The platform's deliveries, made up: for rehearsals and tests."""

from __future__ import annotations

import re
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
    StatusChanged,
    ToolCalls,
)
from flask_pickup.platforms.sampling import TOOL, encode, iso

Payload = dict[str, Any]

_STATUS: dict[type[Event], str] = {
    IncomingCall: "ringing",
    StatusChanged: "ended",
    ToolCalls: "in-progress",
    CallEnded: "ended",
}
_FIELDS: dict[type[Event], Payload] = {
    StatusChanged: {"end_reason": "user_hangup"},
    CallEnded: {
        "duration_seconds": 42,
        "end_reason": "user_hangup",
        "summary": "A rehearsal.",
        "messages": [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Hello."}],
        "analysis": {"rehearsed": True},
    },
}


def current_payload(event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> Payload:
    """Return a payload of the current generation.

    :param fields: win over the sample's own.
    """
    message = {
        "type": event.name,
        "timestamp": iso(call.at),
        "call": {"id": call.id, "type": "inbound_phone_call", "status": call.status or _STATUS[event]},
        "phone_number": {"number": call.line, "name": "Rehearsal"},
        "customer": {"number": call.caller},
        **_FIELDS.get(event, {}),
        **_assistant(event, call),
    }
    if event is ToolCalls:
        tool = call.tool or TOOL
        function = {"name": tool.name, "arguments": tool.arguments}
        message["tool_call_list"] = [{"id": tool.id, "type": "function", "function": function}]
    return {"message": {**message, **(fields or {})}}


def _assistant(event: type[Event], call: SampleCall) -> Payload:
    answer = call.answer or {}
    found = answer.get("assistant") or answer.get("assistant_override")
    return {"assistant": found} if event is not IncomingCall and found else {}


def _camel_payload(event: type[Event], call: SampleCall) -> Payload:
    """Return a payload of the generation before, with camelCase keys."""
    payload: Payload = _camel_keys(current_payload(event, call))
    payload["message"]["call"]["type"] = "inboundPhoneCall"
    return payload


def _flat_payload(event: type[Event], call: SampleCall) -> Payload:
    """Return a request or a report of the first generation, all keys side by side.

    The platform gave the call's id with the report alone. Here the request has it too, so that it counts as a rehearsal.
    """
    payload = {"eventType": event.name, "callId": call.id, "fromCaller": call.caller, "toAssistant": call.line}
    report = {"callLengthSeconds": 42.5, "summaryText": "A rehearsal.", **_assistant(event, call)}
    return payload | (report if event is CallEnded else {})


def all_samples(call: SampleCall) -> Iterator[Sample]:
    """Yield all events in all generations, and what the platform might send."""
    for generation, write in (("", current_payload), ("camelcase", _camel_payload), ("flat", _flat_payload)):
        ours = replace(call, id=f"{call.id}-{generation}") if generation else call
        for event in (IncomingCall, CallEnded) if write is _flat_payload else _STATUS:
            yield Sample(f"{generation} {event.name}".strip(), encode(write(event, ours)), event, ours)
    new = {"message": {"type": "something-new", "call": {"id": f"{call.id}-new"}}}
    yield Sample("an event of an unknown type", encode(new), OtherEvent)
    yield Sample("a call without id", encode(current_payload(IncomingCall, call, {"call": {}})), IncomingCall)
    strange = replace(call, id=f"{call.id}-no-numbers", caller=None, line=None)
    numberless = current_payload(IncomingCall, strange, {"customer": None, "phone_number": None})
    yield Sample("a call without numbers", encode(numberless), IncomingCall, strange)
    web = replace(strange, id=f"{call.id}-web")
    of_web = {"call": {"id": web.id, "type": "web_call", "status": "ringing"}}
    yield Sample("a call from the web", encode(current_payload(IncomingCall, web, of_web)), IncomingCall, web)
    yield Sample("a report that is not JSON", b"Hello?", CallEnded, is_refused=True)


def _camel_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel(key): child if key == "analysis" else _camel_keys(child) for key, child in value.items()}
    return [_camel_keys(item) for item in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)
