"""The platform's messages of the current generation, read leniently into neutral events.

A call must not be lost because a field is not as documented: only the type and the call's id are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask_pickup.platforms.events import (
    CallEnded,
    Event,
    IncomingCall,
    JsonObject,
    OtherEvent,
    StatusChanged,
    ToolCall,
    ToolCalls,
)
from flask_pickup.platforms.flireo import report
from flask_pickup.platforms.reading import (
    LONGEST_ID,
    LONGEST_REASON,
    mapping,
    mappings,
    moment,
    phone_number,
    seconds,
    text,
)

_EVENTS = {event.name: event for event in (IncomingCall, StatusChanged, ToolCalls, CallEnded)}


def read_event(message: JsonObject) -> Event:
    """Return the event in a message; one of an unknown type is an :class:`.OtherEvent`."""
    event = _EVENTS.get(message["type"], OtherEvent)
    call, line = mapping(message.get("call")), mapping(message.get("phone_number"))
    own_fields = _FIELDS.get(event)
    return event(
        call_id=_identifier(call.get("id")),
        timestamp=moment(message.get("timestamp")),
        call_type=text(call.get("type")),
        caller_number=phone_number(mapping(message.get("customer")).get("number")),
        line_number=phone_number(line.get("number")),
        line_name=text(line.get("name")),
        body=message,
        **(own_fields(message, text(call.get("status"))) if own_fields else {}),
    )


def _identifier(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= LONGEST_ID else ""


def _tool_calls(message: JsonObject, _: str | None) -> dict[str, Any]:
    calls = [(call, mapping(call.get("function"))) for call in mappings(message.get("tool_call_list")) or ()]
    return {
        "tool_calls": tuple(
            ToolCall(
                id=_identifier(call.get("id")),
                name=text(function.get("name")) or "",
                arguments=mapping(function.get("arguments")),
            )
            for call, function in calls
        )
    }


def _status(message: JsonObject, status: str | None) -> dict[str, Any]:
    has_ended = status in {"ended", report.ENDED_WITH_ERROR}
    return {"status": status, "has_ended": has_ended, "end_reason": text(message.get("end_reason"), LONGEST_REASON)}


def _ended(message: JsonObject, status: str | None) -> dict[str, Any]:
    end_reason = text(message.get("end_reason"), LONGEST_REASON)
    transcript, summary = mappings(message.get("messages")), message.get("summary")
    return {
        "status": status,
        "ended_at": moment(message.get("ended_at")),
        "duration_seconds": seconds(message.get("duration_seconds")),
        "end_reason": end_reason,
        "ending": report.ending(status, end_reason),
        "user_messages": report.user_messages(transcript),
        "analysis": mapping(message.get("analysis")),
        "transcript": transcript,
        "summary": summary if isinstance(summary, str) else None,
        **report.brought_back(message),
    }


_FIELDS: Mapping[type[Event], Callable[[JsonObject, str | None], dict[str, Any]]] = {
    ToolCalls: _tool_calls,
    StatusChanged: _status,
    CallEnded: _ended,
}
