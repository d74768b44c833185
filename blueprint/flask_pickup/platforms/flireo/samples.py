"""The platform's deliveries, made up: for rehearsals and tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flask_pickup.platforms.events import (
    CallEnded,
    Event,
    IncomingCall,
    JsonObject,
    Sample,
    SampleCall,
    StatusChanged,
    ToolCalls,
)
from flask_pickup.platforms.sampling import SECONDS_LONG, STATUSES, TOOL, another, encode, iso, strange_samples

Payload = dict[str, Any]

_FIELDS: dict[type[Event], Payload] = {
    StatusChanged: {"end_reason": "user_hangup"},
    CallEnded: {
        "duration_seconds": SECONDS_LONG,
        "end_reason": "user_hangup",
        "summary": "A rehearsal.",
        "messages": [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Hello."}],
    },
}


def make_payload(event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> bytes:
    """Return a body of the current generation.

    :param fields: win over the sample's own.
    """
    return encode(_current(event, call, fields))


def _current(event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> Payload:
    message = {
        "type": event.name,
        "timestamp": iso(call.at),
        "call": {"id": call.id, "type": "inbound_phone_call", "status": call.status or STATUSES[event]},
        "phone_number": {"number": call.line, "name": "Rehearsal"},
        "customer": {"number": call.caller},
        **_FIELDS.get(event, {}),
        **_assistant(event, call),
    }
    if event is CallEnded:
        message["analysis"] = call.analysis
    elif event is ToolCalls:
        tool = call.tool or TOOL
        function = {"name": tool.name, "arguments": tool.arguments}
        message["tool_call_list"] = [{"id": tool.id, "type": "function", "function": function}]
    return {"message": {**message, **(fields or {})}}


def _assistant(event: type[Event], call: SampleCall) -> Payload:
    answer = call.answer or {}
    found = answer.get("assistant") or answer.get("assistant_override")
    return {"assistant": found} if event is not IncomingCall and found else {}


def _camel(event: type[Event], call: SampleCall) -> Payload:
    """Return a payload of the generation before, with camelCase keys."""
    payload: Payload = _camel_keys(_current(event, call))
    payload["message"]["call"]["type"] = "inboundPhoneCall"
    return payload


def _flat(event: type[Event], call: SampleCall) -> Payload:
    """Return a request or a report of the first generation, all keys side by side.

    The platform gave the call's id with the report alone. Here the request has it too, so that it counts as a rehearsal.
    """
    payload = {"eventType": event.name, "callId": call.id, "fromCaller": call.caller, "toAssistant": call.line}
    report = {"callLengthSeconds": 42.5, "summaryText": "A rehearsal.", **_assistant(event, call)}
    return payload | (report if event is CallEnded else {})


def all_samples(call: SampleCall) -> Iterator[Sample]:
    """Yield all events in all generations, and what the platform might send."""
    for generation, write in (("", _current), ("camelcase", _camel), ("flat", _flat)):
        ours = another(call, generation) if generation else call
        for event in (IncomingCall, CallEnded) if write is _flat else STATUSES:
            yield Sample(f"{generation} {event.name}".strip(), encode(write(event, ours)), event, ours)
    yield Sample("a call without id", make_payload(IncomingCall, call, {"call": {}}), IncomingCall)
    web = another(call, "web", caller=None, line=None)
    of_web = {"call": {"id": web.id, "type": "web_call", "status": "ringing"}}
    yield Sample("a call from the web", make_payload(IncomingCall, web, of_web), IncomingCall, web)
    yield from strange_samples(make_payload, call, {"message": {"type": "something-new"}})


def _camel_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel_key(key): child if key == "analysis" else _camel_keys(child) for key, child in value.items()}
    return [_camel_keys(item) for item in value] if isinstance(value, list) else value


def _camel_key(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)
