"""The platform's events, read leniently into neutral ones.

A call must not be lost because a field is not as documented: only the event and the id of a report's call are needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

from flask_pickup.caller import REHEARSAL
from flask_pickup.errors import BadWebhook, UnreadableCall
from flask_pickup.platforms.endings import ending_of
from flask_pickup.platforms.events import CallEnded, Event, IncomingCall, JsonObject, OtherEvent, ToolCalls, Unread
from flask_pickup.platforms.reading import (
    LONGEST_REASON,
    SentValues,
    as_boolean,
    identifier,
    json_object,
    mapping,
    moment,
    seconds,
    text,
)
from flask_pickup.platforms.retell.answer import PRESETS, SENTIMENTS
from flask_pickup.platforms.tools import read_tool_calls
from flask_pickup.platforms.transcripts import read_transcript
from flask_pickup.platforms.variables import unpacked, words_in

_E = TypeVar("_E", bound=Event)


def read_event(body: JsonObject) -> Event:
    """Return the event in a body.

    :raises UnreadableCall: if a call waits for the answer, and nothing says which.
    :raises BadWebhook: if any other event cannot be read.
    """
    call = mapping(body.get("call"))
    match text(body.get("event")):
        case "call_inbound":
            return _incoming_call(body)
        case "call_ended" | "call_analyzed" if _is_inbound(call):
            return _report(body, call)
        case None if call and "name" in body:
            return _tool_call(body, call)
        case None | "":
            raise BadWebhook("The body has no text 'event'.", "event")
    return _event(OtherEvent, body, call)


def _event(
    kind: type[_E], body: JsonObject, call: JsonObject, unread: Counter[Unread] | None = None, **more: Any
) -> _E:
    values = SentValues(body, Counter() if unread is None else unread)
    theirs = identifier(call.get("call_id"))
    call_type = "_".join(filter(None, (text(call.get("direction")), text(call.get("call_type")))))
    return kind(
        # By our own id, where the answer to the call brought it.
        call_id=identifier(unpacked(call.get("metadata")).get("call")) or theirs or _rehearsed(call),
        platform_call_id=theirs,
        timestamp=values.get("event_timestamp", moment, "times"),
        call_type=call_type or None,
        caller_number=identifier(call.get("from_number")),
        line_number=identifier(call.get("to_number")),
        body=body,
        unread=values.unread,
        **more,
    )


def _rehearsed(call: JsonObject) -> str:
    """Return the id of a rehearsal; empty for any other call, whose request has no id."""
    # Only the account's owner chooses an agent's.
    agent = identifier(call.get("agent_id")) or ""
    return agent if agent.startswith(REHEARSAL) else ""


def _incoming_call(body: JsonObject) -> IncomingCall:
    call = body.get("call_inbound")
    if not isinstance(call, Mapping):
        raise UnreadableCall("The event has no object 'call_inbound'.", "call_inbound")
    return _event(IncomingCall, body, {**call, "direction": "inbound", "call_type": "phone_call"})


def _tool_call(body: JsonObject, call: JsonObject) -> ToolCalls:
    unread = Counter[Unread]()
    sent = {"name": body.get("name"), "arguments": body.get("args")}
    return _event(ToolCalls, body, call, unread, tool_calls=tuple(read_tool_calls(sent, unread)))


def _is_inbound(call: JsonObject) -> bool:
    return text(call.get("direction")) in {None, "inbound"} and text(call.get("call_type")) in {None, "phone_call"}


def _report(body: JsonObject, call: JsonObject) -> CallEnded:
    """Return ``call_ended``, or ``call_analyzed``, which has the same and the analysis."""
    sent = SentValues(call)
    analysis = SentValues(sent.get("call_analysis", json_object, "analysis") or {}, sent.unread)
    milliseconds = sent.get("duration_ms", seconds, "times")
    said = call.get("transcript_object") or call.get("transcript")
    status = text(call.get("call_status"))
    variables = call.get("retell_llm_dynamic_variables")
    event = _event(
        CallEnded,
        body,
        call,
        sent.unread,
        is_whole=False,
        status=status,
        ended_at=sent.get("end_timestamp", moment, "times"),
        duration_seconds=None if milliseconds is None else milliseconds / 1000,
        end_reason=text(call.get("disconnection_reason"), LONGEST_REASON),
        ending="error" if status == "error" else sent.get("disconnection_reason", ending_of, "end reasons"),
        analysis=_findings(analysis),
        **read_transcript(said, sent.unread),
        summary=text(analysis.of.get("call_summary"), None),
        metadata=unpacked(call.get("metadata")),
        applied=words_in(variables) if isinstance(variables, Mapping) else None,
    )
    if not event.call_id:
        raise BadWebhook("The call has no id of 1 to 256 characters.", "call.call_id")
    return event


def _findings(analysis: SentValues) -> dict[str, Any]:
    """Return the author's own fields, and those that the platform finds of every call."""
    custom = analysis.get("custom_analysis_data", json_object, "analysis") or {}
    flags = {key: analysis.get(key, as_boolean, "analysis") for key in ("call_successful", "in_voicemail")}
    found = {f"{PRESETS}{key}": flag for key, flag in flags.items() if flag is not None}
    # Another sentiment is "Unknown".
    if (sentiment := analysis.of.get("user_sentiment")) in SENTIMENTS:
        found |= {f"{PRESETS}user_sentiment.{each}": each == sentiment for each in SENTIMENTS}
    return {**custom, **found}
