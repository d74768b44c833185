"""The platform's events, read leniently into neutral ones.

What happened to a call comes in parts: the end of the conversation, the end of the call, and what insights found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask_pickup.errors import BadWebhook, UnreadableCall
from flask_pickup.platforms.events import CallEnded, Ending, Event, IncomingCall, JsonObject, OtherEvent
from flask_pickup.platforms.reading import (
    LONGEST_REASON,
    SentValues,
    identifier,
    mapping,
    moment,
    seconds,
    text,
)
from flask_pickup.platforms.telnyx.insights import Names, read_results
from flask_pickup.platforms.transcripts import read_transcript
from flask_pickup.platforms.variables import unpacked

INITIALIZATION = "assistant.initialization"
CONVERSATION_ENDED = "call.conversation.ended"
HANGUP = "call.hangup"
INSIGHTS = "call.conversation_insights.generated"
INSIGHT_GROUP = "conversation_insight_result"
"""What an insight group sends to a webhook of its own; it has no ``data`` around it."""

_VOICES = {None, "phone_call", "web_call"}
"""Channels on which somebody speaks; the others are of messages."""
_OUTGOING = {"outgoing", "outbound"}

_SOURCES: dict[str, Ending] = {"caller": "caller", "callee": "agent"}


def read_event(body: JsonObject, names: Names) -> Event:
    """Return the event in a body; one of an unknown type, of another channel or of an outgoing call is another event.

    :param names: those of insights.
    :raises BadWebhook: if it has no type, or is about a call and names none.
    """
    # An insight group's has no data around it.
    data = mapping(body.get("data")) or body
    kind = data.get("event_type")
    if not isinstance(kind, str) or not kind:
        raise BadWebhook("The event has no type.", "data.event_type")
    payload = data.get("payload")
    if kind == INITIALIZATION and not isinstance(payload, Mapping):
        raise UnreadableCall("The request has no payload.", "data.payload")
    sent = mapping(payload)
    # What is known of the call stands beside its conversation's metadata, or in it.
    values = SentValues({**data, **mapping(sent.get("metadata")), **sent})
    event = {**_facts(values), "body": data}
    if event["call_type"] not in _VOICES or text(values.of.get("direction")) in _OUTGOING:
        return OtherEvent(**event)
    if kind == INITIALIZATION:
        return IncomingCall(**event)
    part = _PARTS.get(kind)
    if part is None:
        return OtherEvent(**event)
    if not event["call_id"]:
        raise BadWebhook("The event names no call.", "data.payload.call_control_id")
    return CallEnded(**event, is_whole=False, metadata=unpacked(sent.get("metadata")), **part(values, names))


def _facts(values: SentValues) -> dict[str, Any]:
    """Return what every event has."""
    facts = values.of
    return {
        "call_id": identifier(facts.get("call_control_id")) or "",
        "timestamp": values.get("occurred_at", moment, "times"),
        "call_type": text(facts.get("telnyx_conversation_channel")),
        "caller_number": identifier(facts.get("telnyx_end_user_target", facts.get("from"))),
        "line_number": identifier(facts.get("telnyx_agent_target", facts.get("to"))),
        "unread": values.unread,
    }


def _conversation(values: SentValues, _: Names) -> dict[str, Any]:
    return {
        "ended_at": moment(values.of.get("occurred_at")),
        "duration_seconds": values.get("duration_sec", seconds, "times"),
        "end_reason": text(values.of.get("reason"), LONGEST_REASON),
        **read_transcript(values.unread, values.of),
    }


def _hangup(values: SentValues, _: Names) -> dict[str, Any]:
    cause, source = (text(values.of.get(key)) for key in ("hangup_cause", "hangup_source"))
    return {
        "ended_at": moment(values.of.get("occurred_at")),
        "end_reason": " by ".join(filter(None, (cause, source))) or None,
        "ending": values.get("hangup_cause", partial(_ending, source=source), "end reasons"),
    }


def _ending(cause: Any, source: str | None) -> Ending | None:
    if cause == "time_limit":
        return "limit"
    if cause in ("normal_clearing", "originator_cancel", "unspecified"):
        return _SOURCES.get(source or "", "completed" if cause == "normal_clearing" else None)
    return None


_PARTS: Mapping[str, Callable[[SentValues, Names], dict[str, Any]]] = {
    CONVERSATION_ENDED: _conversation,
    HANGUP: _hangup,
    INSIGHTS: read_results,
    INSIGHT_GROUP: read_results,
}
"""What reads each part of a report."""
