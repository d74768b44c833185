"""The platform's events, read leniently into neutral ones.

A call must not be lost because a field is not as documented: only the event and the id of a report's call are needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

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


def read_event(body: JsonObject) -> Event:
    """Return the event in a body.

    :raises UnreadableCall: if a call waits for the answer, and nothing says which.
    :raises BadWebhook: if any other event cannot be read.
    """
    call = mapping(body.get("call"))
    match text(body.get("event")):
        case "call_inbound":
            return IncomingCall(**_facts(body, _ringing(body), Counter()))
        case "call_ended" | "call_analyzed" if _is_inbound(call):
            return _report(body, call)
        case None if call and "name" in body:
            unread = Counter[Unread]()
            sent = {"name": body.get("name"), "arguments": body.get("args")}
            return ToolCalls(**_facts(body, call, unread), tool_calls=tuple(read_tool_calls(sent, unread)))
        case None | "":
            raise BadWebhook("The body has no text 'event'.", "event")
    return OtherEvent(**_facts(body, call, Counter()))


def _facts(body: JsonObject, call: JsonObject, unread: Counter[Unread]) -> dict[str, Any]:
    """Return what every event has."""
    theirs = identifier(call.get("call_id"))
    call_type = "_".join(filter(None, (text(call.get("direction")), text(call.get("call_type")))))
    return {
        # By our own id, where the answer to the call brought it.
        "call_id": identifier(unpacked(call.get("metadata")).get("call")) or theirs or _rehearsed(call),
        "platform_call_id": theirs,
        "timestamp": SentValues(body, unread).get("event_timestamp", moment, "times"),
        "call_type": call_type or None,
        "caller_number": identifier(call.get("from_number")),
        "line_number": identifier(call.get("to_number")),
        "body": body,
        "unread": unread,
    }


def _rehearsed(call: JsonObject) -> str:
    """Return the id of a rehearsal; empty for any other call, whose request has no id."""
    # Only the account's owner chooses an agent's.
    agent = identifier(call.get("agent_id")) or ""
    return agent if agent.startswith(REHEARSAL) else ""


def _ringing(body: JsonObject) -> JsonObject:
    call = body.get("call_inbound")
    if not isinstance(call, Mapping):
        raise UnreadableCall("The event has no object 'call_inbound'.", "call_inbound")
    return {**call, "direction": "inbound", "call_type": "phone_call"}


def _is_inbound(call: JsonObject) -> bool:
    return text(call.get("direction")) in {None, "inbound"} and text(call.get("call_type")) in {None, "phone_call"}


def _report(body: JsonObject, call: JsonObject) -> CallEnded:
    """Return ``call_ended``, or ``call_analyzed``, which has the same and the analysis."""
    sent = SentValues(call)
    analysis = SentValues(sent.get("call_analysis", json_object, "analysis") or {}, sent.unread)
    milliseconds = sent.get("duration_ms", seconds, "times")
    status = text(call.get("call_status"))
    variables = call.get("retell_llm_dynamic_variables")
    facts = _facts(body, call, sent.unread)
    if not facts["call_id"]:
        raise BadWebhook("The call has no id of 1 to 256 characters.", "call.call_id")
    return CallEnded(
        **facts,
        is_whole=False,
        status=status,
        ended_at=sent.get("end_timestamp", moment, "times"),
        duration_seconds=None if milliseconds is None else milliseconds / 1000,
        end_reason=text(call.get("disconnection_reason"), LONGEST_REASON),
        ending="error" if status == "error" else sent.get("disconnection_reason", ending_of, "end reasons"),
        analysis=_findings(analysis),
        **read_transcript(sent.unread, call),
        summary=text(analysis.of.get("call_summary"), None),
        metadata=unpacked(call.get("metadata")),
        applied=words_in(variables) if isinstance(variables, Mapping) else None,
    )


def _findings(analysis: SentValues) -> dict[str, Any]:
    """Return the author's own fields, and those that the platform finds of every call."""
    custom = analysis.get("custom_analysis_data", json_object, "analysis") or {}
    flags = {key: analysis.get(key, as_boolean, "analysis") for key in ("call_successful", "in_voicemail")}
    found = {f"{PRESETS}{key}": flag for key, flag in flags.items() if flag is not None}
    # Another sentiment is "Unknown".
    if (sentiment := analysis.of.get("user_sentiment")) in SENTIMENTS:
        found |= {f"{PRESETS}user_sentiment.{each}": each == sentiment for each in SENTIMENTS}
    return {**custom, **found}
