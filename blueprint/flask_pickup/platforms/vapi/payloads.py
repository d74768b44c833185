"""The platform's messages, read leniently into neutral events.

A call must not be lost because a field is not as documented: only the type and the call's id are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from flask_pickup.errors import BadWebhook, UnreadableCall
from flask_pickup.platforms.endings import ending_of
from flask_pickup.platforms.events import (
    CallEnded,
    Ending,
    Event,
    IncomingCall,
    JsonObject,
    OtherEvent,
    StatusChanged,
    ToolCalls,
    Words,
)
from flask_pickup.platforms.reading import (
    LONGEST_REASON,
    SentValues,
    as_boolean,
    as_number,
    identifier,
    json_object,
    mapping,
    mappings,
    moment,
    object_at,
    seconds,
    text,
    words_of,
)
from flask_pickup.platforms.tools import read_tool_calls
from flask_pickup.platforms.transcripts import read_transcript
from flask_pickup.platforms.vapi.answer import SUCCESS, analysis_fields, metadata, output_name, words

_EVENTS = {event.name: event for event in (IncomingCall, StatusChanged, ToolCalls, CallEnded)}
_INBOUND = "inbound_phone_call"

_ASKED_US = "assistant-request-"
"""How the end reasons begin of a call that never got beyond the request for its assistant."""
_REJECTED = "assistant-request-returned-error"
"""The end reason of a call that an answer turned away with an ``error``."""


def read_event(message: JsonObject) -> Event:
    """Return the event in a message; one of an unknown type, or about a call that is not inbound, is an :class:`.OtherEvent`.

    :raises BadWebhook: if it has no type, or its call has no id where that matters.
    """
    call, values = mapping(message.get("call")), SentValues(message)
    customer, line = (mapping(message.get(key) or call.get(key)) for key in ("customer", "phoneNumber"))
    call_type = "_".join(words_of(text(call.get("type")) or "")) or None
    kind = _EVENTS.get(_type_of(message), OtherEvent)
    if kind in {StatusChanged, CallEnded} and call_type not in {_INBOUND, None}:
        kind = OtherEvent
    call_id = identifier(call.get("id")) or ""
    if not call_id and kind is not OtherEvent:
        refusal = UnreadableCall if kind is IncomingCall else BadWebhook
        raise refusal("The call has no id of 1 to 256 characters.", "message.call.id")
    event: Callable[..., Event] = partial(
        kind,
        call_id=call_id,
        timestamp=values.get("timestamp", moment, "times"),
        call_type=call_type,
        caller_number=_number(customer),
        line_number=_number(line),
        line_name=text(line.get("name")),
        body=message,
        unread=values.unread,
    )
    reason = text(message.get("endedReason"), LONGEST_REASON)
    if kind is StatusChanged:
        status = text(message.get("status"))
        return event(status=status, has_ended=status == "ended", end_reason=reason)
    if kind is ToolCalls:
        return event(tool_calls=tuple(read_tool_calls(message.get("toolCallList"), values.unread)))
    if kind is CallEnded:
        return event(status="ended", end_reason=reason, **_report(values, call))
    return event()


def _type_of(message: JsonObject) -> str:
    if found := text(message.get("type")):
        return found
    raise BadWebhook("The message has no type.", "message.type")


def _number(party: JsonObject) -> str | None:
    return identifier(party.get("number")) or identifier(party.get("sipUri"))


def _report(values: SentValues, call: JsonObject) -> dict[str, Any]:
    message, unread = values.of, values.unread
    analysis = SentValues(mapping(message.get("analysis")), unread)
    ending: Ending | None = values.get("endedReason", _ending, "end reasons")
    started_at, ended_at = (_time(key, values, call) for key in ("startedAt", "endedAt"))
    # Where the answer comes back, a saved assistant's own words may stand beside those that override them.
    answer = next((each for each in (call, message) if metadata(each)), {})
    return {
        "ended_at": ended_at,
        "duration_seconds": _duration(values, started_at, ended_at),
        "ending": ending,
        "analysis": _findings(message, analysis),
        "analysis_fields": {**analysis_fields(call), **analysis_fields(message)},
        # Older reports have no artifact.
        **read_transcript(unread, mapping(message.get("artifact")), message, call),
        "summary": text(analysis.of.get("summary"), None),
        "metadata": metadata(answer),
        "applied": _applied(answer, ending, str(message.get("endedReason"))),
    }


def _findings(message: JsonObject, analysis: SentValues) -> dict[str, Any]:
    """Return what the analysis found, flat: ``analysis`` wins over structured outputs of the same name."""
    found: dict[str, Any] = {}
    outputs = object_at(message, "artifact", "structuredOutputs")
    for output in mappings(list(outputs.values())) or ():
        result = output.get("result")
        # An object's properties have names of their own.
        found |= result if isinstance(result, Mapping) else {output_name(output): result}
    found |= analysis.get("structuredData", json_object, "analysis") or {}
    success = analysis.of.get("successEvaluation")
    if success is not None:
        found[SUCCESS] = _success(success)
    return found


def _success(sent: Any) -> Any:
    """Return what a rubric says as a boolean or a number, such as ``"true"``, ``"8"`` or ``"85%"``; else as it was sent."""
    if not isinstance(sent, str):
        return sent
    # On a scale from 1 to 10, 1 is no boolean.
    number = as_number(sent.rstrip(" %"))
    found = as_boolean(sent) if number is None else number
    return sent if found is None else found


def _time(key: str, values: SentValues, call: JsonObject) -> datetime | None:
    return values.get(key, moment, "times") or moment(call.get(key))


def _duration(values: SentValues, started_at: datetime | None, ended_at: datetime | None) -> float | None:
    sent = values.get("durationSeconds", seconds, "times")
    if sent is not None or started_at is None or ended_at is None:
        return sent
    return seconds((ended_at - started_at).total_seconds())


def _ending(reason: Any) -> Ending | None:
    # Somebody heard our words, and nothing failed.
    return "agent" if reason == _REJECTED else ending_of(reason)


def _applied(answer: JsonObject, ending: Ending | None, reason: str) -> Words | None:
    """Return the words of an answer that came back; none at all where the platform could use no answer of ours."""
    if ending == "error" and reason.startswith(_ASKED_US):
        return Words()
    found = words(answer)
    return None if found == Words() else found
