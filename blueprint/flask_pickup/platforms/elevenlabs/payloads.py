"""The platform's bodies, read leniently into neutral events.

A call must not be lost because a field is not as documented: all fields of a request may be missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask_pickup.errors import BadSignature, BadWebhook
from flask_pickup.platforms.elevenlabs.answer import SUCCESSFUL, metadata, words
from flask_pickup.platforms.endings import ending_of
from flask_pickup.platforms.events import CallEnded, Event, IncomingCall, JsonObject, OtherEvent, Unread, Words
from flask_pickup.platforms.reading import (
    LONGEST_REASON,
    SentValues,
    as_integer,
    identifier,
    json_object,
    mapping,
    moment,
    seconds,
    text,
)
from flask_pickup.platforms.transcripts import read_transcript

REPORT = "post_call_transcription"
_SIGNED = {REPORT, "post_call_audio", "call_initiation_failure"}
"""The types of events that come with a signature."""
_SUCCESSES = ("success", "failure")


def read_call(body: JsonObject) -> Event:
    """Return the call that a request with a token is about.

    :raises BadSignature: if the body is of an event that the platform signs.
    """
    if "data" in body or text(body.get("type")) in _SIGNED:
        raise BadSignature("a report has the token alone, and no signature")
    return IncomingCall(
        call_id=_call_id(body),
        caller_number=identifier(body.get("caller_id")),
        line_number=identifier(body.get("called_number")),
        body=body,
    )


def read_event(body: JsonObject) -> Event:
    """Return the signed event in a body. All but the reports of inbound calls are :class:`.OtherEvent`.

    :raises BadWebhook: if it has no type, or a report lacks what it is about.
    """
    kind, data = text(body.get("type")), body.get("data")
    if not kind:
        raise BadWebhook("The body has no text 'type'.", "type")
    if kind == REPORT and not isinstance(data, Mapping):
        raise BadWebhook("The report has no object 'data'.", "data")
    values, data = SentValues(body), mapping(data)
    phone = mapping(mapping(data.get("metadata")).get("phone_call"))
    sent = mapping(data.get("conversation_initiation_client_data"))
    call_id, conversation, ours = _call_id(phone), identifier(data.get("conversation_id")), metadata(sent)
    # In a conversation on the web, which is no phone call, a visitor may set variables.
    is_ours = kind == REPORT and bool(phone) and phone.get("direction") != "outbound"
    if is_ours and not (call_id or conversation or ours):
        raise BadWebhook("The call has no id of 1 to 256 characters.", "data.conversation_id")
    event: Callable[..., Event] = partial(
        CallEnded if is_ours else OtherEvent,
        call_id=call_id,
        platform_call_id=conversation,
        timestamp=values.get("event_timestamp", moment, "times"),
        call_type=text(phone.get("type")),
        caller_number=identifier(phone.get("external_number")),
        line_number=identifier(phone.get("agent_number")),
        body=body,
        unread=values.unread,
    )
    if not is_ours:
        return event()
    applied = words(sent)
    # Null is what was not overridden, and without our metadata nothing tells whose words they are.
    is_known = bool(ours) and applied != Words()
    return event(**_report(data, values.unread), metadata=ours, applied=applied if is_known else None)


def _report(data: JsonObject, unread: Counter[Unread]) -> dict[str, Any]:
    call, findings = (SentValues(mapping(data.get(key)), unread) for key in ("metadata", "analysis"))
    status = text(data.get("status"))
    started = call.get("start_time_unix_secs", moment, "times")
    duration = call.get("call_duration_secs", seconds, "times")
    said = read_transcript(unread, data)
    if said["transcript"] is None:
        # An account may be set to leave the transcript out.
        said["user_messages"] = SentValues(data, unread).get("user_message_count", _count, "messages")
    return {
        "status": status,
        "ended_at": None if started is None or duration is None else moment(started.timestamp() + duration),
        "duration_seconds": duration,
        "end_reason": text(call.of.get("termination_reason"), LONGEST_REASON) or None,
        "ending": "error" if status == "failed" else call.get("termination_reason", ending_of, "end reasons"),
        **said,
        "summary": text(findings.of.get("transcript_summary"), None),
        **_analysis(findings),
    }


def _count(value: Any) -> int | None:
    found = as_integer(value)
    return None if found is None or found < 0 else int(found)


def _analysis(findings: SentValues) -> dict[str, Any]:
    """Return what was found, and the schemas of what was collected. A collected value wins over a criterion of its name."""
    criteria, collected = _items(findings, "evaluation_criteria_results"), _items(findings, "data_collection_results")
    results = {
        SUCCESSFUL: findings.of.get("call_successful"),
        **{key: each.get("result") for key, each in criteria.items()},
    }
    values = {key: each["value"] for key, each in collected.items() if each.get("value") is not None}
    schemas = {key: mapping(each.get("json_schema")) for key, each in collected.items()}
    return {
        "analysis": {**_successes(results, findings.unread), **values},
        "analysis_fields": {key: schema for key, schema in schemas.items() if schema},
    }


def _items(findings: SentValues, key: str) -> dict[str, JsonObject]:
    items = SentValues(findings.get(key, json_object, "analysis") or {}, findings.unread)
    return {name: items.get(name, json_object, "analysis") or {} for name in items.of}


def _successes(results: JsonObject, unread: Counter[Unread]) -> dict[str, bool]:
    if lost := sum(result not in (None, "unknown", *_SUCCESSES) for result in results.values()):
        unread["analysis"] += lost
    return {key: result == "success" for key, result in results.items() if result in _SUCCESSES}


def _call_id(call: JsonObject) -> str:
    # A SIP trunk's call has a call_id, in a report beside another call_sid.
    return identifier(call.get("call_id")) or identifier(call.get("call_sid")) or ""
