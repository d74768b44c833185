"""The platform's messages become neutral events, wherever they have their values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from conftest import NOW
from flask_pickup.platforms import (
    CallEnded,
    Delivery,
    Event,
    IncomingCall,
    OtherEvent,
    ToolCall,
    ToolCalls,
    Words,
)
from flask_pickup.platforms.vapi import Vapi

VAPI = Vapi(("the-secret-of-vapi",), "saved", clock=lambda: NOW)
CALL = "00000000-0000-4000-8000-000000000001"
MADE = datetime(2026, 1, 1, tzinfo=UTC)
PARTIES = {"phoneNumber": {"number": "+12025550100", "name": "Front desk"}, "customer": {"number": "+12025550123"}}


def load(body: Mapping[str, Any]) -> Event:
    return VAPI.parse(Delivery({}, json.dumps(body).encode()))


def event(kind: str, call: Mapping[str, Any] | None = None, **fields: Any) -> Event:
    of_call = {"id": CALL, "type": "inboundPhoneCall", "customer": {"number": "+12025550123"}, **(call or {})}
    return load({"message": {"type": kind, "timestamp": 1767225600000, "call": of_call, **PARTIES, **fields}})


def report(call: Mapping[str, Any] | None = None, **fields: Any) -> CallEnded:
    found = event("end-of-call-report", call, **{"endedReason": "customer-ended-call", **fields})
    assert isinstance(found, CallEnded)
    return found


def analysis(artifact: Mapping[str, Any] | None = None, **found: Any) -> Mapping[str, Any]:
    return report(analysis=found, artifact=artifact or {}).analysis


# --- calls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timestamp", [1767225600000, 1767225600, "2026-01-01T00:00:00.000Z"])
def test_incoming_call(timestamp: Any) -> None:
    """A call rings; its time is in milliseconds, seconds or ISO 8601."""
    found = event("assistant-request", timestamp=timestamp)
    assert type(found) is IncomingCall
    assert (found.call_id, found.timestamp, found.call_type) == (CALL, MADE, "inbound_phone_call")
    assert (found.caller_number, found.line_number, found.line_name) == ("+12025550123", "+12025550100", "Front desk")


def test_numbers_may_be_elsewhere() -> None:
    """The call has the parties too; a SIP call has addresses, and a withheld number is nobody's."""
    assert event("assistant-request", customer=None).caller_number == "+12025550123"
    sip = event(
        "assistant-request", customer={"sipUri": "sip:ann@example.com"}, phoneNumber={"sipUri": "sip:us@sip.vapi.ai"}
    )
    assert (sip.caller_number, sip.line_number) == ("sip:ann@example.com", "sip:us@sip.vapi.ai")
    nobody = event("assistant-request", {"customer": None}, customer=None, phoneNumber=None)
    assert (nobody.caller_number, nobody.line_number) == (None, None)


def test_other_events_and_calls_are_ignored() -> None:
    """Events of unknown types are ignored, and reports of calls that are not inbound; their tools still work."""
    assert type(load({"message": {"type": 'transcript[transcriptType="final"]'}})) is OtherEvent
    for kind in ("outboundPhoneCall", "webCall", "vapi.websocketCall"):
        for name in ("end-of-call-report", "status-update"):
            assert type(event(name, {"type": kind}, status="ended")) is OtherEvent
        assert type(event("tool-calls", {"type": kind})) is ToolCalls
    assert type(event("end-of-call-report", {"type": None})) is CallEnded


@pytest.mark.parametrize(
    "call",
    [
        {"function": {"name": "look_up", "arguments": '{"order": "1042"}'}},
        {"name": "look_up", "parameters": {"order": "1042"}},
    ],
)
def test_tool_calls(call: dict[str, Any]) -> None:
    """Name and arguments stand in the call or in its function; the arguments are an object or a text."""
    found = event("tool-calls", toolCallList=[{"id": "t", "type": "function", **call}])
    assert isinstance(found, ToolCalls)
    assert found.tool_calls == (ToolCall(id="t", name="look_up", arguments={"order": "1042"}),)
    assert not found.unread


# --- reports ----------------------------------------------------------------------------------------------------------

TIMES: dict[str, Any] = {"startedAt": "2026-01-01T00:00:05.000Z", "endedAt": "2026-01-01T00:00:58.500Z"}


@pytest.mark.parametrize(
    ("fields", "duration"),
    [
        (TIMES, 53.5),
        ({"startedAt": 1767225605000, "endedAt": 1767225658500}, 53.5),
        ({**TIMES, "durationSeconds": 51.2}, 51.2),
        ({"durationSeconds": 0}, 0),
        ({"call": {"id": CALL, **TIMES}}, 53.5),
        ({"startedAt": TIMES["endedAt"], "endedAt": TIMES["startedAt"]}, None),
        ({"startedAt": "soon", "endedAt": TIMES["endedAt"]}, None),
        ({}, None),
    ],
)
def test_duration(fields: dict[str, Any], duration: float | None) -> None:
    """The duration is what the report says, else from start to end, in the message or in the call."""
    assert report(**fields).duration_seconds == duration


def test_report() -> None:
    """Who ended the call and when, what was said, which the prompt is not, and the summary."""
    messages = [
        {"role": "system", "message": "You are kind.", "time": 0},
        {"role": "bot", "message": "Good day.", "time": 1},
        {"role": "user", "message": "Hello.", "time": 2},
        {"role": "tool_calls", "message": "", "toolCalls": []},
    ]
    found = report(**TIMES, artifact={"messages": messages}, analysis={"summary": "Short."})
    assert (found.status, found.end_reason, found.ending) == ("ended", "customer-ended-call", "caller")
    assert found.ended_at == datetime(2026, 1, 1, 0, 0, 58, 500_000, tzinfo=UTC)
    assert (found.user_messages, found.summary, found.is_whole) == (1, "Short.", True)
    assert found.transcript == ({"role": "bot", "content": "Good day."}, {"role": "user", "content": "Hello."})
    assert not found.unread
    openai = {"messages": [], "messagesOpenAIFormatted": [{"role": "user", "content": "Hello."}]}
    assert report(artifact=openai).user_messages == 1


def test_findings() -> None:
    """Structured data and structured outputs become one analysis; an object's properties have names of their own."""
    outputs = {
        "an-id": {"name": "Customer Info", "result": {"booked": False, "score": 7}},
        "another-id": {"name": "CallWasRude", "result": True},
        "a-third": {"name": "Skipped", "result": None},
        "damaged": "x",
    }
    found = analysis({"structuredOutputs": outputs}, structuredData={"booked": True}, summary="Short.")
    assert found == {"booked": True, "score": 7, "call_was_rude": True, "skipped": None}
    assert analysis(structuredData='{"booked": true}') == {"booked": True}
    assert report(analysis={"structuredData": "booked"}).unread == {"analysis": 1}
    assert report(analysis=None, artifact=None).analysis == {}


@pytest.mark.parametrize(
    ("sent", "read"),
    [("true", True), ("False", False), (True, True), ("8", 8), ("1", 1), (" 7.5 ", 7.5), ("85%", 85), ("Good", "Good"), ({"a": 1}, {"a": 1})],
)  # fmt: skip
def test_success_evaluation(sent: Any, read: Any) -> None:
    """The success evaluation is a boolean or a number where its rubric gives one."""
    found = analysis(successEvaluation=sent)["success_evaluation"]
    assert (found, isinstance(found, bool)) == (read, isinstance(read, bool))


def test_schemas_come_from_the_report() -> None:
    """What the analysis could find is read from the assistant of the report."""
    schema = {"properties": {"intent": {"type": "string", "enum": ["book", "move"]}}}
    plan = {"analysisPlan": {"structuredDataPlan": {"schema": schema}}}
    for found in (report(assistant=plan), report({"assistantOverrides": plan})):
        assert found.analysis_fields == {**schema["properties"], "success_evaluation": {"type": "boolean"}}


# --- what comes back --------------------------------------------------------------------------------------------------

OURS = {"metadata": {"pickup": {"v": 1}, "mine": 2}}
SAID = {"firstMessage": "Hi.", "model": {"messages": [{"role": "system", "content": "Be kind."}]}}


@pytest.mark.parametrize(
    ("call", "fields", "metadata", "applied"),
    [
        ({"assistantOverrides": {**OURS, **SAID}}, {"assistant": {"firstMessage": "Saved."}}, {"v": 1}, Words("Hi.", "Be kind.")),
        ({"assistant": {**OURS, **SAID}}, {}, {"v": 1}, Words("Hi.", "Be kind.")),
        ({}, {"assistant": {**OURS, **SAID}}, {"v": 1}, Words("Hi.", "Be kind.")),
        # Our metadata alone does not show what was said, nor does an assistant without it: it may be the saved one.
        ({"assistantOverrides": OURS}, {}, {"v": 1}, None),
        ({}, {"assistant": SAID}, {}, None),
        ({}, {}, {}, None),
        # The platform could not use an answer.
        ({}, {"endedReason": "assistant-request-failed"}, {}, Words()),
        ({}, {"endedReason": "assistant-request-returned-error"}, {}, None),
    ],
)  # fmt: skip
def test_answer_comes_back(call: Any, fields: Any, metadata: Any, applied: Words | None) -> None:
    """Our metadata and the words are read from wherever the report shows our answer."""
    found = report(call, **fields)
    assert (found.metadata, found.applied) == (metadata, applied)
