"""The platform's deliveries, made up: for rehearsals and tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
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
from flask_pickup.platforms.sampling import TOOL, encode, iso

Payload = dict[str, Any]

_STATUS: dict[type[Event], str] = {
    IncomingCall: "ringing",
    StatusChanged: "ended",
    ToolCalls: "in-progress",
    CallEnded: "ended",
}
_REASON = {"endedReason": "customer-ended-call"}
_SAID = {"message": "Hello.", "time": 0, "endTime": 1000, "secondsFromStart": 0}
_REPORT = {
    **_REASON,
    "analysis": {"summary": "A rehearsal.", "structuredData": {"rehearsed": True}, "successEvaluation": "true"},
    "artifact": {"messages": [{"role": "bot", **_SAID}, {"role": "user", **_SAID}]},
}


def made_up_payload(event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> Payload:
    """Return a payload of the platform.

    :param fields: win over the sample's own keys of ``message``.
    """
    answer = mapping(call.answer) if event is not IncomingCall else {}
    at, status = iso(call.at), call.status or _STATUS[event]
    parties = {"customer": {"number": call.caller}, "phoneNumber": {"number": call.line, "provider": "vapi"}}
    message: Payload = {
        "type": event.name,
        "timestamp": round(call.at.timestamp() * 1000),
        "call": {
            "id": call.id,
            "type": "inboundPhoneCall",
            "status": status,
            "orgId": "rehearsal",
            "createdAt": at,
            "updatedAt": at,
            **{key: answer[key] for key in ("assistantId", "assistantOverrides") if key in answer},
        },
        **({"assistant": answer["assistant"]} if "assistant" in answer else {}),
        **parties,
    }
    if event is StatusChanged:
        message |= {"status": status, **(_REASON if status == "ended" else {})}
    elif event is ToolCalls:
        tool = call.tool or TOOL
        sent = {
            "id": tool.id,
            "type": "function",
            "function": {"name": tool.name, "arguments": json.dumps(tool.arguments)},
        }
        message |= {"toolCallList": [sent], "toolWithToolCallList": [{"type": "function", "toolCall": sent}]}
    elif event is CallEnded:
        message |= {**_REPORT, "startedAt": iso(call.at - timedelta(seconds=42)), "endedAt": at}
    return {"message": {**message, **(fields or {})}}


def all_samples(call: SampleCall) -> Iterator[Sample]:
    """Yield all events, and what the platform might send."""
    for event in _STATUS:
        yield Sample(event.name, encode(made_up_payload(event, call)), event, call)
    spelled = replace(call, id=f"{call.id}-spelled")
    outputs = {"structuredOutputs": {"an-output": {"name": "Rehearsed", "result": True}}}
    variants: list[tuple[str, type[Event], Payload]] = [
        ("time in ISO 8601", IncomingCall, {"timestamp": iso(call.at)}),
        ("flat tool", ToolCalls, {"toolCallList": [{"id": TOOL.id, "name": TOOL.name, "arguments": {}}]}),
        ("structured outputs", CallEnded, {"durationSeconds": 42, "artifact": outputs}),
    ]
    for title, event, fields in variants:
        yield Sample(f"{event.name}, {title}", encode(made_up_payload(event, spelled, fields)), event, spelled)
    nobody = replace(call, id=f"{call.id}-no-numbers", caller=None, line=None)
    numberless = made_up_payload(IncomingCall, nobody, {"customer": None, "phoneNumber": None})
    yield Sample("a call without numbers", encode(numberless), IncomingCall, nobody)
    for kind in ("outboundPhoneCall", "webCall"):
        for event in (StatusChanged, CallEnded):
            other = {"call": {"id": f"{call.id}-other", "type": kind}}
            yield Sample(f"{event.name}, {kind}", encode(made_up_payload(event, call, other)), OtherEvent)
    new = {"message": {"type": 'transcript[transcriptType="final"]', "call": {"id": f"{call.id}-new"}}}
    yield Sample("an event of another type", encode(new), OtherEvent)
    yield Sample("a call without id", encode(made_up_payload(IncomingCall, call, {"call": {}})), IncomingCall)
    yield Sample("a report that is not JSON", b"Hello?", CallEnded, is_refused=True)
