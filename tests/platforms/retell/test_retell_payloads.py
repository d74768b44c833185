"""The vendor's events, as its pages and its SDK show them, read into neutral ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flask_pickup.platforms import CallEnded, Delivery, Event, IncomingCall, OtherEvent, ToolCalls, Words
from flask_pickup.platforms.retell import Retell

FOLDER = Path(__file__).parent / "payloads"
RETELL = Retell(("key_of-the-account",))
OURS = {"v": 1, "call": "retell-0123456789abcdef"}


def payload(name: str, **fields: Any) -> dict[str, Any]:
    """Return a payload of the vendor's with other keys of its call."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    key = "call_inbound" if name == "call_inbound" else "call"
    return {**found, key: {**found[key], **fields}}


def parsed(body: Any) -> Event:
    return RETELL.parse(Delivery({}, json.dumps(body).encode()))


def report(name: str = "call_ended", **fields: Any) -> CallEnded:
    event = parsed(payload(name, **fields))
    assert isinstance(event, CallEnded)
    return event


# --- calls ------------------------------------------------------------------------------------------------------------


def test_call_is_read() -> None:
    """A call has its numbers and its time; the vendor gives it no id before it is answered."""
    event = parsed(payload("call_inbound"))
    assert isinstance(event, IncomingCall)
    assert (event.call_id, event.platform_call_id) == ("", None)
    assert (event.caller_number, event.line_number) == ("+12025550123", "+12025550100")
    assert event.timestamp == datetime.fromtimestamp(1_765_627_200, UTC)
    assert event.call_type == "inbound_phone_call"


def test_rehearsal_is_known_by_its_agent() -> None:
    """An agent whose id begins like a rehearsal's is the call's id; no other agent is, and nothing that a caller sends."""
    assert parsed(payload("call_inbound", agent_id="pickup-rehearsal-a")).call_id == "pickup-rehearsal-a"
    strange = {"custom_sip_headers": {"agent_id": "pickup-rehearsal-a"}, "from_number": "pickup-rehearsal-a"}
    assert parsed(payload("call_inbound", **strange)).call_id == ""


# --- reports ----------------------------------------------------------------------------------------------------------


def test_end_is_read() -> None:
    """The first part of a report has how the call went, and what was applied."""
    event = report()
    assert not event.is_whole
    assert (event.call_id, event.platform_call_id, event.metadata) == (OURS["call"], "call_example", OURS)
    assert (event.duration_seconds, event.ending, event.end_reason) == (53.5, "caller", "user_hangup")
    assert event.ended_at == datetime.fromtimestamp(1_765_627_258, UTC)
    assert (event.status, event.call_type) == ("ended", "inbound_phone_call")
    assert event.user_messages == 1
    assert [each["role"] for each in event.transcript or ()] == ["agent", "user", "agent", "transfer_target"]
    assert event.applied == Words("Good day.", "You are kind.")
    assert (dict(event.analysis), dict(event.unread)) == ({}, {})


def test_analysis_is_read() -> None:
    """The second part has the author's own fields under their names, and the vendor's under names of their own."""
    event = report("call_analyzed")
    assert not event.is_whole
    assert (event.call_id, event.metadata) == (OURS["call"], OURS)
    assert event.summary == "The caller booked a table."
    assert event.analysis == {
        "booked": True,
        "guests": 2,
        "retell.call_successful": True,
        "retell.in_voicemail": False,
        "retell.user_sentiment.Negative": False,
        "retell.user_sentiment.Neutral": False,
        "retell.user_sentiment.Positive": True,
    }


def test_analysis_repeats_how_the_call_went() -> None:
    """The second part has what the first has, so that one of them is enough."""
    fields = {**payload("call_ended")["call"], **payload("call_analyzed")["call"]}
    first, second = report(), report("call_analyzed", **fields)
    for name in ("duration_seconds", "ending", "user_messages", "transcript", "applied", "ended_at"):
        assert getattr(second, name) == getattr(first, name)


@pytest.mark.parametrize("sentiment", ["Unknown", None, "", 5, ["Positive"]])
def test_unknown_sentiment_is_none(sentiment: Any) -> None:
    """A sentiment that the vendor does not know makes no outcome."""
    event = report("call_analyzed", call_analysis={"user_sentiment": sentiment})
    assert not any("sentiment" in key for key in event.analysis)


def test_authors_field_does_not_hide_the_vendors() -> None:
    """An author may call a field as the vendor calls one of its own."""
    event = report(
        "call_analyzed", call_analysis={"call_successful": True, "custom_analysis_data": {"call_successful": 7}}
    )
    assert (event.analysis["call_successful"], event.analysis["retell.call_successful"]) == (7, True)


@pytest.mark.parametrize("metadata", [None, {}, {"branch": "north"}, {"pickup": "x"}, "x"])
def test_call_that_was_not_ours_has_the_vendors_id(metadata: Any) -> None:
    """A report without our metadata is known by the vendor's id."""
    event = report(metadata=metadata)
    assert (event.call_id, event.platform_call_id, event.metadata) == ("call_example", "call_example", {})


@pytest.mark.parametrize(
    ("variables", "applied"),
    [
        (None, None),
        ("x", None),
        ({}, Words()),
        ({"pickup_prompt": "You are kind."}, Words(prompt="You are kind.")),
        ({"pickup_greeting": 5}, Words()),
    ],
)
def test_applied_is_what_the_variables_show(variables: Any, applied: Words | None) -> None:
    """Without variables nobody knows what was applied; without ours, nothing of ours was."""
    assert report(retell_llm_dynamic_variables=variables).applied == applied


@pytest.mark.parametrize(
    ("name", "fields", "unread"),
    [
        ("call_ended", {"duration_ms": "soon", "end_timestamp": []}, {"times": 2}),
        ("call_ended", {"transcript_object": [{"role": "user", "content": ""}]}, {"messages": 1}),
        ("call_ended", {"transcript_object": None}, {"messages": 1}),
        ("call_ended", {"duration_ms": None, "transcript_object": [], "transcript": ""}, {}),
        ("call_analyzed", {"call_analysis": [1]}, {"analysis": 1}),
        ("call_analyzed", {"call_analysis": {"custom_analysis_data": "x", "call_successful": "perhaps"}}, {"analysis": 2}),
        ("call_analyzed", {"call_analysis": None}, {}),
    ],
)  # fmt: skip
def test_strange_values_are_counted(name: str, fields: dict[str, Any], unread: dict[str, int]) -> None:
    """A value that cannot be read is unknown and counted; one that is missing is only unknown."""
    assert dict(report(name, **fields).unread) == unread


# --- other events -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["call_started", "transcript_updated", "transfer_started", "chat_inbound", "chat_ended", "new"]
)
def test_other_events_are_ignored(name: str) -> None:
    """Every other event is acknowledged, whatever it is about."""
    assert isinstance(parsed({"event": name}), OtherEvent)
    assert isinstance(parsed({**payload("call_ended"), "event": name}), OtherEvent)


def test_custom_function_is_a_tool_call() -> None:
    """A custom function that is sent to our address is a tool call, known by our id of the call."""
    event = parsed(payload("custom_function"))
    assert isinstance(event, ToolCalls)
    [tool] = event.tool_calls
    assert (tool.name, tool.arguments) == ("find_table", {"guests": 2})
    assert (event.call_id, event.platform_call_id) == (OURS["call"], "call_example")
    assert RETELL.tool_results(event, {"free": True}) == {"free": True}


@pytest.mark.parametrize("change", [{"name": 5}, {"name": ""}, {"args": [1]}, {"args": "x"}])
def test_strange_function_is_counted(change: dict[str, Any]) -> None:
    """A name or arguments that cannot be read are empty and counted."""
    event = parsed({**payload("custom_function"), **change})
    assert isinstance(event, ToolCalls)
    assert event.unread["tool calls"]
