"""The platform's deliveries, made up: for rehearsals and tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
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
from flask_pickup.platforms.reading import mapping
from flask_pickup.platforms.sampling import SECONDS_LONG, STATUSES, TOOL, another, encode, iso, strange_samples
from flask_pickup.platforms.vapi.answer import SUCCESS

Payload = dict[str, Any]

_REASON = {"endedReason": "customer-ended-call"}
_SAID = {"message": "Hello.", "time": 0, "endTime": 1000, "secondsFromStart": 0}
_REPORT = {**_REASON, "artifact": {"messages": [{"role": "bot", **_SAID}, {"role": "user", **_SAID}]}}


def make_payload(event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> bytes:
    """Return a body of the platform.

    :param fields: win over the sample's own keys of ``message``.
    """
    answer = mapping(call.answer) if event is not IncomingCall else {}
    at, status = iso(call.at), call.status or STATUSES[event]
    returned = {key: answer[key] for key in ("assistantId", "assistantOverrides") if key in answer}
    of_call = {"id": call.id, "type": "inboundPhoneCall", "status": status, "orgId": "rehearsal", **returned}
    message: Payload = {
        "type": event.name,
        "timestamp": round(call.at.timestamp() * 1000),
        "call": {**of_call, "createdAt": at, "updatedAt": at},
        "customer": {"number": call.caller},
        "phoneNumber": {"number": call.line, "provider": "vapi"},
        **({"assistant": answer["assistant"]} if "assistant" in answer else {}),
    }
    if event is StatusChanged:
        message |= {"status": status, **(_REASON if status == "ended" else {})}
    elif event is ToolCalls:
        tool = call.tool or TOOL
        function = {"name": tool.name, "arguments": json.dumps(tool.arguments)}
        sent = {"id": tool.id, "type": "function", "function": function}
        message |= {"toolCallList": [sent], "toolWithToolCallList": [{"type": "function", "toolCall": sent}]}
    elif event is CallEnded:
        success = call.analysis.get(SUCCESS, "true")
        analysis = {"summary": "A rehearsal.", "structuredData": call.analysis, "successEvaluation": success}
        started_at = iso(call.at - timedelta(seconds=SECONDS_LONG))
        message |= {**_REPORT, "analysis": analysis, "startedAt": started_at, "endedAt": at}
    return encode({"message": {**message, **(fields or {})}})


def all_samples(call: SampleCall) -> Iterator[Sample]:
    """Yield all events, and what the platform might send."""
    for event in STATUSES:
        yield Sample(event.name, make_payload(event, call), event, call)
    ours = another(call, "spelled")
    outputs = {"structuredOutputs": {"an-output": {"name": "Rehearsed", "result": True}}}
    variants: list[tuple[str, type[Event], Payload]] = [
        ("time in ISO 8601", IncomingCall, {"timestamp": iso(call.at)}),
        ("flat tool", ToolCalls, {"toolCallList": [{"id": TOOL.id, "name": TOOL.name, "arguments": {}}]}),
        ("structured outputs", CallEnded, {"durationSeconds": SECONDS_LONG, "artifact": outputs}),
    ]
    for title, event, fields in variants:
        yield Sample(f"{event.name}, {title}", make_payload(event, ours, fields), event, ours)
    for kind in ("outboundPhoneCall", "webCall"):
        for event in (StatusChanged, CallEnded):
            other = {"call": {"id": f"{call.id}-other", "type": kind}}
            yield Sample(f"{event.name}, {kind}", make_payload(event, call, other), OtherEvent)
    yield Sample("a call without id", make_payload(IncomingCall, call, {"call": {}}), IncomingCall)
    yield from strange_samples(make_payload, call, {"message": {"type": 'transcript[transcriptType="final"]'}})
