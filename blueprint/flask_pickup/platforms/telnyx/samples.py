"""The platform's deliveries, made up: for rehearsals and tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flask_pickup.platforms.events import CallEnded, Event, IncomingCall, JsonObject, OtherEvent, Sample, SampleCall
from flask_pickup.platforms.sampling import SECONDS_LONG, another, encode, iso, strange_samples
from flask_pickup.platforms.telnyx.insights import ROOT, Names
from flask_pickup.platforms.telnyx.payloads import CONVERSATION_ENDED, HANGUP, INITIALIZATION, INSIGHT_GROUP, INSIGHTS

_ASSISTANT = "assistant-00000000-0000-4000-8000-000000000001"
_PARTS = {"hangup_cause": HANGUP, "hangup_source": HANGUP, "results": INSIGHTS}
"""Keys of the parts of a report that are not the end of the conversation."""


def make_payload(event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> bytes:
    """Return the body of an event; of a report, that of the part that has the ``fields``.

    :param fields: win over those of the sample.
    :raises ValueError: if the platform sends no such event.
    """
    own = fields or {}
    if event is IncomingCall:
        return encode(_event(INITIALIZATION, call, {**_request(call), **own}))
    if event is not CallEnded:
        raise ValueError(f"Telnyx sends no {event.name}.")
    part = next((_PARTS[key] for key in own if key in _PARTS), CONVERSATION_ENDED)
    return encode(_part(part, call, own))


def _event(kind: str, call: SampleCall, payload: JsonObject) -> dict[str, Any]:
    at = iso(call.at)
    return {"data": {"record_type": "event", "event_type": kind, "id": "event", "occurred_at": at, "payload": payload}}


def _request(call: SampleCall) -> dict[str, Any]:
    return {
        "telnyx_conversation_channel": "phone_call",
        "telnyx_agent_target": call.line,
        "telnyx_end_user_target": call.caller,
        "telnyx_end_user_target_verified": False,
        "call_control_id": call.id,
        "assistant_id": _ASSISTANT,
    }


def _part(kind: str, call: SampleCall, fields: JsonObject) -> dict[str, Any]:
    payload: dict[str, Any] = {"call_control_id": call.id, "call_leg_id": "leg", "call_session_id": "session"}
    if kind == CONVERSATION_ENDED:
        said = [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Hello."}]
        payload |= {"assistant_id": _ASSISTANT, "duration_sec": SECONDS_LONG, "reason": None, "messages": said}
    elif kind == HANGUP:
        payload |= {"hangup_cause": "normal_clearing", "hangup_source": "caller", "state": "hangup"}
    if kind != INSIGHTS:
        payload |= {"from": call.caller, "to": call.line}
    return _event(kind, call, {**payload, **fields})


def all_samples(call: SampleCall, insights: Names) -> Iterator[Sample]:
    """Yield all events, and what the platform might send.

    :param insights: ids to names; the call's analysis is the result of the one that is named ``analysis``.
    """
    yield Sample(INITIALIZATION, make_payload(IncomingCall, call), IncomingCall, call)
    yield Sample(CONVERSATION_ENDED, make_payload(CallEnded, call), CallEnded, call)
    yield Sample(HANGUP, make_payload(CallEnded, call, {"hangup_source": "caller"}), CallEnded, call)
    insight = next((each for each, name in insights.items() if name == ROOT), "insight")
    results = [{"insight_id": insight, "result": call.analysis}]
    unknown = replace(call, caller=None, line=None)
    yield Sample(INSIGHTS, make_payload(CallEnded, call, {"results": results}), CallEnded, unknown)
    ours = another(call, "group")
    metadata = {"call_control_id": ours.id, "from": call.caller, "to": call.line}
    group = {"record_type": "event", "event_type": INSIGHT_GROUP, "payload": {"metadata": metadata, "results": results}}
    yield Sample("insights to the webhook of their group", encode(group), CallEnded, ours)
    web = another(call, "web", caller=None, line=None)
    of_web = {"telnyx_conversation_channel": "web_call"}
    yield Sample("a call from the web", make_payload(IncomingCall, web, of_web), IncomingCall, web)
    chat = {"telnyx_conversation_channel": "sms_chat", "call_control_id": None}
    yield Sample("a conversation by text message", make_payload(IncomingCall, call, chat), OtherEvent)
    unreadable = {"data": {"event_type": INITIALIZATION, "payload": None}}
    yield Sample("a call without payload", encode(unreadable), IncomingCall)
    nameless = make_payload(CallEnded, call, {"call_control_id": None})
    yield Sample("a report that names no call", nameless, CallEnded, is_refused=True)
    yield from strange_samples(make_payload, call, _event("something.new", call, {}))
