"""The platform's messages of the current generation, read leniently into neutral events.

A call must not be lost because a field is not as documented: only the type and the call's id are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask_pickup.platforms.events import (
    CallEnded,
    Ending,
    Event,
    IncomingCall,
    JsonObject,
    OtherEvent,
    StatusChanged,
    ToolCall,
    ToolCalls,
)
from flask_pickup.platforms.flireo.answer import analysis_fields, words
from flask_pickup.platforms.reading import LONGEST_REASON, identifier, mapping, mappings, moment, seconds, text

_ENDINGS: Mapping[str, Ending] = {
    **dict.fromkeys(("user_hangup", "caller_hangup", "customer_hangup"), "caller"),
    **dict.fromkeys(("user_ended_call", "caller_ended_call", "customer_ended_call"), "caller"),
    **dict.fromkeys(("agent_hangup", "assistant_hangup", "agent_ended_call", "assistant_ended_call"), "agent"),
    **dict.fromkeys(("completed", "call_completed"), "completed"),
    **dict.fromkeys(("transferred", "call_transferred", "call_transfer", "assistant_forwarded_call"), "transferred"),
    **dict.fromkeys(("voicemail", "voicemail_detected", "voicemail_reached"), "voicemail"),
    **dict.fromkeys(("silence_timeout", "silence_timed_out", "inactivity"), "silence"),
    **dict.fromkeys(("max_duration", "max_duration_reached", "exceeded_max_duration"), "limit"),
}
_EVENTS = {event.name: event for event in (IncomingCall, StatusChanged, ToolCalls, CallEnded)}
_ERRORS = frozenset({"error", "failed", "failure"})
_ENDED_WITH_ERROR = "ended-with-error"


def read_event(message: JsonObject) -> Event:
    """Return the event in a message; one of an unknown type is an :class:`.OtherEvent`."""
    call, line = mapping(message.get("call")), mapping(message.get("phone_number"))
    status, end_reason = text(call.get("status")), text(message.get("end_reason"), LONGEST_REASON)
    event: Callable[..., Event] = partial(
        _EVENTS.get(message["type"], OtherEvent),
        call_id=identifier(call.get("id")) or "",
        timestamp=moment(message.get("timestamp")),
        call_type=text(call.get("type")),
        caller_number=identifier(mapping(message.get("customer")).get("number")),
        line_number=identifier(line.get("number")),
        line_name=text(line.get("name")),
        body=message,
    )
    match message["type"]:
        case StatusChanged.name:
            return event(status=status, has_ended=status in {"ended", _ENDED_WITH_ERROR}, end_reason=end_reason)
        case ToolCalls.name:
            return event(tool_calls=tuple(map(_tool_call, mappings(message.get("tool_call_list")) or ())))
        case CallEnded.name:
            return event(status=status, end_reason=end_reason, **_report(message, status, end_reason))
    return event()


def _tool_call(call: JsonObject) -> ToolCall:
    function = mapping(call.get("function"))
    name = text(function.get("name")) or ""
    return ToolCall(id=identifier(call.get("id")) or "", name=name, arguments=mapping(function.get("arguments")))


def _report(message: JsonObject, status: str | None, end_reason: str | None) -> dict[str, Any]:
    transcript = mappings(message.get("messages"))
    # An override replaces the agent's own metadata, so it comes first.
    assistants = [mapping(message.get(key)) for key in ("assistant_override", "assistant")]
    metadata = next(filter(None, (mapping(assistant.get("metadata")) for assistant in assistants)), {})
    return {
        "ended_at": moment(message.get("ended_at")),
        "duration_seconds": seconds(message.get("duration_seconds")),
        "ending": _ending(status, end_reason),
        "user_messages": sum(map(_is_users, transcript)) if transcript else None,
        "analysis": mapping(message.get("analysis")),
        "analysis_fields": analysis_fields(message),
        "transcript": transcript,
        "summary": text(message.get("summary"), None),
        "metadata": mapping(metadata.get("pickup")),
        "applied": words(message) if isinstance(message.get("assistant"), Mapping) else None,
    }


def _ending(status: str | None, end_reason: str | None) -> Ending | None:
    reason = (end_reason or "").replace("-", "_").lower()
    if status == _ENDED_WITH_ERROR or not _ERRORS.isdisjoint(reason.split("_")):
        return "error"
    return _ENDINGS.get(reason)


def _is_users(message: JsonObject) -> bool:
    content = message.get("content")
    return message.get("role") == "user" and isinstance(content, str) and bool(content.strip())
