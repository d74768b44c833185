"""The platform's messages of the current generation, read leniently into neutral events.

A call must not be lost because a field is not as documented: only the type and the call's id are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask_pickup.platforms.endings import ending_of
from flask_pickup.platforms.events import (
    CallEnded,
    Event,
    IncomingCall,
    JsonObject,
    OtherEvent,
    StatusChanged,
    ToolCalls,
)
from flask_pickup.platforms.flireo.answer import analysis_fields, metadata, words
from flask_pickup.platforms.reading import (
    LONGEST_REASON,
    SentValues,
    identifier,
    json_object,
    mapping,
    moment,
    seconds,
    text,
)
from flask_pickup.platforms.tools import read_tool_calls
from flask_pickup.platforms.transcripts import read_transcript

_EVENTS = {event.name: event for event in (IncomingCall, StatusChanged, ToolCalls, CallEnded)}
_ENDED_WITH_ERROR = "ended-with-error"


def read_event(message: JsonObject) -> Event:
    """Return the event in a message; one of an unknown type is an :class:`.OtherEvent`."""
    call, line, values = mapping(message.get("call")), mapping(message.get("phone_number")), SentValues(message)
    status = text(call.get("status"))
    end_reason = text(message.get("end_reason"), LONGEST_REASON)
    event: Callable[..., Event] = partial(
        _EVENTS.get(message["type"], OtherEvent),
        call_id=identifier(call.get("id")) or "",
        timestamp=values.get("timestamp", moment, "times"),
        call_type=text(call.get("type")),
        caller_number=identifier(mapping(message.get("customer")).get("number")),
        line_number=identifier(line.get("number")),
        line_name=text(line.get("name")),
        body=message,
        unread=values.unread,
    )
    match message["type"]:
        case StatusChanged.name:
            return event(status=status, has_ended=status in {"ended", _ENDED_WITH_ERROR}, end_reason=end_reason)
        case ToolCalls.name:
            return event(tool_calls=tuple(read_tool_calls(message.get("tool_call_list"), values.unread)))
        case CallEnded.name:
            return event(status=status, end_reason=end_reason, **_report(values, status))
    return event()


def _report(values: SentValues, status: str | None) -> dict[str, Any]:
    message = values.of
    return {
        "ended_at": values.get("ended_at", moment, "times"),
        "duration_seconds": values.get("duration_seconds", seconds, "times"),
        "ending": "error" if status == _ENDED_WITH_ERROR else values.get("end_reason", ending_of, "end reasons"),
        "analysis": values.get("analysis", json_object, "analysis") or {},
        "analysis_fields": analysis_fields(message),
        **read_transcript(values.unread, message),
        "summary": text(message.get("summary"), None),
        "metadata": metadata(message),
        "applied": words(message) if isinstance(message.get("assistant"), Mapping) else None,
    }
