"""The platform's messages as it sends them, in each generation of its key names: for whoever plays the platform."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask_pickup.flireo.signature import EVENT, SIGNATURE, TIMESTAMP, sign

Sent = dict[str, Any]

EVENTS = ("assistant-request", "status-update", "tool-calls", "end-of-call-report")


@dataclass(frozen=True, slots=True)
class Ringing:
    """A call that the platform tells of.

    :param caller: as a carrier spells it; None for a number that is withheld.
    :param at: when, aware.
    """

    id: str
    caller: str | None
    line: str | None
    at: datetime
    type: str = "inbound_phone_call"


def current(event: str, call: Ringing) -> Sent:
    """Return a message of the current generation, with snake_case keys."""
    status, more = _EVENTS[event]
    return {"message": {**common(event, call, status), **more}}


def common(event: str, call: Ringing, status: str) -> Sent:
    """Return what all messages of the current generation have under ``message``."""
    return {
        "type": event,
        "timestamp": _iso(call.at),
        "call": {"id": call.id, "type": call.type, "status": status},
        "phone_number": {"number": call.line, "name": "Rehearsal"},
        "customer": {"number": call.caller},
    }


def tool_call(name: str, arguments: Mapping[str, Any]) -> Sent:
    """Return what a message has beside those where the agent uses a tool."""
    function = {"name": name, "arguments": dict(arguments)}
    return {"tool_call_list": [{"id": "tool-1", "type": "function", "function": function}]}


def camel(event: str, call: Ringing) -> Sent:
    """Return the message in the generation before, with camelCase keys."""
    message: Sent = _camel_keys(current(event, call))
    message["message"]["call"]["type"] = _camel(call.type)
    return message


def flat(event: str, call: Ringing) -> Sent:
    """Return the message in the first generation: a request or a report, all keys beside one another.

    The platform gave a call's id with the report alone. Here the request has it too, so that it can be told from calls.
    """
    message = {"eventType": event, "callId": call.id, "fromCaller": call.caller, "toAssistant": call.line}
    report = {"callLengthSeconds": 42.5, "summaryText": "A rehearsal."}
    return message | (report if event == "end-of-call-report" else {})


def with_assistant(message: Sent, assistant: Mapping[str, Any]) -> Sent:
    """Return the message with the resolved configuration, which carries back what the answer put into its metadata."""
    if "message" not in message:
        return {**message, "assistant": assistant}
    return {"message": {**message["message"], "assistant": assistant}}


def without_numbers(message: Sent) -> Sent:
    """Return a message of the current generation that says nothing of caller and line."""
    return _without(message, "customer", "phone_number")


def without_call(message: Sent) -> Sent:
    """Return a message of the current generation that names no call: the platform sends no such."""
    return _without(message, "call")


def _without(message: Sent, *keys: str) -> Sent:
    return {"message": {key: value for key, value in message["message"].items() if key not in keys}}


def call_id(message: Sent) -> str:
    """Return the id of the message's call; empty if it has none."""
    found = message.get("callId") or message.get("message", {}).get("call", {}).get("id")
    return str(found or "")


def headers(secret: str, stamp: str, body: bytes, event: str) -> dict[str, str]:
    """Return the headers that the platform sends with ``body``, signed.

    :param stamp: Unix seconds, in digits.
    """
    return {
        "Content-Type": "application/json",
        "User-Agent": "Pickup-Rehearsal/1.0",
        EVENT: event,
        TIMESTAMP: stamp,
        SIGNATURE: sign(secret, stamp, body),
    }


_EVENTS: Mapping[str, tuple[str, Sent]] = {
    "assistant-request": ("ringing", {}),
    "status-update": ("ended", {"end_reason": "user_hangup"}),
    # No tool of the user's may be called this, so that none acts on a rehearsal.
    "tool-calls": ("in-progress", tool_call("pickup_rehearsal", {})),
    "end-of-call-report": (
        "ended",
        {
            "duration_seconds": 42,
            "end_reason": "user_hangup",
            "summary": "A rehearsal.",
            "messages": [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Hello."}],
            "analysis": {"rehearsed": True},
        },
    ),
}


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _camel_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel(key): child if key == "analysis" else _camel_keys(child) for key, child in value.items()}
    return [_camel_keys(item) for item in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)
